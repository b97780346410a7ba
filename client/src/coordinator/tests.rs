//! Views for tests, and what becomes of calls when coordinators come and go.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use atelier_proto::connect::AccessOptions;
use atelier_proto::ids::{CellId, Digest};
use atelier_proto::settings::SettingsPatch;
use atelier_proto::v1;
use atelier_proto::v1::fleet_server::{Fleet, FleetServer};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;

use super::view::{
    ArtistView, CellCounts, CellState, CellView, GridState, GridView, InputView, NodeState,
    NodeView, PhotoView, Summary, VariantView,
};
use super::*;
use crate::exit::Exit;

/// An active grid without cells.
pub(crate) fn summary() -> Summary {
    Summary {
        grid_id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        name: "Grid".to_owned(),
        state: GridState::Active,
        cells: CellCounts::default(),
        submitted_at: None,
        finished_at: None,
        sequence: 7,
        gallery_complete: false,
        priority: 0,
        submitter: "ann".to_owned(),
        time_left: None,
        dollars_spent: None,
        dollars_expected: None,
    }
}

/// A grid with a photo for each state, in the style of Monet.
pub(crate) fn grid(states: &[CellState]) -> GridView {
    let summary = summary();
    let cell = |(place, state): (usize, &CellState)| CellView {
        cell_id: CellId {
            grid: summary.grid_id,
            place: place as u32,
        },
        photo: Some(place),
        artist: Some(0),
        variant: 0,
        state: *state,
        attempts: 1,
        node: None,
        evaluations: 0,
        evaluations_planned: 0,
        loss: 0.0,
        picture: None,
        failure: None,
    };
    let input = InputView {
        sha256: Digest::of(b""),
        width: 1,
        height: 1,
    };
    GridView {
        cells: states.iter().enumerate().map(cell).collect(),
        summary,
        settings: SettingsPatch::default(),
        photos: (0..states.len())
            .map(|number| PhotoView {
                name: format!("photo-{number}"),
                input: input.clone(),
                masks: Vec::new(),
                start: None,
            })
            .collect(),
        artists: vec![ArtistView {
            name: "Monet".to_owned(),
            paintings: Vec::new(),
            settings: SettingsPatch::default(),
        }],
        variants: vec![VariantView {
            name: String::new(),
            settings: SettingsPatch::default(),
        }],
        reconstructions: false,
        labels: std::collections::BTreeMap::new(),
        failed_attempts: Vec::new(),
    }
}

/// A node that works.
pub(crate) fn node(id: &str, name: &str) -> NodeView {
    NodeView {
        node_id: id.parse().unwrap(),
        name: name.to_owned(),
        state: NodeState::Active,
        reason: String::new(),
        device: "cpu".to_owned(),
        memory_bytes: 1 << 30,
        version: "0.1.0".to_owned(),
        instance_id: String::new(),
        labels: std::collections::BTreeMap::new(),
        cells_held: 0,
        cells_done: 0,
        dollars_per_hour: None,
        identity: String::new(),
        registered_at: None,
        last_seen_at: None,
    }
}

/// A coordinator that knows two nodes and tells of one a page.
#[derive(Clone, Default)]
struct Pages {
    /// What it says instead of an answer.
    trouble: Option<Code>,
    calls: Arc<AtomicU32>,
    /// How the last caller said who it is.
    authorization: Arc<Mutex<Option<String>>>,
}

impl Pages {
    /// Serves until the test ends; its URL.
    async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tonic::transport::Server::builder()
            .add_service(FleetServer::new(self.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(serving);
        url
    }
}

#[tonic::async_trait]
impl Fleet for Pages {
    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let authorization = request.metadata().get("authorization");
        let authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
        *self.authorization.lock().unwrap() = authorization;
        if let Some(code) = self.trouble {
            return Err(Status::new(code, "troubled"));
        }
        let (digit, next) = match request.get_ref().page_token.as_str() {
            "" => (8, "second"),
            _ => (7, ""),
        };
        Ok(Response::new(v1::ListNodesResponse {
            nodes: vec![v1::Node {
                node_id: format!("01890a5d-ac96-774b-bcce-b302099a805{digit}"),
                state: v1::NodeState::Active.into(),
                ..v1::Node::default()
            }],
            next_page_token: next.to_owned(),
        }))
    }

    async fn drain(
        &self,
        _: Request<v1::DrainRequest>,
    ) -> Result<Response<v1::DrainResponse>, Status> {
        Err(Status::not_found("no such node"))
    }

    async fn undrain(
        &self,
        _: Request<v1::UndrainRequest>,
    ) -> Result<Response<v1::UndrainResponse>, Status> {
        Err(Status::failed_precondition("the node does not drain"))
    }

    async fn quarantine(
        &self,
        _: Request<v1::QuarantineRequest>,
    ) -> Result<Response<v1::QuarantineResponse>, Status> {
        Err(Status::unimplemented("quarantine"))
    }

    async fn scale(
        &self,
        _: Request<v1::ScaleRequest>,
    ) -> Result<Response<v1::ScaleResponse>, Status> {
        Err(Status::unimplemented("scale"))
    }

    async fn describe(
        &self,
        _: Request<v1::DescribeRequest>,
    ) -> Result<Response<v1::DescribeResponse>, Status> {
        Err(Status::unimplemented("describe"))
    }
}

/// A URL where nobody answers.
fn nobody() -> String {
    let freed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", freed.local_addr().unwrap())
}

#[tokio::test]
async fn pages_are_followed_at_whichever_coordinator_answers() {
    let busy = Pages {
        trouble: Some(Code::Unavailable),
        ..Pages::default()
    };
    let healthy = Pages::default();
    let urls = [nobody(), busy.serve().await, healthy.serve().await];
    let coordinator = Coordinator::new(&urls).unwrap();
    let nodes = coordinator.nodes(false).await.unwrap();
    assert_eq!(nodes.len(), 2);
    assert_eq!(coordinator.url(), urls[2]);
    // What answered once is asked first from then on, also by clones.
    coordinator.clone().nodes(true).await.unwrap();
    assert_eq!(busy.calls.load(Ordering::SeqCst), 1);
    assert_eq!(healthy.calls.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn every_call_has_the_token_of_the_file_as_it_is_now() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "first\n").unwrap();
    let pages = Pages::default();
    let url = pages.serve().await;
    let access = Access::new(AccessOptions {
        token_file: Some(path.clone()),
        ..AccessOptions::default()
    });
    let coordinator = Coordinator::with_access(&[&url], access.unwrap()).unwrap();
    let said = async |coordinator: &Coordinator| {
        coordinator.nodes(false).await.unwrap();
        pages.authorization.lock().unwrap().take()
    };
    assert_eq!(said(&coordinator).await.as_deref(), Some("Bearer first"));
    std::fs::write(&path, "rotated").unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(said(&coordinator).await.as_deref(), Some("Bearer rotated"));
    assert_eq!(said(&Coordinator::new(&[&url]).unwrap()).await, None);
    assert!(!format!("{coordinator:?}").contains("rotated"));
}

#[tokio::test]
async fn when_none_answers_all_are_named_and_an_answer_is_final() {
    let urls = [nobody(), nobody()];
    let error = Coordinator::new(&urls).unwrap().nodes(false).await;
    let error = error.unwrap_err();
    assert_eq!(error.exit(), Exit::CoordinatorUnavailable);
    for url in &urls {
        assert!(error.to_string().contains(url), "{error}");
    }

    let refusing = Pages {
        trouble: Some(Code::InvalidArgument),
        ..Pages::default()
    };
    let other = Pages::default();
    let urls = [refusing.serve().await, other.serve().await];
    let error = Coordinator::new(&urls).unwrap().nodes(false).await;
    assert_eq!(error.unwrap_err().exit(), Exit::BadInput);
    assert_eq!(other.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_refusal_has_its_exit_code_and_points_to_where_one_sees_why() {
    let coordinator = Coordinator::new(&[Pages::default().serve().await]).unwrap();
    let node = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
    let unknown = coordinator.drain(node, "").await.unwrap_err();
    assert_eq!(unknown.exit(), Exit::NotFound);
    assert!(unknown.to_string().contains("`atelier nodes`"), "{unknown}");
    let not_now = coordinator.undrain(node).await.unwrap_err();
    assert_eq!(not_now.exit(), Exit::NotNow);
}
