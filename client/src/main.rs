//! `atelier`: arguments → command → exit code.

use std::io::Write as _;
use std::process::ExitCode;

use atelier::cli::Cli;
use atelier::exit::Exit;
use atelier_proto::telemetry::{Settings, Telemetry};
use atelier_proto::version;

fn main() -> ExitCode {
    version::built_from(option_env!("ATELIER_COMMIT"));
    let cli = Cli::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let telemetry = {
                let _runtime = runtime.enter();
                Telemetry::start(&Settings {
                    program: "atelier",
                    filter: &cli.global.log,
                    format: cli.global.log_format,
                    otlp_endpoint: cli.global.otlp_endpoint.as_deref(),
                })
            };
            let telemetry = match telemetry {
                Ok(telemetry) => telemetry,
                Err(error) => return ended_early(Exit::BadInput, &error.to_string()),
            };
            let exit = runtime.block_on(atelier::run(cli));
            telemetry.flush();
            // A decoder that is still busy with a vast picture must not hold up an interrupted program.
            runtime.shutdown_background();
            exit.into()
        }
        Err(error) => ended_early(
            Exit::Unexpected,
            &format!("this system refused threads: {error}"),
        ),
    }
}

fn ended_early(exit: Exit, problem: &str) -> ExitCode {
    // Nobody is left to tell when standard error cannot be written.
    let _ = writeln!(std::io::stderr(), "error: {problem}");
    exit.into()
}
