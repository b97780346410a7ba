//! Connections whose other end showed a certificate. They end when that is not good any more: who was revoked must not go
//! on for as long as a connection happens to last.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// What was shown: the certificate of the other end, and those between it and its authority.
pub(super) type Chain = Vec<CertificateDer<'static>>;

/// All such connections. Clones are of one.
#[derive(Debug, Clone, Default)]
pub(super) struct Live(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: AtomicU64,
    shown: Mutex<HashMap<u64, Shown>>,
}

#[derive(Debug)]
struct Shown {
    chain: Chain,
    end: CancellationToken,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Member {
    live: Live,
    number: u64,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Live {
    pub(super) fn enter(&self, chain: Chain) -> Member {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let end = CancellationToken::new();
        let ended = Box::pin(end.clone().cancelled_owned());
        self.shown().insert(number, Shown { chain, end });
        Member {
            live: self.clone(),
            number,
            ended,
        }
    }

    /// Ends those whose certificates are not good; how many those are.
    pub(super) fn keep(&self, is_good: impl Fn(&Chain) -> bool) -> usize {
        let shown = self.shown();
        let bad = shown.values().filter(|shown| !is_good(&shown.chain));
        bad.inspect(|shown| shown.end.cancel()).count()
    }

    fn shown(&self) -> MutexGuard<'_, HashMap<u64, Shown>> {
        // Each change is one insertion or removal, so a panic elsewhere leaves it whole.
        self.0.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    /// Ready when it has to end.
    pub(super) fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.ended.as_mut().poll(context)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.live.shown().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn those_whose_certificates_are_not_good_any_more_end_and_no_others() {
        let live = Live::default();
        let chain = |byte: u8| vec![CertificateDer::from(vec![byte])];
        let (mut good, mut bad) = (live.enter(chain(1)), live.enter(chain(2)));
        assert_eq!(live.keep(|shown| shown[0].as_ref() == [1]), 1);
        poll_fn(|context| bad.poll_ended(context)).await;
        let pending = poll_fn(|context| Poll::Ready(good.poll_ended(context).is_pending()));
        assert!(pending.await);
        drop((good, bad));
        assert!(live.shown().is_empty());
    }
}
