//! The church in the midst of the town.

use crate::samples::canvas::{Canvas, Place};
use crate::samples::colour::{Colour, lit, rgb};
use crate::samples::noise::Random;

const STONE: Colour = rgb(0xE9DCC0);
/// Height and half the width of the tower, pixels.
const TOWER: f32 = 104.0;
const HALF_TOWER: f32 = 13.0;

/// Draws it with the middle of its tower's foot at the given place.
pub(super) fn draw(canvas: &mut Canvas, random: &mut Random, (x, y): Place) {
    nave(canvas, (x, y));
    tower(canvas, random, (x, y));
    spire(canvas, (x, y - TOWER));
}

/// The nave stands behind the tower, to the right.
fn nave(canvas: &mut Canvas, (x, y): Place) {
    let nave = [
        (x + 10.0, y - 52.0),
        (x + 66.0, y - 52.0),
        (x + 66.0, y),
        (x + 10.0, y),
    ];
    canvas.polygon_shaded(
        &nave,
        ((x + 10.0, y - 52.0), lit(STONE, 0.98)),
        ((x + 66.0, y), lit(STONE, 0.76)),
    );
    let roof = [
        (x + 8.0, y - 51.0),
        (x + 14.0, y - 76.0),
        (x + 60.0, y - 76.0),
        (x + 70.0, y - 51.0),
    ];
    canvas.polygon_shaded(
        &roof,
        ((x + 14.0, y - 76.0), lit(rgb(0xB5502F), 1.12)),
        ((x + 70.0, y - 51.0), lit(rgb(0x9C4330), 0.8)),
    );
    for row in 1..9 {
        let share = row as f32 / 9.0;
        let row_y = y - 76.0 + 25.0 * share;
        canvas.line(
            &[
                (x + 14.0 - 6.0 * share, row_y),
                (x + 60.0 + 10.0 * share, row_y),
            ],
            0.7,
            rgb(0x6E2E20),
            0.55,
        );
    }
    for window in 0..3 {
        arched(
            canvas,
            (x + 23.0 + 16.0 * window as f32, y - 42.0),
            (4.0, 16.0),
        );
    }
}

fn tower(canvas: &mut Canvas, random: &mut Random, (x, y): Place) {
    let (half, top) = (HALF_TOWER, y - TOWER);
    let tower = [
        (x - half, top),
        (x + half, top),
        (x + half, y),
        (x - half, y),
    ];
    canvas.polygon_shaded(
        &tower,
        ((x - half, top), lit(STONE, 1.08)),
        ((x + half, top), lit(STONE, 0.7)),
    );
    for _ in 0..260 {
        let place = (
            x + random.between(-half, half - 3.0),
            random.between(top, y),
        );
        let to = (place.0 + random.between(1.5, 3.5), place.1);
        canvas.line(
            &[place, to],
            1.1,
            lit(STONE, 0.86 + 0.24 * random.unit()),
            0.5,
        );
    }
    for height in [0.0, 33.0, 62.0] {
        canvas.rectangle(
            (x - half - 1.2, top + height),
            2.0 * half + 2.4,
            2.2,
            lit(STONE, 1.1),
        );
        canvas.rectangle(
            (x - half - 1.2, top + height + 2.2),
            2.0 * half + 2.4,
            1.1,
            rgb(0x6E6252),
        );
    }
    arched(canvas, (x - 5.0, top + 9.0), (5.0, 18.0));
    arched(canvas, (x + 5.0, top + 9.0), (5.0, 18.0));
    canvas.circle((x, top + 48.0), 7.0, rgb(0xF7F1E0), 1.0);
    canvas.ring((x, top + 48.0), 7.0, 1.4, rgb(0x9A7B34));
    canvas.line(
        &[(x, top + 43.4), (x, top + 48.0), (x + 3.4, top + 50.0)],
        1.1,
        rgb(0x22222A),
        1.0,
    );
}

/// The spire on the tower, lit on the left.
fn spire(canvas: &mut Canvas, (x, top): Place) {
    let (half, slate) = (HALF_TOWER, rgb(0x5B6B82));
    let tip = (x, top - 62.0);
    canvas.polygon(
        &[(x - half - 2.0, top), tip, (x + 2.0, top)],
        lit(slate, 1.3),
        1.0,
    );
    canvas.polygon(
        &[(x + 2.0, top), tip, (x + half + 2.0, top)],
        lit(slate, 0.72),
        1.0,
    );
    for row in 1..14 {
        let share = row as f32 / 14.0;
        let width = (half + 2.0) * share;
        let row_y = tip.1 + 62.0 * share;
        canvas.line(
            &[(x - width, row_y), (x + width, row_y)],
            0.6,
            rgb(0x35404F),
            0.5,
        );
    }
    canvas.line(
        &[(x, tip.1 + 1.0), (x, tip.1 - 9.0)],
        1.2,
        rgb(0xD9B24A),
        1.0,
    );
    canvas.line(
        &[(x - 2.8, tip.1 - 6.0), (x + 2.8, tip.1 - 6.0)],
        1.2,
        rgb(0xD9B24A),
        1.0,
    );
}

/// A dark opening with a round top; `place` is the middle of its upper edge.
fn arched(canvas: &mut Canvas, (x, y): Place, (width, height): (f32, f32)) {
    let half = width / 2.0;
    canvas.circle((x, y + half), half + 0.9, rgb(0xF5ECD6), 1.0);
    canvas.rectangle(
        (x - half - 0.9, y + half),
        width + 1.8,
        height - half,
        rgb(0xF5ECD6),
    );
    canvas.circle((x, y + half), half, rgb(0x3A4250), 1.0);
    canvas.rectangle((x - half, y + half), width, height - half, rgb(0x3A4250));
}
