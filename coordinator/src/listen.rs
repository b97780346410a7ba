//! Where a coordinator listens, and who is at the other end of a connection: the one way in which gRPC, the board and the
//! embedded S3 endpoint accept.
//!
//! - [`Listener`] accepts, by TLS where that is wanted: handshakes run beside accepting, within a time and a number
//! - [`ServerTls`] is what TLS is spoken with; it follows its files ([`tls`])
//! - [`http`] serves HTTP/1.1 on what was accepted
//! - [`certificate`] reads what a certificate says
//!
//! **Invariant:** whoever is slow, silent or one too many costs a place among many, and never a task that runs for ever; and
//! no address has all places ([`places`]).

mod accept;
mod certificate;
mod connection;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod http;
mod live;
mod pause;
mod places;
mod protocol;
mod seldom;
#[cfg(test)]
mod tests;
pub mod tls;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ::http::Extensions;
use atelier_proto::holder::Holder;

#[cfg(test)]
pub(crate) use self::accept::{HANDSHAKES_MAX, OPENING_TIMEOUT};
pub use self::accept::{Listener, Purpose};
pub use self::certificate::NoHolder;
pub use self::connection::Connection;
#[cfg(test)]
pub(crate) use self::connection::WRITE_STALL_MAX;
use self::pause::Pause;
pub use self::places::Bounds;
#[cfg(test)]
pub(crate) use self::places::{ADDRESS_HANDSHAKES_MAX, MANY_PAUSE, PROMPT_CONNECTIONS_MAX};
pub use self::tls::{ServerTls, TlsError, TlsFiles};

/// The other end of a connection, as far as the connection itself tells.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where it calls from.
    pub address: SocketAddr,
    /// The certificate that it showed, if it did: DER, of an authority that this coordinator trusts, and neither expired
    /// nor revoked when the connection was made.
    pub certificate: Option<Arc<[u8]>>,
    /// `None` if there is no connection.
    pause: Option<Pause>,
}

impl Peer {
    /// Who has just connected.
    pub(crate) fn new(address: SocketAddr, certificate: Option<Arc<[u8]>>) -> Self {
        Self {
            address,
            certificate,
            pause: Some(Pause::default()),
        }
    }

    /// Somebody of whom nothing is known.
    pub const UNKNOWN: Self = Self {
        address: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        certificate: None,
        pause: None,
    };

    /// The one from whom a request came, which has it among its extensions.
    pub fn of(extensions: &Extensions) -> Self {
        // Our listeners tell it of every request.
        extensions.get().cloned().unwrap_or(Self::UNKNOWN)
    }

    /// Reads nothing of what it says for so long, and so neither do those whose calls come over the same connection.
    pub(crate) fn pause(&self, duration: Duration) {
        if let Some(pause) = &self.pause {
            pause.begin(duration);
        }
    }

    /// Whom its certificate names, if it showed one.
    ///
    /// # Errors
    /// When the certificate names nobody, or several.
    pub fn holder(&self) -> Option<Result<Holder, NoHolder>> {
        self.certificate.as_deref().map(certificate::holder)
    }
}
