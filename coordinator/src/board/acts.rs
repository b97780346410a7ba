//! What people do at the board: they take nodes out of work and put them back, and submit grids.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atelier_gallery::bucket::{BucketError, PutOutcome};
use atelier_gallery::keys::input_key;
use atelier_gallery::picture::{self, PictureError};
use atelier_proto::ids::{Digest, NodeId, RequestId};
use atelier_proto::settings::{SettingsError, SettingsPatch};
use axum::Extension;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};

use super::session::Visitor;
use super::{Board, one_sentence};
use crate::domain::field::{InvalidField, Problem, check_text};
use crate::domain::grid::{Artist, Draft, Input, Painting, Photo};
use crate::domain::node::{Labels, NodeState, TEXT_CHARS_MAX};
use crate::domain::share::SUBMITTER_CHARS_MAX;
use crate::store::StoreError;
use crate::submissions::{Submission, SubmissionError};

/// Pictures whose sizes are remembered.
const SIZES_MAX: usize = 20_000;
/// A picture on its way that brings nothing for so long is given up.
pub(crate) const UPLOAD_IDLE_MAX: Duration = Duration::from_secs(20);

/// Why something was not done; the text is for whoever asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum ActError {
    #[error(transparent)]
    Field(#[from] InvalidField),
    #[error("settings: {0}")]
    Setting(#[from] SettingsError),
    #[error("{0}")]
    Json(#[from] JsonRejection),
    #[error("this is no {0} of this coordinator")]
    Unknown(&'static str),
    #[error(transparent)]
    Submission(#[from] SubmissionError),
    #[error(transparent)]
    Picture(#[from] PictureError),
    #[error("{0}")]
    Bucket(#[from] BucketError),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the picture brought nothing for {UPLOAD_IDLE_MAX:?}")]
    Slow,
    #[error("the picture has more than the {} MiB that one may have", picture::BYTES_MAX >> 20)]
    TooLong,
    #[error("the picture did not come whole: {0}")]
    BrokenOff(#[from] axum::Error),
    #[error("a helper task ended early")]
    Task(#[from] tokio::task::JoinError),
    #[error("the coordinator is shutting down")]
    ShuttingDown,
}

impl IntoResponse for ActError {
    fn into_response(self) -> Response {
        let code = match &self {
            Self::Unknown(_) | Self::Store(StoreError::UnknownNode(_)) => StatusCode::NOT_FOUND,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BrokenOff(_) => StatusCode::BAD_REQUEST,
            Self::Field(_)
            | Self::Setting(_)
            | Self::Json(_)
            | Self::Picture(_)
            | Self::Submission(SubmissionError::Field(_) | SubmissionError::InputMissing { .. }) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::Submission(SubmissionError::Submitter(_)) => StatusCode::FORBIDDEN,
            Self::Submission(SubmissionError::Store(StoreError::TooManyOpen { .. })) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::Submission(SubmissionError::Store(StoreError::RequestReused { .. })) => {
                StatusCode::CONFLICT
            }
            Self::Submission(SubmissionError::Store(_) | SubmissionError::Bucket(_))
            | Self::Bucket(_)
            | Self::Store(_)
            | Self::Task(_)
            | Self::ShuttingDown => {
                tracing::warn!(error = %self, "the board could not do what it was asked");
                let text = "the coordinator could not do that; its log says why";
                return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
            }
        };
        (code, one_sentence(&self)).into_response()
    }
}

/// What a node is to do from now on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ordered {
    state: OrderedState,
    #[serde(default)]
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OrderedState {
    Active,
    Draining,
    Quarantined,
}

/// Lets a node work, finish what it holds and leave, or get no work.
pub(super) async fn order_node(
    State(board): State<Board>,
    Extension(visitor): Extension<Visitor>,
    Path(node): Path<String>,
    ordered: Result<Json<Ordered>, JsonRejection>,
) -> Result<StatusCode, ActError> {
    let Json(Ordered { state, reason }) = ordered?;
    let node: NodeId = node.parse().map_err(|_| ActError::Unknown("node"))?;
    let least = usize::from(matches!(state, OrderedState::Quarantined));
    check_text("reason", &reason, least, TEXT_CHARS_MAX)?;
    let state = match state {
        OrderedState::Active => NodeState::Active,
        OrderedState::Draining => NodeState::Draining { reason },
        OrderedState::Quarantined => NodeState::Quarantined { reason },
    };
    visitor.about.say(&format!("{node} {}", state.word()));
    tracing::info!(%node, state = state.word(), reason = state.reason(), "said at the board");
    board.ledger.order(node, state).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A picture that lies in the bucket.
#[derive(Debug, Serialize)]
pub(super) struct Kept {
    sha256: String,
    width: u32,
    height: u32,
}

/// Keeps a picture for a grid to name.
pub(super) async fn keep_input(
    State(board): State<Board>,
    body: Body,
) -> Result<Json<Kept>, ActError> {
    // Never closed while the board serves. What waits for its turn is not in memory yet.
    let turn = board.uploads.clone().acquire_owned().await;
    let _turn = turn.map_err(|_| ActError::ShuttingDown)?;
    let bytes = read(body).await?;
    let (sha256, (width, height), bytes) = tokio::task::spawn_blocking(move || {
        // A picture that cannot be read would fail at every node.
        let size = picture::decode(&bytes)?.dimensions();
        Ok::<_, PictureError>((Digest::of(&bytes), size, bytes))
    })
    .await??;
    let key = input_key(&sha256);
    let put = board
        .bucket
        .put_if_absent(&key, bytes, "application/octet-stream", &[]);
    match Box::pin(put).await? {
        PutOutcome::Created | PutOutcome::AlreadyThere => {}
    }
    board.sizes.insert(sha256, (width, height));
    Ok(Json(Kept {
        sha256: sha256.to_string(),
        width,
        height,
    }))
}

/// A picture, as long as it comes and is not too long.
async fn read(body: Body) -> Result<Bytes, ActError> {
    let mut parts = body.into_data_stream();
    let mut bytes = Vec::new();
    loop {
        let part = tokio::time::timeout(UPLOAD_IDLE_MAX, parts.next());
        match part.await.map_err(|_| ActError::Slow)? {
            None => return Ok(bytes.into()),
            Some(part) => bytes.extend_from_slice(&part?),
        }
        if bytes.len() as u64 > picture::BYTES_MAX {
            return Err(ActError::TooLong);
        }
    }
}

/// A grid as the page has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    name: String,
    #[serde(default)]
    submitter: String,
    photos: Vec<AskedPhoto>,
    artists: Vec<AskedArtist>,
    /// `key=value`, as `atelier submit --set` takes them.
    #[serde(default)]
    settings: Vec<String>,
    /// A UUID made once for each grid that somebody wants.
    #[serde(default)]
    request: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedPhoto {
    name: String,
    sha256: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedArtist {
    name: String,
    /// Digests of the pictures.
    paintings: Vec<String>,
}

impl Board {
    /// A picture that was kept.
    async fn input(&self, field: &str, sha256: &str) -> Result<Input, ActError> {
        let sha256: Digest = sha256
            .parse()
            .map_err(|error| InvalidField::new(field, Problem::Id(error)))?;
        let (width, height) = if let Some(size) = self.sizes.get(&sha256) {
            size
        } else {
            // Another coordinator took it in, or this one before it was started anew.
            let key = input_key(&sha256);
            let bytes = match self.bucket.get(&key, picture::BYTES_MAX).await {
                Ok(bytes) => bytes,
                Err(BucketError::NotFound { .. }) => {
                    let field = field.to_owned();
                    return Err(SubmissionError::InputMissing { field, sha256 }.into());
                }
                Err(error) => return Err(error.into()),
            };
            let size = picture::size(&bytes)?;
            self.sizes.insert(sha256, size);
            size
        };
        Ok(Input {
            sha256,
            width,
            height,
        })
    }

    async fn draft(&self, asked: &Asked) -> Result<Draft, ActError> {
        check_text("submitter", &asked.submitter, 0, SUBMITTER_CHARS_MAX)?;
        let mut settings = SettingsPatch::default();
        for assignment in &asked.settings {
            settings.set(assignment)?;
        }
        let mut photos = Vec::with_capacity(asked.photos.len());
        for (index, photo) in asked.photos.iter().enumerate() {
            photos.push(Photo {
                name: photo.name.clone(),
                input: self
                    .input(&format!("photos[{index}]"), &photo.sha256)
                    .await?,
                masks: Vec::new(),
                start: None,
            });
        }
        let mut artists = Vec::with_capacity(asked.artists.len());
        for (index, artist) in asked.artists.iter().enumerate() {
            let mut paintings = Vec::with_capacity(artist.paintings.len());
            for (number, sha256) in artist.paintings.iter().enumerate() {
                let field = format!("artists[{index}].paintings[{number}]");
                paintings.push(Painting {
                    name: format!("{} {}", artist.name, number + 1),
                    input: self.input(&field, sha256).await?,
                    weight: 1.0,
                    mask: None,
                });
            }
            artists.push(Artist {
                name: artist.name.clone(),
                paintings,
                settings: SettingsPatch::default(),
            });
        }
        Ok(Draft {
            name: asked.name.clone(),
            photos,
            artists,
            variants: Vec::new(),
            settings,
            reconstructions: false,
            labels: Labels::new(),
        })
    }
}

/// Sizes of pictures, which never change.
#[derive(Debug, Clone, Default)]
pub(super) struct Sizes(Arc<Mutex<HashMap<Digest, (u32, u32)>>>);

impl Sizes {
    fn get(&self, picture: &Digest) -> Option<(u32, u32)> {
        self.lock().get(picture).copied()
    }

    fn insert(&self, picture: Digest, size: (u32, u32)) {
        let mut sizes = self.lock();
        if sizes.len() >= SIZES_MAX {
            sizes.clear();
        }
        sizes.insert(picture, size);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, (u32, u32)>> {
        // Every change is whole, so a panic elsewhere leaves the map as it was.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a grid would take.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    cells: u32,
    /// Unknown where nothing like it was rendered.
    seconds: Option<u64>,
    dollars: Option<f64>,
}

/// Checks a grid and foretells what it takes.
pub(super) async fn estimate(
    State(board): State<Board>,
    asked: Result<Json<Asked>, JsonRejection>,
) -> Result<Json<Told>, ActError> {
    let Json(asked) = asked?;
    let expected = board
        .submissions
        .expected(board.draft(&asked).await?)
        .await?;
    Ok(Json(Told {
        cells: expected.cells,
        seconds: expected.estimate.time_left.map(|time| time.as_secs()),
        dollars: expected.estimate.dollars_left,
    }))
}

/// A grid that was made.
#[derive(Debug, Serialize)]
pub(super) struct Made {
    id: String,
}

/// Makes a grid.
pub(super) async fn submit(
    State(board): State<Board>,
    Extension(visitor): Extension<Visitor>,
    asked: Result<Json<Asked>, JsonRejection>,
) -> Result<(StatusCode, Json<Made>), ActError> {
    let Json(asked) = asked?;
    let request = match &asked.request {
        None => RequestId::generate(),
        Some(request) => request
            .parse()
            .map_err(|error| InvalidField::new("request", Problem::Id(error)))?,
    };
    let submission = Submission {
        request,
        draft: board.draft(&asked).await?,
        submitter: asked.submitter,
        user: String::new(),
        priority: 0,
        trace_parent: String::new(),
    };
    let caller = &visitor.admitted.caller;
    let (submitted, _) = board.submissions.accept(submission, caller).await?;
    let id = submitted.grid.to_string();
    visitor.about.say(&id);
    Ok((StatusCode::CREATED, Json(Made { id })))
}
