//! The second photo: a small town with a church and a bridge, mirrored in its river.

use image::RgbImage;

use super::SampleError;
use super::canvas::{Canvas, Place};
use super::colour::{Colour, lit, mix, rgb, shifted, smoothstep};
use super::noise::{Noise, Random};
use super::scenery::{Sky, hills, poplar, tree};

mod church;
mod houses;

const WIDTH: u32 = 480;
const HEIGHT: u32 = 320;
/// Where the river begins, pixels from the top.
const WATER: f32 = 212.0;

pub(super) fn draw() -> Result<RgbImage, SampleError> {
    let mut canvas = Canvas::new(WIDTH, HEIGHT)?;
    let mut random = Random::new(0x70E1);
    let sky = Sky {
        stops: &[
            (0.0, rgb(0x2C74C2)),
            (0.6, rgb(0x86BBE6)),
            (1.0, rgb(0xE9E6D4)),
        ],
        horizon: 165.0,
        sun: (64.0, -30.0),
        cover: 0.72,
        seed: 70,
    };
    sky.draw(&mut canvas);
    hills(
        &mut canvas,
        Noise(71),
        (160.0, 62.0, 150.0),
        (rgb(0x5E7F9C), rgb(0x9FB4B4)),
    );
    hills(
        &mut canvas,
        Noise(72),
        (176.0, 44.0, 110.0),
        (rgb(0x3F6B48), rgb(0x8BA65A)),
    );
    for _ in 0..34 {
        let foot = (
            random.between(0.0, WIDTH as f32),
            random.between(158.0, 172.0),
        );
        let leaves = mix(rgb(0x3B6B3A), rgb(0x6A8A3A), random.unit());
        tree(&mut canvas, &mut random, foot, 12.0, leaves);
    }
    houses::town(&mut canvas, &mut random);
    bank(&mut canvas, &mut random);
    bridge(&mut canvas, &mut random);
    river(&mut canvas);
    boat(&mut canvas);
    reeds(&mut canvas, &mut random);
    canvas.photographed(0x70F1);
    Ok(canvas.into_picture())
}

/// The quay: a wall of stones with trees on it.
fn bank(canvas: &mut Canvas, random: &mut Random) {
    for row in 0..5 {
        let y = 197.0 + row as f32 * 3.4;
        let mut x = -4.0 - row as f32 * 1.7;
        while x < WIDTH as f32 {
            let width = random.between(5.0, 10.0);
            let stone = mix(rgb(0x9A8E7C), rgb(0xC9BCA2), random.unit());
            canvas.rectangle((x, y), width, 3.6, lit(stone, 0.55));
            canvas.rectangle(
                (x, y),
                width - 0.8,
                2.8,
                lit(stone, 1.05 - row as f32 * 0.09),
            );
            x += width;
        }
    }
    canvas.rectangle((0.0, 195.5), WIDTH as f32, 2.2, rgb(0xDCCFB4));
    for (x, height) in [(24.0, 54.0), (196.0, 40.0), (222.0, 32.0)] {
        tree(canvas, random, (x, 197.0), height, rgb(0x5E9036));
    }
    for (x, height) in [(252.0, 56.0), (263.0, 44.0)] {
        poplar(canvas, random, (x, 197.0), height, rgb(0x2E5E38));
    }
}

/// Three stone arches to the right bank.
fn bridge(canvas: &mut Canvas, random: &mut Random) {
    let deck = |x: f32| 180.0 - 12.0 * (1.0 - ((x - 385.0) / 105.0).powi(2)).max(0.0);
    let noise = Noise(81);
    let piers = [
        (318.0, 27.0, 24.0),
        (383.0, 31.0, 33.0),
        (449.0, 27.0, 25.0),
    ];
    let is_open = |x: f32, y: f32| {
        piers.iter().any(|(centre, half, rise)| {
            let across = (x - centre) / half;
            across.abs() < 1.0 && y > WATER + 2.0 - rise * (1.0 - across.powi(2)).sqrt()
        })
    };
    canvas.every_pixel(|x, y, behind| {
        let from_deck = y - deck(x);
        if x < 282.0 || from_deck < 0.0 || y > WATER + 3.0 || is_open(x, y) {
            return behind;
        }
        let course = (y / 4.2).floor();
        let stone = ((x + course * 3.3) / 8.0).floor();
        let tone = Noise(82).at(stone * 1.7, course * 2.3);
        let mortar = ((y / 4.2).fract() < 0.16) || (((x + course * 3.3) / 8.0).fract() < 0.1);
        let colour = mix(rgb(0xA08A6C), rgb(0xDFC9A0), tone);
        let under = is_open(x, y + 5.0) || is_open(x - 4.0, y) || is_open(x + 4.0, y);
        let colour = if under {
            mix(colour, rgb(0xF0DFBC), 0.45)
        } else {
            colour
        };
        let wear = noise.fractal(x / 6.0, y / 6.0, 3) - 0.5;
        let damp = smoothstep(WATER - 14.0, WATER, y);
        let colour = mix(lit(colour, 1.0 + wear * 0.5), rgb(0x5D6248), damp * 0.55);
        lit(colour, if mortar { 0.72 } else { 1.0 })
    });
    // The inside of each arch, seen from the left.
    for (centre, half, rise) in piers {
        let mut inner = Vec::new();
        for step in 0..=16 {
            let across = step as f32 / 16.0 * 2.0 - 1.0;
            inner.push((
                centre + across * half,
                WATER + 2.0 - rise * (1.0 - across.powi(2)).sqrt(),
            ));
        }
        let offset: Vec<Place> = inner
            .iter()
            .rev()
            .map(|(x, y)| (x - 7.0, y + 2.0))
            .collect();
        inner.extend(offset.into_iter().filter(|(x, _)| *x > centre - half));
        canvas.polygon(&inner, rgb(0x4A4138), 0.85);
    }
    let rail: Vec<Place> = (0..26)
        .map(|step| 280.0 + 8.0 * step as f32)
        .map(|x| (x, deck(x) - 1.0))
        .collect();
    canvas.line(&rail, 4.0, rgb(0xB6A27E), 1.0);
    canvas.line(&rail, 1.6, rgb(0xEBDCB8), 1.0);
    for x in [350.0, 418.0] {
        lamp(canvas, (x, deck(x) - 2.0));
    }
    for (x, coat) in [
        (332.0, rgb(0xB8322E)),
        (339.0, rgb(0x2F4A7C)),
        (402.0, rgb(0x3C3A38)),
    ] {
        walker(canvas, random, (x, deck(x) - 1.5), coat);
    }
}

fn lamp(canvas: &mut Canvas, (x, y): Place) {
    canvas.line(&[(x, y), (x, y - 17.0)], 1.3, rgb(0x2A2A2C), 1.0);
    canvas.circle((x, y - 18.0), 2.4, rgb(0xFFF0C4), 1.0);
    canvas.line(
        &[(x - 2.4, y - 20.6), (x + 2.4, y - 20.6)],
        1.2,
        rgb(0x2A2A2C),
        1.0,
    );
}

fn walker(canvas: &mut Canvas, random: &mut Random, (x, y): Place, coat: Colour) {
    let stride = random.between(1.2, 2.2);
    canvas.line(
        &[(x - stride, y), (x, y - 5.0), (x + stride, y)],
        1.4,
        rgb(0x26242A),
        1.0,
    );
    canvas.limb((x, y - 5.0), (x + 0.3, y - 9.5), (3.6, 3.2), coat);
    canvas.circle((x + 0.4, y - 12.0), 1.7, rgb(0xD7A582), 1.0);
}

/// The water mirrors what stands above it, broken by ripples that grow towards us.
fn river(canvas: &mut Canvas) {
    let noise = Noise(91);
    let above: Vec<Colour> = {
        let (width, _) = canvas.size();
        let width = width as usize;
        (0..width * WATER as usize)
            .map(|index| canvas.colour_at(((index % width) as f32, (index / width) as f32)))
            .collect()
    };
    let mirrored = |x: f32, y: f32| {
        let x = x.clamp(0.0, WIDTH as f32 - 1.0) as usize;
        let y = y.clamp(0.0, WATER - 1.0) as usize;
        above[y * WIDTH as usize + x]
    };
    canvas.every_pixel(|x, y, colour| {
        let depth = y - WATER;
        if depth < 0.0 {
            return colour;
        }
        let flat = 2.0 + depth * 0.09;
        let wave = noise.fractal(x / (flat * 7.0), y / flat, 3) - 0.5;
        let fine = noise.fractal(x / (flat * 2.5) + 40.0, y / (flat * 0.6), 2) - 0.5;
        let reach = 2.0 + depth * 0.16;
        let (dx, dy) = (
            wave * reach * 1.2 + fine * 2.0,
            wave * reach * 2.6 + fine * 3.0,
        );
        let far = mirrored(x + dx, WATER - depth * 1.5 - 1.0 + dy);
        let near = mirrored(x + dx * 1.4 + 1.0, WATER - depth * 1.5 + 1.0 + dy * 1.4);
        let water = mix(
            mix(far, near, 0.5),
            rgb(0x2A5A68),
            0.26 + 0.1 * depth / 108.0,
        );
        let glint = smoothstep(0.1, 0.26, wave + fine * 0.5) * 0.36;
        let trough = smoothstep(0.08, 0.24, -wave - fine * 0.4) * 0.3;
        let water = mix(mix(water, rgb(0xEAF1EE), glint), rgb(0x123A48), trough);
        shifted(water, [0.0, 0.01, 0.02])
    });
    canvas.line(
        &[(0.0, WATER + 0.5), (WIDTH as f32, WATER + 0.5)],
        1.2,
        rgb(0x2A3430),
        0.6,
    );
}

fn boat(canvas: &mut Canvas) {
    let (x, y) = (128.0, 256.0);
    canvas.ellipse((x + 2.0, y + 7.5), (46.0, 4.0), rgb(0x10303A), 0.6);
    let hull = [
        (x - 42.0, y - 9.0),
        (x + 46.0, y - 10.0),
        (x + 34.0, y + 6.0),
        (x - 30.0, y + 6.0),
    ];
    canvas.polygon_shaded(
        &hull,
        ((x, y - 10.0), rgb(0xD9472F)),
        ((x, y + 6.0), rgb(0x7E1F1C)),
    );
    canvas.line(
        &[
            (x - 42.0, y - 9.0),
            (x - 20.0, y - 7.0),
            (x + 20.0, y - 7.4),
            (x + 46.0, y - 10.0),
        ],
        2.4,
        rgb(0xF4E6C8),
        1.0,
    );
    canvas.polygon(
        &[
            (x - 36.0, y - 9.4),
            (x + 40.0, y - 10.4),
            (x + 22.0, y - 8.4),
            (x - 20.0, y - 8.0),
        ],
        rgb(0x4B3020),
        1.0,
    );
    for seat in [-14.0, 12.0] {
        canvas.line(
            &[(x + seat, y - 9.4), (x + seat + 8.0, y - 9.6)],
            2.6,
            rgb(0xC08B54),
            1.0,
        );
    }
    canvas.line(
        &[(x - 20.0, y - 14.0), (x + 12.0, y + 10.0)],
        1.8,
        rgb(0xE0BE8A),
        1.0,
    );
    canvas.limb(
        (x + 10.0, y + 8.6),
        (x + 17.0, y + 13.6),
        (2.0, 4.2),
        rgb(0xE0BE8A),
    );
    for (offset, alpha) in [(10.0, 0.5), (13.0, 0.3)] {
        canvas.line(
            &[(x - 34.0, y + offset), (x + 40.0, y + offset + 0.6)],
            0.9,
            rgb(0xF0F4F0),
            alpha,
        );
    }
}

fn reeds(canvas: &mut Canvas, random: &mut Random) {
    for _ in 0..330 {
        let right = random.chance(0.6);
        let spread = random.unit().powi(2);
        let x = if right {
            484.0 - spread * 110.0
        } else {
            -4.0 + spread * 70.0
        };
        let foot = (x, 322.0);
        let height = (1.0 - spread * 0.75) * random.between(24.0, 66.0);
        let tip = (x + random.centred() * 12.0 - 3.0, foot.1 - height);
        let middle = (x + random.centred() * 3.0, foot.1 - height * 0.55);
        let colour = mix(rgb(0x2F5528), rgb(0xB3B954), random.unit().powi(2));
        canvas.curve(&[foot, middle, tip], random.between(0.9, 1.8), colour, 0.9);
        if random.chance(0.06) {
            canvas.limb(tip, (tip.0 + 0.4, tip.1 - 8.0), (3.2, 3.0), rgb(0x5E3A20));
        }
    }
}
