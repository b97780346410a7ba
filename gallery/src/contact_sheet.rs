//! `contact-sheet.jpg`: the whole grid as one picture, with captions, to be printed, sent, or seen at a glance. Photos down,
//! artists across, the originals at their heads; a swept grid has a table for each variant, one below the other.
//!
//! The larger the grid, the smaller its pictures, so that the sheet has a bounded number of pixels.

mod canvas;
mod layout;

use std::collections::HashMap;
use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{ImageError, ImageFormat, ImageReader, Limits, Rgb, RgbImage};

use self::canvas::{Align, Canvas};
use self::layout::{Layout, Place};
use crate::manifest::{Manifest, Outcome};

/// What is drawn of a picture has no longer side, pixels: thumbnails and originals.
const LOADED_SIDE_MAX: u32 = 1024;

/// Of JPEGs, of 100.
const QUALITY: u8 = 90;

const WALL: Rgb<u8> = Rgb([245, 242, 236]);
const CARD: Rgb<u8> = Rgb([232, 227, 217]);
const INK: Rgb<u8> = Rgb([36, 33, 28]);
const FAINT: Rgb<u8> = Rgb([106, 100, 89]);
const BAD: Rgb<u8> = Rgb([163, 38, 42]);

/// Why there is no sheet.
#[derive(Debug, thiserror::Error)]
pub enum ContactSheetError {
    /// The font that comes with the program cannot be read.
    #[error("the captions' font cannot be read")]
    Font(#[from] ab_glyph::InvalidFont),
    /// Even the smallest pictures would be too many.
    #[error(
        "a grid of {photos} × {artists} × {variants} is too large for one sheet\nhint: choose cells with --only"
    )]
    TooLarge {
        /// Rows of a table.
        photos: usize,
        /// Columns of a table.
        artists: usize,
        /// Tables.
        variants: usize,
    },
    /// It cannot be written as a JPEG.
    #[error("the sheet cannot be encoded: {0}")]
    Encode(#[from] ImageError),
}

/// The paths of what a sheet is drawn of: originals and thumbnails.
pub fn paths(manifest: &Manifest) -> impl Iterator<Item = &String> {
    let cells = manifest
        .cells
        .iter()
        .filter_map(|cell| cell.outcome.picture.as_ref());
    manifest
        .originals()
        .chain(cells.map(|picture| &picture.thumbnail))
}

/// A thumbnail or an original from a file, if it is one: what is larger than those are is not read.
pub fn read(bytes: &[u8]) -> Option<RgbImage> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Jpeg);
    let mut limits = Limits::default();
    limits.max_image_width = Some(LOADED_SIDE_MAX);
    limits.max_image_height = Some(LOADED_SIDE_MAX);
    reader.limits(limits);
    Some(reader.decode().ok()?.into_rgb8())
}

/// The sheet of a gallery as a JPEG. `load` gives the picture of one of its [`paths`], or none if it cannot; one that is not
/// there is drawn as its state.
///
/// # Errors
/// When the grid is too large for one sheet, or it cannot be encoded.
pub fn draw(
    manifest: &Manifest,
    load: impl FnMut(&str) -> Option<RgbImage>,
) -> Result<Vec<u8>, ContactSheetError> {
    let layout = Layout::of(manifest).ok_or_else(|| ContactSheetError::TooLarge {
        photos: manifest.photos.len(),
        artists: manifest.artists.len(),
        variants: manifest.variants.len(),
    })?;
    let mut sheet = Sheet {
        canvas: Canvas::new(layout.width, layout.height, WALL)?,
        layout,
        load,
    };
    sheet.draw(manifest);
    let mut jpeg = Vec::new();
    let pixels = sheet.canvas.into_pixels();
    pixels.write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, QUALITY))?;
    Ok(jpeg)
}

struct Sheet<Load> {
    canvas: Canvas,
    layout: Layout,
    load: Load,
}

impl<Load: FnMut(&str) -> Option<RgbImage>> Sheet<Load> {
    fn draw(&mut self, manifest: &Manifest) {
        let cells = manifest.cells.iter();
        let cells: HashMap<_, _> = cells
            .map(|cell| ((cell.photo, cell.artist, cell.variant), &cell.outcome))
            .collect();
        self.canvas.write(&manifest.name, self.layout.name(), INK);
        let facts = format!(
            "{} of {} pictures, submitted {}",
            manifest.pictures().count(),
            manifest.outcomes().count(),
            manifest.submitted_at.strftime("%Y-%m-%d")
        );
        self.canvas.write(&facts, self.layout.facts(), FAINT);
        for (variant, entry) in manifest.variants.iter().enumerate() {
            if let Some(line) = self.layout.variant(variant) {
                self.canvas.write(&entry.name, line, INK);
            }
            for (artist, entry) in manifest.artists.iter().enumerate() {
                if let Some(original) = &entry.original {
                    let place = self.layout.artist(variant, artist);
                    self.picture(original, place, Align::Below);
                }
                let line = self.layout.artist_name(variant, artist);
                self.canvas.write(&entry.name, line, INK);
            }
            for (photo, entry) in manifest.photos.iter().enumerate() {
                let place = self.layout.photo(variant, photo);
                let original = entry.original.as_ref();
                let drawn = original.and_then(|path| self.picture(path, place, Align::Above));
                let height = drawn.unwrap_or_default();
                let line = self.layout.photo_name(variant, photo, height);
                self.canvas.write(&entry.name, line, INK);
                for artist in 0..manifest.artists.len() {
                    if let Some(outcome) = cells.get(&(photo, artist, variant)) {
                        self.cell(outcome, self.layout.cell(variant, photo, artist));
                    }
                }
            }
        }
    }

    fn cell(&mut self, outcome: &Outcome, place: Place) {
        let thumbnail = outcome.picture.as_ref().map(|picture| &picture.thumbnail);
        if let Some(thumbnail) = thumbnail
            && self.picture(thumbnail, place, Align::Middle).is_some()
        {
            return;
        }
        let colour = if outcome.state == "failed" {
            BAD
        } else {
            FAINT
        };
        self.canvas.fill(place, CARD);
        self.canvas
            .write(&outcome.state, self.layout.state(place), colour);
    }

    /// Draws a picture as large as its place allows; its height, if it could be had.
    fn picture(&mut self, path: &str, place: Place, align: Align) -> Option<u32> {
        let picture = (self.load)(path)?;
        Some(self.canvas.draw(&picture, place, align))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::sample;

    /// A picture of one colour, another one for each path.
    fn coloured(path: &str) -> RgbImage {
        let colour = match path {
            "thumbnails/photo-0--artist-0.jpg" => [250, 10, 10],
            "thumbnails/photo-0--artist-1.jpg" => [10, 250, 10],
            "thumbnails/photo-1--artist-0.jpg" => [10, 10, 250],
            _ => [120, 120, 120],
        };
        RgbImage::from_pixel(64, 48, Rgb(colour))
    }

    fn at(sheet: &RgbImage, x: u32, y: u32) -> [u8; 3] {
        // JPEG is not exact.
        sheet
            .get_pixel(x, y)
            .0
            .map(|value| (f64::from(value) / 50.0).round() as u8)
    }

    #[test]
    fn a_grid_that_is_too_large_is_refused_with_its_size() {
        let mut wide = sample();
        wide.artists = vec![wide.artists[0].clone(); 20_000];
        let drawn = draw(&wide, |_| None);
        assert!(
            matches!(
                drawn,
                Err(ContactSheetError::TooLarge {
                    artists: 20_000,
                    ..
                })
            ),
            "{drawn:?}"
        );
    }

    #[test]
    fn each_picture_stands_at_its_crossing_and_what_is_not_there_as_its_state() {
        let manifest = sample();
        let mut asked = Vec::new();
        let jpeg = draw(&manifest, |path| {
            asked.push(path.to_owned());
            Some(coloured(path))
        });
        let sheet = image::load_from_memory(&jpeg.unwrap()).unwrap().to_rgb8();
        let layout = Layout::of(&manifest).unwrap();
        assert_eq!(sheet.dimensions(), (layout.width, layout.height));
        let middle = |photo, artist| {
            let place = layout.cell(0, photo, artist);
            (place.x + place.width / 2, place.y + place.height / 2)
        };
        for (photo, artist, colour) in [(0, 0, [5, 0, 0]), (0, 1, [0, 5, 0]), (1, 0, [0, 0, 5])] {
            let (x, y) = middle(photo, artist);
            assert_eq!(at(&sheet, x, y), colour, "{photo}, {artist}");
        }
        // To its edges, and no further.
        let (_, y) = middle(0, 1);
        let first = layout.cell(0, 0, 0);
        let second = layout.cell(0, 0, 1);
        let gap = second.x - (first.x + first.width);
        let edge = second.x + second.width;
        assert_eq!(at(&sheet, edge - 3, y), [0, 5, 0]);
        assert_eq!(at(&sheet, edge + gap / 2, y), [5, 5, 5]);
        // The failed one, beside its word.
        let (x, y) = middle(1, 1);
        assert_eq!(at(&sheet, x + second.width / 3, y), [5, 5, 4]);
        // Three pictures and the originals of two photos and two artists.
        assert_eq!(asked.len(), 3 + 4, "{asked:?}");
        // Somebody's name stands there.
        let name = layout.artist_name(0, 0);
        let names = (name.x..name.x + name.width)
            .filter(|x| sheet.get_pixel(*x, name.y + name.height / 2).0[0] < 120);
        assert!(names.count() > 3);
    }
}
