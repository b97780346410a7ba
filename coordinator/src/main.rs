//! `atelier-coordinator`: arguments → configuration → run → exit code.

use std::io::Write as _;
use std::process::ExitCode;

use atelier_coordinator::backup::back_up;
use atelier_coordinator::config::{Cli, Command, Config};
use atelier_coordinator::{Listeners, Ready, RunError};
use atelier_proto::clock::Clock;
use atelier_proto::telemetry::{Settings, Telemetry};
use atelier_proto::{shutdown, version};
use clap::{CommandFactory as _, Parser as _};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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

/// As many open files as this user may have: each connection is one, and systems begin with few.
fn have_files() {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, all) {
        tracing::warn!(%error, "there may be no more open files than {:?}", limit.current);
    }
}

fn start(mut cli: Cli) -> Result<(), RunError> {
    let command = cli.command.take();
    if let Some(Command::Manual(command)) = command {
        let text = command.run(Cli::command())?;
        return Ok(writeln!(std::io::stdout(), "{text}")?);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let telemetry = {
        let _runtime = runtime.enter();
        Telemetry::start(&Settings {
            program: "atelier-coordinator",
            filter: &cli.log,
            format: cli.log_format,
            otlp_endpoint: cli.otlp_endpoint.as_deref(),
        })?
    };
    if let Some(Command::Backup { to }) = command {
        let copied = runtime.block_on(back_up(&cli.data, &to))?;
        say(&serde_json::json!({ "backup": to, "objects": copied }));
        telemetry.flush();
        return Ok(());
    }
    let exit_with_stdin = cli.exit_with_stdin;
    let config = Config::try_from(cli)?;
    have_files();
    let ended = runtime.block_on(async {
        let shutdown = shutdown::on_signals(exit_with_stdin)?;
        let listeners = Listeners::bind(&config).await?;
        atelier_coordinator::run(config, listeners, Clock::system(), shutdown, say_ready).await
    });
    telemetry.flush();
    // A read of standard input cannot be cut short, and would keep the process.
    runtime.shutdown_background();
    ended
}

fn say_ready(ready: &Ready) {
    say(&serde_json::json!({ "ready": ready }));
}

fn say(line: &serde_json::Value) {
    let mut stdout = std::io::stdout();
    // Whoever started this may listen no longer.
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}
