//! Signals: the first one tells the node to leave, the second one ends it.

use atelier_proto::shutdown;
use tokio::signal::unix::{SignalKind, signal};

use super::{Departure, Reason};

/// As for every program that Ctrl-C ends.
const EXIT_INTERRUPTED: i32 = 130;

/// A departure that SIGTERM and SIGINT ask for, and with `exit_with_stdin` the end of standard input too. Whoever sends
/// a second signal does not want to wait: it ends the program where it is, and leases expire.
///
/// # Errors
/// When the signal handlers or the thread cannot be had.
pub fn on_signals(exit_with_stdin: bool) -> std::io::Result<Departure> {
    let departure = Departure::default();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shutdown = shutdown::on_signals(exit_with_stdin)?;
    let asking = departure.clone();
    tokio::spawn(async move {
        // A signal comes here and there at the same time, so what was not a signal was the end of the input.
        let reason = tokio::select! {
            biased;
            _ = terminate.recv() => Reason::Terminate,
            _ = interrupt.recv() => Reason::Interrupt,
            () = shutdown.cancelled() => Reason::EndOfInput,
        };
        asking.ask(reason);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::warn!(
            "a second signal: ending at once; what is held here waits until its leases expire"
        );
        std::process::exit(EXIT_INTERRUPTED);
    });
    Ok(departure)
}
