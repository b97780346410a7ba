//! Connections that are not read from for a while, so that whoever floods over one waits, and nobody else.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Until when a connection is not read from. Clones are of one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Pause(Arc<Mutex<Option<Instant>>>);

impl Pause {
    /// From now on, for so long.
    pub(super) fn begin(&self, duration: Duration) {
        *self.until() = Instant::now().checked_add(duration);
    }

    /// When it ends, once: nothing if there is none.
    fn take(&self) -> Option<Instant> {
        self.until().take()
    }

    fn until(&self) -> MutexGuard<'_, Option<Instant>> {
        // It is whole whatever happened elsewhere.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who waits for the end of pauses.
#[derive(Debug)]
pub(super) struct Reader {
    pause: Pause,
    resting: Option<Pin<Box<Sleep>>>,
}

impl Reader {
    pub(super) fn of(pause: Pause) -> Self {
        Self {
            pause,
            resting: None,
        }
    }

    /// Ready when it may be read.
    pub(super) fn poll_may_read(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(until) = self.pause.take() {
            self.resting = Some(Box::pin(tokio::time::sleep_until(until)));
        }
        if let Some(resting) = &mut self.resting {
            ready!(resting.as_mut().poll(context));
            self.resting = None;
        }
        Poll::Ready(())
    }
}
