//! Makes connections to one coordinator, and remembers what TLS has against the last one.
//!
//! A server refuses a client's certificate after the client has taken the connection to be made (TLS 1.3), so that what is
//! wrong comes with the first read, deep below HTTP/2, which keeps it to itself. Hence the stream looks at what it reads.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use tonic::codegen::{BoxFuture, StdError};
use tower::Service;

use super::fault::{Fault, TlsFault};
use super::trust::Trust;
use super::{AccessError, Place};

/// The first byte of an alert of TLS: <https://www.rfc-editor.org/rfc/rfc8446#section-5.1>.
const ALERT: u8 = 0x15;

/// Makes connections.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    tcp: HttpConnector,
    tls: Option<Tls>,
    fault: Fault,
}

#[derive(Debug, Clone)]
struct Tls {
    trust: Arc<Trust>,
    name: ServerName<'static>,
}

impl Connector {
    pub(super) fn new(
        place: &Place,
        trust: &Arc<Trust>,
        fault: Fault,
    ) -> Result<Self, AccessError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let name = ServerName::try_from(place.host.clone());
        let name = name.map_err(|_| AccessError::BadUrl(place.url.clone()))?;
        let tls = place.is_tls.then(|| Tls {
            trust: trust.clone(),
            name,
        });
        Ok(Self { tcp, tls, fault })
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = StdError;
    type Future = BoxFuture<Self::Response, StdError>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.tcp.call(uri);
        let (tls, fault) = (self.tls.clone(), self.fault.clone());
        fault.set(None);
        Box::pin(async move {
            let tcp = connecting.await?.into_inner();
            let (io, has_certificate) = match tls {
                None => (Io::Left(tcp), false),
                Some(tls) => {
                    let has_certificate = tls.trust.has_certificate();
                    let io = handshake(&tls, tcp).await.inspect_err(|error| {
                        fault.set(TlsFault::of_io(error, has_certificate));
                    })?;
                    (Io::Right(Box::new(io)), has_certificate)
                }
            };
            Ok(TokioIo::new(Stream {
                io,
                fault,
                has_certificate,
                is_unheard: true,
            }))
        })
    }
}

async fn handshake(tls: &Tls, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let config = tls.trust.config().map_err(io::Error::other)?;
    let connector = TlsConnector::from(config);
    let stream = connector.connect(tls.name.clone(), tcp).await?;
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        // What speaks no HTTP/2 is no coordinator; other refusals of the protocol come as alerts.
        return Err(io::Error::other(rustls::Error::General(
            "what listens there speaks no HTTP/2 by TLS".to_owned(),
        )));
    }
    Ok(stream)
}

/// A connection.
#[derive(Debug)]
pub(super) struct Stream {
    io: Io,
    fault: Fault,
    has_certificate: bool,
    /// Nothing was read yet.
    is_unheard: bool,
}

/// What it is made of: TCP, or TLS over it.
type Io = Either<TcpStream, Box<TlsStream<TcpStream>>>;

impl Stream {
    /// Remembers what a read tells of TLS.
    fn heard(&mut self, read: &io::Result<()>, bytes: &[u8]) {
        let is_first = std::mem::take(&mut self.is_unheard);
        match (read, &self.io) {
            (Err(error), Io::Right(_)) => {
                let fault = TlsFault::of_io(error, self.has_certificate);
                let was_cut = is_first && self.has_certificate && is_reset(error);
                let cut = was_cut.then(TlsFault::cut_off);
                if let Some(fault) = fault.or(cut) {
                    self.fault.set(Some(fault));
                }
            }
            (Ok(()), Io::Left(_)) if is_first && bytes.first() == Some(&ALERT) => {
                self.fault.set(Some(TlsFault::speaks_tls()));
            }
            _ => {}
        }
    }
}

fn is_reset(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionReset | Kind::BrokenPipe | Kind::ConnectionAborted
    )
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.io).poll_read(context, buffer);
        if let Poll::Ready(read) = &read
            && (this.is_unheard || read.is_err())
        {
            this.heard(read, &buffer.filled()[before..]);
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
