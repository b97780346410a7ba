//! The first photo: a cyclist on a country road before hills, in low sun.

use image::RgbImage;

use super::SampleError;
use super::canvas::{Canvas, Place};
use super::colour::{lit, mix, rgb, shifted, smoothstep};
use super::noise::{Noise, Random};
use super::scenery::{Sky, hills, land, poplar, tree};

mod bicycle;

const WIDTH: u32 = 480;
const HEIGHT: u32 = 320;
/// Where the road begins and ends, pixels from the top.
const ROAD: (f32, f32) = (246.0, 292.0);

pub(super) fn draw() -> Result<RgbImage, SampleError> {
    let mut canvas = Canvas::new(WIDTH, HEIGHT)?;
    let mut random = Random::new(0xC1C1);
    scenery(&mut canvas, &mut random);
    road(&mut canvas);
    bicycle::draw(&mut canvas, (150.0, 230.0));
    verge(&mut canvas, &mut random);
    canvas.photographed(0xF11A);
    Ok(canvas.into_picture())
}

fn scenery(canvas: &mut Canvas, random: &mut Random) {
    let sky = Sky {
        stops: &[
            (0.0, rgb(0x2F6DB5)),
            (0.45, rgb(0x74A9DC)),
            (0.8, rgb(0xF3CFA6)),
            (1.0, rgb(0xFBDDB0)),
        ],
        horizon: 170.0,
        sun: (392.0, 62.0),
        cover: 0.5,
        seed: 11,
    };
    sky.draw(canvas);
    hills(
        canvas,
        Noise(21),
        (166.0, 92.0, 120.0),
        (rgb(0x6C7FA8), rgb(0xB6AEBE)),
    );
    hills(
        canvas,
        Noise(22),
        (184.0, 74.0, 95.0),
        (rgb(0x4C6A80), rgb(0x9AA79A)),
    );
    hills(
        canvas,
        Noise(23),
        (200.0, 50.0, 80.0),
        (rgb(0x3F6A4A), rgb(0xA0B062)),
    );
    for _ in 0..46 {
        let x = random.between(0.0, WIDTH as f32);
        let y = random.between(182.0, 196.0);
        let leaves = mix(rgb(0x3B6B3A), rgb(0x6E8A3C), random.unit());
        let height = random.between(7.0, 13.0);
        tree(canvas, random, (x, y), height, leaves);
    }
    fields(canvas);
    for (x, height) in [(26.0, 62.0), (42.0, 78.0), (57.0, 58.0), (72.0, 70.0)] {
        poplar(canvas, random, (x, 226.0), height, rgb(0x2C5B37));
    }
    for (x, y, height) in [
        (338.0, 222.0, 52.0),
        (378.0, 228.0, 70.0),
        (448.0, 230.0, 104.0),
    ] {
        tree(canvas, random, (x, y), height, rgb(0x6F9A38));
    }
}

/// Meadows and wheat in strips that run towards the hills.
fn fields(canvas: &mut Canvas) {
    let (edge, texture) = (Noise(31), Noise(32));
    let line = |x: f32| 197.0 - 7.0 * edge.fractal(x / 140.0, 0.4, 2);
    land(canvas, line, |x, y, depth| {
        let near = (depth / 55.0).clamp(0.0, 1.0);
        let across = (x - 250.0) / (12.0 + depth * 1.6) + edge.at(x / 70.0, y / 20.0) * 0.8;
        let strip = (across * 1.3).floor();
        let kind = Noise(33).at(strip * 3.1, 0.0);
        let field = if kind < 0.36 {
            rgb(0xD9B64E)
        } else if kind < 0.66 {
            rgb(0x86A845)
        } else {
            rgb(0x5F9440)
        };
        let rows = ((across * 22.0).sin() * 0.5 + 0.5) * 0.16;
        let grain = texture.fractal(x / (2.0 + 3.0 * near), y / (1.0 + 2.0 * near), 3) - 0.5;
        lit(field, 0.86 + rows + grain * 0.5)
    });
}

fn road(canvas: &mut Canvas) {
    let noise = Noise(41);
    let (top, bottom) = ROAD;
    canvas.every_pixel(|x, y, beside| {
        let wobble = (noise.fractal(x / 30.0, 0.0, 3) - 0.5) * 5.0;
        let inside = smoothstep(top - 1.0, top + 1.5, y + wobble * 0.5)
            * (1.0 - smoothstep(bottom - 2.0, bottom + 2.0, y + wobble));
        let down = (y - top) / (bottom - top);
        let patches = noise.fractal(x / 60.0, y / 14.0, 4) - 0.5;
        let grit = noise.at(x * 1.3, y * 1.7) - 0.5;
        let asphalt = mix(rgb(0x8A8590), rgb(0x625F6B), down);
        let asphalt = lit(asphalt, 1.0 + patches * 0.4 + grit * 0.22);
        let asphalt = shifted(asphalt, [0.05, 0.02, -0.03]);
        let painted = smoothstep(0.11, 0.14, down) * (1.0 - smoothstep(0.17, 0.2, down));
        let asphalt = mix(asphalt, rgb(0xEDE6D6), painted * (0.75 + patches));
        mix(beside, asphalt, inside)
    });
}

/// Grass and flowers before and behind the road.
fn verge(canvas: &mut Canvas, random: &mut Random) {
    let noise = Noise(51);
    let line = |x: f32| ROAD.1 - 1.0 + 5.0 * noise.fractal(x / 22.0, 2.0, 3);
    land(canvas, line, |x, y, depth| {
        let grain = noise.fractal(x / 2.5, y / 5.0, 3) - 0.5;
        lit(
            mix(rgb(0x7E9A3A), rgb(0x3E6A2C), depth / 26.0),
            1.0 + grain * 0.7,
        )
    });
    for _ in 0..1500 {
        let near = random.unit();
        let foot = (
            random.between(-4.0, WIDTH as f32 + 4.0),
            ROAD.1 + near * 34.0,
        );
        blade(canvas, random, foot, 4.0 + 9.0 * near);
    }
    for _ in 0..420 {
        let foot = (
            random.between(0.0, WIDTH as f32),
            ROAD.0 + 1.0 + random.centred(),
        );
        blade(canvas, random, foot, 3.5);
    }
    for _ in 0..150 {
        let near = random.unit();
        let place = (
            random.between(0.0, WIDTH as f32),
            ROAD.1 + 2.0 + near * 28.0,
        );
        let petals = random.pick(&[rgb(0xE4432F), rgb(0xF6E7C4), rgb(0xF3B932), rgb(0x8F6CC0)]);
        let radius = 0.9 + 1.7 * near;
        canvas.circle(place, radius, petals, 0.95);
        canvas.circle(
            (place.0 + radius * 0.3, place.1 - radius * 0.4),
            radius * 0.45,
            lit(petals, 1.3),
            0.9,
        );
    }
}

fn blade(canvas: &mut Canvas, random: &mut Random, foot: Place, height: f32) {
    let colour = mix(rgb(0x48702C), rgb(0xBFC65A), random.unit().powi(2));
    let tip = (
        foot.0 + random.centred() * height * 0.6 + 1.0,
        foot.1 - height * random.between(0.6, 1.2),
    );
    let middle = (foot.0 + random.centred(), foot.1 - height * 0.5);
    canvas.curve(&[foot, middle, tip], 0.9, colour, 0.8);
}
