//! Where a coordinator listens, and who is at the other end of a connection.

use std::net::SocketAddr;
use std::sync::Arc;

/// The other end of a connection, as far as the connection itself tells.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where it calls from.
    pub address: SocketAddr,
    /// The certificate that it showed, if it did: DER, of an authority that this coordinator trusts, and neither expired
    /// nor revoked.
    pub certificate: Option<Arc<[u8]>>,
}
