//! The places of a listener's connections: so many in all, and so many of them for one address, so that nobody can have
//! them all by making many.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atelier_proto::clock::Stopwatch;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::network::network;
use crate::limits::Limit;
use crate::metrics::Metrics;

/// Handshakes of one address that are in hand at once.
pub(crate) const ADDRESS_HANDSHAKES_MAX: usize = 64;
/// Connections of one address in a second that are read from at once: who is closed for what it does and comes again at once
/// does no more than that.
pub(crate) const PROMPT_CONNECTIONS_MAX: u32 = 20;
/// How long further ones are not read from.
pub(crate) const MANY_PAUSE: Duration = Duration::from_secs(1);

/// How long connections are counted together.
const COUNTED: Duration = Duration::from_secs(1);

/// What bounds the connections of a listener, and where it is counted.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Most connections at once.
    pub connections_max: usize,
    /// Most of them from one address.
    pub address_connections_max: usize,
    /// What counts them.
    pub metrics: Arc<Metrics>,
}

/// What there is of one address.
#[derive(Debug, Default)]
struct Here {
    open: usize,
    /// Those of them that have not shaken hands.
    opening: usize,
    /// The second in which those are counted that have come.
    since: Option<Stopwatch>,
    came: u32,
}

impl Here {
    /// Counts one, and says whether there are many of late.
    fn comes(&mut self) -> bool {
        if !self.is_recent() {
            (self.since, self.came) = (Some(Stopwatch::start()), 0);
        }
        self.came = self.came.saturating_add(1);
        self.came > PROMPT_CONNECTIONS_MAX
    }

    fn is_recent(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() < COUNTED)
    }
}

/// The places of one listener.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bounds: Bounds,
    listener: &'static str,
    all: Arc<Semaphore>,
    by_address: Mutex<HashMap<IpAddr, Here>>,
}

impl Places {
    pub(super) fn new(bounds: Bounds, listener: &'static str) -> Self {
        bounds.metrics.connections.of([listener]).set(0.0);
        Self(Arc::new(Inner {
            all: Arc::new(Semaphore::new(bounds.connections_max)),
            by_address: Mutex::default(),
            bounds,
            listener,
        }))
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.0.bounds.metrics
    }

    /// A place among all; `is_full` is called if there is none for now.
    pub(super) async fn any(&self, is_full: impl FnOnce()) -> Option<OwnedSemaphorePermit> {
        let all = &self.0.all;
        if let Ok(place) = all.clone().try_acquire_owned() {
            return Some(place);
        }
        self.metrics().refused(Limit::Connections);
        is_full();
        // Nobody closes it.
        all.clone().acquire_owned().await.ok()
    }

    /// The same for somebody who has connected; none if this address has as many as it may.
    pub(super) fn take(
        &self,
        permit: OwnedSemaphorePermit,
        address: SocketAddr,
        is_opening: bool,
    ) -> Option<Place> {
        let address = network(address.ip());
        let mut by_address = self.0.by_address();
        if by_address.len() > 2 * self.0.bounds.connections_max {
            by_address.retain(|_, here| here.open > 0 || here.is_recent());
        }
        let here = by_address.entry(address).or_default();
        let is_full = here.open >= self.0.bounds.address_connections_max;
        if is_full || (is_opening && here.opening >= ADDRESS_HANDSHAKES_MAX) {
            drop(by_address);
            self.metrics().refused(Limit::AddressConnections);
            return None;
        }
        let is_one_of_many = here.comes();
        here.open += 1;
        here.opening += usize::from(is_opening);
        self.metrics().connections.of([self.0.listener]).add(1.0);
        Some(Place {
            places: self.0.clone(),
            address,
            is_opening,
            is_one_of_many,
            _permit: permit,
        })
    }
}

impl Inner {
    fn by_address(&self) -> MutexGuard<'_, HashMap<IpAddr, Here>> {
        // Counters may be off by one after a panic elsewhere, which harms nobody.
        self.by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a connection, until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Inner>,
    address: IpAddr,
    is_opening: bool,
    is_one_of_many: bool,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    /// Many of its address came of late.
    pub(super) fn is_one_of_many(&self) -> bool {
        self.is_one_of_many
    }

    /// Hands were shaken.
    pub(super) fn opened(&mut self) {
        if std::mem::take(&mut self.is_opening)
            && let Some(here) = self.places.by_address().get_mut(&self.address)
        {
            here.opening = here.opening.saturating_sub(1);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.opened();
        let metrics = &self.places.bounds.metrics;
        metrics.connections.of([self.places.listener]).add(-1.0);
        let mut by_address = self.places.by_address();
        if let Some(here) = by_address.get_mut(&self.address) {
            here.open = here.open.saturating_sub(1);
            if here.open == 0 && !here.is_recent() {
                by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_has_some_of_the_places_and_leaves_nothing_behind() {
        let metrics = Arc::new(Metrics::default());
        let bounds = Bounds {
            connections_max: ADDRESS_HANDSHAKES_MAX + 6,
            address_connections_max: ADDRESS_HANDSHAKES_MAX + 2,
            metrics: metrics.clone(),
        };
        let places = Places::new(bounds, "grpc");
        let of = async |address: &str, is_opening| {
            let permit = places.any(|| panic!("it is not full")).await.unwrap();
            places.take(permit, address.parse().unwrap(), is_opening)
        };
        let one = "10.0.0.1:1";
        let mut held = Vec::new();
        for _ in 0..ADDRESS_HANDSHAKES_MAX {
            held.push(of(one, true).await.unwrap());
        }
        assert!(of(one, true).await.is_none(), "too many handshakes");
        held[0].opened();
        held.push(of(one, true).await.unwrap());
        held.push(of(one, false).await.unwrap());
        assert!(of(one, false).await.is_none(), "too many connections");
        let other = of("10.0.0.2:1", true).await;
        assert!(other.is_some());
        let text = metrics.text_of_this_one();
        assert!(
            text.contains("connections{listener=\"grpc\"} 67\n"),
            "{text}"
        );
        assert!(
            text.contains("{limit=\"address_connections\"} 2\n"),
            "{text}"
        );
        drop((held, other));
        assert!(places.0.by_address().values().all(|here| here.open == 0));
        assert!(of(one, false).await.is_some());
    }
}
