//! Many who watch one grid.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use atelier_proto::v1;
use atelier_proto::v1::grids_client::GridsClient;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tonic::Streaming;

/// Connections that are made at once.
const CONNECTING_MAX: usize = 32;

/// Watchers, each with a connection of its own; they leave when this is dropped.
#[derive(Debug)]
pub struct Watchers {
    messages: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
    watching: JoinSet<()>,
}

impl Watchers {
    /// Lets so many watch a grid; returns when each has heard of it.
    ///
    /// # Errors
    /// When one cannot connect.
    pub async fn start(grpc: &str, grid: &str, count: u32) -> anyhow::Result<Self> {
        let connecting = Arc::new(Semaphore::new(CONNECTING_MAX));
        let mut streams = JoinSet::new();
        for _ in 0..count {
            let (grpc, grid) = (grpc.to_owned(), grid.to_owned());
            let connecting = connecting.clone();
            streams.spawn(async move {
                let _place = connecting.acquire().await?;
                watch(grpc, grid).await
            });
        }
        let messages = Arc::new(AtomicU64::new(0));
        let lost = Arc::new(AtomicU64::new(0));
        let mut watching = JoinSet::new();
        while let Some(stream) = streams.join_next().await {
            let mut stream = stream??;
            let (messages, lost) = (messages.clone(), lost.clone());
            watching.spawn(async move {
                while let Ok(Some(_)) = stream.message().await {
                    messages.fetch_add(1, Ordering::Relaxed);
                }
                lost.fetch_add(1, Ordering::Relaxed);
            });
        }
        Ok(Self {
            messages,
            lost,
            watching,
        })
    }

    /// Messages that they have got so far, after their first.
    pub fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Those that watch no more.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Lets them leave.
    pub async fn stop(mut self) {
        self.watching.shutdown().await;
    }
}

async fn watch(grpc: String, grid: String) -> anyhow::Result<Streaming<v1::WatchResponse>> {
    let mut grids = GridsClient::connect(grpc).await?;
    let request = v1::WatchRequest {
        grid_id: grid,
        after_sequence: 0,
        summary_only: true,
    };
    let mut stream = grids.watch(request).await?.into_inner();
    stream.message().await?.context("it ended at once")?;
    Ok(stream)
}

/// Lets this process and those it starts have as many connections as they may: a watcher takes one at each end.
///
/// # Errors
/// When the system refuses it.
pub fn allow_connections() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    Ok(setrlimit(Resource::Nofile, most)?)
}
