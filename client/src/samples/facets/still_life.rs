//! The motif of the facets, as far as it can still be told: a guitar, two sheets of music, a glass.

use crate::samples::canvas::{Canvas, Place};
use crate::samples::colour::{Colour, rgb};
use crate::samples::noise::Random;

const INK: Colour = rgb(0x241C1A);

/// Draws it around the given place.
pub(super) fn draw(canvas: &mut Canvas, random: &mut Random, (x, y): Place) {
    body(canvas, (x, y));
    neck(canvas, (x, y));
    sheet(canvas, random, (x - 104.0, y - 78.0));
    sheet(canvas, random, (x + 62.0, y - 92.0));
    glass(canvas, (x, y));
}

fn body(canvas: &mut Canvas, (x, y): Place) {
    let left = [
        (x - 8.0, y - 30.0),
        (x - 44.0, y - 16.0),
        (x - 34.0, y + 22.0),
        (x - 62.0, y + 44.0),
        (x - 52.0, y + 92.0),
        (x - 4.0, y + 98.0),
    ];
    canvas.curve(&left, 2.4, INK, 0.85);
    let right = [
        (x + 22.0, y - 36.0),
        (x + 52.0, y - 26.0),
        (x + 44.0, y + 14.0),
        (x + 70.0, y + 38.0),
        (x + 60.0, y + 84.0),
        (x + 16.0, y + 96.0),
    ];
    canvas.curve(&right, 2.0, INK, 0.75);
    let inner: Vec<Place> = right.iter().map(|(x, y)| (x - 8.0, y + 5.0)).collect();
    canvas.curve(&inner, 5.0, rgb(0xF1D9A4), 0.4);
    canvas.circle((x + 8.0, y + 18.0), 17.0, rgb(0x2C211C), 0.85);
    canvas.ring((x + 8.0, y + 18.0), 20.0, 2.0, rgb(0xE9CB8A));
    canvas.circle((x + 3.0, y + 13.0), 11.0, rgb(0x4A3626), 0.7);
}

/// Neck, frets, strings and the bridge that they end at.
fn neck(canvas: &mut Canvas, (x, y): Place) {
    canvas.polygon(
        &[
            (x + 8.0, y - 128.0),
            (x + 26.0, y - 124.0),
            (x + 20.0, y + 6.0),
            (x + 2.0, y + 4.0),
        ],
        rgb(0x4A2F1E),
        0.75,
    );
    canvas.polygon(
        &[
            (x + 17.0, y - 126.0),
            (x + 26.0, y - 124.0),
            (x + 20.0, y + 6.0),
            (x + 13.0, y + 5.0),
        ],
        rgb(0x8C5E34),
        0.7,
    );
    for fret in 0..9 {
        let down = y - 118.0 + fret as f32 * 12.5;
        canvas.line(
            &[(x + 7.0, down), (x + 24.0, down + 3.0)],
            1.2,
            rgb(0xE8DABA),
            0.8,
        );
    }
    for string in 0..5 {
        let offset = string as f32 * 3.3;
        canvas.line(
            &[(x + 9.0 + offset, y - 126.0), (x + 1.0 + offset, y + 82.0)],
            0.8,
            rgb(0xF4E8CC),
            0.8,
        );
    }
    canvas.polygon(
        &[
            (x - 20.0, y + 72.0),
            (x + 34.0, y + 76.0),
            (x + 33.0, y + 83.0),
            (x - 21.0, y + 79.0),
        ],
        rgb(0x2C211C),
        0.85,
    );
}

fn sheet(canvas: &mut Canvas, random: &mut Random, (left, top): Place) {
    canvas.polygon(
        &[
            (left, top),
            (left + 56.0, top - 12.0),
            (left + 66.0, top + 40.0),
            (left + 8.0, top + 50.0),
        ],
        rgb(0xEADFC4),
        0.62,
    );
    for row in 0..5 {
        let down = top + 9.0 + 7.0 * row as f32;
        canvas.line(
            &[(left + 5.0, down + 1.0), (left + 58.0, down - 10.0)],
            0.8,
            INK,
            0.6,
        );
        for _ in 0..4 {
            let along = random.between(8.0, 54.0);
            let note = (left + along, down - along * 0.2 + random.centred() * 3.0);
            canvas.ellipse(note, (2.1, 1.6), INK, 0.8);
            canvas.line(
                &[(note.0 + 1.8, note.1), (note.0 + 1.4, note.1 - 7.0)],
                0.8,
                INK,
                0.7,
            );
        }
    }
}

fn glass(canvas: &mut Canvas, (x, y): Place) {
    let bowl = [
        (x - 96.0, y + 40.0),
        (x - 88.0, y + 96.0),
        (x - 70.0, y + 96.0),
        (x - 60.0, y + 38.0),
    ];
    canvas.polygon(&bowl, rgb(0x9DB4BE), 0.5);
    canvas.line(&bowl, 1.6, rgb(0xF0F2EC), 0.75);
    canvas.ellipse((x - 78.0, y + 39.0), (18.0, 5.0), rgb(0xE6EEEC), 0.6);
    canvas.line(
        &[(x - 79.0, y + 96.0), (x - 80.0, y + 122.0)],
        2.4,
        rgb(0xE6EEEC),
        0.75,
    );
    canvas.ellipse((x - 80.0, y + 124.0), (16.0, 4.0), rgb(0xB9C8CC), 0.7);
}
