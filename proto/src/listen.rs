//! Where a program may listen, and what is this machine.

use std::net::{IpAddr, SocketAddr};

/// How a listener keeps to itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Protection {
    /// It speaks TLS.
    pub tls: bool,
    /// It asks whoever calls who they are.
    pub identity: bool,
    /// Somebody said aloud that neither is needed.
    pub insecure: bool,
}

/// An address that must not be listened on as things are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{address} can be reached from other machines, and this would serve it without {lack}\nhint: {hint}"
)]
pub struct Exposed {
    /// The refused address.
    pub address: SocketAddr,
    lack: &'static str,
    hint: &'static str,
}

/// Lets loopback pass, and other addresses where both TLS and identity protect them or where `insecure` was said aloud.
pub fn check_exposure(address: SocketAddr, protection: Protection) -> Result<(), Exposed> {
    if address.ip().is_loopback() || protection.insecure {
        return Ok(());
    }
    let (lack, hint) = match (protection.tls, protection.identity) {
        (true, true) => return Ok(()),
        (true, false) => (
            "asking who calls",
            "add --identity required; listen on 127.0.0.1; or say --insecure if the network itself is trusted",
        ),
        (false, true) => (
            "TLS",
            "make certificates with `atelier certs init` and `atelier certs server`, and name them with --tls-cert and \
             --tls-key; listen on 127.0.0.1; or say --insecure if the network itself is trusted",
        ),
        (false, false) => (
            "TLS and identity",
            "make certificates with `atelier certs init` and `atelier certs server`, and name them with --tls-cert, \
             --tls-key and --client-ca; listen on 127.0.0.1; or say --insecure if the network itself is trusted",
        ),
    };
    Err(Exposed {
        address,
        lack,
        hint,
    })
}

/// The same for a listener that knows neither TLS nor identity.
pub fn check_local(address: SocketAddr, insecure: bool) -> Result<(), Exposed> {
    if address.ip().is_loopback() || insecure {
        return Ok(());
    }
    Err(Exposed {
        address,
        lack: "TLS and identity",
        hint: "listen on 127.0.0.1, or say --insecure if the network itself is trusted",
    })
}

/// Whether a host, as URLs have it, is this machine by its name: `localhost`, or an address of loopback.
pub fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address = host.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_this_machine() {
        for host in ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["", "localhost.evil.example", "10.0.0.1", "0.0.0.0", "[::]"] {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn only_loopback_is_served_without_tls_and_identity_unless_insecure_is_said() {
        let loopback: SocketAddr = "127.0.0.1:7878".parse().unwrap();
        let everywhere: SocketAddr = "[::]:7878".parse().unwrap();
        let none = Protection::default();
        let insecure = Protection {
            insecure: true,
            ..none
        };
        let tls = Protection { tls: true, ..none };
        let identity = Protection {
            identity: true,
            ..none
        };
        let both = Protection {
            identity: true,
            ..tls
        };
        for protection in [none, insecure, tls, identity, both] {
            assert_eq!(check_exposure(loopback, protection), Ok(()));
        }
        for protection in [insecure, both] {
            assert_eq!(check_exposure(everywhere, protection), Ok(()));
        }
        for (protection, lack, flag) in [
            (none, "without TLS and identity", "--client-ca"),
            (tls, "without asking who calls", "--identity required"),
            (identity, "without TLS\n", "--tls-cert"),
        ] {
            let refused = check_exposure(everywhere, protection).unwrap_err();
            assert_eq!(refused.address, everywhere);
            let text = refused.to_string();
            assert!(text.contains(lack) && text.contains(flag), "{text}");
            assert!(text.contains("--insecure"), "{text}");
        }
        assert_eq!(check_local(loopback, false), Ok(()));
        assert_eq!(check_local(everywhere, true), Ok(()));
        let refused = check_local(everywhere, false).unwrap_err().to_string();
        assert!(
            refused.contains("127.0.0.1") && !refused.contains("--tls-cert"),
            "{refused}"
        );
    }
}
