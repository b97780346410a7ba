//! `contact-sheet.jpg`: the whole grid as one picture, with captions, to be printed, sent, or seen at a glance. Photos down,
//! artists across, the originals at their heads; a swept grid has a table for each variant, one below the other.
//!
//! The larger the grid, the smaller its pictures, so that the sheet has a bounded number of pixels.

use std::collections::HashMap;
use std::io::Cursor;

use ab_glyph::{Font as _, FontRef, PxScale, ScaleFont as _};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{ImageError, ImageFormat, ImageReader, Limits, Rgb, RgbImage};

use crate::manifest::{Manifest, Outcome};

/// What it is called, beside `gallery.json`.
pub const FILE_NAME: &str = "contact-sheet.jpg";
/// What is drawn of a picture has no longer side, pixels: thumbnails and originals.
const LOADED_SIDE_MAX: u32 = 1024;

/// Most pixels of a sheet, and of a side of it.
const PIXELS_MAX: f64 = 40e6;
const SIDE_MAX: f64 = 30_000.0;
/// Width of a picture where there are few, and where there are very many.
const WIDTH_MAX: f64 = 320.0;
const WIDTH_MIN: f64 = 12.0;
/// Of a row, for the width of its pictures.
const RATIOS: (f64, f64) = (0.4, 1.7);
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
    let photos = manifest
        .photos
        .iter()
        .filter_map(|photo| photo.original.as_ref());
    let artists = manifest
        .artists
        .iter()
        .filter_map(|artist| artist.original.as_ref());
    let cells = manifest
        .cells
        .iter()
        .filter_map(|cell| cell.outcome.picture.as_ref());
    photos
        .chain(artists)
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
    let layout = Layout::of(manifest)?;
    let mut sheet = Sheet {
        pixels: RgbImage::from_pixel(layout.width, layout.height, WALL),
        font: FontRef::try_from_slice(dejavu::sans::regular())?,
        layout,
        load,
    };
    sheet.draw(manifest);
    let mut jpeg = Vec::new();
    sheet
        .pixels
        .write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, QUALITY))?;
    Ok(jpeg)
}

/// Where everything goes, pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Layout {
    width: u32,
    height: u32,
    margin: u32,
    gap: u32,
    /// Of captions.
    text: u32,
    title: u32,
    /// Of a table's title; none where there is one table.
    subtitle: u32,
    /// Width of the heads of rows, height of the heads of columns.
    side: u32,
    top: u32,
    cell: u32,
    rows: Vec<u32>,
}

impl Layout {
    fn of(manifest: &Manifest) -> Result<Self, ContactSheetError> {
        let mut cell = WIDTH_MAX;
        while cell >= WIDTH_MIN {
            let layout = Self::with(manifest, cell);
            let (width, height) = (f64::from(layout.width), f64::from(layout.height));
            if width * height <= PIXELS_MAX && width.max(height) <= SIDE_MAX {
                return Ok(layout);
            }
            cell *= 0.95;
        }
        Err(ContactSheetError::TooLarge {
            photos: manifest.photos.len(),
            artists: manifest.artists.len(),
            variants: manifest.variants.len(),
        })
    }

    fn with(manifest: &Manifest, cell: f64) -> Self {
        let pixels = |length: f64| length.round().max(1.0) as u32;
        let text = pixels((cell / 15.0).clamp(7.0, 20.0));
        let gap = pixels((cell / 28.0).clamp(1.0, 10.0));
        let margin = pixels((cell / 8.0).clamp(8.0, 40.0));
        let rows = manifest.photos.iter().map(|photo| {
            let ratio = f64::from(photo.height) / f64::from(photo.width.max(1));
            pixels(cell * ratio.clamp(RATIOS.0, RATIOS.1)).max(2 * text)
        });
        let rows: Vec<u32> = rows.collect();
        let (side, top) = (pixels(cell * 0.8), pixels(cell * 0.6) + 2 * text);
        let subtitle = if manifest.variants.len() > 1 {
            3 * text
        } else {
            0
        };
        let title = 5 * text;
        let table: u32 = subtitle + top + rows.iter().map(|row| row + gap).sum::<u32>();
        let artists = manifest.artists.len() as u32;
        Self {
            width: 2 * margin + side + artists * (pixels(cell) + gap),
            height: 2 * margin + title + manifest.variants.len() as u32 * (table + gap),
            margin,
            gap,
            text,
            title,
            subtitle,
            side,
            top,
            cell: pixels(cell),
            rows,
        }
    }
}

/// A box on the sheet.
#[derive(Debug, Clone, Copy)]
struct Place {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

struct Sheet<'a, Load> {
    pixels: RgbImage,
    font: FontRef<'a>,
    layout: Layout,
    load: Load,
}

impl<Load: FnMut(&str) -> Option<RgbImage>> Sheet<'_, Load> {
    fn draw(&mut self, manifest: &Manifest) {
        let cells = manifest.cells.iter();
        let cells: HashMap<_, _> = cells
            .map(|cell| ((cell.photo, cell.artist, cell.variant), &cell.outcome))
            .collect();
        let Layout {
            margin,
            gap,
            text,
            title,
            subtitle,
            side,
            top,
            cell,
            ..
        } = self.layout;
        let rows = self.layout.rows.clone();
        let width = self.layout.width.saturating_sub(2 * margin);
        self.write(&manifest.name, margin, margin, 2 * text, width, INK);
        let done = manifest.pictures().count();
        let submitted = manifest.submitted_at.strftime("%Y-%m-%d");
        let facts = format!(
            "{done} of {} pictures, submitted {submitted}",
            manifest.outcomes().count()
        );
        self.write(
            &facts,
            margin,
            margin + 2 * text + text / 2,
            text,
            width,
            FAINT,
        );
        let mut y = margin + title;
        for (variant, entry) in manifest.variants.iter().enumerate() {
            if subtitle > 0 {
                self.write(
                    &entry.name,
                    margin,
                    y + text / 2,
                    text + text / 3,
                    width,
                    INK,
                );
                y += subtitle;
            }
            for (index, artist) in manifest.artists.iter().enumerate() {
                let x = margin + side + gap + index as u32 * (cell + gap);
                let place = Place {
                    x,
                    y,
                    width: cell,
                    height: top - 2 * text,
                };
                if let Some(original) = &artist.original {
                    self.place(original, place, Align::Below);
                }
                self.write(
                    &artist.name,
                    x,
                    y + top - 2 * text + text / 4,
                    text,
                    cell,
                    INK,
                );
            }
            y += top;
            for (photo, (entry, height)) in manifest.photos.iter().zip(&rows).enumerate() {
                let head = Place {
                    x: margin,
                    y,
                    width: side.saturating_sub(gap),
                    height: height.saturating_sub(text + text / 2),
                };
                let original = entry.original.as_ref();
                let drawn = original.and_then(|original| self.place(original, head, Align::Above));
                let below = y + drawn.unwrap_or_default() + text / 4;
                self.write(&entry.name, margin, below, text, head.width, INK);
                for artist in 0..manifest.artists.len() {
                    let x = margin + side + gap + artist as u32 * (cell + gap);
                    let place = Place {
                        x,
                        y,
                        width: cell,
                        height: *height,
                    };
                    if let Some(outcome) = cells.get(&(photo, artist, variant)) {
                        self.cell(outcome, place);
                    }
                }
                y += height + gap;
            }
            y += gap;
        }
    }

    fn cell(&mut self, outcome: &Outcome, place: Place) {
        let thumbnail = outcome.picture.as_ref().map(|picture| &picture.thumbnail);
        if let Some(thumbnail) = thumbnail
            && self.place(thumbnail, place, Align::Middle).is_some()
        {
            return;
        }
        self.fill(place, CARD);
        let colour = if outcome.state == "failed" {
            BAD
        } else {
            FAINT
        };
        let text = self.layout.text;
        let (x, y) = (
            place.x + text / 2,
            place.y + place.height.saturating_sub(text) / 2,
        );
        self.write(
            &outcome.state,
            x,
            y,
            text,
            place.width.saturating_sub(text),
            colour,
        );
    }

    /// Draws a picture as large as its place allows; its height, if it could be had.
    fn place(&mut self, path: &str, place: Place, align: Align) -> Option<u32> {
        let picture = (self.load)(path)?;
        let (width, height) = (
            f64::from(picture.width().max(1)),
            f64::from(picture.height().max(1)),
        );
        let scale = (f64::from(place.width) / width).min(f64::from(place.height) / height);
        let pixels = |length: f64| (length * scale).round().max(1.0) as u32;
        let (width, height) = (pixels(width), pixels(height));
        let picture = imageops::resize(&picture, width, height, FilterType::CatmullRom);
        let (spare_x, spare_y) = (
            place.width.saturating_sub(width),
            place.height.saturating_sub(height),
        );
        let (x, y) = match align {
            Align::Middle => (spare_x / 2, spare_y / 2),
            Align::Below => (0, spare_y),
            Align::Above => (0, 0),
        };
        let (x, y) = (i64::from(place.x + x), i64::from(place.y + y));
        imageops::replace(&mut self.pixels, &picture, x, y);
        Some(height)
    }

    fn fill(&mut self, place: Place, colour: Rgb<u8>) {
        let box_ = RgbImage::from_pixel(place.width, place.height, colour);
        imageops::replace(
            &mut self.pixels,
            &box_,
            i64::from(place.x),
            i64::from(place.y),
        );
    }

    /// Writes one line of this height, cut with `…` where it would be wider than `width`.
    fn write(&mut self, text: &str, x: u32, y: u32, height: u32, width: u32, colour: Rgb<u8>) {
        let font = self.font.clone();
        let font = font.as_scaled(PxScale::from(height as f32));
        let visible = text
            .chars()
            .map(|it| if it.is_control() { ' ' } else { it });
        let line = fitted(visible.collect(), f64::from(width), |text| {
            let advances = text
                .chars()
                .map(|it| f64::from(font.h_advance(font.glyph_id(it))));
            advances.sum()
        });
        let mut across = x as f32;
        let baseline = y as f32 + font.ascent();
        for character in line.chars() {
            let mut glyph = font.scaled_glyph(character);
            let advance = font.h_advance(glyph.id);
            glyph.position = ab_glyph::point(across, baseline);
            across += advance;
            let Some(outline) = font.outline_glyph(glyph) else {
                continue;
            };
            let bounds = outline.px_bounds();
            outline.draw(|dx, dy, cover| {
                let (x, y) = (bounds.min.x + dx as f32, bounds.min.y + dy as f32);
                if x < 0.0 || y < 0.0 {
                    return;
                }
                if let Some(pixel) = self.pixels.get_pixel_mut_checked(x as u32, y as u32) {
                    let cover = cover.clamp(0.0, 1.0);
                    for (under, ink) in pixel.0.iter_mut().zip(colour.0) {
                        let mixed = f32::from(*under) * (1.0 - cover) + f32::from(ink) * cover;
                        *under = mixed.round() as u8;
                    }
                }
            });
        }
    }
}

/// Where a picture goes that is smaller than its place.
#[derive(Debug, Clone, Copy)]
enum Align {
    Middle,
    Above,
    Below,
}

/// As much of a text as fits, with `…` if that is not all.
fn fitted(text: String, width: f64, measure: impl Fn(&str) -> f64) -> String {
    if measure(&text) <= width {
        return text;
    }
    let mut kept: Vec<char> = text.chars().collect();
    while kept.pop().is_some() {
        let line: String = kept.iter().chain(['…'].iter()).collect();
        if measure(&line) <= width {
            return line;
        }
    }
    String::new()
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
        let x = |artist: u32| {
            layout.margin
                + layout.side
                + layout.gap
                + artist * (layout.cell + layout.gap)
                + layout.cell / 2
        };
        let y = |photo: usize| {
            let above: u32 = layout.rows[..photo]
                .iter()
                .map(|row| row + layout.gap)
                .sum();
            layout.margin + layout.title + layout.top + above + layout.rows[photo] / 2
        };
        assert_eq!(at(&sheet, x(0), y(0)), [5, 0, 0]);
        assert_eq!(at(&sheet, x(1), y(0)), [0, 5, 0]);
        assert_eq!(at(&sheet, x(0), y(1)), [0, 0, 5]);
        // To its edges, and no further.
        let edge = x(1) + layout.cell / 2;
        assert_eq!(at(&sheet, edge - 3, y(0)), [0, 5, 0]);
        assert_eq!(at(&sheet, edge + layout.gap / 2, y(0)), [5, 5, 5]);
        // The failed one, beside its word.
        assert_eq!(at(&sheet, x(1) + layout.cell / 3, y(1)), [5, 5, 4]);
        // Three pictures and the originals of two photos and two artists.
        assert_eq!(asked.len(), 3 + 4, "{asked:?}");
        // Somebody's name stands there.
        let names = (0..layout.cell).filter(|dx| {
            let y = layout.margin + layout.title + layout.top - layout.text;
            sheet.get_pixel(x(0) - layout.cell / 2 + dx, y).0[0] < 120
        });
        assert!(names.count() > 3);
    }

    #[test]
    fn large_grids_have_small_pictures_and_there_is_an_end_to_it() {
        let mut manifest = sample();
        let (photo, artist) = (manifest.photos[0].clone(), manifest.artists[0].clone());
        manifest.photos = vec![photo; 200];
        manifest.artists = vec![artist; 100];
        let layout = Layout::of(&manifest).unwrap();
        assert!(f64::from(layout.width) * f64::from(layout.height) <= PIXELS_MAX);
        assert!(layout.cell >= 30, "{layout:?}");
        manifest.artists = vec![manifest.artists[0].clone(); 20_000];
        assert!(matches!(
            draw(&manifest, |_| None),
            Err(ContactSheetError::TooLarge { .. })
        ));
    }

    #[test]
    fn long_captions_are_cut_where_they_must_be() {
        let measure = |text: &str| text.chars().count() as f64;
        assert_eq!(fitted("Monet".to_owned(), 5.0, measure), "Monet");
        assert_eq!(fitted("Cézanne".to_owned(), 5.0, measure), "Céza…");
        assert_eq!(fitted("Cézanne".to_owned(), 0.5, measure), "");
    }
}
