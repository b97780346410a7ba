//! `atelier-node run`: works for a coordinator until it is told to leave.

use std::io::Write as _;
use std::time::Duration;

use atelier_proto::shutdown;
use serde_json::json;

use super::CommandError;
use crate::cli::RunArgs;
use crate::executor::Executor;
use crate::inputs::InputCache;
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
    let starting = async {
        let chosen = choose(&args.renderer.weights, &Source::keras_vgg16()).await?;
        if let Some(notice) = &chosen.notice {
            tracing::warn!("{notice}");
        }
        let executor = Executor::start(chosen.network, args.renderer.device).await?;
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
        "ready to render"
    );
    let ready = json!({ "ready": {
        "name": config.name,
        "network": about.network,
        "device": about.device,
        "notice": notice,
    }});
    // For whoever started this node; nobody has to listen.
    let _ = writeln!(std::io::stdout(), "{ready}");
    session::run(&config, executor, inputs, shutdown).await?;
    Ok(())
}

fn host_name() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}
