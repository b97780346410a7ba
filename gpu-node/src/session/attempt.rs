//! One attempt at one cell: inputs, optimisation, uploads, and the word to the coordinator.

use std::collections::BTreeMap;

use atelier_gallery::bucket::{Bucket, BucketError, PutOutcome};
use atelier_gallery::picture::{self, PictureError};
use atelier_proto::ids::{CellId, Digest, GridId, MalformedId};
use atelier_proto::settings::{RenderSettings, SettingsError, SettingsPatch};
use atelier_proto::v1;
use backon::{ExponentialBuilder, Retryable as _};
use bytes::Bytes;
use image::RgbImage;
use tokio::sync::watch;
use tonic::Status;
use tracing::Instrument as _;

use super::held::{HeldCell, Stop};
use super::{CALL_TIMEOUT, Session, is_passing, timed};
use crate::executor::{ExecutorError, Progress};
use crate::inputs::InputError;
use crate::render::{RenderError, RenderJob, Rendered};

/// Long side of thumbnails, pixels.
const THUMBNAIL_SIDE: u32 = 320;
/// Long side of the originals that a gallery shows in its header row and column, pixels.
const ORIGINAL_SIDE: u32 = 640;
/// The largest picture that is read back from the bucket.
const PICTURE_BYTES_MAX: u64 = 1 << 30;

/// A leased cell, parsed.
#[derive(Debug)]
pub(super) struct Attempt {
    cell: CellId,
    grid: GridId,
    number: u32,
    photo: Digest,
    paintings: Vec<(Digest, f64)>,
    settings: RenderSettings,
    keys: Keys,
}

#[derive(Debug)]
struct Keys {
    picture: String,
    thumbnail: String,
    photo_original: String,
    artist_original: String,
}

/// What is wrong with a leased cell.
#[derive(Debug, thiserror::Error)]
pub(super) enum MalformedCell {
    #[error(transparent)]
    Id(#[from] MalformedId),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("it has no {0}")]
    Lacks(&'static str),
}

/// Why an attempt brought no picture.
#[derive(Debug, thiserror::Error)]
enum AttemptError {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("the {what} cannot be read: {source}")]
    Picture {
        what: &'static str,
        source: PictureError,
    },
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    #[error("cannot store the picture: {0}")]
    Store(#[from] BucketError),
    #[error("a helper task ended early")]
    Task(#[from] tokio::task::JoinError),
}

impl AttemptError {
    fn kind(&self) -> v1::FailureKind {
        let refused = match self {
            Self::Picture { .. } => true,
            Self::Executor(ExecutorError::Render(error)) => error.is_refusal(),
            // Another node, or another minute, may have the network, the disk or the memory for it.
            Self::Executor(ExecutorError::Panicked(_) | ExecutorError::Ended)
            | Self::Input(_)
            | Self::Store(_)
            | Self::Task(_) => false,
        };
        if refused {
            v1::FailureKind::Refused
        } else {
            v1::FailureKind::Transient
        }
    }
}

impl Attempt {
    pub(super) fn parse(cell: v1::LeasedCell) -> Result<Self, MalformedCell> {
        let photo = cell.photo.and_then(|photo| photo.input);
        let artist = cell.artist.ok_or(MalformedCell::Lacks("artist"))?;
        let paintings = artist.paintings.into_iter().map(|painting| {
            let input = painting.input.ok_or(MalformedCell::Lacks("painting"))?;
            Ok((input.sha256.parse()?, painting.weight))
        });
        let settings = cell.settings.ok_or(MalformedCell::Lacks("settings"))?;
        Ok(Self {
            cell: cell.cell_id.parse()?,
            grid: cell.grid_id.parse()?,
            number: cell.attempt,
            photo: photo.ok_or(MalformedCell::Lacks("photo"))?.sha256.parse()?,
            paintings: paintings.collect::<Result<_, MalformedCell>>()?,
            settings: SettingsPatch::try_from(settings)?.resolve(),
            keys: Keys {
                picture: cell.picture_key,
                thumbnail: cell.thumbnail_key,
                photo_original: cell.photo_original_key,
                artist_original: cell.artist_original_key,
            },
        })
    }
}

/// A picture that lies in the bucket, with what is known of its making.
struct Stored {
    picture: RgbImage,
    sha256: Digest,
    bytes: u64,
    seconds: f64,
    evaluations: u32,
    loss: f64,
    network: String,
    device: String,
}

impl Session {
    /// Carries a cell from its lease to the word that ends it: done, failed, released, or nothing at all
    /// when the coordinator has taken it back.
    pub(super) async fn carry_out(&self, attempt: Attempt) {
        let span = tracing::info_span!(
            "attempt",
            grid = %attempt.grid,
            cell = %attempt.cell,
            attempt = attempt.number
        );
        async {
            let (sender, receiver) = watch::channel(Progress::default());
            let held = self.held.hold(attempt.cell, attempt.number, receiver);
            let result = Box::pin(self.paint(&attempt, &held, sender)).await;
            match (result, held.why_stopped()) {
                // A finished picture is reported even if the stop came while it was stored.
                (Ok(result), _) => self.complete(&held, result).await,
                (Err(_), Some(Stop::Dropped)) => tracing::info!("stopped"),
                (Err(_), Some(Stop::Leaving)) => self.release(&held).await,
                (Err(error), None) => self.fail(&held, &error).await,
            }
        }
        .instrument(span)
        .await;
    }

    /// Everything between the lease and the answer; ends early when the cell is stopped.
    async fn paint(
        &self,
        attempt: &Attempt,
        held: &HeldCell,
        progress: watch::Sender<Progress>,
    ) -> Result<v1::CellResult, AttemptError> {
        let prepare = Box::pin(self.prepare(attempt));
        let Some(prepared) = held.stop.run_until_cancelled(prepare).await else {
            return Err(ExecutorError::Render(RenderError::Cancelled).into());
        };
        let (photo, paintings) = prepared?;
        let originals = Originals::draw(&photo, &paintings).await?;

        // An earlier attempt may have stored the picture and died before it could say so.
        let is_there = self.bucket.head(&attempt.keys.picture).await?.is_some();
        let stored = if is_there {
            self.adopt(attempt).await?
        } else {
            let job = RenderJob {
                photo,
                paintings,
                settings: attempt.settings.clone(),
            };
            let rendered = self
                .executor
                .render(job, held.stop.clone(), progress)
                .await?;
            self.store(attempt, rendered).await?
        };
        self.store_companions(attempt, &stored, originals).await?;
        Ok(attempt.result(stored))
    }

    async fn prepare(
        &self,
        attempt: &Attempt,
    ) -> Result<(RgbImage, Vec<(RgbImage, f64)>), AttemptError> {
        let photo = self.input(attempt.photo, "photo").await?;
        let mut paintings = Vec::with_capacity(attempt.paintings.len());
        for (digest, weight) in &attempt.paintings {
            paintings.push((self.input(*digest, "painting").await?, *weight));
        }
        Ok((photo, paintings))
    }

    async fn input(&self, digest: Digest, what: &'static str) -> Result<RgbImage, AttemptError> {
        let bytes = self.inputs.bytes(&self.bucket, digest).await?;
        tokio::task::spawn_blocking(move || picture::decode(&bytes))
            .await?
            .map_err(|source| AttemptError::Picture { what, source })
    }

    /// Puts the picture if none is there; the first writer wins, and a second one reports the winner.
    async fn store(&self, attempt: &Attempt, rendered: Rendered) -> Result<Stored, AttemptError> {
        let format = attempt.settings.format;
        let (picture, bytes) = tokio::task::spawn_blocking(move || {
            let bytes = picture::encode(&rendered.picture, format);
            bytes.map(|bytes| (rendered.picture, Bytes::from(bytes)))
        })
        .await?
        .map_err(|source| AttemptError::Picture {
            what: "rendered picture",
            source,
        })?;
        let about = self.executor.about();
        let stored = Stored {
            sha256: Digest::of(&bytes),
            bytes: bytes.len() as u64,
            picture,
            seconds: rendered.seconds,
            evaluations: rendered.evaluations,
            loss: rendered.loss,
            network: about.network.clone(),
            device: about.device.clone(),
        };
        let key = &attempt.keys.picture;
        let outcome = self
            .bucket
            .put_if_absent(key, bytes, format.content_type(), &stored.metadata())
            .await?;
        match outcome {
            PutOutcome::Created => Ok(stored),
            PutOutcome::AlreadyThere => self.adopt(attempt).await,
        }
    }

    /// Reads back a picture that another attempt stored.
    async fn adopt(&self, attempt: &Attempt) -> Result<Stored, AttemptError> {
        tracing::info!(
            key = attempt.keys.picture,
            "the picture is there already: keeping it"
        );
        let (bytes, metadata) = self
            .bucket
            .get_with_metadata(&attempt.keys.picture, PICTURE_BYTES_MAX)
            .await?;
        tokio::task::spawn_blocking(move || Stored::read(&bytes, &metadata))
            .await?
            .map_err(|source| AttemptError::Picture {
                what: "stored picture",
                source,
            })
    }

    /// Thumbnail and header pictures. They are the same whoever makes them, so the first one stays.
    async fn store_companions(
        &self,
        attempt: &Attempt,
        stored: &Stored,
        originals: Originals,
    ) -> Result<(), AttemptError> {
        let thumbnail = jpeg(&stored.picture, THUMBNAIL_SIDE).await?;
        for (key, bytes) in [
            (&attempt.keys.thumbnail, thumbnail),
            (&attempt.keys.photo_original, originals.photo),
            (&attempt.keys.artist_original, originals.artist),
        ] {
            put_jpeg(&self.bucket, key, bytes).await?;
        }
        Ok(())
    }

    async fn complete(&self, held: &HeldCell, result: v1::CellResult) {
        let seconds = result.seconds;
        let request = v1::CompleteRequest {
            node_id: self.node.to_string(),
            cell: Some(held.wire()),
            result: Some(result),
        };
        let sent = deliver(|| async {
            let request = timed(request.clone(), CALL_TIMEOUT);
            self.nodes.clone().complete(request).await
        })
        .await;
        match sent {
            Ok(_) => tracing::info!(seconds, "done"),
            Err(status) => tracing::warn!(error = status.message(), "done, but not accepted"),
        }
    }

    async fn fail(&self, held: &HeldCell, error: &AttemptError) {
        let kind = error.kind();
        let reason = with_causes(error);
        tracing::warn!(reason, ?kind, "failed");
        let request = v1::FailRequest {
            node_id: self.node.to_string(),
            cell: Some(held.wire()),
            kind: kind.into(),
            reason: reason.chars().take(4000).collect(),
        };
        let sent = deliver(|| async {
            let request = timed(request.clone(), CALL_TIMEOUT);
            self.nodes.clone().fail(request).await
        })
        .await;
        if let Err(status) = sent {
            tracing::warn!(error = status.message(), "the failure was not accepted");
        }
    }

    async fn release(&self, held: &HeldCell) {
        let request = v1::ReleaseRequest {
            node_id: self.node.to_string(),
            cells: vec![held.wire()],
            reason: "shutdown".to_owned(),
        };
        let sent = deliver(|| async {
            let request = timed(request.clone(), CALL_TIMEOUT);
            self.nodes.clone().release(request).await
        })
        .await;
        match sent {
            Ok(_) => tracing::info!("given back"),
            Err(status) => tracing::warn!(error = status.message(), "not given back"),
        }
    }
}

/// Sends a verdict until it arrives, within the life of a lease: after that it would be refused.
async fn deliver<T, F, Call>(call: F) -> Result<tonic::Response<T>, Status>
where
    F: FnMut() -> Call,
    Call: Future<Output = Result<tonic::Response<T>, Status>>,
{
    let backoff = ExponentialBuilder::default()
        .with_jitter()
        .with_max_times(6);
    call.retry(backoff).when(is_passing).await
}

/// An error with its causes, as one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let further = error.to_string();
        if !text.contains(&further) {
            text = format!("{text}: {further}");
        }
        cause = error.source();
    }
    text
}

/// Header pictures of a gallery, JPEG.
struct Originals {
    photo: Bytes,
    artist: Bytes,
}

impl Originals {
    async fn draw(photo: &RgbImage, paintings: &[(RgbImage, f64)]) -> Result<Self, AttemptError> {
        // An artist is shown by the first painting, which is the one people listed first.
        let first = paintings.first().map_or(photo, |(painting, _)| painting);
        Ok(Self {
            photo: jpeg(photo, ORIGINAL_SIDE).await?,
            artist: jpeg(first, ORIGINAL_SIDE).await?,
        })
    }
}

/// A JPEG of at most `long_side` pixels, made off the async threads.
async fn jpeg(picture: &RgbImage, long_side: u32) -> Result<Bytes, AttemptError> {
    let picture = picture.clone();
    tokio::task::spawn_blocking(move || picture::thumbnail(&picture, long_side))
        .await?
        .map(Bytes::from)
        .map_err(|source| AttemptError::Picture {
            what: "thumbnail",
            source,
        })
}

async fn put_jpeg(bucket: &Bucket, key: &str, bytes: Bytes) -> Result<(), BucketError> {
    bucket.put_if_absent(key, bytes, "image/jpeg", &[]).await?;
    Ok(())
}

impl Attempt {
    fn result(&self, stored: Stored) -> v1::CellResult {
        v1::CellResult {
            picture_key: self.keys.picture.clone(),
            thumbnail_key: self.keys.thumbnail.clone(),
            sha256: stored.sha256.to_string(),
            bytes: stored.bytes,
            width: stored.picture.width(),
            height: stored.picture.height(),
            seconds: stored.seconds,
            evaluations: stored.evaluations,
            loss: stored.loss,
            network: stored.network,
            device: stored.device,
        }
    }
}

impl Stored {
    /// What travels with the picture, so that whoever adopts it can report how it was made.
    fn metadata(&self) -> [(&'static str, String); 5] {
        [
            ("seconds", self.seconds.to_string()),
            ("evaluations", self.evaluations.to_string()),
            ("loss", self.loss.to_string()),
            ("network", self.network.clone()),
            ("device", self.device.clone()),
        ]
    }

    fn read(bytes: &[u8], metadata: &BTreeMap<String, String>) -> Result<Self, PictureError> {
        let text = |name| metadata.get(name).cloned().unwrap_or_default();
        Ok(Self {
            picture: picture::decode(bytes)?,
            sha256: Digest::of(bytes),
            bytes: bytes.len() as u64,
            seconds: text("seconds").parse().unwrap_or_default(),
            evaluations: text("evaluations").parse().unwrap_or_default(),
            loss: text("loss").parse().unwrap_or_default(),
            network: text("network"),
            device: text("device"),
        })
    }
}

#[cfg(test)]
mod tests {
    use atelier_proto::settings::PictureFormat;

    use super::*;

    #[test]
    fn a_stored_picture_tells_whoever_adopts_it_how_it_was_made() {
        let picture = RgbImage::from_fn(8, 4, |x, y| image::Rgb([x as u8 * 30, y as u8 * 60, 7]));
        let bytes = picture::encode(&picture, PictureFormat::Png).unwrap();
        let stored = Stored {
            sha256: Digest::of(&bytes),
            bytes: bytes.len() as u64,
            picture,
            seconds: 1.5,
            evaluations: 180,
            loss: 0.25,
            network: "vgg16 untrained".to_owned(),
            device: "cpu".to_owned(),
        };
        let metadata = stored.metadata();
        let metadata = metadata
            .map(|(name, value)| (name.to_owned(), value))
            .into();
        let adopted = Stored::read(&bytes, &metadata).unwrap();
        assert_eq!(adopted.metadata(), stored.metadata());
        assert_eq!(
            (adopted.sha256, adopted.bytes),
            (stored.sha256, stored.bytes)
        );
        assert_eq!(adopted.picture, stored.picture);
    }

    #[test]
    fn a_leased_cell_that_lacks_something_is_refused() {
        let error = Attempt::parse(v1::LeasedCell::default()).unwrap_err();
        assert_eq!(error.to_string(), "it has no artist");
    }

    #[test]
    fn only_a_fault_of_the_input_or_the_settings_is_a_refusal() {
        let transient = AttemptError::from(ExecutorError::Panicked("out of memory".to_owned()));
        assert_eq!(transient.kind(), v1::FailureKind::Transient);
        let bytes = b"not a picture";
        let refused = AttemptError::Picture {
            what: "photo",
            source: picture::decode(bytes).unwrap_err(),
        };
        assert_eq!(refused.kind(), v1::FailureKind::Refused);
    }
}
