//! What is drawn on: shapes with soft edges by tiny-skia, and fields of colour pixel by pixel.

use image::RgbImage;
use tiny_skia::{
    Color, FillRule, GradientStop, LineCap, LineJoin, LinearGradient, Paint, Path, PathBuilder,
    Pixmap, Point, PremultipliedColorU8, RadialGradient, Rect, Shader, SpreadMode, Stroke,
    Transform,
};

use super::SampleError;
use super::colour::{Colour, lit};
use super::noise::Noise;

/// A place on the canvas, pixels from the upper left corner.
pub(super) type Place = (f32, f32);

/// An opaque picture that is being drawn.
#[derive(Debug)]
pub(super) struct Canvas(Pixmap);

impl Canvas {
    pub(super) fn new(width: u32, height: u32) -> Result<Self, SampleError> {
        let mut pixmap = Pixmap::new(width, height).ok_or(SampleError::Size { width, height })?;
        pixmap.fill(Color::BLACK);
        Ok(Self(pixmap))
    }

    pub(super) fn size(&self) -> (f32, f32) {
        (self.0.width() as f32, self.0.height() as f32)
    }

    /// Gives every pixel a colour by its place and the colour it has.
    pub(super) fn every_pixel(&mut self, colour: impl Fn(f32, f32, Colour) -> Colour) {
        let width = self.0.width() as usize;
        for (index, pixel) in self.0.pixels_mut().iter_mut().enumerate() {
            let (x, y) = ((index % width) as f32 + 0.5, (index / width) as f32 + 0.5);
            *pixel = opaque(colour(x, y, colour_of(*pixel)));
        }
    }

    /// The colour nearest to a place; places beyond the border take the border's.
    pub(super) fn colour_at(&self, (x, y): Place) -> Colour {
        let (width, height) = self.size();
        let x = x.clamp(0.0, width - 1.0) as u32;
        let y = y.clamp(0.0, height - 1.0) as u32;
        self.0.pixel(x, y).map_or([0.0; 3], colour_of)
    }

    pub(super) fn polygon(&mut self, corners: &[Place], colour: Colour, alpha: f32) {
        self.fill(polygon(corners), &paint(colour, alpha));
    }

    /// A polygon whose colour goes over from one at `from` to another at `to`.
    pub(super) fn polygon_shaded(
        &mut self,
        corners: &[Place],
        from: (Place, Colour),
        to: (Place, Colour),
    ) {
        let stops = vec![
            GradientStop::new(0.0, color(from.1, 1.0)),
            GradientStop::new(1.0, color(to.1, 1.0)),
        ];
        let (start, end) = (point(from.0), point(to.0));
        let gradient =
            LinearGradient::new(start, end, stops, SpreadMode::Pad, Transform::identity());
        self.fill(polygon(corners), &shaded(gradient));
    }

    pub(super) fn rectangle(&mut self, (x, y): Place, width: f32, height: f32, colour: Colour) {
        let corners = [
            (x, y),
            (x + width, y),
            (x + width, y + height),
            (x, y + height),
        ];
        self.polygon(&corners, colour, 1.0);
    }

    pub(super) fn ellipse(&mut self, (x, y): Place, radii: Place, colour: Colour, alpha: f32) {
        let bounds = Rect::from_xywh(x - radii.0, y - radii.1, 2.0 * radii.0, 2.0 * radii.1);
        self.fill(
            bounds.and_then(PathBuilder::from_oval),
            &paint(colour, alpha),
        );
    }

    pub(super) fn circle(&mut self, centre: Place, radius: f32, colour: Colour, alpha: f32) {
        self.ellipse(centre, (radius, radius), colour, alpha);
    }

    /// A light that fades to nothing at `radius`.
    pub(super) fn glow(&mut self, centre: Place, radius: f32, colour: Colour, alpha: f32) {
        let stops = [(0.0, 1.0), (0.25, 0.55), (0.6, 0.14), (1.0, 0.0)]
            .map(|(place, share)| GradientStop::new(place, color(colour, alpha * share)));
        let centre_point = point(centre);
        let gradient = RadialGradient::new(
            centre_point,
            0.0,
            centre_point,
            radius,
            stops.to_vec(),
            SpreadMode::Pad,
            Transform::identity(),
        );
        let bounds = Rect::from_xywh(
            centre.0 - radius,
            centre.1 - radius,
            2.0 * radius,
            2.0 * radius,
        );
        self.fill(bounds.and_then(PathBuilder::from_oval), &shaded(gradient));
    }

    /// A ring, `width` pixels wide.
    pub(super) fn ring(&mut self, (x, y): Place, radius: f32, width: f32, colour: Colour) {
        let path = PathBuilder::from_circle(x, y, radius);
        self.stroke(path, width, &paint(colour, 1.0));
    }

    /// Straight lines from place to place, with round ends.
    pub(super) fn line(&mut self, places: &[Place], width: f32, colour: Colour, alpha: f32) {
        self.stroke(open(places), width, &paint(colour, alpha));
    }

    /// A smooth curve through the middle of each pair of places.
    pub(super) fn curve(&mut self, places: &[Place], width: f32, colour: Colour, alpha: f32) {
        self.stroke(smooth(places), width, &paint(colour, alpha));
    }

    /// A limb: a line that is `from` wide at its start and `to` at its end, with round ends.
    pub(super) fn limb(
        &mut self,
        start: Place,
        end: Place,
        (from, to): (f32, f32),
        colour: Colour,
    ) {
        let (along_x, along_y) = (end.0 - start.0, end.1 - start.1);
        let length = along_x.hypot(along_y).max(f32::EPSILON);
        let (side_x, side_y) = (-along_y / length / 2.0, along_x / length / 2.0);
        let corners = [
            (start.0 + side_x * from, start.1 + side_y * from),
            (end.0 + side_x * to, end.1 + side_y * to),
            (end.0 - side_x * to, end.1 - side_y * to),
            (start.0 - side_x * from, start.1 - side_y * from),
        ];
        self.polygon(&corners, colour, 1.0);
        self.circle(start, from / 2.0, colour, 1.0);
        self.circle(end, to / 2.0, colour, 1.0);
    }

    /// What a lens and a film add: darker corners and grain.
    pub(super) fn photographed(&mut self, seed: u64) {
        let (width, height) = self.size();
        let (fine, coarse) = (Noise(seed), Noise(seed ^ 0xA5));
        self.every_pixel(|x, y, colour| {
            let from_centre = (x / width - 0.5).hypot(y / height - 0.5);
            let vignette = 1.0 - 0.28 * from_centre.powi(2) * 1.6;
            let grain = (fine.at(x * 0.9, y * 0.9) - 0.5) * 0.05
                + (coarse.at(x * 0.3, y * 0.3) - 0.5) * 0.03;
            lit(colour, vignette + grain)
        });
    }

    /// The finished picture.
    pub(super) fn into_picture(self) -> RgbImage {
        let mut picture = RgbImage::new(self.0.width(), self.0.height());
        for (pixel, drawn) in picture.pixels_mut().zip(self.0.pixels()) {
            pixel.0 = [drawn.red(), drawn.green(), drawn.blue()];
        }
        picture
    }

    // tiny-skia refuses paths without extent; such a shape covers nothing, so nothing is drawn.
    fn fill(&mut self, path: Option<Path>, paint: &Paint<'_>) {
        if let Some(path) = path {
            self.0
                .fill_path(&path, paint, FillRule::Winding, Transform::identity(), None);
        }
    }

    fn stroke(&mut self, path: Option<Path>, width: f32, paint: &Paint<'_>) {
        let stroke = Stroke {
            width,
            line_cap: LineCap::Round,
            line_join: LineJoin::Round,
            ..Stroke::default()
        };
        if let Some(path) = path {
            self.0
                .stroke_path(&path, paint, &stroke, Transform::identity(), None);
        }
    }
}

fn polygon(corners: &[Place]) -> Option<Path> {
    let mut path = lines(corners);
    path.close();
    path.finish()
}

fn open(places: &[Place]) -> Option<Path> {
    lines(places).finish()
}

fn lines(places: &[Place]) -> PathBuilder {
    let mut path = PathBuilder::new();
    for (index, (x, y)) in places.iter().enumerate() {
        if index == 0 {
            path.move_to(*x, *y);
        } else {
            path.line_to(*x, *y);
        }
    }
    path
}

fn smooth(places: &[Place]) -> Option<Path> {
    let (first, last) = (places.first()?, places.last()?);
    let mut path = PathBuilder::new();
    path.move_to(first.0, first.1);
    for pair in places.windows(2).skip(1) {
        let middle = (
            f32::midpoint(pair[0].0, pair[1].0),
            f32::midpoint(pair[0].1, pair[1].1),
        );
        path.quad_to(pair[0].0, pair[0].1, middle.0, middle.1);
    }
    path.line_to(last.0, last.1);
    path.finish()
}

fn paint(colour: Colour, alpha: f32) -> Paint<'static> {
    Paint {
        shader: Shader::SolidColor(color(colour, alpha)),
        ..Paint::default()
    }
}

fn shaded(gradient: Option<Shader<'static>>) -> Paint<'static> {
    Paint {
        shader: gradient.unwrap_or(Shader::SolidColor(Color::TRANSPARENT)),
        ..Paint::default()
    }
}

fn color(colour: Colour, alpha: f32) -> Color {
    let [red, green, blue] = colour.map(|channel| channel.clamp(0.0, 1.0));
    Color::from_rgba(red, green, blue, alpha.clamp(0.0, 1.0)).unwrap_or(Color::TRANSPARENT)
}

fn point((x, y): Place) -> Point {
    Point::from_xy(x, y)
}

fn colour_of(pixel: PremultipliedColorU8) -> Colour {
    [pixel.red(), pixel.green(), pixel.blue()].map(|channel| f32::from(channel) / 255.0)
}

fn opaque(colour: Colour) -> PremultipliedColorU8 {
    let [red, green, blue] = colour.map(|channel| (channel.clamp(0.0, 1.0) * 255.0).round() as u8);
    PremultipliedColorU8::from_rgba(red, green, blue, 255)
        .unwrap_or(PremultipliedColorU8::TRANSPARENT)
}
