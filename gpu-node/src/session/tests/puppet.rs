//! A coordinator that does as it is told, and keeps what it was told.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use atelier_proto::ids::{CellId, Digest, GridId};
use atelier_proto::v1;
use atelier_proto::v1::nodes_server::Nodes;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::PATIENCE;

/// What a node has said, and what it is to hear.
#[derive(Default)]
pub(super) struct Talk {
    pub(super) registered: Vec<v1::RegisterRequest>,
    pub(super) leases_asked: Vec<v1::LeaseRequest>,
    /// Cells of which a renewal told.
    pub(super) renewed: HashSet<String>,
    /// Why it leaves, as renewals say, each reason once.
    pub(super) leaving: Vec<String>,
    pub(super) completed: Vec<v1::CompleteRequest>,
    pub(super) failed: Vec<v1::FailRequest>,
    pub(super) released: Vec<v1::HeldCell>,
    pub(super) release_reasons: HashSet<String>,
    pub(super) release_calls: u32,
    /// Answers to further lease calls; without one, a call waits.
    pub(super) leases: VecDeque<v1::LeaseResponse>,
    /// Whether a renewal that tells of cells is answered with a drain.
    pub(super) drains: bool,
}

/// The coordinator; clones are the same one.
#[derive(Clone)]
pub(super) struct Puppet {
    talk: Arc<Mutex<Talk>>,
    changed: Arc<watch::Sender<()>>,
}

impl Puppet {
    pub(super) fn new(leases: impl IntoIterator<Item = v1::LeaseResponse>, drains: bool) -> Self {
        let talk = Talk {
            leases: leases.into_iter().collect(),
            drains,
            ..Talk::default()
        };
        Self {
            talk: Arc::new(Mutex::new(talk)),
            changed: Arc::default(),
        }
    }

    pub(super) fn talk(&self) -> MutexGuard<'_, Talk> {
        self.talk.lock().unwrap()
    }

    pub(super) fn note(&self, note: impl FnOnce(&mut Talk)) {
        note(&mut self.talk());
        self.changed.send_replace(());
    }

    /// Waits until the node has said what is waited for.
    pub(super) async fn heard(&self, is_it: impl Fn(&Talk) -> bool) {
        let mut changes = self.changed.subscribe();
        let heard = changes.wait_for(|()| is_it(&self.talk()));
        tokio::time::timeout(PATIENCE, heard)
            .await
            .unwrap()
            .unwrap();
    }
}

#[tonic::async_trait]
impl Nodes for Puppet {
    async fn register(
        &self,
        request: Request<v1::RegisterRequest>,
    ) -> Result<Response<v1::RegisterResponse>, Status> {
        self.note(|talk| talk.registered.push(request.into_inner()));
        Ok(Response::new(v1::RegisterResponse {
            renew_interval: Some(prost_types::Duration {
                seconds: 0,
                nanos: 100_000_000,
            }),
            lease_duration: None,
        }))
    }

    async fn lease(
        &self,
        request: Request<v1::LeaseRequest>,
    ) -> Result<Response<v1::LeaseResponse>, Status> {
        self.note(|talk| talk.leases_asked.push(request.into_inner()));
        let mut changes = self.changed.subscribe();
        loop {
            changes.mark_unchanged();
            let answer = self.talk().leases.pop_front();
            if let Some(answer) = answer {
                return Ok(Response::new(answer));
            }
            changes.changed().await.unwrap();
        }
    }

    async fn renew(
        &self,
        request: Request<v1::RenewRequest>,
    ) -> Result<Response<v1::RenewResponse>, Status> {
        let request = request.into_inner();
        let told = request.cells.into_iter();
        let held: Vec<_> = told.filter_map(|told| Some(told.cell?.cell_id)).collect();
        let holds_some = !held.is_empty();
        self.note(|talk| {
            talk.renewed.extend(held);
            if !request.leaving.is_empty() && talk.leaving.last() != Some(&request.leaving) {
                talk.leaving.push(request.leaving);
            }
        });
        Ok(Response::new(v1::RenewResponse {
            drain: self.talk().drains && holds_some,
            ..v1::RenewResponse::default()
        }))
    }

    async fn complete(
        &self,
        request: Request<v1::CompleteRequest>,
    ) -> Result<Response<v1::CompleteResponse>, Status> {
        self.note(|talk| talk.completed.push(request.into_inner()));
        Ok(Response::new(v1::CompleteResponse {}))
    }

    async fn fail(
        &self,
        request: Request<v1::FailRequest>,
    ) -> Result<Response<v1::FailResponse>, Status> {
        self.note(|talk| talk.failed.push(request.into_inner()));
        Ok(Response::new(v1::FailResponse {}))
    }

    async fn release(
        &self,
        request: Request<v1::ReleaseRequest>,
    ) -> Result<Response<v1::ReleaseResponse>, Status> {
        // The others have the time to come together.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let request = request.into_inner();
        self.note(|talk| {
            talk.released.extend(request.cells);
            talk.release_reasons.insert(request.reason);
            talk.release_calls += 1;
        });
        Ok(Response::new(v1::ReleaseResponse {}))
    }
}

/// A lease of so many cells.
pub(super) fn block(cells: u32, drain: bool) -> v1::LeaseResponse {
    let grid = GridId::generate();
    let input = |content: &[u8]| v1::Input {
        sha256: Digest::of(content).to_string(),
        width: 3000,
        height: 2000,
    };
    let cell = |place| v1::LeasedCell {
        cell_id: CellId { grid, place }.to_string(),
        grid_id: grid.to_string(),
        attempt: 2,
        photo: Some(v1::Photo {
            input: Some(input(b"photo")),
            ..v1::Photo::default()
        }),
        artist: Some(v1::Artist {
            paintings: vec![v1::Painting {
                input: Some(input(b"painting")),
                weight: 1.0,
                ..v1::Painting::default()
            }],
            ..v1::Artist::default()
        }),
        settings: Some(v1::RenderSettings {
            size: Some(600),
            ..v1::RenderSettings::default()
        }),
        picture_key: format!("pictures/{place}.jpg"),
        thumbnail_key: format!("thumbnails/{place}.jpg"),
        photo_original_key: "originals/photo.jpg".to_owned(),
        artist_original_key: "originals/artist.jpg".to_owned(),
        checkpoint_key: format!("checkpoints/{place}.safetensors"),
        ..v1::LeasedCell::default()
    };
    v1::LeaseResponse {
        cells: (0..cells).map(cell).collect(),
        drain,
    }
}
