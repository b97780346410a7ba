//! Where a program may listen.

use std::net::SocketAddr;

/// An address that must not be listened on as things are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{address} can be reached from other machines, and this would serve it without TLS and tokens\n\
     hint: listen on 127.0.0.1, or say --insecure if the network itself is trusted"
)]
pub struct Exposed {
    /// The refused address.
    pub address: SocketAddr,
}

/// Lets loopback pass, and other addresses only where `insecure` was said aloud.
pub fn check_exposure(address: SocketAddr, insecure: bool) -> Result<(), Exposed> {
    if address.ip().is_loopback() || insecure {
        Ok(())
    } else {
        Err(Exposed { address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_served_unless_insecure_is_said() {
        let loopback: SocketAddr = "127.0.0.1:7878".parse().expect("an address");
        let everywhere: SocketAddr = "[::]:7878".parse().expect("an address");
        assert_eq!(check_exposure(loopback, false), Ok(()));
        assert_eq!(check_exposure(everywhere, true), Ok(()));
        assert_eq!(
            check_exposure(everywhere, false),
            Err(Exposed {
                address: everywhere
            })
        );
    }
}
