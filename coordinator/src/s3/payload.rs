//! The bytes of an object on their way out: a stream of known length over a range of a file.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use s3s::StdError;
use s3s::stream::{ByteStream, RemainingLength};
use tokio::io::{AsyncReadExt as _, Take};
use tokio_util::io::ReaderStream;

/// What is read at once.
const READ_BYTES: usize = 256 << 10;

/// A range of a file as a stream.
#[derive(Debug)]
pub(super) struct Payload {
    inner: ReaderStream<Take<tokio::fs::File>>,
    remaining: u64,
}

impl Payload {
    /// Opens the stream at the start of `range`, in bytes.
    pub(super) fn new(mut file: File, range: &Range<u64>) -> io::Result<Self> {
        // Moving the position touches no disk, so it need not wait for a thread that may block.
        file.seek(SeekFrom::Start(range.start))?;
        let remaining = range.end.saturating_sub(range.start);
        let reader = tokio::fs::File::from_std(file).take(remaining);
        Ok(Self {
            inner: ReaderStream::with_capacity(reader, READ_BYTES),
            remaining,
        })
    }
}

impl Stream for Payload {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match Pin::new(&mut self.inner).poll_next(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(piece))) => {
                self.remaining = self.remaining.saturating_sub(piece.len() as u64);
                Poll::Ready(Some(Ok(piece)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) if self.remaining == 0 => Poll::Ready(None),
            Poll::Ready(None) => {
                self.remaining = 0;
                let error = io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the file of an object is shorter than the index says",
                );
                Poll::Ready(Some(Err(error.into())))
            }
        }
    }
}

impl ByteStream for Payload {
    fn remaining_length(&self) -> RemainingLength {
        usize::try_from(self.remaining)
            .map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
}
