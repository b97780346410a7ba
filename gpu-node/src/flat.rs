//! Pictures of one colour: what a simulated node shows instead of photos, paintings and what would become of them.
//!
//! There are few colours, so that a file is made once and used for many cells.

use std::sync::Arc;

use atelier_gallery::picture::{self, Picture, PictureError, Provenance};
use atelier_proto::ids::Digest;
use atelier_proto::settings::PictureFormat;
use bytes::Bytes;
use image::{Rgb, RgbImage};
use tokio::task::JoinError;

use crate::shelf::Shelf;

/// What stands for the network that paints.
pub const NETWORK: &str = "simulated";
/// What is told wherever something of a simulation is shown.
pub const NOTICE: &str =
    "simulated: this node renders nothing; its pictures are of one colour, whatever was asked for";
/// Files that are kept, bytes.
const FILES_BYTES_MAX: u64 = 64 << 20;
/// Red, green and blue, each of them 64 or 192, and the same a little darker.
const COLOURS: u8 = 16;

/// A colour; there are 16 of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Colour(u8);

impl Colour {
    /// One that follows from the digest.
    pub fn of(digest: &Digest) -> Self {
        Self(digest.as_bytes()[0] % COLOURS)
    }

    fn rgb(self) -> Rgb<u8> {
        let darker = 32 * (self.0 >> 3 & 1);
        Rgb([0, 1, 2].map(|channel| 64 + 128 * (self.0 >> channel & 1) - darker))
    }
}

/// A picture of one colour.
pub fn picture(colour: Colour, width: u32, height: u32) -> Picture {
    RgbImage::from_pixel(width, height, colour.rgb()).into()
}

/// What the file of every simulated picture tells. It names no cell, so that cells can share files.
pub fn provenance() -> Provenance {
    Provenance::new()
        .with("Software", concat!("Atelier ", env!("CARGO_PKG_VERSION")))
        .with("Atelier network", NETWORK)
        .with("Atelier notice", NOTICE)
}

/// What a file is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flat {
    /// Its only colour.
    pub colour: Colour,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// How it is written.
    pub format: PictureFormat,
}

/// A file, and its thumbnail.
#[derive(Debug)]
pub struct FlatFile {
    /// The file.
    pub bytes: Bytes,
    /// Of the file.
    pub sha256: Digest,
    /// A JPEG.
    pub thumbnail: Bytes,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum FlatError {
    /// It could not be encoded.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The task that should have done it ended early.
    #[error("a helper task ended early")]
    Task(#[from] JoinError),
}

/// The files that were made last; clones share them.
#[derive(Debug, Clone)]
pub struct FlatFiles(Arc<Shelf<Flat, FlatFile>>);

impl Default for FlatFiles {
    fn default() -> Self {
        Self(Arc::new(Shelf::new(FILES_BYTES_MAX)))
    }
}

impl FlatFiles {
    /// A file with a thumbnail of at most `thumbnail_side` pixels.
    pub async fn file(&self, flat: Flat, thumbnail_side: u32) -> Result<Arc<FlatFile>, FlatError> {
        let make = async || {
            let make = move || flat.file(thumbnail_side);
            let file = tokio::task::spawn_blocking(make).await??;
            let bytes = file.bytes.len() + file.thumbnail.len();
            Ok::<_, FlatError>((file, bytes as u64))
        };
        self.0.get(flat, make).await
    }
}

impl Flat {
    fn file(self, thumbnail_side: u32) -> Result<FlatFile, PictureError> {
        let picture = picture(self.colour, self.width, self.height);
        let thumbnail = picture::thumbnail(&picture.to_rgb8(), thumbnail_side)?;
        let bytes = picture::encode(&picture, self.format, &provenance())?;
        Ok(FlatFile {
            sha256: Digest::of(&bytes),
            bytes: bytes.into(),
            thumbnail: thumbnail.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn colours_are_few_and_differ() {
        let colours: HashSet<_> = (0..COLOURS).map(|number| Colour(number).rgb()).collect();
        assert_eq!(colours.len(), usize::from(COLOURS));
        let digest = Digest::from_bytes([0xff; 32]);
        assert_eq!(Colour::of(&digest), Colour(COLOURS - 1));
    }

    #[tokio::test]
    async fn a_file_has_the_size_that_was_asked_for_and_says_that_nothing_was_rendered() {
        let files = FlatFiles::default();
        for format in [
            PictureFormat::Jpeg,
            PictureFormat::Png,
            PictureFormat::Png16,
        ] {
            let flat = Flat {
                colour: Colour(5),
                width: 48,
                height: 30,
                format,
            };
            let file = files.file(flat, 16).await.unwrap();
            assert_eq!(picture::size(&file.bytes).unwrap(), (48, 30));
            assert_eq!(picture::size(&file.thumbnail).unwrap(), (16, 10));
            assert_eq!(file.sha256, Digest::of(&file.bytes));
            let told = picture::provenance(&file.bytes);
            let tells = |keyword: &str, text: &str| {
                let is_it = |(key, value): &(String, String)| key == keyword && value == text;
                told.iter().any(is_it)
            };
            assert!(tells("Atelier network", "simulated"), "{told:?}");
            assert!(tells("Atelier notice", NOTICE), "{told:?}");
            let again = files.file(flat, 16).await.unwrap();
            assert!(Arc::ptr_eq(&file, &again), "made once");
        }
    }
}
