//! Bodies of chunks from anywhere.

use std::io;

use bytes::Bytes;

use super::{Framer, Framing, LINE_BYTES_MAX};

/// Pieces in which a body may arrive, bytes.
const PIECES: [usize; 4] = [1, 2, 7, usize::MAX];

/// However a body arrives, it is taken or refused alike. Signed chunks come out as they went in; split ones hold the same bytes,
/// in chunks that are no larger than the pieces, and what was split once is not split again. No line is kept without an end.
///
/// # Panics
/// Where that is not so.
pub fn chunks(bytes: &[u8]) {
    for framing in [Framing::Bounded, Framing::Split] {
        // One byte at a time makes every splitting the same.
        let finest = through(framing, bytes, 1);
        for piece_bytes in PIECES {
            let whole = through(framing, bytes, piece_bytes);
            let (finest, whole) = match (&finest, whole) {
                (Ok(finest), Ok(whole)) => (finest, whole),
                (Err(_), Err(_)) => continue,
                (one, other) => panic!("{framing:?} of {piece_bytes}: {one:?} and {other:?}"),
            };
            match framing {
                Framing::Bounded => {
                    assert!(bytes.starts_with(&whole), "changed on the way");
                    assert_eq!(&whole, finest);
                }
                Framing::Split => {
                    let again = through(framing, &whole, 1);
                    assert_eq!(again.ok().as_ref(), Some(finest), "other bytes");
                    let again = through(framing, &whole, usize::MAX);
                    assert_eq!(again.ok(), Some(whole), "split again");
                }
            }
        }
    }
}

fn through(framing: Framing, body: &[u8], piece_bytes: usize) -> io::Result<Vec<u8>> {
    let mut framer = Framer::new(framing);
    for piece in body.chunks(piece_bytes) {
        framer.take(Bytes::copy_from_slice(piece))?;
        assert!(framer.line.len() <= LINE_BYTES_MAX);
    }
    Ok(framer.out.into_iter().flatten().collect())
}

/// What a fuzzer begins with.
#[cfg(test)]
pub(crate) fn seeds() -> impl Iterator<Item = (String, Vec<u8>)> {
    let seeds = [
        (
            "trailer",
            "a\r\n0123456789\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
        ),
        (
            "signed",
            "4;chunk-signature=ab\r\n\r\n\r\n\r\n0;chunk-signature=cd\r\n\r\n",
        ),
        ("several", "1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n"),
        ("large", "1000001;chunk-signature=ab\r\nab"),
        ("cut", "5\r\nab"),
    ];
    seeds
        .into_iter()
        .map(|(name, seed)| (name.to_owned(), seed.into()))
}
