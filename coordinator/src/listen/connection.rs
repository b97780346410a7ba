//! One accepted connection, with or without TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;

use super::Peer;
use super::live::Member;

/// A connection; it keeps its place among all of its listener until it is dropped.
#[derive(Debug)]
pub struct Connection {
    io: Io,
    peer: Peer,
    /// Until it has said enough to be served.
    opening: Option<Opening>,
    _place: OwnedSemaphorePermit,
}

#[derive(Debug)]
pub(super) enum Io {
    Plain(TcpStream),
    /// With what it is among those who showed a certificate, if it is.
    Tls(Box<TlsStream<TcpStream>>, Option<Member>),
}

/// Whoever connects has something to say, and says it soon.
#[derive(Debug)]
struct Opening {
    bytes_awaited: usize,
    deadline: Pin<Box<Sleep>>,
}

impl Connection {
    /// A connection that is broken off unless it says `bytes_awaited` bytes `within` a time.
    pub(super) fn new(
        io: Io,
        peer: Peer,
        place: OwnedSemaphorePermit,
        bytes_awaited: usize,
        within: Duration,
    ) -> Self {
        let deadline = Box::pin(tokio::time::sleep(within));
        Self {
            io,
            peer,
            opening: Some(Opening {
                bytes_awaited,
                deadline,
            }),
            _place: place,
        }
    }

    /// Who is at its other end.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    fn poll_opening(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(opening) = &mut self.opening else {
            return Poll::Pending;
        };
        ready!(opening.deadline.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "it connected and said nothing",
        )))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = match &mut this.io {
            Io::Plain(io) => Pin::new(io).poll_read(context, buffer),
            Io::Tls(io, member) => {
                if let Some(member) = member
                    && member.poll_ended(context).is_ready()
                {
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::ConnectionAborted,
                        "the certificate of its other end is not accepted any more",
                    )));
                }
                Pin::new(io).poll_read(context, buffer)
            }
        };
        if read.is_pending() {
            return this.poll_opening(context);
        }
        if let Some(opening) = &mut this.opening {
            let bytes = buffer.filled().len() - before;
            opening.bytes_awaited = opening.bytes_awaited.saturating_sub(bytes);
            if opening.bytes_awaited == 0 {
                this.opening = None;
            }
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io).poll_write(context, bytes),
            Io::Tls(io, _) => Pin::new(io).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io).poll_flush(context),
            Io::Tls(io, _) => Pin::new(io).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io).poll_shutdown(context),
            Io::Tls(io, _) => Pin::new(io).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io).poll_write_vectored(context, bytes),
            Io::Tls(io, _) => Pin::new(io).poll_write_vectored(context, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(io) => io.is_write_vectored(),
            Io::Tls(io, _) => io.is_write_vectored(),
        }
    }
}
