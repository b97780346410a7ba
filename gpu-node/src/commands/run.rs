//! `atelier-node run`: works for a coordinator until it is told to leave.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use atelier_proto::listen::check_exposure;
use atelier_proto::shutdown;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::CommandError;
use crate::cli::RunArgs;
use crate::executor::Executor;
use crate::inputs::{InputCache, Inputs};
use crate::metrics::{self, Metrics};
use crate::session::{self, SessionConfig};
use crate::weights::{CacheError, Source, choose};

/// Machines of one fleet boot in any order; a coordinator that is not there after so long is not coming.
const CONNECT_TIMEOUT: Duration = Duration::from_mins(1);
const MIB: u64 = 1 << 20;

pub(super) async fn run(args: RunArgs) -> Result<(), CommandError> {
    let shutdown = shutdown::on_signals(args.exit_with_stdin)?;
    let config = SessionConfig {
        coordinator: args.coordinator,
        name: args.name.unwrap_or_else(host_name),
        connect_timeout: CONNECT_TIMEOUT,
        checkpoint_interval: args.checkpoints.checkpoint_interval.into(),
    };
    session::check_url(&config.coordinator)?;
    let cache = match args.cache {
        Some(folder) => folder,
        None => dirs::cache_dir()
            .ok_or(CacheError)?
            .join("atelier")
            .join("inputs"),
    };
    let inputs = InputCache::open(cache, args.cache_mib_max * MIB)?;
    let metrics = Metrics::default();
    let metrics_url = match args.metrics {
        Some(address) => {
            check_exposure(address, args.insecure)?;
            Some(serve_metrics(address, metrics.clone(), shutdown.clone()).await?)
        }
        None => None,
    };
    let starting = async {
        let chosen = choose(&args.renderer.weights, &Source::keras_vgg16()).await?;
        if let Some(notice) = &chosen.notice {
            tracing::warn!("{notice}");
        }
        let executor =
            Executor::start(chosen.network, args.renderer.options(), metrics.clone()).await?;
        Ok::<_, CommandError>((executor, chosen.notice))
    };
    let Some((executor, notice)) = shutdown.run_until_cancelled(starting).await.transpose()? else {
        return Ok(());
    };
    let about = executor.about();
    tracing::info!(
        name = config.name,
        network = about.network,
        device = about.device,
        precision = about.precision,
        "ready to render"
    );
    let ready = json!({ "ready": {
        "name": config.name,
        "network": about.network,
        "device": about.device,
        "notice": notice,
        "metrics": metrics_url,
    }});
    // For whoever started this node; nobody has to listen.
    let _ = writeln!(std::io::stdout(), "{ready}");
    session::run(&config, executor, Inputs::new(inputs), metrics, shutdown).await?;
    Ok(())
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
