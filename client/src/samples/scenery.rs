//! What both photos show: a sky with clouds, ridges of land, trees.

use super::canvas::{Canvas, Place};
use super::colour::{Colour, lit, mix, ramp, rgb, shifted, smoothstep};
use super::noise::{Noise, Random};

/// A sky down to `horizon`, with a sun and clouds that it lights.
pub(super) struct Sky<'a> {
    /// Colours from the zenith (0) to the horizon (1).
    pub(super) stops: &'a [(f32, Colour)],
    pub(super) horizon: f32,
    pub(super) sun: Place,
    /// Share of the sky that clouds cover, 0..1.
    pub(super) cover: f32,
    pub(super) seed: u64,
}

impl Sky<'_> {
    pub(super) fn draw(&self, canvas: &mut Canvas) {
        let (shape, inner) = (Noise(self.seed), Noise(self.seed + 1));
        canvas.every_pixel(|x, y, _| {
            let down = y / self.horizon;
            let blue = ramp(self.stops, down);
            // Clouds lie in bands that narrow towards the horizon, as perspective has it.
            let flat = 26.0 + 60.0 * (1.0 - down).max(0.0);
            let warp = inner.fractal(x / 70.0, y / 40.0, 3) * 0.5;
            let density = shape.fractal(x / (flat * 2.2) + warp, y / (flat * 0.75) + warp, 5);
            let threshold = 0.72 - 0.42 * self.cover;
            let cloud = smoothstep(threshold, threshold + 0.2, density);
            // The side that faces the sun is lit: the density falls towards it.
            let towards = ((self.sun.0 - x) / 60.0).clamp(-2.0, 2.0);
            let ahead = shape.fractal(
                (x + 5.0 * towards) / (flat * 2.2) + warp,
                (y - 6.0) / (flat * 0.75) + warp,
                4,
            );
            let light = smoothstep(-0.06, 0.12, density - ahead);
            let colour = mix(mix(blue, rgb(0x8790A8), 0.55), rgb(0xFFF3E0), light);
            let near_sun = (-((x - self.sun.0).hypot(y - self.sun.1) / 110.0).powi(2)).exp();
            let colour = mix(
                blue,
                mix(colour, rgb(0xFFD9A0), near_sun * 0.6),
                cloud * 0.9,
            );
            shifted(
                colour,
                rgb(0xFFC870).map(|channel| channel * near_sun * 0.22),
            )
        });
        canvas.glow(self.sun, 95.0, rgb(0xFFE9B0), 0.85);
        canvas.circle(self.sun, 15.0, rgb(0xFFF8DC), 1.0);
    }
}

/// Land below a line: `line` gives its upper edge by x, `colour` its colour by place and depth below the edge.
pub(super) fn land(
    canvas: &mut Canvas,
    line: impl Fn(f32) -> f32,
    colour: impl Fn(f32, f32, f32) -> Colour,
) {
    canvas.every_pixel(|x, y, above| {
        let depth = y - line(x);
        if depth < -1.0 {
            return above;
        }
        mix(above, colour(x, y, depth), depth + 0.5)
    });
}

/// A range of hills whose slopes catch light from the right.
pub(super) fn hills(
    canvas: &mut Canvas,
    noise: Noise,
    (height, relief, width): (f32, f32, f32),
    (shade, light): (Colour, Colour),
) {
    let edge = |x: f32| height - relief * noise.fractal(x / width, 3.7, 4);
    land(canvas, edge, |x, y, depth| {
        let slope = noise.fractal((x + 7.0) / width * 1.6 + depth / 40.0, y / width * 2.0, 4)
            - noise.fractal((x - 7.0) / width * 1.6 + depth / 40.0, y / width * 2.0, 4);
        let grain = noise.fractal(x / 3.0, y / 2.0, 2) - 0.5;
        let colour = mix(shade, light, 0.5 + slope * 3.0 + grain * 0.35);
        lit(colour, 1.0 + 0.16 * (-depth / 5.0).exp())
    });
}

/// A broad-leaved tree that stands on `foot`.
pub(super) fn tree(
    canvas: &mut Canvas,
    random: &mut Random,
    foot: Place,
    height: f32,
    leaves: Colour,
) {
    let (x, y) = foot;
    canvas.ellipse(
        (x - height * 0.18, y),
        (height * 0.42, height * 0.06),
        rgb(0x1A2412),
        0.4,
    );
    let fork = (x + height * 0.02, y - height * 0.45);
    canvas.limb(foot, fork, (height * 0.09, height * 0.05), rgb(0x3B2A1C));
    let crown = (x, y - height * 0.62);
    let clumps = 70 + (height * 2.2) as u32;
    for clump in 0..clumps {
        // Painted from the shaded back to the lit front.
        let progress = clump as f32 / clumps as f32;
        let angle = random.between(0.0, std::f32::consts::TAU);
        let reach = random.unit().sqrt() * (1.0 - 0.25 * progress);
        let dx = angle.cos() * reach * height * 0.36 + progress * height * 0.07;
        let dy = angle.sin() * reach * height * 0.36 - progress * height * 0.07;
        let facing = (dx - dy) / (height * 0.5);
        let light = 0.42 + 0.55 * progress + 0.4 * facing * progress + 0.12 * random.centred();
        let warm = mix(
            lit(leaves, light),
            rgb(0xF2D878),
            (light - 0.95).max(0.0) * 0.5,
        );
        let radius = height * random.between(0.025, 0.085) * (1.25 - 0.7 * progress);
        let place = (crown.0 + dx, crown.1 + dy);
        canvas.circle(
            place,
            radius.max(0.8),
            shifted(warm, random.tint(0.03)),
            0.92,
        );
    }
}

/// A cypress or poplar: a dark flame that stands on `foot`.
pub(super) fn poplar(
    canvas: &mut Canvas,
    random: &mut Random,
    foot: Place,
    height: f32,
    leaves: Colour,
) {
    for _ in 0..(40.0 + height * 2.0) as u32 {
        let up = random.unit();
        let half = height * 0.13 * (up * 1.15 + 0.1).min(1.0) * (1.0 - up).powf(0.6);
        let across = random.centred() * 1.3;
        let place = (foot.0 + across * half, foot.1 - up * height);
        let colour = lit(leaves, 0.75 + 0.45 * across + 0.15 * random.centred());
        let tip = (
            place.0 + random.centred(),
            place.1 - height * random.between(0.03, 0.09),
        );
        canvas.line(&[place, tip], (height * 0.03).max(0.8), colour, 0.9);
    }
}
