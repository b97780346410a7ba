//! How a program learns that it should end: a signal, or the end of its standard input.

use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled on SIGTERM or SIGINT (Ctrl-C).
///
/// With `exit_with_stdin` it is also cancelled when standard input ends. A parent that holds the other
/// end of the pipe so takes its children with it, however it dies.
///
/// # Errors
/// When the signal handlers cannot be installed.
pub fn on_signals(exit_with_stdin: bool) -> std::io::Result<CancellationToken> {
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = shutdown.clone();
    tokio::spawn(async move {
        let reason = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            () = stdin_ended(), if exit_with_stdin => "end of standard input",
        };
        tracing::info!(reason, "shutting down");
        token.cancel();
    });
    Ok(shutdown)
}

async fn stdin_ended() {
    let mut stdin = tokio::io::stdin();
    let mut discarded = [0; 256];
    while matches!(stdin.read(&mut discarded).await, Ok(read) if read > 0) {}
}
