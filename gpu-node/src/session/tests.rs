//! A session with a coordinator that does as it is told, and a simulated device that leaves no pictures.

mod puppet;

use std::io::Write as _;

use atelier_proto::connect::Access;
use atelier_proto::ids::Digest;
use atelier_proto::v1::nodes_server::NodesServer;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tracing_subscriber::fmt::MakeWriter as _;

use self::puppet::{Puppet, block};
use super::*;
use crate::departure::Reason;
use crate::executor::Simulation;
use crate::flat::FlatFiles;

const PATIENCE: Duration = Duration::from_secs(20);

struct Running {
    session: JoinHandle<Result<(), SessionError>>,
    departure: Departure,
    logs: Logs,
}

/// A session of a node that takes two cells at once.
async fn start(puppet: &Puppet, cell_time: Duration, failure_share: f64) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = Server::builder().add_service(NodesServer::new(puppet.clone()));
    tokio::spawn(serving.serve_with_incoming(TcpIncoming::from(listener)));
    let simulation = Simulation {
        cell_time,
        spread: 0.0,
        failure_share,
        leaves_pictures: false,
        batch: 2,
    };
    let (metrics, logs) = (Metrics::default(), Logs::default());
    let files = FlatFiles::default();
    let equipment = Equipment {
        executor: Executor::simulated(simulation, 1, files, metrics.clone()),
        inputs: Inputs::simulated(),
        metrics: metrics.clone(),
        logs: logs.clone(),
        start_up: StartUp::new(metrics),
    };
    let config = SessionConfig {
        name: "puppet's".to_owned(),
        labels: [("zone".to_owned(), "a".to_owned())].into(),
        dollars_per_hour: Some(2.5),
        connect_timeout: PATIENCE,
        checkpoint_interval: Duration::from_secs(20),
        preview_interval: Duration::from_secs(3),
        bucket_patience: Duration::from_millis(100),
        instance_id: Some("i-0".to_owned()),
        leave_timeout: Duration::from_secs(10),
    };
    let departure = Departure::default();
    let session = {
        let departure = departure.clone();
        tokio::spawn(async move {
            let link = Link::new(&url, Access::default())?;
            run(&config, &link, equipment, departure).await
        })
    };
    Running {
        session,
        departure,
        logs,
    }
}

impl Running {
    async fn ends_well(self) {
        let ended = tokio::time::timeout(PATIENCE, self.session).await;
        ended.unwrap().unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_node_that_a_lease_drains_finishes_what_it_holds_and_leaves() {
    let puppet = Puppet::new([block(5, true)], false);
    let running = start(&puppet, Duration::from_millis(20), 0.0).await;
    running.ends_well().await;
    let talk = puppet.talk();
    assert_eq!((talk.completed.len(), talk.released.len()), (5, 0));
    assert_eq!(talk.leases_asked.len(), 1, "it asked for no more");
}

#[tokio::test]
async fn a_node_that_a_renewal_drains_finishes_what_it_holds_and_leaves() {
    let puppet = Puppet::new([block(2, false), block(3, false)], true);
    let running = start(&puppet, Duration::from_millis(150), 0.0).await;
    running.ends_well().await;
    let talk = puppet.talk();
    assert_eq!((talk.completed.len(), talk.released.len()), (5, 0));
}

#[tokio::test]
async fn a_node_that_is_told_to_leave_gives_back_what_it_holds() {
    let puppet = Puppet::new([block(40, false)], false);
    let running = start(&puppet, Duration::from_mins(1), 0.0).await;
    puppet.heard(|talk| talk.renewed.len() == 40).await;
    running.departure.ask(Reason::Terminate);
    running.ends_well().await;
    let talk = puppet.talk();
    assert_eq!((talk.completed.len(), talk.released.len()), (0, 40));
    assert!(talk.released.iter().all(|held| held.attempt == 2));
    assert!(talk.release_calls < 10, "{} calls", talk.release_calls);
    assert_eq!(talk.leaving, ["SIGTERM"]);
    assert!(talk.release_reasons.iter().eq(["SIGTERM"]));
}

#[tokio::test]
async fn a_node_that_may_be_taken_away_finishes_what_it_holds_and_asks_for_no_more() {
    let puppet = Puppet::new([block(6, false)], false);
    let running = start(&puppet, Duration::from_millis(100), 0.0).await;
    puppet.heard(|talk| talk.renewed.len() == 6).await;
    running.departure.ask(Reason::Rebalance);
    running.ends_well().await;
    let talk = puppet.talk();
    assert_eq!((talk.completed.len(), talk.released.len()), (6, 0));
    assert_eq!(talk.leaving, ["rebalance recommendation"]);
    assert_eq!(talk.registered[0].instance_id, "i-0");
    // One for the block, and one that waited while it was rendered.
    assert!(talk.leases_asked.len() <= 2, "{}", talk.leases_asked.len());
}

#[tokio::test]
async fn an_interruption_does_not_wait_for_what_was_to_be_finished() {
    let puppet = Puppet::new([block(6, false)], false);
    let running = start(&puppet, Duration::from_mins(1), 0.0).await;
    puppet.heard(|talk| talk.renewed.len() == 6).await;
    running.departure.ask(Reason::Rebalance);
    puppet.heard(|talk| !talk.leaving.is_empty()).await;
    running.departure.ask(Reason::SpotInterruption);
    running.ends_well().await;
    let talk = puppet.talk();
    assert_eq!((talk.completed.len(), talk.released.len()), (0, 6));
    assert_eq!(
        talk.leaving,
        ["rebalance recommendation", "spot interruption"]
    );
    assert!(talk.release_reasons.iter().eq(["spot interruption"]));
}

#[tokio::test]
async fn a_node_without_cells_says_that_it_leaves_too() {
    let puppet = Puppet::new([], false);
    let running = start(&puppet, Duration::from_millis(20), 0.0).await;
    puppet.heard(|talk| talk.leases_asked.len() == 1).await;
    running.departure.ask(Reason::Rebalance);
    running.ends_well().await;
    assert_eq!(puppet.talk().leaving, ["rebalance recommendation"]);
}

#[tokio::test]
async fn what_is_told_of_a_picture_that_is_not_there_is_as_the_lease_wants_it() {
    let puppet = Puppet::new([block(1, true)], false);
    start(&puppet, Duration::from_millis(20), 0.0)
        .await
        .ends_well()
        .await;
    let talk = puppet.talk();
    let registered = &talk.registered[0];
    assert_eq!(registered.labels["zone"], "a");
    assert_eq!(registered.dollars_per_hour, Some(2.5));
    let result = talk.completed[0].result.as_ref().unwrap();
    assert_eq!((result.width, result.height), (600, 400));
    assert_eq!(result.picture_key, "pictures/0.jpg");
    assert_eq!(result.thumbnail_key, "thumbnails/0.jpg");
    assert!(result.sha256.parse::<Digest>().is_ok() && result.bytes > 0);
    assert!(result.seconds >= 0.02 && result.evaluations > 0);
    assert_eq!(result.network, "simulated");
}

#[tokio::test]
async fn a_failure_tells_the_end_of_the_log() {
    let puppet = Puppet::new([block(1, true)], false);
    let running = start(&puppet, Duration::from_millis(20), 1.0).await;
    let mut line = running.logs.process.make_writer();
    line.write_all(b"the lights went out\n").unwrap();
    running.ends_well().await;
    let talk = puppet.talk();
    let failed = &talk.failed[0];
    assert_eq!(failed.kind(), v1::FailureKind::Transient);
    assert_eq!(failed.reason, "a simulated failure");
    assert_eq!(failed.log, "the lights went out\n");
}

#[tokio::test]
async fn the_next_block_is_asked_for_when_little_of_this_one_is_left() {
    let puppet = Puppet::new([block(30, false)], false);
    let running = start(&puppet, Duration::from_millis(20), 0.0).await;
    puppet.heard(|talk| talk.leases_asked.len() == 2).await;
    let completed = puppet.talk().completed.len();
    assert!((15..30).contains(&completed), "{completed} were completed");
    running.departure.ask(Reason::Terminate);
    running.ends_well().await;
}

#[tokio::test]
async fn blocks_are_bounded_by_their_work_once_the_coordinator_knows_it() {
    let puppet = Puppet::new([block(2, false)], false);
    let running = start(&puppet, Duration::from_millis(20), 0.0).await;
    for completed in [2, 3] {
        puppet.heard(|talk| talk.completed.len() == completed).await;
        puppet.note(|talk| talk.leases.push_back(block(1, false)));
    }
    puppet.heard(|talk| talk.leases_asked.len() == 4).await;
    running.departure.ask(Reason::Terminate);
    running.ends_well().await;
    let talk = puppet.talk();
    let asked = |lease: &v1::LeaseRequest| (lease.cells_max, lease.seconds_wanted);
    assert_eq!(asked(&talk.leases_asked[0]), (2, Some(45.0)));
    assert_eq!(asked(&talk.leases_asked[3]), (64, Some(45.0)));
}

#[test]
fn what_gets_no_further_is_told_three_times_in_a_lease() {
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let every = |renew_interval, lease_duration| {
        let registered = v1::RegisterResponse {
            renew_interval,
            lease_duration,
        };
        RenewalPace::of(&registered).unchanged_every
    };
    assert_eq!(every(seconds(2), seconds(30)), 5);
    assert_eq!(every(seconds(2), None), 2);
    assert_eq!(every(seconds(2), seconds(3)), 1);
}
