//! `atelier-node`: arguments → command → exit code.

use std::io::Write as _;
use std::process::ExitCode;

use atelier_node::cell_log::Logs;
use atelier_node::cli::Cli;
use atelier_node::commands::{self, CommandError};
use atelier_proto::telemetry::{Settings, Telemetry};
use atelier_proto::version;
use clap::Parser as _;
use tracing_subscriber::Layer as _;

fn main() -> ExitCode {
    version::built_from(option_env!("ATELIER_COMMIT"));
    match start(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when standard error cannot be written.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn start(cli: Cli) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let logs = Logs::default();
    let telemetry = {
        let _runtime = runtime.enter();
        let settings = Settings {
            program: "atelier-node",
            filter: &cli.log,
            format: cli.log_format,
            otlp_endpoint: cli.otlp_endpoint.as_deref(),
        };
        Telemetry::start_with(&settings, |filter| {
            vec![
                logs.process.layer().with_filter(filter()).boxed(),
                logs.cells.layer().boxed(),
            ]
        })?
    };
    let ended = runtime.block_on(commands::run(cli.command, logs));
    telemetry.flush();
    // Dropped, it would wait for helper threads whose results nobody needs any more.
    runtime.shutdown_background();
    ended
}
