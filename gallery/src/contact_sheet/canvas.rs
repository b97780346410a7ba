//! Pixels to draw on: boxes, pictures and lines of text.

use ab_glyph::{Font as _, FontRef, InvalidFont, PxScale, ScaleFont as _};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

use super::layout::Place;

/// What is drawn on.
pub(super) struct Canvas {
    pixels: RgbImage,
    font: FontRef<'static>,
}

impl Canvas {
    /// One of this size and colour.
    ///
    /// # Errors
    /// When the font that comes with the program cannot be read.
    pub(super) fn new(width: u32, height: u32, colour: Rgb<u8>) -> Result<Self, InvalidFont> {
        Ok(Self {
            pixels: RgbImage::from_pixel(width, height, colour),
            font: FontRef::try_from_slice(dejavu::sans::regular())?,
        })
    }

    /// What was drawn.
    pub(super) fn into_pixels(self) -> RgbImage {
        self.pixels
    }

    /// Draws a picture as large as its place allows; gives its height.
    pub(super) fn draw(&mut self, picture: &RgbImage, place: Place, align: Align) -> u32 {
        let (width, height) = (
            f64::from(picture.width().max(1)),
            f64::from(picture.height().max(1)),
        );
        let scale = (f64::from(place.width) / width).min(f64::from(place.height) / height);
        let pixels = |length: f64| (length * scale).round().max(1.0) as u32;
        let (width, height) = (pixels(width), pixels(height));
        let picture = imageops::resize(picture, width, height, FilterType::CatmullRom);
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
        height
    }

    /// Fills a place with a colour.
    pub(super) fn fill(&mut self, place: Place, colour: Rgb<u8>) {
        let filled = RgbImage::from_pixel(place.width, place.height, colour);
        let (x, y) = (i64::from(place.x), i64::from(place.y));
        imageops::replace(&mut self.pixels, &filled, x, y);
    }

    /// Writes a line as high as its place, cut with `…` where it would be wider.
    pub(super) fn write(&mut self, text: &str, place: Place, colour: Rgb<u8>) {
        let font = self.font.as_scaled(PxScale::from(place.height as f32));
        let visible = text
            .chars()
            .map(|it| if it.is_control() { ' ' } else { it });
        let line = fitted(visible.collect(), f64::from(place.width), |text| {
            let advances = text
                .chars()
                .map(|it| f64::from(font.h_advance(font.glyph_id(it))));
            advances.sum()
        });
        let mut across = place.x as f32;
        let baseline = place.y as f32 + font.ascent();
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
pub(super) enum Align {
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

    #[test]
    fn long_captions_are_cut_where_they_must_be() {
        let measure = |text: &str| text.chars().count() as f64;
        assert_eq!(fitted("Monet".to_owned(), 5.0, measure), "Monet");
        assert_eq!(fitted("Cézanne".to_owned(), 5.0, measure), "Céza…");
        assert_eq!(fitted("Cézanne".to_owned(), 0.5, measure), "");
    }
}
