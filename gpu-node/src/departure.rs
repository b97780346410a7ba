//! Whether a node is to leave, and why: a signal, whoever started it, or the cloud whose machine it is on.

mod signals;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use atelier_proto::clock::Stopwatch;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::signals::on_signals;

/// Why a node leaves; a later reason counts more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The cloud expects to take the machine back and does not say when: what is in hand is finished first. All other
    /// reasons are for leaving at once.
    Rebalance,
    /// Whoever started it has ended.
    EndOfInput,
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// The Auto Scaling group terminates the machine.
    InstanceTerminates,
    /// The cloud takes the machine back in two minutes, or sooner.
    SpotInterruption,
}

impl Reason {
    /// Whether what is in hand is given back rather than finished.
    pub fn is_at_once(self) -> bool {
        match self {
            Self::Rebalance => false,
            Self::EndOfInput
            | Self::Interrupt
            | Self::Terminate
            | Self::InstanceTerminates
            | Self::SpotInterruption => true,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rebalance => "rebalance recommendation",
            Self::EndOfInput => "end of standard input",
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::InstanceTerminates => "instance terminates",
            Self::SpotInterruption => "spot interruption",
        })
    }
}

/// What tells a node to leave, and knows that it was told; clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Departure {
    reason: Arc<watch::Sender<Option<Reason>>>,
    at_once: CancellationToken,
    /// Runs since the node is to leave at once.
    since: Arc<OnceLock<Stopwatch>>,
}

impl Departure {
    /// Tells the node to leave. A reason that counts less than one before it changes nothing.
    pub fn ask(&self, reason: Reason) {
        let is_news = self.reason.send_if_modified(|known| {
            let counts_more = *known < Some(reason);
            if counts_more {
                *known = Some(reason);
            }
            counts_more
        });
        if !is_news {
            return;
        }
        tracing::info!(%reason, at_once = reason.is_at_once(), "leaving");
        if reason.is_at_once() {
            self.since.get_or_init(Stopwatch::start);
            self.at_once.cancel();
        }
    }

    /// Why the node leaves, if it does.
    pub fn reason(&self) -> Option<Reason> {
        *self.reason.borrow()
    }

    /// Waits until the node is told to leave, in whichever way.
    pub async fn asked(&self) {
        // This has the sender, so there is an end only with the answer.
        let _ = self.reason.subscribe().wait_for(Option::is_some).await;
    }

    /// Cancelled when the node is to leave at once.
    pub fn at_once(&self) -> &CancellationToken {
        &self.at_once
    }

    /// What is left of the time in which a node leaves that is to do so at once; all of it before that.
    pub fn left_of(&self, timeout: Duration) -> Duration {
        let elapsed = self.since.get().map(Stopwatch::elapsed);
        timeout.saturating_sub(elapsed.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_later_reason_counts_only_if_it_counts_more() {
        let departure = Departure::default();
        assert_eq!(departure.reason(), None);
        departure.ask(Reason::Rebalance);
        departure.asked().await;
        assert!(!departure.at_once().is_cancelled(), "it finishes first");
        assert_eq!(departure.left_of(Duration::MAX), Duration::MAX);
        departure.ask(Reason::SpotInterruption);
        assert!(departure.at_once().is_cancelled());
        departure.ask(Reason::Terminate);
        assert_eq!(departure.reason(), Some(Reason::SpotInterruption));
        std::thread::sleep(Duration::from_millis(1));
        assert!(departure.left_of(Duration::from_secs(9)) < Duration::from_secs(9));
        assert_eq!(departure.left_of(Duration::ZERO), Duration::ZERO);
    }
}
