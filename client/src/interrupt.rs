//! Signals to end: the first asks, the second insists; and work that the first one ends.

use std::time::Duration;

use atelier_proto::clock::Stopwatch;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::exit::Exit;

/// A signal so soon after the first is that one once more: `timeout`, a terminal that closes and others tell a program and all of
/// its group, of which it is one.
const SAME: Duration = Duration::from_secs(1);

/// A token that is cancelled on Ctrl-C, SIGTERM, or when the terminal closes.
///
/// A second signal, some time later, ends the program at once; programs that it started end too, since their standard input
/// does.
pub fn on_signals() -> Result<CancellationToken, Error> {
    let install = |kind| {
        signal(kind).map_err(|cause| Error::System {
            what: "a signal handler",
            cause,
        })
    };
    let mut interrupt = install(SignalKind::interrupt())?;
    let mut terminate = install(SignalKind::terminate())?;
    let mut hangup = install(SignalKind::hangup())?;
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    tokio::spawn(async move {
        let mut first = None::<Stopwatch>;
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            let first = *first.get_or_insert_with(Stopwatch::start);
            if token.is_cancelled() && first.elapsed() > SAME {
                std::process::exit(i32::from(Exit::Interrupted.code()));
            }
            token.cancel();
        }
    });
    Ok(shutdown)
}

/// Does `work` unless Ctrl-C comes first; then the command ends, saying what became of it.
pub async fn unless_interrupted<T>(
    shutdown: &CancellationToken,
    otherwise: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let done = shutdown.run_until_cancelled(work).await;
    done.unwrap_or_else(|| Err(interrupted(otherwise)))
}

/// What a command ends with on Ctrl-C, after which this is so.
pub fn interrupted(otherwise: &str) -> Error {
    Error::Interrupted(format!("interrupted: {otherwise}"))
}
