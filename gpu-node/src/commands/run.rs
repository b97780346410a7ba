//! `atelier-node run`: works for a coordinator until it is told to leave.

mod simulated;

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use atelier_proto::listen::check_exposure;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::CommandError;
use crate::cli::{Painter, RunArgs};
use crate::departure::{self, Departure};
use crate::executor::Executor;
use crate::inputs::{InputCache, Inputs};
use crate::log_tail::LogTail;
use crate::metrics::{self, Metrics};
use crate::session::{self, Equipment, Link, SessionConfig};
use crate::weights::{CacheError, Source, choose};

/// Machines of one fleet boot in any order; a coordinator that is not there after so long is not coming.
const CONNECT_TIMEOUT: Duration = Duration::from_mins(1);
const MIB: u64 = 1 << 20;

/// What a node has, whatever it renders with.
struct Node {
    config: SessionConfig,
    link: Link,
    metrics: Metrics,
    metrics_url: Option<String>,
    log: LogTail,
    departure: Departure,
}

pub(super) async fn run(args: RunArgs, log: LogTail) -> Result<(), CommandError> {
    if let (Painter::Libtorch, Some(option)) = (args.painter, args.simulated.given()) {
        return Err(CommandError::Arguments {
            problem: format!("{option} is of no use to a node that renders"),
            hint: "add --renderer simulated, or leave it out",
        });
    }
    let departure = departure::on_signals(args.exit_with_stdin)?;
    let link = Link::new(&args.coordinator)?;
    let config = SessionConfig {
        name: args.name.clone().unwrap_or_else(host_name),
        labels: args.fleet.labels()?,
        dollars_per_hour: args.fleet.dollars_per_hour.map(|dollars| dollars.0),
        connect_timeout: CONNECT_TIMEOUT,
        checkpoint_interval: args.checkpoints.checkpoint_interval.into(),
        preview_interval: args.preview_interval.into(),
        bucket_patience: args.bucket_patience.into(),
        instance_id: None,
        leave_timeout: args.leave_timeout.into(),
    };
    let metrics = Metrics::default();
    let metrics_url = match args.metrics {
        Some(address) => {
            check_exposure(address, args.insecure)?;
            Some(serve_metrics(address, metrics.clone(), departure.at_once().clone()).await?)
        }
        None => None,
    };
    let node = Node {
        config,
        link,
        metrics,
        metrics_url,
        log,
        departure,
    };
    match args.painter {
        Painter::Libtorch => render(args, node).await,
        Painter::Simulated => simulated::simulate(args.simulated, node).await,
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
    let starting = async {
        let chosen = choose(&args.renderer.weights, &Source::keras_vgg16()).await?;
        if let Some(notice) = &chosen.notice {
            tracing::warn!("{notice}");
        }
        let metrics = node.metrics.clone();
        let executor = Executor::start(chosen.network, args.renderer.options(), metrics).await?;
        Ok::<_, CommandError>((executor, chosen.notice))
    };
    let starting = node.departure.at_once().run_until_cancelled(starting);
    let Some((executor, notice)) = starting.await.transpose()? else {
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
    let equipment = Equipment {
        executor,
        inputs: Inputs::new(inputs),
        metrics: node.metrics,
        log: node.log,
    };
    session::run(&node.config, &node.link, equipment, node.departure).await?;
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
