//! Who guesses tokens is slowed: each address may be wrong some times at once, and then about once a second.
//!
//! Guessing a secret of 256 bits is hopeless; what is kept from harm is the database, which every new guess would ask.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::domain::allowance::{Allowance, Left};
use crate::domain::network::network;

/// Wrong tokens that an address may show at once.
pub(crate) const WRONG_TOKENS_MAX: u64 = 20;
/// The same, and how many more each second.
const OF_ONE: Allowance = Allowance {
    burst: WRONG_TOKENS_MAX as f64,
    per_second: 1.0,
};
/// The same for all addresses together.
const OF_ALL: Allowance = Allowance {
    burst: 500.0,
    per_second: 50.0,
};
/// Addresses that are remembered.
const ADDRESSES_MAX: usize = 10_000;

#[derive(Debug, Default)]
struct Seen {
    by_address: HashMap<IpAddr, Left>,
    all: Option<Left>,
}

#[derive(Debug, Default)]
pub(super) struct Guard(Mutex<Seen>);

impl Guard {
    /// Whether something from there that is not known yet is looked up.
    pub(super) fn may_try(&self, from: IpAddr, now: Timestamp) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = seen.by_address.get(&network(from));
        own.is_none_or(|left| left.now(OF_ONE, now) >= 1.0)
            && seen.all.is_none_or(|left| left.now(OF_ALL, now) >= 1.0)
    }

    /// Notes that something wrong came from there.
    pub(super) fn failed(&self, from: IpAddr, now: Timestamp) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let used = |left: Option<Left>, allowance: Allowance| {
            let mut left = left.unwrap_or_else(|| allowance.whole(now));
            // One that is too many uses nothing.
            let _ = left.try_use(allowance, now);
            left
        };
        seen.all = Some(used(seen.all, OF_ALL));
        if seen.by_address.len() >= ADDRESSES_MAX {
            seen.by_address
                .retain(|_, left| !left.is_whole(OF_ONE, now));
        }
        // Whoever has so many addresses is held by what all may do together.
        if seen.by_address.len() >= ADDRESSES_MAX {
            seen.by_address.clear();
        }
        let from = network(from);
        let own = seen.by_address.get(&from).copied();
        seen.by_address.insert(from, used(own, OF_ONE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn who_is_wrong_too_often_waits_and_others_do_not() {
        let guard = Guard::default();
        let [one, other]: [IpAddr; 2] = ["10.0.0.1", "10.0.0.2"].map(|ip| ip.parse().unwrap());
        for _ in 0..20 {
            assert!(guard.may_try(one, at(0)));
            guard.failed(one, at(0));
        }
        assert!(!guard.may_try(one, at(0)));
        assert!(guard.may_try(other, at(0)));
        assert!(!guard.may_try(one, at(-100)), "a clock that was set back");
        assert!(guard.may_try(one, at(1)));
        guard.failed(one, at(1));
        assert!(!guard.may_try(one, at(1)));
    }

    #[test]
    fn many_addresses_are_held_together_and_half_an_address_is_one() {
        let guard = Guard::default();
        let v6 = |host: u32| -> IpAddr { format!("2001:db8:0:1::{host:x}").parse().unwrap() };
        for host in 0..20 {
            guard.failed(v6(host), at(0));
        }
        assert!(!guard.may_try(v6(99), at(0)));
        for host in 0..30_000_u32 {
            guard.failed(IpAddr::V4((0x0b00_0000 + host).into()), at(0));
        }
        assert!(guard.0.lock().unwrap().by_address.len() <= ADDRESSES_MAX);
        assert!(!guard.may_try("192.0.2.1".parse().unwrap(), at(0)));
        assert!(guard.may_try("192.0.2.1".parse().unwrap(), at(1)));
    }
}
