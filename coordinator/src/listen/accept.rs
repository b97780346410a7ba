//! Accepts connections, and sees to it that none of them is in the way of the others.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use super::Peer;
use super::connection::{Connection, Io};
use super::live::{Chain, Member};
use super::places::{Bounds, MANY_PAUSE, Place, Places};
use super::protocol::Protocol;
use super::seldom::Seldom;
use super::tls::ServerTls;

/// How long a TLS handshake may take, and after it the first words.
pub(crate) const OPENING_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes that are in hand at once; further connections wait to be accepted.
pub(crate) const HANDSHAKES_MAX: usize = 256;
/// How long somebody who was refused may take to hear why.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
/// Of what it still sends, so many bytes are taken meanwhile.
const LINGER_BYTES_MAX: u64 = 64 << 10;
/// A pause after a failure to accept, which is mostly a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A connection over which nothing came for so long is asked whether its other end is still there, every so often, so many times.
const PROBE_AFTER: Duration = Duration::from_secs(30);
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
const PROBES_MAX: u32 = 3;
/// How often it is told that a listener is full, cannot accept, or closed a connection.
const TELL_INTERVAL: Duration = Duration::from_secs(30);
/// The same of handshakes that came to nothing, each of which may have a reason of its own.
const TELL_REFUSED_INTERVAL: Duration = Duration::from_secs(1);

/// What somebody listens for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The gRPC services.
    Grpc,
    /// The board.
    Board,
    /// The embedded S3 endpoint.
    S3,
    /// The same for this process alone.
    S3Local,
    /// Metrics and probes.
    Metrics,
}

impl Purpose {
    /// In words, for the log.
    fn words(self) -> &'static str {
        match self {
            Self::Grpc => "gRPC",
            Self::Board => "the board",
            Self::S3 => "S3",
            Self::S3Local => "S3 for itself",
            Self::Metrics => "metrics",
        }
    }

    /// As metrics have it.
    fn label(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Board => "board",
            Self::S3 => "s3",
            Self::S3Local => "s3_local",
            Self::Metrics => "metrics",
        }
    }

    fn protocol(self) -> Protocol {
        match self {
            Self::Grpc => Protocol::Grpc,
            Self::Board | Self::S3 | Self::S3Local | Self::Metrics => Protocol::Http,
        }
    }
}

/// Accepts connections at one address.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    purpose: Purpose,
    tls: Option<ServerTls>,
    places: Places,
    handshakes: JoinSet<Option<Connection>>,
    tell: Arc<Tell>,
}

#[derive(Debug)]
struct Tell {
    full: Seldom,
    failed: Seldom,
    refused: Seldom,
    closed: Seldom,
}

impl Listener {
    /// Accepts at a socket, by TLS if that is given, so many at once; further ones wait until one ends, and those of an address
    /// that has as many as it may are closed.
    pub fn new(tcp: TcpListener, purpose: Purpose, tls: Option<ServerTls>, bounds: Bounds) -> Self {
        Self {
            tcp,
            purpose,
            tls,
            places: Places::new(bounds, purpose.label()),
            handshakes: JoinSet::new(),
            tell: Arc::new(Tell {
                full: Seldom::every(TELL_INTERVAL),
                failed: Seldom::every(TELL_INTERVAL),
                refused: Seldom::every(TELL_REFUSED_INTERVAL),
                closed: Seldom::every(TELL_INTERVAL),
            }),
        }
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// For the log.
    pub(super) fn what(&self) -> &'static str {
        self.purpose.words()
    }

    /// The next connection that can be served. May be dropped and called again: nobody is lost by that.
    pub async fn accept(&mut self) -> Connection {
        loop {
            let has_room = self.handshakes.len() < HANDSHAKES_MAX;
            let (tcp, places) = (&self.tcp, &self.places);
            let (tell, what) = (&self.tell, self.purpose.words());
            let accepted = tokio::select! {
                Some(made) = self.handshakes.join_next() => match made {
                    Ok(Some(connection)) => return connection,
                    Ok(None) | Err(_) => continue,
                },
                accepted = accept_one(tcp, places, tell, what), if has_room => accepted,
            };
            let (stream, address, permit) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    if let Some(untold) = self.tell.failed.tell() {
                        tracing::warn!(what, %error, untold, "cannot accept a connection");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(what, %error, "a connection broke at once");
                continue;
            }
            let is_opening = self.tls.is_some();
            let Some(mut place) = self.places.take(permit, address, is_opening) else {
                if let Some(untold) = self.tell.closed.tell() {
                    tracing::warn!(
                        what, %address, untold,
                        "a connection was closed: its address has as many as it may (--address-connections-max)"
                    );
                }
                continue;
            };
            probe(&stream);
            let protocol = self.purpose.protocol();
            let Some(tls) = &self.tls else {
                let peer = Peer::new(address, None);
                return connection(Io::Left(stream), None, peer, place, protocol);
            };
            let (tls, tell, places) = (tls.clone(), self.tell.clone(), self.places.clone());
            let label = self.purpose.label();
            self.handshakes.spawn(async move {
                let config = tls.config(protocol);
                let shaken = handshake(config.clone(), stream, address, what, &tell).await;
                let Some(stream) = shaken else {
                    places.metrics().handshakes_refused.of([label]).inc();
                    return None;
                };
                place.opened();
                let shown = stream.get_ref().1.peer_certificates();
                let chain: Option<Chain> = shown.map(<[_]>::to_vec);
                let certificate = chain.as_ref().and_then(|chain| chain.first());
                let certificate = certificate.map(|own| Arc::from(own.as_ref()));
                let peer = Peer::new(address, certificate);
                let member = match chain {
                    Some(chain) => Some(tls.enter(&chain, &config, protocol)?),
                    None => None,
                };
                Some(connection(Io::Right(stream), member, peer, place, protocol))
            });
        }
    }
}

/// Has the system find out that the other end is gone, which otherwise nobody may notice.
fn probe(stream: &TcpStream) {
    let unacknowledged = PROBE_AFTER + PROBE_INTERVAL * PROBES_MAX;
    let set = sockopt::set_socket_keepalive(stream, true)
        .and_then(|()| sockopt::set_tcp_keepidle(stream, PROBE_AFTER))
        .and_then(|()| sockopt::set_tcp_keepintvl(stream, PROBE_INTERVAL))
        .and_then(|()| sockopt::set_tcp_keepcnt(stream, PROBES_MAX))
        .and_then(|()| sockopt::set_tcp_user_timeout(stream, unacknowledged.as_millis() as u32));
    if let Err(error) = set {
        tracing::debug!(%error, "a connection cannot be probed");
    }
}

fn connection(
    io: Io,
    member: Option<Member>,
    peer: Peer,
    place: Place,
    protocol: Protocol,
) -> Connection {
    // Of HTTP/1.1 there are many connections by design, each for one request at a time.
    if protocol == Protocol::Grpc && place.is_one_of_many() {
        peer.pause(MANY_PAUSE);
    }
    let bytes_awaited = protocol.opening_bytes();
    Connection::new(io, member, peer, place, bytes_awaited, OPENING_TIMEOUT)
}

/// The next connection, and its place among all.
async fn accept_one(
    tcp: &TcpListener,
    places: &Places,
    tell: &Tell,
    what: &str,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let is_full = || {
        if let Some(untold) = tell.full.tell() {
            tracing::warn!(
                what,
                untold,
                "there are as many connections as may be (--connections-max); new ones wait"
            );
        }
    };
    let place = places.any(is_full).await;
    let place = place.ok_or_else(|| io::Error::other("the listener is closed"))?;
    let (stream, address) = tcp.accept().await?;
    Ok((stream, address, place))
}

/// Makes TLS of a connection.
async fn handshake(
    config: Arc<ServerConfig>,
    stream: TcpStream,
    address: SocketAddr,
    what: &str,
    tell: &Tell,
) -> Option<Box<TlsStream<TcpStream>>> {
    let accepting = TlsAcceptor::from(config).accept(stream).into_fallible();
    let told = |problem: &dyn std::fmt::Display| {
        if let Some(untold) = tell.refused.tell() {
            tracing::info!(what, %address, %problem, untold, "there is no TLS with somebody who connected");
        }
    };
    match timeout(OPENING_TIMEOUT, accepting).await {
        Ok(Ok(stream)) => Some(Box::new(stream)),
        Ok(Err((error, stream))) => {
            // Who connects and goes, as probes of load balancers do, is none to be told of.
            if error.kind() != io::ErrorKind::UnexpectedEof {
                told(&error);
            }
            linger(stream).await;
            None
        }
        Err(_) => {
            told(&"the handshake took too long");
            None
        }
    }
}

/// Lets somebody who was refused read why: a socket that is closed with unread bytes in it takes back what it has sent.
async fn linger(mut stream: TcpStream) {
    let lingering = async {
        stream.shutdown().await?;
        let mut rest = stream.take(LINGER_BYTES_MAX);
        let mut discarded = [0; 1024];
        while rest.read(&mut discarded).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    // Whoever does not wait for it needs no answer.
    let _ = timeout(LINGER_TIMEOUT, lingering).await;
}
