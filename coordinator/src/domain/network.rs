//! Which addresses are taken to be somebody's own.

use std::net::{IpAddr, Ipv6Addr};

/// As addresses are given to one household or machine: of IPv6 by the first half.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}
