//! The third painting: a night in which everything flows, in long strokes.

use image::RgbImage;

use super::SampleError;
use super::canvas::{Canvas, Place};
use super::colour::{Colour, lit, mix, ramp, rgb, shifted};
use super::noise::{Noise, Random};

const WIDTH: u32 = 320;
const HEIGHT: u32 = 264;

/// What the air turns around: a place, how wide, and which way.
const EDDIES: [(Place, f32, f32); 5] = [
    ((128.0, 86.0), 46.0, 1.0),
    ((196.0, 108.0), 30.0, -1.0),
    ((44.0, 46.0), 32.0, -1.0),
    ((262.0, 54.0), 44.0, 1.0),
    ((300.0, 136.0), 26.0, -1.0),
];

/// Lights in the sky: a place, the radius of the disc and of its halo.
const LIGHTS: [(Place, f32, f32); 9] = [
    ((262.0, 54.0), 17.0, 44.0),
    ((44.0, 46.0), 7.0, 24.0),
    ((96.0, 28.0), 5.0, 18.0),
    ((160.0, 34.0), 6.0, 21.0),
    ((206.0, 22.0), 4.0, 15.0),
    ((22.0, 104.0), 5.0, 18.0),
    ((78.0, 124.0), 4.5, 16.0),
    ((230.0, 118.0), 4.5, 16.0),
    ((300.0, 136.0), 5.0, 18.0),
];

pub(super) fn draw() -> Result<RgbImage, SampleError> {
    let mut random = Random::new(0x5713);
    let mut canvas = Canvas::new(WIDTH, HEIGHT)?;
    canvas.every_pixel(|x, y, _| motif((x, y)));
    // Broad strokes cover, narrow ones model, the last ones are the lights.
    for (count, width, length) in [(2600, 6.0, 26.0), (5200, 3.6, 20.0), (5200, 2.2, 14.0)] {
        for _ in 0..count {
            let start = (
                random.between(-6.0, WIDTH as f32 + 6.0),
                random.between(-6.0, HEIGHT as f32 + 6.0),
            );
            stroke(&mut canvas, &mut random, start, width, length);
        }
    }
    village(&mut canvas, &mut random);
    stars(&mut canvas, &mut random);
    cypress(&mut canvas, &mut random, (96.0, 272.0), (112.0, 17.0));
    cypress(&mut canvas, &mut random, (56.0, 276.0), (226.0, 30.0));
    Ok(canvas.into_picture())
}

/// Height of the hills' edge.
fn hills(x: f32) -> f32 {
    168.0 + 15.0 * (x / 46.0).sin() - 12.0 * (x / 104.0 + 0.6).sin() - x * 0.04
}

/// Height of the field's edge.
fn field(x: f32) -> f32 {
    206.0 + 8.0 * (x / 60.0 + 2.0).sin()
}

fn motif((x, y): Place) -> Colour {
    let noise = Noise(7);
    if y > field(x) {
        let down = (y - field(x)) / 60.0;
        let rows = noise.fractal(x / 30.0, y / 9.0, 3);
        return ramp(
            &[
                (0.0, rgb(0x6E7A2C)),
                (0.3, rgb(0xC79A2A)),
                (0.55, rgb(0xF0C642)),
                (0.8, rgb(0xD98E24)),
                (1.2, rgb(0x7A5A22)),
            ],
            rows * 0.9 + down * 0.22,
        );
    }
    if y > hills(x) {
        let depth = (y - hills(x)) / 40.0;
        let fold = noise.fractal(x / 22.0, y / 12.0, 3);
        return ramp(
            &[
                (0.0, rgb(0x1B2E5C)),
                (0.5, rgb(0x2F5E8C)),
                (1.0, rgb(0x4F9088)),
            ],
            fold * 0.7 + depth * 0.5,
        );
    }
    let height = y / hills(x);
    let swirl = EDDIES
        .iter()
        .map(|(centre, width, _)| {
            let distance = (x - centre.0).hypot(y - centre.1);
            let turn = (y - centre.1).atan2(x - centre.0);
            (-(distance / width).powi(2)).exp() * (distance / 4.2 + turn).sin()
        })
        .sum::<f32>();
    let bands = noise.fractal(x / 48.0, y / 14.0, 4);
    let blue = ramp(
        &[
            (0.0, rgb(0x101C52)),
            (0.35, rgb(0x1D3F92)),
            (0.6, rgb(0x3A78C2)),
            (0.85, rgb(0x8FC0DC)),
            (1.1, rgb(0xE2ECD2)),
        ],
        bands * 0.75 + height * 0.18 + swirl * 0.34,
    );
    LIGHTS.iter().fold(blue, |sky, (centre, disc, halo)| {
        let distance = (x - centre.0).hypot(y - centre.1);
        if distance < *disc {
            return mix(rgb(0xFFF6B4), rgb(0xFBD23C), distance / disc);
        }
        let share = (1.0 - (distance - disc) / (halo - disc)).clamp(0.0, 1.0);
        let ring = 0.5 + 0.5 * (distance / 2.4).cos();
        mix(
            sky,
            mix(rgb(0xF6C83A), rgb(0xE9EDB0), ring),
            share.powf(0.8) * (0.5 + 0.4 * ring),
        )
    })
}

/// Which way a stroke runs at a place, radians.
fn flow((x, y): Place) -> f32 {
    let noise = Noise(9);
    if y > field(x) {
        return 0.25 * (x / 60.0 + 2.0).cos() + (noise.at(x / 22.0, y / 14.0) - 0.5) * 1.1;
    }
    if y > hills(x) {
        return 0.35 * (x / 46.0).cos() + (noise.at(x / 20.0, y / 16.0) - 0.5) * 1.3;
    }
    let drift = (noise.at(x / 70.0, y / 42.0) - 0.5) * 1.5;
    let (mut along_x, mut along_y) = (drift.cos(), drift.sin() * 0.8);
    let eddies = EDDIES
        .iter()
        .map(|(centre, width, turn)| (*centre, *width, *turn, 3.4));
    let halos = LIGHTS
        .iter()
        .map(|(centre, _, halo)| (*centre, halo * 0.8, 1.0, 3.0));
    for (centre, width, turn, strength) in eddies.chain(halos) {
        let (dx, dy) = (x - centre.0, y - centre.1);
        let distance = dx.hypot(dy).max(0.5);
        let pull = strength * (-(distance / width).powi(2)).exp() * turn;
        along_x -= pull * dy / distance;
        along_y += pull * dx / distance;
    }
    along_y.atan2(along_x)
}

/// A loaded brush drawn along the flow: the paint, its ridge in the light, its edge in the shade.
fn stroke(canvas: &mut Canvas, random: &mut Random, start: Place, width: f32, length: f32) {
    let step = 3.0;
    let steps = (length * random.between(0.5, 1.2) / step) as usize + 2;
    let mut places = vec![start];
    let (mut x, mut y) = start;
    for _ in 0..steps {
        let angle = flow((x, y));
        x += angle.cos() * step;
        y += angle.sin() * step;
        places.push((x, y));
    }
    let middle = places[places.len() / 2];
    let base = motif(middle);
    let accent = match random.unit() {
        roll if roll < 0.07 => mix(base, rgb(0x2AA59A), 0.4),
        roll if roll < 0.12 => mix(base, rgb(0x7A4FB0), 0.35),
        _ => base,
    };
    let colour = shifted(lit(accent, 1.0 + random.centred() * 0.3), random.tint(0.06));
    let width = width * random.between(0.6, 1.15);
    let beside =
        |by: f32| -> Vec<Place> { places.iter().map(|(x, y)| (x + by * 0.5, y + by)).collect() };
    canvas.curve(&beside(width * 0.24), width, lit(colour, 0.7), 0.75);
    canvas.curve(&places, width * 0.86, colour, 1.0);
    canvas.curve(
        &beside(-width * 0.2),
        width * 0.28,
        mix(lit(colour, 1.25), rgb(0xFFF6DC), 0.12),
        0.7,
    );
}

/// Roofs and lit windows at the foot of the hills, and a church among them.
fn village(canvas: &mut Canvas, random: &mut Random) {
    for (left, ground, width) in [
        (140.0, 203.0, 19.0),
        (163.0, 199.0, 16.0),
        (214.0, 201.0, 18.0),
        (236.0, 205.0, 22.0),
        (262.0, 201.0, 17.0),
        (283.0, 206.0, 20.0),
    ] {
        house(canvas, random, (left, ground), width);
    }
    let (x, y) = (192.0, 202.0);
    for step in 0..9 {
        let across = x - 5.0 + step as f32 * 1.25;
        let wall = lit(rgb(0x7C93B4), 1.2 - step as f32 * 0.07);
        canvas.line(&[(across, y), (across, y - 22.0)], 1.8, wall, 1.0);
    }
    for side in [-1.0_f32, 1.0] {
        for step in 0..5 {
            let foot = (x + side * (6.5 - step as f32 * 1.4), y - 22.0);
            let slate = lit(rgb(0x24407A), if side < 0.0 { 1.5 } else { 0.9 });
            canvas.line(
                &[foot, (x, y - 56.0)],
                1.5,
                lit(slate, 1.0 + random.centred() * 0.2),
                1.0,
            );
        }
    }
    canvas.line(&[(x, y - 15.0), (x, y - 11.0)], 3.0, rgb(0xFFDE5A), 1.0);
}

fn house(canvas: &mut Canvas, random: &mut Random, (left, ground): Place, width: f32) {
    let wall = width * 0.5;
    let mut across = 1.0;
    while across < width {
        let colour = lit(
            mix(rgb(0x6E8CB4), rgb(0x34507E), across / width),
            1.0 + random.centred() * 0.15,
        );
        canvas.line(
            &[(left + across, ground), (left + across, ground - wall)],
            2.4,
            colour,
            1.0,
        );
        across += 1.7;
    }
    for row in 0..6 {
        let up = wall + row as f32 * 1.6;
        let inset = row as f32 * 1.5;
        let tiles = lit(
            random.pick(&[rgb(0xC2562E), rgb(0xA8432C), rgb(0xD9743A)]),
            1.0 + random.centred() * 0.2,
        );
        let ends = [
            (left - 1.5 + inset, ground - up),
            (left + width + 1.0 - inset * 0.6, ground - up - 1.0),
        ];
        canvas.line(&ends, 2.2, tiles, 1.0);
    }
    for share in [0.3, 0.7] {
        let place = (left + width * share, ground - wall * 0.5);
        canvas.line(&[place, (place.0, place.1 - 2.2)], 3.2, rgb(0xFFD84A), 1.0);
        canvas.line(&[place, (place.0, place.1 - 1.4)], 1.2, rgb(0xFFF6C0), 1.0);
    }
}

/// Dabs in rings around every light, brightest in its middle.
fn stars(canvas: &mut Canvas, random: &mut Random) {
    for ((x, y), disc, halo) in LIGHTS {
        let mut radius = halo * 0.82;
        while radius > 0.6 {
            let share = 1.0 - radius / halo;
            let mut angle = random.between(0.0, 0.6);
            while angle < std::f32::consts::TAU {
                let sweep = random.between(4.0, 8.0) / radius.max(3.0);
                let at = |angle: f32| (x + radius * angle.cos(), y + radius * angle.sin());
                let colour = if radius < disc {
                    random.pick(&[rgb(0xFFE56A), rgb(0xFFF7C8), rgb(0xFBC93A)])
                } else {
                    random.pick(&[rgb(0xF4D35E), rgb(0xEDE6A8), rgb(0xBFD8C8), rgb(0xF0B43C)])
                };
                if radius < disc || random.chance(0.25 + 0.55 * share) {
                    let dab = [at(angle), at(angle + sweep * 0.5), at(angle + sweep)];
                    canvas.curve(&dab, random.between(1.6, 2.6), colour, 0.95);
                }
                angle += sweep * random.between(1.05, 1.5);
            }
            radius -= 2.5;
        }
    }
}

/// A dark flame in the foreground, of the given height and half width.
fn cypress(canvas: &mut Canvas, random: &mut Random, foot: Place, (height, half): (f32, f32)) {
    let greens = [
        rgb(0x173A24),
        rgb(0x22552E),
        rgb(0x0F2A34),
        rgb(0x47732F),
        rgb(0x5A4420),
        rgb(0x1C3350),
    ];
    for _ in 0..(height * 7.0) as u32 {
        // Painted from the foot upwards in thought, in any order by hand: flames lick over one another.
        let up = random.unit().powf(0.8);
        let tongue = 0.72 + 0.28 * (up * 17.0).sin();
        let reach = half * (1.0 - up).powf(0.62) * (0.35 + up.powf(0.35) * 0.75) * tongue;
        let across = random.between(-1.0, 1.0);
        let sway = 4.0 * (up * 7.0).sin();
        let (x, y) = (foot.0 + across * reach + sway, foot.1 - up * height * 0.93);
        let length = height * random.between(0.05, 0.1);
        let curl = (up * 23.0 + across * 2.0).sin() * 3.0;
        let places = [
            (x, y),
            (x - across * 2.0 + curl, y - length * 0.5),
            (x - across * reach * 0.35 + curl * 0.4, y - length),
        ];
        let colour = shifted(random.pick(&greens), random.tint(0.05));
        let facing = 1.0 + across * 0.3;
        let width = random.between(1.4, 3.2);
        canvas.curve(
            &places,
            width,
            lit(colour, facing + random.centred() * 0.25),
            1.0,
        );
        let lifted = places.map(|(x, y)| (x + width * 0.25, y));
        canvas.curve(
            &lifted,
            width * 0.28,
            mix(lit(colour, 1.7), rgb(0xD8C86A), 0.22),
            0.6,
        );
    }
}
