//! Accepts grids, splits them into cells, leases them to nodes, keeps the truth.
//!
//! - [`domain`]: pure decisions: the state machine of a cell, what a grid must be, which cells a node gets
//! - [`store`]: the truth, in `SQLite` or PostgreSQL
//! - [`ledger`]: the store with its clock, its rules and the bells that tell of changes
//! - [`submissions`]: takes grids in; [`dispatch`]: gives cells to nodes; [`estimates`]: how long they take
//! - [`identity`]: who calls; [`limits`]: what each may have; [`scope`]: whose a grid is
//! - [`rpc`]: the gRPC services; [`board`]: the same for browsers
//! - [`monitoring`]: for what watches a coordinator: [`metrics`], and its [`health`]
//! - [`lead`]: what one coordinator does for all: [`expiry`] takes cells back when a lease is over, [`publisher`] writes
//!   `gallery.json` and `index.html`, [`collector`] removes what is to be forgotten,
//!   [`scaler`] has the fleet follow the backlog, [`webhooks`] tells others that grids have ended
//! - [`s3`]: the embedded S3 endpoint; [`storage`]: that one or another; [`credentials`]: its keys
//! - [`config`], [`data_folder`]: what it is told, and where it keeps things; `secret_file`: secrets among these; [`backup`]: a copy of
//!   that; `listeners`: its sockets; [`listen`]: how connections are accepted, and who is at the other end

pub mod backup;
pub mod board;
pub mod collector;
pub mod config;
pub mod credentials;
pub mod data_folder;
pub mod dispatch;
pub mod domain;
pub mod estimates;
pub mod expiry;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod health;
pub mod identity;
pub mod lead;
pub mod ledger;
pub mod limits;
pub mod listen;
pub mod metrics;
pub mod monitoring;
pub mod publisher;
pub mod rpc;
pub mod s3;
pub mod scaler;
pub mod scope;
pub mod storage;
pub mod store;
pub mod submissions;
pub mod webhooks;

mod error;
mod listeners;
mod secret_file;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use atelier_gallery::bucket::Bucket;
use atelier_gallery::signed::signer::Signer;
use atelier_proto::clock::Clock;
use atelier_proto::storage::Storage;
use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::board::{Board, Key};
use self::config::{BucketConfig, Config, DatabaseConfig};
use self::data_folder::DataFolder;
use self::dispatch::Dispatcher;
pub use self::error::RunError;
use self::health::Health;
use self::identity::audit::Audit;
use self::identity::oidc::Oidc;
use self::identity::token_file::FileToken;
use self::identity::{Asking, Identities};
use self::ledger::Ledger;
use self::limits::callers::Callers;
use self::listen::{Bounds, Purpose, ServerTls};
use self::listeners::Doors;
pub use self::listeners::{Listeners, Ready};
use self::metrics::Metrics;
use self::monitoring::Monitoring;
use self::store::Store;
use self::submissions::Submissions;

/// How long calls in hand may take to end when the coordinator leaves.
const GRACE_PERIOD: Duration = Duration::from_secs(10);

/// Serves until `shutdown`; tells `ready` once everything is served.
#[expect(
    clippy::too_many_lines,
    reason = "the one place where all parts are put together, in order"
)]
pub async fn run(
    config: Config,
    listeners: Listeners,
    clock: Clock,
    shutdown: CancellationToken,
    ready: impl FnOnce(&Ready),
) -> Result<(), RunError> {
    let tls = config.tls.clone();
    let tls = tls.map(|files| ServerTls::load(files, clock.clone()));
    let metrics = Arc::new(Metrics::default());
    let doors = Doors {
        tls: tls.transpose()?,
        bounds: Bounds {
            connections_max: config.limits.connections_max,
            address_connections_max: config.limits.address_connections_max,
            metrics: metrics.clone(),
        },
    };
    let folder = DataFolder::open(&config.data)?;
    let opening = open_store(&config, &folder);
    let Some(store) = shutdown.run_until_cancelled(opening).await.transpose()? else {
        return Ok(());
    };
    let tasks = TaskTracker::new();
    // A server that ends by itself takes the others with it; what it ended with is asked for last.
    let mut servers = Vec::new();
    let mut serve = |serving| {
        let shutdown = shutdown.clone();
        servers.push(tasks.spawn(until_shutdown(serving, shutdown)));
    };

    let (storage, local) = open_storage(
        &config,
        &folder,
        &doors,
        (listeners.s3, listeners.s3_local),
        &clock,
        &shutdown,
        &mut serve,
    )
    .await?;
    let bucket = Bucket::connect(&local).await?;
    let reached = Bucket::connect(&storage).await?;
    let signer = Signer::new(reached, clock.clone(), config.url_duration)?;
    let Some(checked) = shutdown.run_until_cancelled(bucket.check()).await else {
        return Ok(());
    };
    checked?;

    let is_embedded = matches!(config.bucket, BucketConfig::Embedded { .. });
    let embedded = storage.endpoint.clone().filter(|_| is_embedded);
    let (board, watched) = (listeners.board.as_ref(), listeners.metrics.as_ref());
    let ready_to_say = doors.ready(&listeners.grpc, embedded, board, watched)?;
    let (identities, audit) =
        find_out_who_calls(&config, &folder, &store, &clock, &metrics, &tasks)?;
    tasks.spawn(reopen_on_hangup(audit.clone(), shutdown.clone())?);
    let callers = Callers::new(config.limits.callers, clock.clone());
    let ledger = Ledger::new(store.clone(), clock, config.rules, metrics.clone());
    let ledger = Arc::new(ledger);
    let scaling = Arc::new(config.scaling);
    let health = Arc::new(Health::new(ledger.clone(), bucket.clone()));
    let monitoring = Monitoring {
        ledger: ledger.clone(),
        scaling: scaling.clone(),
        health: health.clone(),
    };
    let submissions = Submissions::new(ledger.clone(), bucket.clone(), config.limits.cells_max);
    let context = rpc::Context {
        ledger: ledger.clone(),
        bucket: bucket.clone(),
        storage,
        signer: Arc::new(signer),
        url_duration: config.url_duration,
        submissions: submissions.clone(),
        dispatcher: Dispatcher::start(
            ledger.clone(),
            config.limits.waiting_leases_max,
            &tasks,
            shutdown.clone(),
        ),
        scaling: scaling.clone(),
        identities: identities.clone(),
        audit: audit.clone(),
        callers: callers.clone(),
        health: health.clone(),
        shutdown: shutdown.clone(),
        tasks: tasks.clone(),
        pulses: rpc::Pulses::default(),
    };
    let grpc = rpc::serve(context, doors.open(listeners.grpc, Purpose::Grpc));
    serve(Box::pin(async { Ok(grpc.await?) }));
    if let Some(listener) = listeners.metrics {
        let listener = doors.open(listener, Purpose::Metrics);
        let serving = monitoring.clone().serve(
            listener,
            identities.clone(),
            audit.clone(),
            callers.clone(),
            shutdown.clone(),
        );
        serve(Box::pin(async {
            serving.await;
            Ok(())
        }));
    }
    if let Some(listener) = listeners.board {
        let key = config.board_key.unwrap_or_else(|| folder.board_key());
        let board = Board::new(board::Parts {
            ledger: ledger.clone(),
            bucket: bucket.clone(),
            submissions,
            monitoring,
            identities,
            audit,
            callers,
            key: Key::load_or_make(&key)?,
            tls: config.tls.is_some(),
            shutdown: shutdown.clone(),
        });
        let listener = doors.open(listener, Purpose::Board);
        let serving = board.serve(listener);
        serve(Box::pin(async {
            serving.await.map_err(RunError::ServeBoard)
        }));
    }
    if let Some(tls) = doors.tls {
        let following = tls.follow(metrics, shutdown.clone());
        serve(Box::pin(async { Ok(following.await?) }));
    }
    tasks.spawn(ledger::notes::run(ledger.clone(), shutdown.clone()));
    tasks.spawn(hear_others(ledger.clone(), shutdown.clone()));
    tasks.spawn(lead::run(
        ledger,
        bucket,
        config.keeping,
        scaling,
        config.webhooks,
        health,
        shutdown.clone(),
    ));
    tracing::info!(grpc = ready_to_say.grpc, s3 = ready_to_say.s3, data = %config.data.display(), "serving");
    ready(&ready_to_say);

    shutdown.cancelled().await;
    wind_up(&tasks, &store, servers).await
}

/// Waits, within a bound, until every call has ended, and tells what a server ended with.
async fn wind_up(
    tasks: &TaskTracker,
    store: &Store,
    servers: Vec<JoinHandle<Result<(), RunError>>>,
) -> Result<(), RunError> {
    tasks.close();
    if tokio::time::timeout(GRACE_PERIOD, tasks.wait())
        .await
        .is_err()
    {
        tracing::warn!(tasks = tasks.len(), "left before every call had ended");
        return Ok(());
    }
    store.close().await;
    for server in servers {
        server.await.map_err(RunError::Task)??;
    }
    Ok(())
}

/// Who calls, and where it is written down what they do.
fn find_out_who_calls(
    config: &Config,
    folder: &DataFolder,
    store: &Arc<Store>,
    clock: &Clock,
    metrics: &Arc<Metrics>,
    tasks: &TaskTracker,
) -> Result<(Identities, Arc<Audit>), RunError> {
    let told = &config.identity;
    let audit = Audit::open(told.audit_log.as_deref(), clock.clone())?;
    let asking = if told.is_required {
        let file = told.operator_token.clone();
        let file = file.unwrap_or_else(|| folder.operator_token());
        let oidc = match &told.oidc {
            Some(issuer) => Some(Arc::new(Oidc::new(issuer.clone(), clock.clone())?)),
            None => None,
        };
        if let Some(oidc) = oidc.clone() {
            tasks.spawn(async move { oidc.warm_up().await });
        }
        Asking::Everybody {
            operator: FileToken::load_or_make(&file)?,
            nodes: told
                .node_token
                .as_deref()
                .map(FileToken::load)
                .transpose()?,
            oidc,
        }
    } else {
        Asking::Nobody
    };
    let identities = Identities::new(asking, store.clone(), clock.clone(), metrics.clone());
    Ok((identities, Arc::new(audit)))
}

/// Opens the audit log anew at each SIGHUP, as those send it who move logs away.
fn reopen_on_hangup(
    audit: Arc<Audit>,
    shutdown: CancellationToken,
) -> Result<impl Future<Output = ()>, RunError> {
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        let reopening = async {
            while hangup.recv().await.is_some() {
                audit.reopen();
            }
        };
        shutdown.run_until_cancelled(reopening).await;
    })
}

async fn open_store(config: &Config, folder: &DataFolder) -> Result<Arc<Store>, RunError> {
    Ok(Arc::new(match &config.database {
        DatabaseConfig::Sqlite => Store::sqlite(&folder.database()).await?,
        DatabaseConfig::Postgres {
            url,
            connections_max,
        } => Store::postgres(url.expose_secret(), *connections_max).await?,
    }))
}

/// Hears of what other coordinators queue, until `shutdown`.
async fn hear_others(ledger: Arc<Ledger>, shutdown: CancellationToken) {
    let hearing = async {
        loop {
            if let Err(error) = ledger.hear_others().await {
                tracing::warn!(%error, "other coordinators cannot be heard; trying again");
            }
            tokio::time::sleep(ledger::POLL_INTERVAL).await;
        }
    };
    shutdown.run_until_cancelled(hearing).await;
}

type Serving = std::pin::Pin<Box<dyn Future<Output = Result<(), RunError>> + Send>>;

async fn until_shutdown(serving: Serving, shutdown: CancellationToken) -> Result<(), RunError> {
    let ended = serving.await;
    shutdown.cancel();
    ended
}

/// The bucket as others reach it and as this process does; an embedded one is served from here on.
async fn open_storage(
    config: &Config,
    folder: &DataFolder,
    doors: &Doors,
    (listener, local): (Option<TcpListener>, Option<TcpListener>),
    clock: &Clock,
    shutdown: &CancellationToken,
    serve: &mut impl FnMut(Serving),
) -> Result<(Storage, Storage), RunError> {
    match (&config.bucket, listener) {
        (BucketConfig::Embedded { public_url, .. }, Some(listener)) => {
            let public = match public_url {
                Some(url) => url.clone(),
                None => doors.url(&listener)?,
            };
            let address = local.as_ref().unwrap_or(&listener).local_addr()?;
            let embedded = storage::open_embedded(folder, address, public, clock.clone()).await?;
            let mut listeners = vec![doors.open(listener, Purpose::S3)];
            listeners.extend(local.map(|local| doors.open_for_itself(local)));
            let serving = embedded.endpoint.serve(listeners, shutdown.clone());
            serve(Box::pin(async {
                serving.await;
                Ok(())
            }));
            Ok((embedded.public, embedded.local))
        }
        (BucketConfig::Embedded { .. }, None) => Err(RunError::NoListener),
        (
            BucketConfig::External {
                bucket,
                region,
                endpoint,
            },
            _,
        ) => {
            let storage = storage::external(bucket.clone(), region.clone(), endpoint.clone());
            Ok((storage.clone(), storage))
        }
    }
}
