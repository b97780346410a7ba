//! `atelier-node`: arguments → command → exit code.

use std::io::Write as _;
use std::process::ExitCode;

use atelier_node::cli::Cli;
use atelier_node::log_tail::LogTail;
use atelier_proto::{telemetry, version};
use clap::Parser as _;
use tracing_subscriber::Layer as _;

fn main() -> ExitCode {
    version::built_from(option_env!("ATELIER_COMMIT"));
    let cli = Cli::parse();
    let log = LogTail::default();
    let ended = telemetry::init_with(&cli.log, cli.log_format, Some(log.layer().boxed()))
        .map_err(Into::into)
        .and_then(|()| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?;
            let ended = runtime.block_on(atelier_node::commands::run(cli.command, log));
            // Dropped, it would wait for helper threads whose results nobody needs any more.
            runtime.shutdown_background();
            ended
        });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when standard error cannot be written.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
