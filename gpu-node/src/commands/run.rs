//! `atelier-node run`: works for a coordinator until it is told to leave.

mod simulated;

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use atelier_proto::clock::Stopwatch;
use atelier_proto::connect::{Access, AccessOptions};
use atelier_proto::listen::check_local;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{CommandError, chosen};
use crate::cell_log::Logs;
use crate::cli::{Painter, RendererArgs, RunArgs, check_labels_count};
use crate::departure::{self, Departure};
use crate::ec2::Instance;
use crate::executor::Executor;
use crate::inputs::{InputCache, Inputs};
use crate::metrics::{self, Metrics};
use crate::render::open_libraries;
use crate::session::{self, Equipment, Link, SessionConfig, SessionError};
use crate::start_up::{Phase, StartUp};
use crate::weights::{self, CacheError, Chosen, Network, WeightsChoice};

/// Machines of one fleet boot in any order; a coordinator that is not there after so long is not coming.
const CONNECT_TIMEOUT: Duration = Duration::from_mins(1);
/// How long an Auto Scaling group may take to be told that this node has left, and what is kept for that of the time for
/// leaving.
const LIFECYCLE_TIMEOUT: Duration = Duration::from_secs(5);
/// What is kept for the end of the process where there is nobody to tell.
const END_TIME: Duration = Duration::from_millis(500);
const MIB: u64 = 1 << 20;

/// What a node has, whatever it renders with.
struct Node {
    config: SessionConfig,
    link: Link,
    instance: Arc<Instance>,
    metrics: Metrics,
    metrics_url: Option<String>,
    start_up: StartUp,
    logs: Logs,
    departure: Departure,
}

pub(super) async fn run(args: RunArgs, logs: Logs) -> Result<(), CommandError> {
    check(&args)?;
    let departure = departure::on_signals(args.exit_with_stdin)?;
    let link = Link::new(&args.coordinator, access(&args)?)?;
    let instance = Arc::new(Instance::new(args.instance.options()));
    let leave_timeout = Duration::from(args.leave_timeout);
    let config = SessionConfig {
        name: args.name.clone().unwrap_or_else(host_name),
        instance_id: None,
        labels: args.fleet.labels()?,
        dollars_per_hour: args.fleet.dollars_per_hour.map(|dollars| dollars.0),
        connect_timeout: CONNECT_TIMEOUT,
        checkpoint_interval: args.checkpoints.checkpoint_interval.into(),
        preview_interval: args.preview_interval.into(),
        bucket_patience: args.bucket_patience.into(),
        leave_timeout: time_of_cells(leave_timeout, instance.has_hook()),
    };
    let metrics = Metrics::default();
    let start_up = StartUp::new(metrics.clone());
    let metrics_url = match args.metrics_listen {
        Some(address) => {
            check_local(address, args.insecure)?;
            let shutdown = departure.at_once().clone();
            Some(serve_metrics(address, metrics.clone(), shutdown).await?)
        }
        None => None,
    };
    let node = Node {
        config,
        link,
        instance: instance.clone(),
        metrics,
        metrics_url,
        start_up,
        logs,
        departure: departure.clone(),
    };
    match args.painter {
        Painter::Libtorch => render(args, node).await?,
        Painter::Simulated => simulated::simulate(args.simulated, node).await?,
    }
    instance.await_end(&departure).await;
    let within = departure.left_of(leave_timeout).min(LIFECYCLE_TIMEOUT);
    instance
        .complete_lifecycle(departure.reason(), within)
        .await;
    Ok(())
}

/// Whom this node trusts, and who it is.
fn access(args: &RunArgs) -> Result<Access, SessionError> {
    let options = AccessOptions {
        authorities: args.access.ca.clone(),
        certificate: args.access.cert.clone(),
        key: args.access.key.clone(),
        token_file: args.access.token_file.clone(),
        token: AccessOptions::token_of_environment(),
        insecure: args.insecure,
    };
    Access::new(options).map_err(SessionError::Access)
}

/// Refuses what does not go together.
fn check(args: &RunArgs) -> Result<(), CommandError> {
    let refused = |problem: String, hint| Err(CommandError::Arguments { problem, hint });
    if let (Painter::Libtorch, Some(option)) = (args.painter, args.simulated.given()) {
        return refused(
            format!("{option} is of no use to a node that renders"),
            "add --renderer simulated, or leave it out",
        );
    }
    let instance = &args.instance;
    if let Some(option) = instance.given()
        && args.simulated.nodes() > 1
    {
        return refused(
            format!("{option} is for one node, but --simulated-nodes makes several of one machine"),
            "leave one of them out",
        );
    }
    if instance.lifecycle_hook.is_some() && instance.given().is_none() {
        return refused(
            "--lifecycle-hook does not tell which machine is to end".to_owned(),
            "add --ec2, or the machine's id with --instance-id",
        );
    }
    Ok(())
}

/// What cells may take of the time in which the node leaves; the rest is for telling the Auto Scaling group, where there is
/// one, and for the end of the process.
fn time_of_cells(leave_timeout: Duration, has_hook: bool) -> Duration {
    let afterwards = if has_hook {
        LIFECYCLE_TIMEOUT
    } else {
        END_TIME
    };
    leave_timeout.saturating_sub(afterwards.min(leave_timeout / 4))
}

impl Node {
    /// Learns what the machine is, where that is asked for.
    async fn identify(&self) -> Result<(), CommandError> {
        let begun = Stopwatch::start();
        if self.instance.identify(&self.departure).await?.is_some() {
            self.start_up.took(Phase::Metadata, begun);
        }
        Ok(())
    }

    /// What the coordinator is to know of the machine, added to what the operator said.
    fn config(&self) -> Result<SessionConfig, CommandError> {
        let mut config = self.config.clone();
        config.instance_id = self.instance.id().map(str::to_owned);
        if let Some(identity) = self.instance.identity() {
            identity.label(&mut config.labels);
            check_labels_count(config.labels.len())?;
        }
        Ok(config)
    }

    /// The network that `choice` means.
    async fn network(&self, choice: &WeightsChoice) -> Result<Chosen, CommandError> {
        let WeightsChoice::Stored(digest) = choice else {
            return Ok(chosen(choice).await?);
        };
        let path = weights::stored_path(digest)?;
        let kept = weights::kept(*digest, &path).await;
        let weights = if let Some(weights) = kept {
            weights
        } else {
            let bucket = self.link.bucket_at_start(&self.config).await?;
            weights::fetch_stored(&bucket, *digest, &path).await?
        };
        Ok(Chosen {
            network: Network::Trained(weights),
            notice: None,
        })
    }

    /// Puts that network on a device. While it is looked for, what the device takes is made ready.
    async fn start(&self, args: &RendererArgs) -> Result<(Executor, Option<String>), CommandError> {
        let device = args.device.device;
        // Nobody waits for it: whoever needs the libraries first waits until they are open.
        drop(tokio::task::spawn_blocking(move || {
            open_libraries(device);
        }));
        let begun = Stopwatch::start();
        let chosen = self.network(&args.weights).await?;
        self.start_up.took(Phase::Weights, begun);
        self.metrics.readiness().weights_are_loaded();
        let begun = Stopwatch::start();
        let metrics = self.metrics.clone();
        let executor = Executor::start(chosen.network, args.options(), metrics).await?;
        self.start_up.took(Phase::Device, begun);
        self.metrics.readiness().device_is_usable(true);
        Ok((executor, chosen.notice))
    }
}

/// One node with a renderer.
async fn render(args: RunArgs, node: Node) -> Result<(), CommandError> {
    let cache = match args.cache {
        Some(folder) => folder,
        None => dirs::cache_dir()
            .ok_or(CacheError)?
            .join("atelier")
            .join("inputs"),
    };
    let inputs = InputCache::open(cache, args.cache_mib_max * MIB)?;
    let starting =
        async { tokio::try_join!(Box::pin(node.start(&args.renderer)), node.identify()) };
    let starting = node.departure.at_once().run_until_cancelled(starting);
    let Some(((executor, notice), ())) = starting.await.transpose()? else {
        return Ok(());
    };
    let about = executor.about();
    tracing::info!(
        name = node.config.name,
        network = about.network,
        device = about.device,
        precision = about.precision,
        "ready to render"
    );
    tell_ready(&json!({
        "name": node.config.name,
        "network": about.network,
        "device": about.device,
        "notice": notice,
        "metrics": node.metrics_url,
    }));
    let config = node.config()?;
    let equipment = Equipment {
        executor,
        inputs: Inputs::new(inputs),
        metrics: node.metrics,
        logs: node.logs,
        start_up: node.start_up,
    };
    session::run(&config, &node.link, equipment, node.departure).await?;
    Ok(())
}

/// For whoever started this program; nobody has to listen.
fn tell_ready(about: &Value) {
    let ready = json!({ "ready": about });
    let _ = writeln!(std::io::stdout(), "{ready}");
}

/// Listens before anything else is loaded, so that an address that cannot be had is told at once. Gives the URL of the
/// metrics.
async fn serve_metrics(
    address: SocketAddr,
    metrics: Metrics,
    shutdown: CancellationToken,
) -> Result<String, CommandError> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|source| CommandError::Listen { address, source })?;
    let url = format!("http://{}/metrics", listener.local_addr()?);
    tracing::info!(url, "serving metrics");
    tokio::spawn(metrics::serve(listener, metrics, shutdown));
    Ok(url)
}

fn host_name() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}
