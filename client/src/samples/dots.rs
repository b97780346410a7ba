//! The first painting: a bay in the afternoon, in dots of pure colour.

use image::RgbImage;

use super::SampleError;
use super::canvas::{Canvas, Place};
use super::colour::{Colour, lit, mix, ramp, rgb, shifted};
use super::noise::{Noise, Random};
use super::scenery::{land, tree};

const WIDTH: u32 = 320;
const HEIGHT: u32 = 256;
const HORIZON: f32 = 96.0;

pub(super) fn draw() -> Result<RgbImage, SampleError> {
    let mut random = Random::new(0xD075);
    let motif = motif(&mut random)?;
    let mut canvas = Canvas::new(WIDTH, HEIGHT)?;
    // The ground that shows between the dots is the motif itself, paled: no spot is left bare.
    canvas.every_pixel(|x, y, _| mix(motif.colour_at((x, y)), rgb(0xF3E3C3), 0.3));
    for (spacing, radius) in [(7.4, 4.8), (5.8, 3.2), (5.0, 2.2)] {
        layer(&mut canvas, &motif, &mut random, spacing, radius);
    }
    Ok(canvas.into_picture())
}

/// One layer of dots, on a grid that was shaken.
fn layer(canvas: &mut Canvas, motif: &Canvas, random: &mut Random, spacing: f32, radius: f32) {
    let mut places = Vec::new();
    let mut y = 0.0;
    while y < HEIGHT as f32 + spacing {
        let mut x = 0.0;
        while x < WIDTH as f32 + spacing {
            places.push((
                x + random.centred() * spacing * 0.7,
                y + random.centred() * spacing * 0.7,
            ));
            x += spacing;
        }
        y += spacing * 0.87;
    }
    // In a random order, or the rows would overlap like tiles.
    for index in (1..places.len()).rev() {
        let other = (random.unit() * (index + 1) as f32) as usize;
        places.swap(index, other.min(index));
    }
    for place in places {
        let colour = divided(motif.colour_at(place), random);
        let radius = radius * random.between(0.72, 1.12);
        canvas.circle(place, radius, colour, 0.94);
        canvas.circle(
            (place.0 - radius * 0.25, place.1 - radius * 0.3),
            radius * 0.45,
            lit(colour, 1.12),
            0.5,
        );
    }
}

/// A colour as its neighbour on the palette: purer, and now and then its complement, so that the eye mixes them.
fn divided(colour: Colour, random: &mut Random) -> Colour {
    let grey = colour.iter().sum::<f32>() / 3.0;
    let purer: Colour = std::array::from_fn(|channel| grey + (colour[channel] - grey) * 1.4);
    let base = shifted(purer, random.tint(0.1));
    match random.unit() {
        roll if roll < 0.06 => mix(base, rgb(0xF08A3C), 0.42),
        roll if roll < 0.16 => mix(base, rgb(0x3E55C8), 0.4),
        roll if roll < 0.22 => mix(base, rgb(0xE86AA0), 0.36),
        roll if roll < 0.32 => mix(base, rgb(0xFFF2C0), 0.4),
        roll if roll < 0.4 => mix(base, rgb(0x2FA38C), 0.36),
        _ => base,
    }
}

fn motif(random: &mut Random) -> Result<Canvas, SampleError> {
    let mut canvas = Canvas::new(WIDTH, HEIGHT)?;
    let noise = Noise(61);
    let sky = [
        (0.0, rgb(0x4E8FD6)),
        (0.55, rgb(0x9CC7E8)),
        (0.85, rgb(0xF8D9B0)),
        (1.0, rgb(0xFBC9A2)),
    ];
    canvas.every_pixel(|x, y, _| {
        if y > HORIZON {
            return sea((x, y));
        }
        let cloud = noise.fractal(x / 60.0, y / 22.0, 3);
        let cloud = ((cloud - 0.52) * 5.0).clamp(0.0, 0.9);
        mix(ramp(&sky, y / HORIZON), rgb(0xFFF0DC), cloud)
    });
    canvas.glow((226.0, 56.0), 70.0, rgb(0xFFE08A), 0.9);
    canvas.circle((226.0, 56.0), 14.0, rgb(0xFFF4C0), 1.0);
    let far = |x: f32| 95.0 - 26.0 * noise.at(x / 55.0, 9.0) * (1.0 - x / 250.0).max(0.0);
    land(&mut canvas, far, |x, y, depth| {
        if x < 250.0 && y < HORIZON + 1.5 {
            mix(rgb(0x8E86C8), rgb(0x7FB2A0), depth / 22.0)
        } else {
            sea((x, y))
        }
    });
    sail(&mut canvas, (150.0, 128.0), 46.0);
    sail(&mut canvas, (268.0, 112.0), 24.0);
    sail(&mut canvas, (92.0, 108.0), 18.0);
    shore(&mut canvas, random);
    Ok(canvas)
}

/// The water, with the sun's path on it.
fn sea((x, y): Place) -> Colour {
    let noise = Noise(63);
    let deep = [
        (0.0, rgb(0x6FB3D8)),
        (0.3, rgb(0x2E86C0)),
        (1.0, rgb(0x1C5AA6)),
    ];
    let down = (y - HORIZON) / (HEIGHT as f32 - HORIZON);
    let wave = noise.fractal(x / (10.0 + 40.0 * down), y / (2.0 + 9.0 * down), 2) - 0.5;
    let path = (-((x - 226.0) / (16.0 + 50.0 * down)).powi(2)).exp();
    let water = mix(ramp(&deep, down), rgb(0xFFD98A), path * (0.55 + wave * 1.6));
    lit(water, 1.0 + wave * 0.7)
}

fn sail(canvas: &mut Canvas, (x, y): Place, height: f32) {
    let main = [
        (x - 1.0, y - height),
        (x - 1.0, y - 3.0),
        (x - height * 0.5, y - 4.0),
    ];
    canvas.polygon_shaded(
        &main,
        ((x, y - height), rgb(0xFFFBEA)),
        ((x - height * 0.5, y), rgb(0xF2C79A)),
    );
    let jib = [
        (x + 1.5, y - height * 0.92),
        (x + 1.5, y - 3.0),
        (x + height * 0.36, y - 4.0),
    ];
    canvas.polygon(&jib, rgb(0xF08A5A), 1.0);
    let half = height * 0.42;
    canvas.polygon(
        &[
            (x - half, y - 2.5),
            (x + half, y - 2.5),
            (x + half * 0.7, y + height * 0.09),
            (x - half * 0.7, y + height * 0.09),
        ],
        rgb(0x7A2E4A),
        1.0,
    );
    canvas.ellipse(
        (x, y + height * 0.22),
        (half * 0.8, height * 0.09),
        rgb(0xF4D8B0),
        0.6,
    );
}

/// The near shore: a meadow in flower, trees that frame the bay, a woman with a parasol.
fn shore(canvas: &mut Canvas, random: &mut Random) {
    let noise = Noise(62);
    let edge = |x: f32| 204.0 + 24.0 * ((x - 40.0) / 120.0).sin() + 8.0 * noise.at(x / 24.0, 1.0);
    land(canvas, edge, |x, y, depth| {
        let patch = noise.fractal(x / 26.0, y / 12.0, 3);
        let grass = mix(
            rgb(0xB8C84A),
            rgb(0x3F8A46),
            (depth / 60.0 + patch - 0.3).clamp(0.0, 1.0),
        );
        if depth < 4.0 {
            mix(rgb(0xFBE7B8), grass, depth / 4.0)
        } else {
            grass
        }
    });
    for _ in 0..170 {
        let x = random.between(0.0, WIDTH as f32);
        let place = (x, edge(x) + random.between(5.0, 60.0));
        let petals = random.pick(&[
            rgb(0xE8453C),
            rgb(0xF7C53A),
            rgb(0xF4A6C4),
            rgb(0xFFF6E0),
            rgb(0x8A63C8),
        ]);
        canvas.circle(place, random.between(1.4, 2.8), petals, 1.0);
    }
    tree(canvas, random, (34.0, 214.0), 170.0, rgb(0x6FA23A));
    tree(canvas, random, (300.0, 192.0), 84.0, rgb(0x86B040));
    let (x, y) = (206.0, 226.0);
    canvas.ellipse((x - 14.0, y + 1.0), (20.0, 4.0), rgb(0x2B4E78), 0.7);
    canvas.polygon(
        &[
            (x - 4.0, y - 28.0),
            (x + 4.0, y - 28.0),
            (x + 13.0, y),
            (x - 11.0, y),
        ],
        rgb(0xF6EEF4),
        1.0,
    );
    canvas.polygon(
        &[
            (x - 4.0, y - 28.0),
            (x, y - 28.0),
            (x - 3.0, y),
            (x - 11.0, y),
        ],
        rgb(0x9FA6DC),
        1.0,
    );
    canvas.limb((x, y - 30.0), (x, y - 38.0), (9.0, 6.0), rgb(0xC8365A));
    canvas.circle((x, y - 44.0), 4.6, rgb(0xE8B088), 1.0);
    canvas.line(
        &[(x + 6.0, y - 30.0), (x + 9.0, y - 58.0)],
        1.6,
        rgb(0x6A3A2A),
        1.0,
    );
    canvas.polygon(
        &[
            (x - 10.0, y - 51.0),
            (x - 3.0, y - 62.0),
            (x + 10.0, y - 66.0),
            (x + 22.0, y - 61.0),
            (x + 28.0, y - 49.0),
        ],
        rgb(0xF0A030),
        1.0,
    );
    canvas.polygon(
        &[
            (x - 10.0, y - 51.0),
            (x - 3.0, y - 62.0),
            (x + 10.0, y - 66.0),
            (x + 6.0, y - 51.0),
        ],
        rgb(0xFAD060),
        1.0,
    );
}
