//! Goal: who floods a coordinator, by whatever it costs them little to send, is refused with a reason and when to come again;
//! everybody else is answered meanwhile, and what the flood took comes back.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use atelier_proto::v1::grids_client::GridsClient;
use atelier_proto::{retry, v1};
use atelier_tests::bench::process;
use atelier_tests::cluster::Cluster;
use atelier_tests::identity::{Caller, Shows, small_grid};
use atelier_tests::metrics::scrape;
use atelier_tests::programs::PATIENCE;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// Calls that one client may make in a second here, and those at once are ten times as many.
const CALLS_PER_SECOND: u32 = 40;
/// Who has not heard of a refusal by then is not to hear of it soon: it is held back for a second.
const HELD_AT_LEAST: Duration = Duration::from_millis(500);
/// How often the good client asks while the flood lasts.
const ASKED: u32 = 40;
/// Far above what a small coordinator takes, and far below what it would if a flood were kept.
const MEMORY_BYTES_MAX: u64 = 600 << 20;

/// What stands in the metrics of a coordinator for a limit.
fn refused(metrics: &std::collections::BTreeMap<String, String>, limit: &str) -> f64 {
    let name = format!("atelier_coordinator_refusals_total{{limit=\"{limit}\"}}");
    metrics
        .get(&name)
        .map_or(0.0, |count| count.parse().unwrap_or(f64::NAN))
}

/// A connection from another address of this machine.
async fn from_elsewhere(to: &str) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::new(127, 0, 0, 2), 0).into())?;
    let to: SocketAddr = to.trim_start_matches("http://").parse()?;
    Ok(socket.connect(to).await?)
}

#[derive(Default)]
struct Flood {
    is_over: AtomicBool,
    answered: AtomicU64,
    refused: AtomicU64,
}

impl Flood {
    /// Calls as fast as it can; every other call is broken off before it is answered.
    async fn call(self: Arc<Self>, url: String, token: String) -> anyhow::Result<()> {
        let caller = Caller::with(&url, &token).await?;
        while !self.is_over.load(Ordering::Relaxed) {
            let list = || async { caller.grids().list(v1::ListRequest::default()).await };
            // The stream is reset.
            let _ = timeout(Duration::from_micros(200), list()).await;
            let count = match list().await {
                Ok(_) => &self.answered,
                Err(status) if retry::hint(&status).is_some() => &self.refused,
                // Whoever resets too much has its connection closed.
                Err(_) => continue,
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Asks whether a coordinator serves, which anybody may.
async fn is_serving(channel: Channel) -> anyhow::Result<()> {
    let mut health = HealthClient::new(channel);
    let answer = health.check(HealthCheckRequest::default());
    timeout(PATIENCE, answer).await??;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_back_what_is_refused_is_not_read_from_for_a_while() -> anyhow::Result<()> {
    let args = ["--identity", "required", "--client-calls-per-second", "1"];
    let cluster = Cluster::coordinator_with(&args).await?;
    let url = &cluster.grpc;
    let data = cluster.folder.path().join("data");
    let operator = Caller::operator(url, &data).await?;
    let (bad, _) = operator.new_token(url, "bad", v1::Role::Client).await?;
    let endpoint = Endpoint::from_shared(url.clone())?;
    let (flooded, other) = (endpoint.connect().await?, endpoint.connect().await?);
    let grids = GridsClient::with_interceptor(flooded.clone(), Shows::token(&bad.token)?);
    // The allowance, and those refusals that are told at once; the next ones are held back, and these are taken back.
    let mut is_paused = false;
    for _ in 0..1_000 {
        let mut grids = grids.clone();
        let list = grids.list(v1::ListRequest::default());
        if timeout(HELD_AT_LEAST, list).await.is_ok() {
            continue;
        }
        // Until the coordinator has heard of it.
        tokio::time::sleep(HELD_AT_LEAST / 5).await;
        is_serving(other.clone()).await?;
        let serving = timeout(HELD_AT_LEAST, is_serving(flooded.clone())).await;
        is_paused = serving.is_err();
        if is_paused {
            break;
        }
    }
    assert!(is_paused, "it is read from as if nothing were");
    is_serving(flooded).await
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_else_is_answered_while_one_floods() -> anyhow::Result<()> {
    let rate = CALLS_PER_SECOND.to_string();
    let args = [
        "--identity",
        "required",
        "--client-calls-per-second",
        &rate,
        "--caller-watchers-max",
        "20",
    ];
    let cluster = Cluster::coordinator_with(&args).await?;
    let url = &cluster.grpc;
    let data = cluster.folder.path().join("data");
    let operator = Caller::operator(url, &data).await?;
    let (good, _) = operator.new_token(url, "good", v1::Role::Client).await?;
    let (bad, _) = operator.new_token(url, "bad", v1::Role::Client).await?;
    let bucket = operator.bucket().await?;
    let grid = bad
        .grids()
        .submit(small_grid(&bucket, "Flooded").await?)
        .await?;
    let grid = grid.into_inner().grid_id;
    let own = small_grid(&bucket, "Good").await?;
    let own = good.grids().submit(own).await?.into_inner().grid_id;
    let process = cluster.coordinator.id().context("it runs")?;
    let files_before = process::open_files(process)?;

    let flood = Arc::new(Flood::default());
    let mut callers = JoinSet::new();
    for _ in 0..6 {
        callers.spawn(flood.clone().call(url.clone(), bad.token.clone()));
    }
    // Connections that say nothing, from where they are in nobody's way, and streams that nobody reads.
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(from_elsewhere(url).await?);
    }
    let watcher = Caller::with(url, &bad.token).await?;
    let mut unread = Vec::new();
    let mut watches_refused = 0;
    for _ in 0..60 {
        let watch = v1::WatchRequest {
            grid_id: grid.clone(),
            ..v1::WatchRequest::default()
        };
        match watcher.grids().watch(watch).await {
            Ok(stream) => unread.push(stream),
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
                assert!(retry::hint(&status).is_some(), "{status}");
                watches_refused += 1;
            }
        }
    }
    assert!(
        unread.len() <= 20 && watches_refused >= 40,
        "{}",
        unread.len()
    );

    for _ in 0..ASKED {
        let get = v1::GetRequest {
            grid_id: own.clone(),
        };
        let got = timeout(PATIENCE, good.grids().get(get)).await?;
        assert_eq!(got?.into_inner().cells.len(), 1);
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    flood.is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    let (answered, turned_away) = (
        flood.answered.load(Ordering::Relaxed),
        flood.refused.load(Ordering::Relaxed),
    );
    assert!(turned_away > 0, "{answered} answered, and none refused");
    let memory = process::memory(process)?;
    assert!(memory.peak < MEMORY_BYTES_MAX, "{memory:?}");

    drop((unread, watcher, silent));
    let back = async {
        while process::open_files(process)? > files_before + 10 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok::<_, anyhow::Error>(())
    };
    timeout(PATIENCE, back).await.context("files stay open")??;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_waits_when_it_is_told_to_and_is_answered_then() -> anyhow::Result<()> {
    // Where nobody is asked who they are, all commands of this machine are one caller's.
    let cluster = Cluster::coordinator_with(&["--client-calls-per-second", "1"]).await?;
    for _ in 0..14 {
        cluster
            .atelier(cluster.folder.path(), &["list", "--json"])
            .await?
            .success()?;
    }
    // The board has the same allowance, and says when to come again.
    let http = reqwest::Client::builder().no_proxy().build()?;
    let live = format!("{}/grids/x/live", cluster.board);
    let answer = http.get(live).send().await?;
    assert_eq!(answer.status(), 429);
    assert!(answer.headers().contains_key("retry-after"), "{answer:?}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let metrics = scrape(&format!("{}/metrics", cluster.board)).await?;
    assert!(refused(&metrics, "requests") > 1.0, "{metrics:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_does_not_get_all_connections() -> anyhow::Result<()> {
    let args = ["--connections-max", "40", "--address-connections-max", "8"];
    let cluster = Cluster::coordinator_with(&args).await?;
    let mut streams = Vec::new();
    for _ in 0..50 {
        streams.push(from_elsewhere(&cluster.grpc).await?);
    }
    // Others are let in although more have connected than may be.
    cluster
        .grids()
        .await?
        .list(v1::ListRequest::default())
        .await?;
    let mut closed = 0;
    for stream in &mut streams {
        let mut byte = [0];
        let ended = timeout(Duration::from_millis(20), stream.read(&mut byte)).await;
        closed += usize::from(matches!(ended, Ok(Ok(0) | Err(_))));
    }
    assert!((42..50).contains(&closed), "{closed} of 50 were closed");
    let metrics = scrape(&format!("{}/metrics", cluster.board)).await?;
    assert!(
        refused(&metrics, "address_connections") >= 42.0,
        "{metrics:?}"
    );
    let open = metrics.get("atelier_coordinator_connections{listener=\"grpc\"}");
    assert!(open.is_some(), "{metrics:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_long_is_refused_and_others_are_taken() -> anyhow::Result<()> {
    let cluster = Cluster::coordinator().await?;
    let mut grids = cluster.grids().await?;
    let list = v1::ListRequest {
        name_contains: "n".repeat(2 << 20),
        ..v1::ListRequest::default()
    };
    let status = grids.list(list).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    assert!(status.message().contains("1024 KiB"), "{status}");
    // As long as a submission may be, several at once: each is read, and refused for what is in it.
    let mut sending = JoinSet::new();
    for _ in 0..16 {
        let mut grids = cluster.grids().await?;
        let submit = v1::SubmitRequest {
            name: "n".repeat(15 << 20),
            ..v1::SubmitRequest::default()
        };
        sending.spawn(async move { grids.submit(submit).await.map_err(Box::new) });
    }
    while let Some(sent) = sending.join_next().await {
        let status = sent?.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    }
    let process = cluster.coordinator.id().context("it runs")?;
    let memory = process::memory(process)?;
    assert!(memory.peak < MEMORY_BYTES_MAX, "{memory:?}");
    grids.list(v1::ListRequest::default()).await?;
    Ok(())
}
