//! One accepted connection, with or without TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::Peer;
use super::live::Member;
use super::pause::Reader;
use super::places::Place;

/// How long the other end may take nothing of what it is sent. Whoever reads slowly, but reads, goes on.
pub(crate) const WRITE_STALL_MAX: Duration = Duration::from_mins(1);

/// A connection; it keeps its place among all of its listener until it is dropped.
#[derive(Debug)]
pub struct Connection {
    io: Io,
    /// What it is among those who showed a certificate, if it is.
    member: Option<Member>,
    peer: Peer,
    /// Until it has said enough to be served.
    opening: Option<Opening>,
    /// Since it takes nothing: when it is given up.
    stalled_until: Option<Pin<Box<Sleep>>>,
    reader: Reader,
    stall_max: Duration,
    _place: Place,
}

/// What it is made of: TCP, or TLS over it.
pub(super) type Io = Either<TcpStream, Box<TlsStream<TcpStream>>>;

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
        member: Option<Member>,
        peer: Peer,
        place: Place,
        bytes_awaited: usize,
        within: Duration,
    ) -> Self {
        let deadline = Box::pin(tokio::time::sleep(within));
        let pause = peer.pause.clone().unwrap_or_default();
        Self {
            io,
            member,
            reader: Reader::of(pause),
            peer,
            opening: Some(Opening {
                bytes_awaited,
                deadline,
            }),
            stalled_until: None,
            stall_max: WRITE_STALL_MAX,
            _place: place,
        }
    }

    /// What became of a write, which fails if there was none for too long.
    fn written<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled_until = None;
            return written;
        }
        let stall_max = self.stall_max;
        let until = self
            .stalled_until
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(stall_max)));
        ready!(until.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "its other end takes nothing",
        )))
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
        if let Some(member) = &mut this.member
            && member.poll_ended(context).is_ready()
        {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the certificate of its other end is not accepted any more",
            )));
        }
        ready!(this.reader.poll_may_read(context));
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.io).poll_read(context, buffer);
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
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(context, bytes);
        this.written(written, context)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(context);
        this.written(flushed, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(context, bytes);
        this.written(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;
    use crate::listen::places::{Bounds, Places};
    use crate::metrics::Metrics;

    #[tokio::test]
    async fn who_takes_nothing_is_given_up_and_who_takes_little_is_not() {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let places = Places::new(
            Bounds {
                connections_max: 2,
                address_connections_max: 2,
                metrics: Arc::new(Metrics::default()),
            },
            "other",
        );
        let mut other_end = TcpStream::connect(tcp.local_addr().unwrap()).await.unwrap();
        let (stream, address) = tcp.accept().await.unwrap();
        let permit = places.any(|| {}).await.unwrap();
        let place = places.take(permit, address, false).unwrap();
        let peer = Peer::new(address, None);
        let mut connection =
            Connection::new(Io::Left(stream), None, peer, place, 0, WRITE_STALL_MAX);
        connection.stall_max = Duration::from_millis(400);
        let patience = Duration::from_secs(30);
        // More than sockets hold between the two.
        let much = vec![0; 64 << 20];
        let reading = async {
            let mut some = vec![0; 1 << 20];
            for _ in 0..8 {
                other_end.read_exact(&mut some).await.unwrap();
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
        };
        let writing = async { timeout(patience, connection.write_all(&much)).await };
        let (written, ()) = tokio::join!(writing, async {
            reading.await;
            // And now nothing any more.
        });
        let error = written.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        drop(other_end);
    }
}
