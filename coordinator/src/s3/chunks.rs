//! Bounds the chunks of an `aws-chunked` body.
//!
//! `s3s` collects a chunk before it passes it on, and some clients send a whole object as one chunk. Chunks without
//! signatures are split on the way; signed ones cannot be, and are refused beyond a size.
//! See <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html> for the format.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use hyper::body::{Body, Frame, Incoming};
use s3s::StdError;

/// The largest chunk with a signature.
const SIGNED_CHUNK_BYTES_MAX: u64 = 16 << 20;
/// The longest line before a chunk: a size, and a signature of 64 digits.
const LINE_BYTES_MAX: usize = 256;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;

/// What to do about large chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Split every chunk along the pieces in which it arrives.
    Split,
    /// Pass chunks on as they are, and fail at one that is too large.
    Bounded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the line before a chunk.
    Line,
    /// In a chunk, with this many bytes to come.
    Data(u64),
    /// At the line end after a chunk, with this many of its bytes to come.
    End(usize),
    /// After the last chunk: trailers, which are bounded downstream.
    Tail,
}

/// Follows the framing of a body and rewrites it where chunks are to be split.
#[derive(Debug)]
struct Framer {
    framing: Framing,
    state: State,
    line: Vec<u8>,
    out: VecDeque<Bytes>,
}

impl Framer {
    fn new(framing: Framing) -> Self {
        Self {
            framing,
            state: State::Line,
            line: Vec::new(),
            out: VecDeque::new(),
        }
    }

    fn take(&mut self, mut input: Bytes) -> io::Result<()> {
        while !input.is_empty() {
            match self.state {
                State::Line => {
                    let byte = input.get_u8();
                    self.line.push(byte);
                    if self.line.ends_with(b"\r\n") {
                        self.begin()?;
                    } else if self.line.len() > LINE_BYTES_MAX {
                        return Err(invalid("the line before a chunk is too long"));
                    }
                }
                State::Data(remaining) => {
                    let count = remaining.min(input.len() as u64);
                    let piece = input.split_to(count as usize);
                    if self.framing == Framing::Split {
                        self.out.push_back(Bytes::from(format!("{count:x}\r\n")));
                        self.out.push_back(piece);
                        self.out.push_back(Bytes::from_static(b"\r\n"));
                    } else {
                        self.out.push_back(piece);
                    }
                    self.state = if remaining == count {
                        State::End(2)
                    } else {
                        State::Data(remaining - count)
                    };
                }
                State::End(remaining) => {
                    let expected = if remaining == 2 { b'\r' } else { b'\n' };
                    if input.get_u8() != expected {
                        return Err(invalid("a chunk is longer than it says"));
                    }
                    self.state = if remaining == 2 {
                        State::End(1)
                    } else {
                        State::Line
                    };
                    if self.state == State::Line && self.framing == Framing::Bounded {
                        self.out.push_back(Bytes::from_static(b"\r\n"));
                    }
                }
                State::Tail => self.out.push_back(std::mem::take(&mut input)),
            }
        }
        Ok(())
    }

    /// Reads a complete line and begins what it announces.
    fn begin(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        let digits = line
            .split(|byte| matches!(byte, b';' | b'\r'))
            .next()
            .unwrap_or_default();
        let bytes = std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok())
            .ok_or_else(|| invalid("the size of a chunk is not a number"))?;
        if self.framing == Framing::Bounded && bytes > SIGNED_CHUNK_BYTES_MAX {
            return Err(invalid("a signed chunk is too large"));
        }
        self.state = if bytes == 0 {
            State::Tail
        } else {
            State::Data(bytes)
        };
        if self.framing == Framing::Bounded || bytes == 0 {
            self.out.push_back(line.into());
        }
        Ok(())
    }
}

/// A body whose chunks are bounded.
#[derive(Debug)]
pub(super) struct Chunked {
    body: Incoming,
    framer: Framer,
}

impl Chunked {
    pub(super) fn new(body: Incoming, framing: Framing) -> Self {
        Self {
            body,
            framer: Framer::new(framing),
        }
    }
}

impl Body for Chunked {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        loop {
            if let Some(piece) = self.framer.out.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Some(Ok(frame)) => {
                    // A frame that is no data is HTTP's own trailers, which aws-chunked does not use.
                    if let Ok(piece) = frame.into_data()
                        && let Err(error) = self.framer.take(piece)
                    {
                        return Poll::Ready(Some(Err(error.into())));
                    }
                }
            }
        }
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(framing: Framing, body: &[u8], piece_bytes: usize) -> io::Result<Vec<u8>> {
        let mut framer = Framer::new(framing);
        for piece in body.chunks(piece_bytes) {
            framer.take(Bytes::copy_from_slice(piece))?;
        }
        Ok(framer.out.into_iter().flatten().collect())
    }

    #[test]
    fn a_large_chunk_is_split_along_the_pieces_it_arrives_in() {
        let body = b"a\r\n0123456789\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
        assert_eq!(through(Framing::Split, body, body.len()).unwrap(), body);
        let split = through(Framing::Split, body, 8).unwrap();
        let expected = b"5\r\n01234\r\n5\r\n56789\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
        assert_eq!(
            String::from_utf8_lossy(&split),
            String::from_utf8_lossy(expected)
        );
    }

    #[test]
    fn signed_chunks_pass_unchanged_however_they_arrive_up_to_a_size() {
        let body = b"4;chunk-signature=ab\r\n\r\n\r\n\r\n0;chunk-signature=cd\r\n\r\n";
        for piece_bytes in 1..body.len() {
            assert_eq!(through(Framing::Bounded, body, piece_bytes).unwrap(), body);
        }
        let large = format!("{:x};chunk-signature=ab\r\n", SIGNED_CHUNK_BYTES_MAX + 1);
        assert!(through(Framing::Bounded, large.as_bytes(), 7).is_err());
        assert!(through(Framing::Split, b"xyz\r\n", 5).is_err());
        assert!(through(Framing::Split, b"1\r\nab", 6).is_err());
        assert!(through(Framing::Split, &[b'1'; 1000], 100).is_err());
    }
}
