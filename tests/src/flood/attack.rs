//! Ways to flood a coordinator, each by somebody who has a client's token, or none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use atelier_proto::ids::RequestId;
use atelier_proto::v1;
use clap::ValueEnum;
use prost::Message as _;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tonic::{Code, Status};

use super::stream::Connection;
use crate::identity::Caller;

/// The variable with the flooder's token.
pub const TOKEN_VARIABLE: &str = "FLOOD_TOKEN";

/// Connections, and what each does at once.
const CONNECTIONS: usize = 32;
const CALLS_EACH: usize = 32;
/// Connections that say nothing.
const SILENT_CONNECTIONS: usize = 8_000;
/// A message just under what a client may send for a grid of 10,000 cells.
const LARGE_BYTES: usize = 15 << 20;
/// What a body has that is never finished.
const STALLED_BYTES: usize = 4 << 20;
/// Connections that send what is large, and how much each sends at once.
const LARGE_CONNECTIONS: usize = 4;
const LARGE_EACH: usize = 8;
/// Streams of a connection that nobody reads.
const STREAMS_EACH: usize = 100;
/// What is waited when the coordinator does not take a connection.
const PAUSE: Duration = Duration::from_millis(20);

/// A way to flood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Attack {
    /// Calls that are in order, as fast as they go over many connections.
    Calls,
    /// Calls with tokens that nobody made, each another one.
    Strangers,
    /// Connections that say nothing.
    Silent,
    /// Messages as large as they may be.
    Large,
    /// Messages that are never finished.
    Stalled,
    /// Calls that are taken back as soon as they are made.
    Resets,
    /// Streams of changes that nobody reads.
    Unread,
}

/// What a flooder sent, and what became of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Calls, or connections where only those are made.
    pub sent: u64,
    /// Calls that were done.
    pub answered: u64,
    /// Calls that were refused because they were too much, or of nobody who may call.
    pub refused: u64,
    /// Calls that broke, connections that were closed or not taken.
    pub broken: u64,
}

#[derive(Debug, Default)]
struct Tally {
    sent: AtomicU64,
    answered: AtomicU64,
    refused: AtomicU64,
    broken: AtomicU64,
}

impl Tally {
    fn send(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    fn end<T>(&self, ended: &Result<T, Status>) {
        let counter = match ended {
            Ok(_) => &self.answered,
            Err(status) => match status.code() {
                Code::ResourceExhausted | Code::Unauthenticated | Code::PermissionDenied => {
                    &self.refused
                }
                Code::InvalidArgument | Code::NotFound => &self.answered,
                _ => &self.broken,
            },
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn broke(&self) {
        self.broken.fetch_add(1, Ordering::Relaxed);
    }

    fn so_far(&self) -> Sent {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Sent {
            sent: of(&self.sent),
            answered: of(&self.answered),
            refused: of(&self.refused),
            broken: of(&self.broken),
        }
    }
}

/// Who is flooded, by whom.
#[derive(Debug, Clone)]
pub struct Target {
    /// URL of the coordinator's gRPC.
    pub grpc: String,
    /// The flooder's token.
    pub token: String,
    /// A grid of the flooder's.
    pub grid: String,
}

impl Target {
    fn address(&self) -> anyhow::Result<String> {
        let url = url::Url::parse(&self.grpc)?;
        let (host, port) = (url.host_str(), url.port());
        Ok(format!(
            "{}:{}",
            host.context("no host")?,
            port.context("no port")?
        ))
    }
}

impl Attack {
    /// What it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Strangers => "strangers",
            Self::Silent => "silent",
            Self::Large => "large",
            Self::Stalled => "stalled",
            Self::Resets => "resets",
            Self::Unread => "unread",
        }
    }

    /// What it is, for readers of the table.
    pub fn description(self) -> String {
        let calls = CONNECTIONS * CALLS_EACH;
        match self {
            Self::Calls => format!("{calls} calls at once over {CONNECTIONS} connections"),
            Self::Strangers => "the same, with tokens that nobody made".to_owned(),
            Self::Silent => format!("{SILENT_CONNECTIONS} connections that say nothing"),
            Self::Large => format!(
                "{} messages of {} MiB at once",
                LARGE_CONNECTIONS * LARGE_EACH,
                LARGE_BYTES >> 20
            ),
            Self::Stalled => format!(
                "{} messages that stop after {} MiB",
                CONNECTIONS * STREAMS_EACH,
                STALLED_BYTES >> 20
            ),
            Self::Resets => format!("calls reset as soon as made, over {CONNECTIONS} connections"),
            Self::Unread => format!(
                "{} streams of a grid of 10,000 cells that nobody reads",
                CONNECTIONS * STREAMS_EACH
            ),
        }
    }

    /// Floods until `done` is.
    ///
    /// # Errors
    /// When the URL is none.
    pub async fn flood(
        self,
        target: Target,
        done: impl Future<Output = ()>,
    ) -> anyhow::Result<Sent> {
        let tally = Arc::new(Tally::default());
        let address = target.address()?;
        let (connections, each) = match self {
            Self::Calls | Self::Strangers => (CONNECTIONS, CALLS_EACH),
            Self::Silent => (SILENT_CONNECTIONS, 1),
            Self::Large => (LARGE_CONNECTIONS, LARGE_EACH),
            Self::Stalled | Self::Unread => (CONNECTIONS, STREAMS_EACH),
            Self::Resets => (CONNECTIONS, 1),
        };
        let one = OneConnection {
            target: Arc::new(target),
            address: address.into(),
            each,
            tally: tally.clone(),
        };
        let mut flooding = JoinSet::new();
        for _ in 0..connections {
            let one = one.clone();
            flooding.spawn(async move {
                loop {
                    let ended = match self {
                        Self::Calls => one.calls().await,
                        Self::Strangers => one.strangers().await,
                        Self::Silent => one.silent().await,
                        Self::Large => one.large().await,
                        Self::Stalled => one.stalled().await,
                        Self::Resets => one.resets().await,
                        Self::Unread => one.unread().await,
                    };
                    if ended.is_err() {
                        one.tally.broke();
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
        done.await;
        let sent = tally.so_far();
        flooding.shutdown().await;
        Ok(sent)
    }
}

/// What one connection does, again and again.
#[derive(Debug, Clone)]
struct OneConnection {
    target: Arc<Target>,
    address: Arc<str>,
    each: usize,
    tally: Arc<Tally>,
}

impl OneConnection {
    async fn calls(&self) -> anyhow::Result<()> {
        let caller = Caller::with(&self.target.grpc, &self.target.token).await?;
        let callers = (0..self.each).map(|index| {
            let (caller, one) = (caller.clone(), self.clone());
            async move {
                loop {
                    one.call(&caller, index).await?;
                }
            }
        });
        // The first that finds the connection broken ends them all.
        futures::future::try_join_all(callers)
            .await
            .map(|_: Vec<()>| ())
    }

    /// A call of a kind that costs the coordinator something.
    async fn call(&self, caller: &Caller, index: usize) -> anyhow::Result<()> {
        self.tally.send();
        let grid_id = self.target.grid.clone();
        let ended = match index % 3 {
            0 => {
                let list = v1::ListRequest {
                    page_size: 1000,
                    ..v1::ListRequest::default()
                };
                caller.grids().list(list).await.map(drop)
            }
            1 => {
                let get = v1::GetRequest { grid_id };
                caller.grids().get(get).await.map(drop)
            }
            _ => {
                let watch = v1::WatchRequest {
                    grid_id,
                    after_sequence: 0,
                    summary_only: true,
                };
                caller.grids().watch(watch).await.map(drop)
            }
        };
        self.tally.end(&ended);
        match ended {
            Err(status) if status.code() == Code::Unavailable => anyhow::bail!("{status}"),
            _ => Ok(()),
        }
    }

    async fn strangers(&self) -> anyhow::Result<()> {
        let connection = Connection::open(&self.address).await?;
        let callers = (0..self.each).map(|_| {
            let (connection, one) = (connection.clone(), self.clone());
            async move {
                loop {
                    one.tally.send();
                    let id = RequestId::generate().as_uuid().simple();
                    let token = format!("atelier_{id}_{id}{id}");
                    let code = connection.call(LIST, &token, &[]).await?;
                    let refused = Err::<(), _>(Status::new(Code::from(code), ""));
                    one.tally.end(&refused);
                }
            }
        });
        futures::future::try_join_all(callers)
            .await
            .map(|_: Vec<()>| ())
    }

    /// Until the coordinator closes it.
    async fn silent(&self) -> anyhow::Result<()> {
        self.tally.send();
        let connection = TcpStream::connect(&*self.address).await?;
        loop {
            connection.readable().await?;
            match connection.try_read(&mut [0; 512]) {
                Ok(0) => anyhow::bail!("closed"),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn large(&self) -> anyhow::Result<()> {
        let caller = Caller::with(&self.target.grpc, &self.target.token).await?;
        let request = Arc::new(large_request());
        let callers = (0..self.each).map(|_| {
            let (caller, one, request) = (caller.clone(), self.clone(), request.clone());
            async move {
                loop {
                    one.tally.send();
                    let ended = caller.grids().submit((*request).clone()).await;
                    one.tally.end(&ended);
                    if let Err(status) = ended
                        && matches!(status.code(), Code::Unavailable | Code::Unknown)
                    {
                        anyhow::bail!("{status}");
                    }
                }
            }
        });
        futures::future::try_join_all(callers)
            .await
            .map(|_: Vec<()>| ())
    }

    async fn stalled(&self) -> anyhow::Result<()> {
        let connection = Connection::open(&self.address).await?;
        let calls = (0..self.each).map(|_| {
            let (connection, one) = (connection.clone(), self.clone());
            async move {
                loop {
                    one.tally.send();
                    let ended = connection
                        .stall(SUBMIT, &one.target.token, LARGE_BYTES, STALLED_BYTES)
                        .await;
                    match ended {
                        Ok(code) => one
                            .tally
                            .end(&Err::<(), _>(Status::new(Code::from(code), ""))),
                        Err(error) => return Err::<(), _>(error),
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
        futures::future::try_join_all(calls).await.map(|_| ())
    }

    async fn resets(&self) -> anyhow::Result<()> {
        let connection = Connection::open(&self.address).await?;
        let list = v1::ListRequest {
            page_size: 1000,
            ..v1::ListRequest::default()
        };
        loop {
            self.tally.send();
            connection
                .reset(LIST, &self.target.token, &list.encode_to_vec())
                .await?;
        }
    }

    async fn unread(&self) -> anyhow::Result<()> {
        let caller = Caller::with(&self.target.grpc, &self.target.token).await?;
        let mut streams = Vec::new();
        for _ in 0..self.each {
            self.tally.send();
            let watch = v1::WatchRequest {
                grid_id: self.target.grid.clone(),
                after_sequence: 0,
                summary_only: false,
            };
            let ended = caller.grids().watch(watch).await;
            self.tally.end(&ended);
            if let Ok(stream) = ended {
                streams.push(stream);
            }
        }
        // Held, and never read.
        std::future::pending::<()>().await;
        drop(streams);
        Ok(())
    }
}

const LIST: &str = "/atelier.v1.Grids/List";
const SUBMIT: &str = "/atelier.v1.Grids/Submit";

/// A grid as large as a message may be, which is read to its end before it is found to be none.
fn large_request() -> v1::SubmitRequest {
    v1::SubmitRequest {
        request_id: RequestId::generate().to_string(),
        name: "x".repeat(LARGE_BYTES),
        ..v1::SubmitRequest::default()
    }
}
