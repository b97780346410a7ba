//! The coordinators that a client was told of: each can take every call, and one is asked until it does not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use atelier_proto::connect::{Access, Route};
use tonic::transport::Endpoint;

use super::RpcError;

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How often a connection that is silent is tried, and how long it may take to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// At least one coordinator. Clones share which of them is asked.
#[derive(Debug, Clone)]
pub(super) struct Members {
    first: Arc<Member>,
    others: Arc<[Member]>,
    /// Position of the one that is asked.
    current: Arc<AtomicUsize>,
}

/// A coordinator.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) url: String,
    pub(super) route: Route,
    position: usize,
}

impl Members {
    pub(super) fn new(urls: &[impl AsRef<str>], access: &Access) -> Result<Self, RpcError> {
        let members = urls.iter().enumerate();
        let mut members = members
            .map(|(position, url)| Member::new(url.as_ref(), position, access))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter();
        let first = members.next().ok_or_else(|| bad_url(""))?;
        Ok(Self {
            first: Arc::new(first),
            others: members.collect(),
            current: Arc::default(),
        })
    }

    pub(super) fn len(&self) -> usize {
        1 + self.others.len()
    }

    /// The one that is asked.
    pub(super) fn current(&self) -> &Member {
        let position = self.current.load(Ordering::SeqCst);
        let other = position.checked_sub(1).map(|it| self.others.get(it));
        other.flatten().unwrap_or(&self.first)
    }

    /// Asks the one after `member`, unless somebody has seen to that already.
    pub(super) fn pass_on(&self, member: &Member) {
        let next = (member.position + 1) % self.len();
        let passed_on = self.current.compare_exchange(
            member.position,
            next,
            Ordering::SeqCst,
            Ordering::SeqCst,
        );
        if passed_on.is_ok() && next != member.position {
            tracing::debug!(from = member.url, "asking the next coordinator");
        }
    }

    /// All of them, in the order in which they were named.
    pub(super) fn all(&self) -> impl Iterator<Item = &Member> {
        std::iter::once(&*self.first).chain(self.others.iter())
    }

    /// All of them, for people: `http://a:7878 or http://b:7878`.
    pub(super) fn urls(&self) -> String {
        let urls: Vec<&str> = self.all().map(|member| member.url.as_str()).collect();
        urls.join(" or ")
    }
}

impl Member {
    fn new(url: &str, position: usize, access: &Access) -> Result<Self, RpcError> {
        let route = access.route(&[url], tuned).map_err(RpcError::access)?;
        Ok(Self {
            url: url.to_owned(),
            route,
            position,
        })
    }
}

fn tuned(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
}

fn bad_url(url: &str) -> RpcError {
    RpcError::BadUrl {
        url: url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(urls: &[&str]) -> Result<Members, RpcError> {
        Members::new(urls, &Access::default())
    }

    #[tokio::test]
    async fn each_coordinator_has_its_turn_and_a_late_complaint_skips_none() {
        let members = members(&["http://a:1", "http://b:1", "http://c:1"]).unwrap();
        let other_hand = members.clone();
        let first = members.current();
        assert_eq!(first.url, "http://a:1");
        members.pass_on(first);
        other_hand.pass_on(first);
        assert_eq!(other_hand.current().url, "http://b:1");
        members.pass_on(members.current());
        members.pass_on(members.current());
        assert_eq!(members.current().url, "http://a:1");
        assert_eq!(members.urls(), "http://a:1 or http://b:1 or http://c:1");
    }

    #[tokio::test]
    async fn one_url_that_is_none_spoils_all() {
        for urls in [
            ["http://a:1", ""],
            ["http://a:1", "ftp://b:1"],
            ["https://", "http://a:1"],
        ] {
            let error = members(&urls).unwrap_err();
            assert!(matches!(error, RpcError::BadUrl { .. }), "{error}");
        }
        assert!(members(&[]).is_err());
    }
}
