//! The second painting: a still life with a guitar, broken into facets.

use image::RgbImage;

use super::SampleError;
use super::canvas::{Canvas, Place};
use super::colour::{Colour, lit, mix, rgb, shifted, smoothstep};
use super::noise::{Noise, Random};

mod still_life;

const WIDTH: u32 = 288;
const HEIGHT: u32 = 320;
/// What the facets turn around.
const CENTRE: Place = (150.0, 158.0);

const OCHRES: [Colour; 5] = [
    rgb(0xC9953F),
    rgb(0xE2B868),
    rgb(0x9C6A2E),
    rgb(0xD8A252),
    rgb(0xB27A3A),
];
const GREYS: [Colour; 4] = [rgb(0x8C8A82), rgb(0xB9B4A4), rgb(0x5E615F), rgb(0xD9D2BE)];
const BLUES: [Colour; 4] = [rgb(0x3E5C76), rgb(0x6C8CA4), rgb(0x27384E), rgb(0x9DB4BE)];
const EARTHS: [Colour; 4] = [rgb(0x5A3B26), rgb(0x7A4A2C), rgb(0x3A2A22), rgb(0xA4502E)];

/// A piece of the broken plane.
struct Facet {
    corners: Vec<Place>,
    colour: Colour,
    /// Which way its light falls and its strokes run, radians.
    angle: f32,
}

impl Facet {
    fn middle(&self) -> Place {
        let count = self.corners.len() as f32;
        let (x, y) = self.corners.iter().fold((0.0, 0.0), |sum, corner| {
            (sum.0 + corner.0, sum.1 + corner.1)
        });
        (x / count, y / count)
    }

    /// Half its extent along its light.
    fn reach(&self) -> f32 {
        let (middle, (dx, dy)) = (self.middle(), (self.angle.cos(), self.angle.sin()));
        let along =
            |corner: &Place| ((corner.0 - middle.0) * dx + (corner.1 - middle.1) * dy).abs();
        self.corners.iter().map(along).fold(1.0, f32::max)
    }

    fn contains(&self, (x, y): Place) -> bool {
        let next = self.corners.iter().cycle().skip(1);
        self.corners.iter().zip(next).all(|(from, to)| {
            (to.0 - from.0) * (y - from.1) - (to.1 - from.1) * (x - from.0) >= -0.5
        })
    }
}

pub(super) fn draw() -> Result<RgbImage, SampleError> {
    let mut random = Random::new(0xFACE7);
    let mut canvas = Canvas::new(WIDTH, HEIGHT)?;
    let (width, height) = canvas.size();
    let sheet = vec![(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)];
    let mut facets = Vec::new();
    shatter(sheet, 0, &mut random, &mut facets);
    for facet in &facets {
        plane(&mut canvas, facet);
    }
    strokes(&mut canvas, &facets, &mut random);
    still_life::draw(&mut canvas, &mut random, CENTRE);
    edges(&mut canvas, &facets, &mut random);
    canvas_weave(&mut canvas);
    Ok(canvas.into_picture())
}

/// Splits a convex polygon again and again, into smaller pieces near the centre.
fn shatter(corners: Vec<Place>, depth: u32, random: &mut Random, facets: &mut Vec<Facet>) {
    let facet = Facet {
        angle: 0.0,
        colour: [0.0; 3],
        corners,
    };
    let middle = facet.middle();
    let area = area(&facet.corners);
    let away = ((middle.0 - CENTRE.0) / 120.0).hypot((middle.1 - CENTRE.1) / 150.0);
    let wanted = 260.0 + 1500.0 * away.powf(1.5);
    if depth > 9 || area < wanted * random.between(0.8, 1.5) {
        facets.push(finished(facet, away, random));
        return;
    }
    // Few directions, as the painters had it: two diagonals, an upright, a level.
    let directions = [0.5_f32, 0.9, 2.1, 2.6, 1.45, 1.75, 0.08];
    let mut angle = random.pick(&directions) + random.centred() * 0.18;
    let extent = |angle: f32| {
        let along = |corner: &Place| corner.0 * angle.cos() + corner.1 * angle.sin();
        let places: Vec<f32> = facet.corners.iter().map(along).collect();
        let low = places.iter().copied().fold(f32::INFINITY, f32::min);
        let high = places.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        (low, high)
    };
    // Of two ways to cut, the one across the longer extent leaves fewer splinters.
    let other = random.pick(&directions) + random.centred() * 0.18;
    let length = |(low, high): (f32, f32)| high - low;
    if length(extent(other)) > length(extent(angle)) {
        angle = other;
    }
    let (low, high) = extent(angle);
    let at = low + (high - low) * random.between(0.33, 0.67);
    let (near, far) = cut(&facet.corners, angle, at);
    for part in [near, far] {
        if part.len() >= 3 {
            shatter(part, depth + 1, random, facets);
        }
    }
}

fn finished(mut facet: Facet, away: f32, random: &mut Random) -> Facet {
    facet.angle = random.pick(&[0.6_f32, 1.2, 2.3, 2.8, 4.1, 5.2]) + random.centred() * 0.3;
    let outer = smoothstep(0.75, 1.25, away);
    let palette: &[Colour] = match random.unit() + outer * 0.12 {
        roll if roll < 0.42 => &OCHRES,
        roll if roll < 0.62 => &GREYS,
        roll if roll < 0.82 => &BLUES,
        _ => &EARTHS,
    };
    let colour = shifted(random.pick(palette), random.tint(0.05));
    facet.colour = lit(colour, 1.08 - 0.22 * outer);
    facet
}

fn area(corners: &[Place]) -> f32 {
    let next = corners.iter().cycle().skip(1);
    let doubled: f32 = corners
        .iter()
        .zip(next)
        .map(|(from, to)| from.0 * to.1 - to.0 * from.1)
        .sum();
    doubled.abs() / 2.0
}

/// The two parts of a convex polygon on either side of a line.
fn cut(corners: &[Place], angle: f32, at: f32) -> (Vec<Place>, Vec<Place>) {
    let side = |corner: &Place| corner.0 * angle.cos() + corner.1 * angle.sin() - at;
    let (mut near, mut far) = (Vec::new(), Vec::new());
    let next = corners.iter().cycle().skip(1);
    for (from, to) in corners.iter().zip(next) {
        let (here, there) = (side(from), side(to));
        if here <= 0.0 {
            near.push(*from);
        } else {
            far.push(*from);
        }
        if (here <= 0.0) != (there <= 0.0) {
            let share = here / (here - there);
            let crossing = (
                from.0 + (to.0 - from.0) * share,
                from.1 + (to.1 - from.1) * share,
            );
            near.push(crossing);
            far.push(crossing);
        }
    }
    (near, far)
}

fn plane(canvas: &mut Canvas, facet: &Facet) {
    let ((x, y), reach) = (facet.middle(), facet.reach());
    let (dx, dy) = (facet.angle.cos() * reach, facet.angle.sin() * reach);
    let light = mix(lit(facet.colour, 1.22), rgb(0xF6E6C2), 0.28);
    let shade = mix(lit(facet.colour, 0.62), rgb(0x2A2630), 0.22);
    canvas.polygon_shaded(
        &facet.corners,
        ((x - dx, y - dy), light),
        ((x + dx, y + dy), shade),
    );
}

/// Short, flat dabs over the planes, along each plane's own direction.
fn strokes(canvas: &mut Canvas, facets: &[Facet], random: &mut Random) {
    for facet in facets {
        let (middle, reach) = (facet.middle(), facet.reach());
        let across = facet.angle + std::f32::consts::FRAC_PI_2;
        let (dx, dy) = (across.cos(), across.sin());
        let dabs = (area(&facet.corners) / 11.0) as u32;
        for _ in 0..dabs {
            let spread = reach.max(10.0) * 1.5;
            let place = (
                middle.0 + random.between(-1.0, 1.0) * spread,
                middle.1 + random.between(-1.0, 1.0) * spread,
            );
            let half = random.between(1.5, 4.5);
            let ends = [
                (place.0 - dx * half, place.1 - dy * half),
                (place.0 + dx * half, place.1 + dy * half),
            ];
            if !ends.iter().all(|end| facet.contains(*end)) {
                continue;
            }
            let below = canvas.colour_at(place);
            let colour = shifted(lit(below, 1.0 + random.centred() * 0.24), random.tint(0.05));
            canvas.line(&ends, random.between(1.6, 2.8), colour, 0.75);
        }
    }
}

/// Dark contours that start and stop, with light beside them.
fn edges(canvas: &mut Canvas, facets: &[Facet], random: &mut Random) {
    for facet in facets {
        let next = facet.corners.iter().cycle().skip(1);
        for (from, to) in facet.corners.iter().zip(next) {
            if random.chance(0.25) || on_border(*from, *to) {
                continue;
            }
            let part = |share: f32| {
                (
                    from.0 + (to.0 - from.0) * share,
                    from.1 + (to.1 - from.1) * share,
                )
            };
            let (start, end) = (part(random.unit() * 0.2), part(1.0 - random.unit() * 0.3));
            canvas.line(
                &[start, end],
                random.between(0.7, 1.9),
                rgb(0x1E1A1C),
                random.between(0.35, 0.9),
            );
            if random.chance(0.4) {
                let shift = |(x, y): Place| (x + 1.5, y + 1.5);
                canvas.line(&[shift(start), shift(end)], 0.9, rgb(0xF4E6C4), 0.45);
            }
        }
    }
}

/// Whether an edge of a facet is one of the canvas.
fn on_border(from: Place, to: Place) -> bool {
    let same = |line: f32, from: f32, to: f32| (from - line).abs() < 0.1 && (to - line).abs() < 0.1;
    same(0.0, from.0, to.0)
        || same(WIDTH as f32, from.0, to.0)
        || same(0.0, from.1, to.1)
        || same(HEIGHT as f32, from.1, to.1)
}

fn canvas_weave(canvas: &mut Canvas) {
    let (paint, threads) = (Noise(3), Noise(4));
    canvas.every_pixel(|x, y, colour| {
        let relief = paint.fractal(x / 3.0, y / 3.0, 2) - 0.5;
        let weave = threads.at(x * 0.7, y * 0.12) + threads.at(x * 0.12, y * 0.7) - 1.0;
        lit(colour, 1.0 + relief * 0.16 + weave * 0.07)
    });
}
