//! `atelier-node`: arguments → command → exit code.

use std::io::Write as _;
use std::process::ExitCode;

use atelier_node::cli::Cli;
use atelier_node::log_tail::{self, LogTail};
use clap::Parser as _;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let log = LogTail::default();
    let ended = log_tail::init(&cli.log, cli.log_format, &log)
        .map_err(Into::into)
        .and_then(|()| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?;
            runtime.block_on(atelier_node::commands::run(cli.command, log))
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
