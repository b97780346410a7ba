//! Goal: a whole coordinator, on ports of its own, serves a client and a node from the submission to the gallery.

use std::net::SocketAddr;
use std::path::Path;

use atelier_gallery::bucket::Bucket;
use atelier_gallery::keys::{GridKeys, input_key};
use atelier_gallery::manifest::Manifest;
use atelier_proto::ids::{Digest, NodeId, RequestId};
use atelier_proto::v1;
use atelier_proto::v1::fleet_client::FleetClient;
use atelier_proto::v1::grids_client::GridsClient;
use atelier_proto::v1::nodes_client::NodesClient;
use tokio::task::JoinHandle;
use tonic::Code;
use tonic::transport::Channel;

use super::*;
use crate::config::Limits;
use crate::domain::lease::LeaseRules;
use crate::domain::share::Shares;
use crate::ledger::Rules;
use crate::limits::CallerLimits;
use crate::scaler::Scaling;

struct Coordinator {
    grids: GridsClient<Channel>,
    nodes: NodesClient<Channel>,
    fleet: FleetClient<Channel>,
    bucket: Bucket,
    board: String,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), RunError>>,
}

impl Coordinator {
    async fn start(data: &Path) -> Self {
        Self::start_with(data, |_| {}).await
    }

    async fn start_with(data: &Path, change: impl FnOnce(&mut Config)) -> Self {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut config = Config {
            listen: any,
            tls: None,
            board_key: None,
            board: Some(any),
            metrics: None,
            data: data.to_owned(),
            bucket: BucketConfig::Embedded {
                listen: any,
                public_url: None,
            },
            database: DatabaseConfig::Sqlite,
            keeping: crate::collector::Keeping {
                history: None,
                unused_inputs: None,
                grace_period: Duration::from_mins(15),
            },
            url_duration: Duration::from_mins(5),
            rules: Rules {
                lease: LeaseRules::default(),
                shares: Shares::even(),
            },
            limits: Limits {
                cells_max: 3,
                callers: CallerLimits {
                    client_calls_per_second: 1_000,
                    node_calls_per_second: 1_000,
                    watchers_max: 100,
                    caller_watchers_max: 100,
                },
                waiting_leases_max: 100,
                connections_max: 16,
                address_connections_max: 16,
            },
            scaling: Scaling::default(),
            identity: crate::config::IdentityConfig::default(),
            webhooks: Arc::default(),
        };
        change(&mut config);
        let listeners = Listeners::bind(&config).await.unwrap();
        let shutdown = CancellationToken::new();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let ready = |ready: &Ready| sender.send(ready.clone()).unwrap();
        let running = run(config, listeners, Clock::system(), shutdown.clone(), ready);
        let running = tokio::spawn(running);
        let ready = receiver.await.unwrap();
        let mut grids = GridsClient::connect(ready.grpc.clone()).await.unwrap();
        let storage = grids.storage(v1::StorageRequest {}).await.unwrap();
        let storage = Storage::try_from(storage.into_inner().storage.unwrap()).unwrap();
        assert_eq!(storage.endpoint, ready.s3);
        Self {
            bucket: Bucket::connect(&storage).await.unwrap(),
            nodes: NodesClient::connect(ready.grpc.clone()).await.unwrap(),
            fleet: FleetClient::connect(ready.grpc).await.unwrap(),
            board: ready.board.unwrap(),
            grids,
            shutdown,
            running,
        }
    }

    async fn put_input(&self, content: &'static [u8]) -> v1::Input {
        let sha256 = Digest::of(content);
        let key = input_key(&sha256);
        let put = self
            .bucket
            .put_if_absent(&key, content.into(), "image/png", &[]);
        put.await.unwrap();
        input(content)
    }

    async fn watch(&self, grid_id: &str) -> tonic::Streaming<v1::WatchResponse> {
        let request = v1::WatchRequest {
            grid_id: grid_id.to_owned(),
            after_sequence: 0,
            summary_only: false,
        };
        self.grids
            .clone()
            .watch(request)
            .await
            .unwrap()
            .into_inner()
    }

    async fn register(&self) -> String {
        let node_id = NodeId::generate().to_string();
        let request = v1::RegisterRequest {
            node_id: node_id.clone(),
            name: "node-0".to_owned(),
            device: "cpu".to_owned(),
            batch_capacity: 1,
            ..v1::RegisterRequest::default()
        };
        self.nodes.clone().register(request).await.unwrap();
        node_id
    }
}

fn input(content: &[u8]) -> v1::Input {
    v1::Input {
        sha256: Digest::of(content).to_string(),
        width: 64,
        height: 48,
    }
}

fn submission(photo: &v1::Input, painting: &v1::Input, photos: usize) -> v1::SubmitRequest {
    let photo = |number| v1::Photo {
        name: format!("Photo {number}"),
        input: Some(photo.clone()),
        ..v1::Photo::default()
    };
    let painting = v1::Painting {
        name: "a.png".to_owned(),
        input: Some(painting.clone()),
        weight: 1.0,
        mask: String::new(),
    };
    v1::SubmitRequest {
        request_id: RequestId::generate().to_string(),
        name: "Afternoon".to_owned(),
        photos: (0..photos).map(photo).collect(),
        artists: vec![v1::Artist {
            name: "Monet".to_owned(),
            paintings: vec![painting],
            settings: None,
        }],
        ..v1::SubmitRequest::default()
    }
}

fn lease_request(node_id: &str) -> v1::LeaseRequest {
    v1::LeaseRequest {
        node_id: node_id.to_owned(),
        cells_max: 1,
        wait: Some(prost_types::Duration {
            seconds: 60,
            nanos: 0,
        }),
        ..v1::LeaseRequest::default()
    }
}

fn delivery(node_id: &str, cell: &v1::LeasedCell) -> v1::CompleteRequest {
    v1::CompleteRequest {
        node_id: node_id.to_owned(),
        cell: Some(v1::HeldCell {
            cell_id: cell.cell_id.clone(),
            attempt: cell.attempt,
        }),
        result: Some(v1::CellResult {
            picture_key: cell.picture_key.clone(),
            thumbnail_key: cell.thumbnail_key.clone(),
            sha256: Digest::of(b"picture").to_string(),
            bytes: 7,
            width: 64,
            height: 48,
            seconds: 1.5,
            evaluations: 60,
            loss: 0.25,
            network: "vgg16 untrained".to_owned(),
            large_thumbnail_key: cell.large_thumbnail_key.clone(),
            losses: vec![v1::LossPoint {
                evaluations: 60,
                loss: 0.25,
            }],
            device: "cpu".to_owned(),
        }),
        log: String::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grid_goes_from_its_submission_to_its_gallery() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(&folder.path().join("data")).await;
    let mut grids = coordinator.grids.clone();
    let mut nodes = coordinator.nodes.clone();

    // Nothing is accepted whose inputs are not there, or that is too large.
    let absent = submission(&input(b"photo"), &input(b"painting"), 1);
    let refused = grids.submit(absent).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(
        refused.message().starts_with("photos[0].input: "),
        "{refused}"
    );
    let photo = coordinator.put_input(b"photo").await;
    let painting = coordinator.put_input(b"painting").await;
    let refused = grids.submit(submission(&photo, &painting, 4)).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(
        refused.message().contains("4 cells, but at most 3"),
        "{refused}"
    );

    // A node that waits gets the cell as soon as there is one; a stranger gets none.
    let stranger = lease_request(&NodeId::generate().to_string());
    assert_eq!(
        nodes.lease(stranger).await.unwrap_err().code(),
        Code::NotFound
    );
    let node_id = coordinator.register().await;
    let request = lease_request(&node_id);
    let waiting = tokio::spawn(async move { nodes.lease(request).await });
    let request = submission(&photo, &painting, 1);
    let submitted = grids.submit(request.clone()).await.unwrap().into_inner();
    assert!(submitted.created);
    let again = grids.submit(request).await.unwrap().into_inner();
    assert_eq!(
        (again.grid_id, again.created),
        (submitted.grid_id.clone(), false)
    );
    let mut changes = coordinator.watch(&submitted.grid_id).await;
    let leased = waiting.await.unwrap().unwrap().into_inner().cells;
    let cell = leased.first().unwrap();
    assert_eq!(cell.settings.as_ref().unwrap().size, Some(512), "complete");

    // Only its own picture counts as its own.
    let mut nodes = coordinator.nodes.clone();
    let mut foreign = delivery(&node_id, cell);
    foreign.result.as_mut().unwrap().picture_key = "grids/other/pictures/p.jpg".to_owned();
    let refused = nodes.complete(foreign).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let delivered = delivery(&node_id, cell);
    nodes.complete(delivered.clone()).await.unwrap();
    nodes.complete(delivered).await.unwrap();

    let mut last = None;
    let mut times_done = 0;
    while let Some(change) = changes.message().await.unwrap() {
        let is_done = |cell: &&v1::Cell| cell.state() == v1::CellState::Done;
        times_done += change.cells.iter().filter(is_done).count();
        last = change.summary;
    }
    let last = last.unwrap();
    assert_eq!(times_done, 1);
    assert!(last.gallery_complete);
    assert_eq!(last.state(), v1::GridState::Finished);

    let keys = GridKeys::new(submitted.grid_id.parse().unwrap());
    let json = coordinator
        .bucket
        .get(&keys.manifest(), 1 << 20)
        .await
        .unwrap();
    let manifest = Manifest::from_json(&json).unwrap();
    assert!(manifest.complete);
    let picture = manifest.cells[0].outcome.picture.as_ref().unwrap();
    assert_eq!(
        format!("{}{}", keys.prefix(), picture.path),
        cell.picture_key
    );
    let page = coordinator.bucket.get(&keys.page(), 1 << 20).await.unwrap();
    assert!(String::from_utf8(page).unwrap().contains(&picture.path));
    coordinator.shutdown.cancel();
    coordinator.running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_stays_while_its_cell_is_open_and_goes_when_it_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(folder.path()).await;
    let (mut grids, mut nodes) = (coordinator.grids.clone(), coordinator.nodes.clone());
    let photo = coordinator.put_input(b"photo").await;
    let painting = coordinator.put_input(b"painting").await;
    let request = submission(&photo, &painting, 2);
    let grid_id = grids.submit(request).await.unwrap().into_inner().grid_id;
    let node_id = coordinator.register().await;
    let mut request = lease_request(&node_id);
    request.cells_max = 2;
    let leased = nodes.lease(request).await.unwrap().into_inner().cells;
    let [refused, open] = <[v1::LeasedCell; 2]>::try_from(leased).unwrap();
    let put = async |cell: &v1::LeasedCell| {
        let key = &cell.checkpoint_key;
        let bucket = &coordinator.bucket;
        bucket.put(key, "half".into(), "", None).await.unwrap();
    };
    let is_there = async |cell: &v1::LeasedCell| {
        let found = coordinator.bucket.head(&cell.checkpoint_key).await;
        found.unwrap().is_some()
    };
    let held = |cell: &v1::LeasedCell| v1::HeldCell {
        cell_id: cell.cell_id.clone(),
        attempt: cell.attempt,
    };
    put(&refused).await;
    put(&open).await;

    let failed = v1::FailRequest {
        node_id: node_id.clone(),
        cell: Some(held(&refused)),
        kind: v1::FailureKind::Refused.into(),
        reason: "no such layer".to_owned(),
        log: String::new(),
    };
    nodes.fail(failed).await.unwrap();
    while is_there(&refused).await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(is_there(&open).await, "somebody works on that cell");

    let mut changes = coordinator.watch(&grid_id).await;
    let request = v1::CancelRequest {
        grid_id: grid_id.clone(),
    };
    grids.cancel(request).await.unwrap();
    while changes.message().await.unwrap().is_some() {}
    assert!(!is_there(&open).await, "the gallery is complete");
    // Its node, which did not know, may have put another one: it is told to remove that.
    let cells = [&refused, &open].map(|cell| v1::CellProgress {
        cell: Some(held(cell)),
        ..v1::CellProgress::default()
    });
    let request = v1::RenewRequest {
        node_id,
        cells: cells.into(),
        leaving: String::new(),
    };
    let renewed = nodes.renew(request).await.unwrap().into_inner();
    assert_eq!(renewed.ended, [held(&refused), held(&open)]);
    assert_eq!(renewed.drop, renewed.ended);
    coordinator.shutdown.cancel();
    coordinator.running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_is_told_when_the_coordinator_leaves_and_finds_all_again_later() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(folder.path()).await;
    let photo = coordinator.put_input(b"photo").await;
    let painting = coordinator.put_input(b"painting").await;
    let mut grids = coordinator.grids.clone();
    let submitted = grids
        .submit(submission(&photo, &painting, 1))
        .await
        .unwrap();
    let grid_id = submitted.into_inner().grid_id;
    let node_id = coordinator.register().await;
    let mut nodes = coordinator.nodes.clone();
    let leased = nodes.lease(lease_request(&node_id)).await.unwrap();
    assert_eq!(leased.into_inner().cells.len(), 1);
    let request = lease_request(&node_id);
    let waiting = tokio::spawn(async move { nodes.lease(request).await });
    let mut changes = coordinator.watch(&grid_id).await;
    assert!(changes.message().await.unwrap().is_some());

    coordinator.shutdown.cancel();
    let told = loop {
        match changes.message().await {
            Ok(Some(_)) => {}
            // Ending well would mean that the gallery is complete.
            Ok(None) => panic!("the stream ended as if the grid had"),
            Err(status) => break status,
        }
    };
    assert_eq!(told.code(), Code::Unavailable);
    // A call that came just too late is refused, which a node takes the same way.
    if let Ok(response) = waiting.await.unwrap() {
        assert!(response.into_inner().cells.is_empty());
    }
    coordinator.running.await.unwrap().unwrap();

    let coordinator = Coordinator::start(folder.path()).await;
    let request = v1::GetRequest { grid_id };
    let found = coordinator.grids.clone().get(request).await.unwrap();
    assert_eq!(found.into_inner().cells[0].state(), v1::CellState::Leased);
    coordinator.shutdown.cancel();
    coordinator.running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_says_that_it_leaves_gets_no_more_cells_and_people_see_why() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(&folder.path().join("data")).await;
    let mut nodes = coordinator.nodes.clone();
    let node_id = coordinator.register().await;
    let renewal = |leaving: &str| v1::RenewRequest {
        node_id: node_id.clone(),
        cells: Vec::new(),
        leaving: leaving.to_owned(),
    };
    let stays = nodes.renew(renewal("")).await.unwrap().into_inner();
    assert!(!stays.drain);
    let (photo, painting) = (
        coordinator.put_input(b"photo").await,
        coordinator.put_input(b"painting").await,
    );
    let mut grids = coordinator.grids.clone();
    grids
        .submit(submission(&photo, &painting, 2))
        .await
        .unwrap();
    nodes.renew(renewal("spot interruption")).await.unwrap();
    let asked = nodes.lease(lease_request(&node_id)).await.unwrap();
    let answer = asked.into_inner();
    assert!(answer.drain && answer.cells.is_empty(), "{answer:?}");
    let mut fleet = coordinator.fleet.clone();
    let listed = fleet.list_nodes(v1::ListNodesRequest::default()).await;
    let node = listed.unwrap().into_inner().nodes.remove(0);
    assert_eq!(node.state(), v1::NodeState::Draining);
    assert_eq!(node.reason, "spot interruption");
    let long = nodes.renew(renewal(&"x".repeat(301))).await.unwrap_err();
    assert!(long.message().starts_with("leaving: "), "{long}");
    coordinator.shutdown.cancel();
    coordinator.running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_logs_in_at_the_board_again_and_again_is_told_to_come_later() {
    let folder = tempfile::tempdir().unwrap();
    let few = |config: &mut Config| config.limits.callers.client_calls_per_second = 1;
    let coordinator = Coordinator::start_with(&folder.path().join("data"), few).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut codes = Vec::new();
    // Ten of them may be used at once.
    for _ in 0..12 {
        let login = http
            .post(format!("{}/api/session", coordinator.board))
            .header("content-type", "application/json")
            .body(r#"{"token": "a guess"}"#);
        codes.push(login.send().await.unwrap().status().as_u16());
    }
    assert_eq!(codes[0], 401, "{codes:?}");
    assert!(codes.contains(&429), "{codes:?}");
    coordinator.shutdown.cancel();
    coordinator.running.await.unwrap().unwrap();
}
