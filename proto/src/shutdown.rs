//! How a program learns that it should end: a signal, or the end of its standard input.

use std::io::Read as _;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// A token that is cancelled on SIGTERM or SIGINT (Ctrl-C).
///
/// With `exit_with_stdin` it is also cancelled when standard input ends. A parent that holds the other
/// end of the pipe so takes its children with it, however it dies.
///
/// # Errors
/// When the signal handlers or the thread cannot be had.
pub fn on_signals(exit_with_stdin: bool) -> std::io::Result<CancellationToken> {
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = shutdown.clone();
    let (ended, stdin_ended) = oneshot::channel();
    if exit_with_stdin {
        // Not a task of the runtime: that would wait, at its end, for a read that may never return.
        std::thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(move || {
                wait_for_end_of_stdin();
                // Nobody listens any more when the program is ending already.
                let _ = ended.send(());
            })?;
    }
    tokio::spawn(async move {
        let reason = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            Ok(()) = stdin_ended, if exit_with_stdin => "end of standard input",
        };
        tracing::info!(reason, "shutting down");
        token.cancel();
    });
    Ok(shutdown)
}

fn wait_for_end_of_stdin() {
    let mut discarded = [0; 256];
    while matches!(std::io::stdin().read(&mut discarded), Ok(read) if read > 0) {}
}
