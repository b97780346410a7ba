//! The houses along the river, lit from the left, and what stands among them.

use super::church;
use crate::samples::canvas::{Canvas, Place};
use crate::samples::colour::{Colour, lit, mix, rgb, shifted};
use crate::samples::noise::Random;

/// Where the house fronts meet the quay, pixels from the top.
const GROUND: f32 = 197.0;

const PLASTERS: [Colour; 7] = [
    rgb(0xF0DDB4),
    rgb(0xE8B98A),
    rgb(0xD98F6C),
    rgb(0xF4EBD8),
    rgb(0xBFCBB8),
    rgb(0xE6C56E),
    rgb(0xA9BCCB),
];
const TILES: [Colour; 4] = [rgb(0xB5502F), rgb(0x9C4330), rgb(0xC66A3C), rgb(0x7E4A44)];
const SHUTTERS: [Colour; 4] = [rgb(0x3F6B4F), rgb(0x2E5A80), rgb(0x7C3B2E), rgb(0x59606A)];

/// One house, by what varies from house to house.
struct House {
    left: f32,
    width: f32,
    /// Height of the wall below the eaves, and of the roof.
    wall: f32,
    roof: f32,
    ground: f32,
    /// Below 1 for houses that stand farther back.
    light: f32,
}

pub(super) fn town(canvas: &mut Canvas, random: &mut Random) {
    // Two rows: the far one shows only its roofs.
    let mut left = 30.0;
    while left < 300.0 {
        let width = random.between(22.0, 34.0);
        let house = House {
            left,
            width,
            wall: random.between(28.0, 46.0),
            roof: random.between(12.0, 18.0),
            ground: GROUND - 16.0,
            light: 0.86,
        };
        house.draw(canvas, random);
        left += width * random.between(0.85, 1.1);
    }
    church::draw(canvas, random, (150.0, GROUND - 12.0));
    let mut left = 40.0;
    while left < 276.0 {
        let width = random.between(26.0, 40.0);
        let house = House {
            left,
            width,
            wall: random.between(26.0, 44.0),
            roof: random.between(14.0, 22.0),
            ground: GROUND,
            light: 1.0,
        };
        house.draw(canvas, random);
        left += width + random.between(0.0, 2.0);
    }
}

impl House {
    fn draw(&self, canvas: &mut Canvas, random: &mut Random) {
        let plaster = lit(
            shifted(random.pick(&PLASTERS), random.tint(0.04)),
            self.light,
        );
        let tiles = lit(random.pick(&TILES), self.light);
        let (left, right) = (self.left, self.left + self.width);
        let eaves = self.ground - self.wall;
        let wall = [
            (left, eaves),
            (right, eaves),
            (right, self.ground),
            (left, self.ground),
        ];
        canvas.polygon_shaded(
            &wall,
            ((left, eaves), lit(plaster, 1.06)),
            ((right, self.ground), lit(plaster, 0.78)),
        );
        self.weather(canvas, random, plaster);
        if random.chance(0.45) {
            self.gable(canvas, random, plaster, tiles);
        } else {
            self.long_roof(canvas, random, tiles);
        }
        let soft = [
            (left, eaves),
            (right, eaves),
            (right, eaves + 3.2),
            (left, eaves + 2.2),
        ];
        canvas.polygon(&soft, rgb(0x3A2A2A), 0.38);
        self.windows(canvas, random);
        canvas.line(
            &[(right - 0.5, eaves), (right - 0.5, self.ground)],
            1.0,
            rgb(0x4A3A34),
            0.35,
        );
    }

    /// Stains that rain and years leave on plaster.
    fn weather(&self, canvas: &mut Canvas, random: &mut Random, plaster: Colour) {
        for _ in 0..(self.width * self.wall / 9.0) as u32 {
            let place = (
                self.left + random.between(1.0, self.width - 1.0),
                self.ground - random.between(1.0, self.wall - 2.0),
            );
            let size = (random.between(0.6, 2.4), random.between(0.6, 3.0));
            canvas.ellipse(
                place,
                size,
                lit(plaster, 1.0 + random.centred() * 0.22),
                0.35,
            );
        }
    }

    fn gable(&self, canvas: &mut Canvas, random: &mut Random, plaster: Colour, tiles: Colour) {
        let (left, right) = (self.left, self.left + self.width);
        let eaves = self.ground - self.wall;
        let ridge = (f32::midpoint(left, right), eaves - self.roof);
        canvas.polygon_shaded(
            &[(left, eaves + 0.6), ridge, (right, eaves + 0.6)],
            ((left, eaves), lit(plaster, 1.08)),
            ((right, eaves), lit(plaster, 0.86)),
        );
        canvas.line(
            &[(left - 1.5, eaves + 1.0), ridge],
            3.0,
            lit(tiles, 1.15),
            1.0,
        );
        canvas.line(
            &[ridge, (right + 1.5, eaves + 1.0)],
            3.0,
            lit(tiles, 0.72),
            1.0,
        );
        canvas.circle((ridge.0, eaves - self.roof * 0.36), 2.3, rgb(0x2E3440), 1.0);
        chimney(
            canvas,
            random,
            (right - self.width * 0.28, eaves - self.roof * 0.42),
        );
    }

    fn long_roof(&self, canvas: &mut Canvas, random: &mut Random, tiles: Colour) {
        let (left, right) = (self.left - 1.5, self.left + self.width + 1.5);
        let eaves = self.ground - self.wall;
        let ridge = eaves - self.roof;
        let inset = self.roof * 0.22;
        let outline = [
            (left + inset, ridge),
            (right - inset, ridge),
            (right, eaves + 1.0),
            (left, eaves + 1.0),
        ];
        let along = left + self.width * random.between(0.25, 0.8);
        chimney(canvas, random, (along, ridge + 2.0));
        canvas.polygon_shaded(
            &outline,
            ((left, ridge), lit(tiles, 1.22)),
            ((right, eaves), lit(tiles, 0.82)),
        );
        let rows = (self.roof / 2.4) as u32;
        for row in 1..=rows {
            let share = row as f32 / (rows as f32 + 0.4);
            let y = ridge + share * self.roof;
            let (from, to) = (left + inset * (1.0 - share), right - inset * (1.0 - share));
            canvas.line(&[(from, y), (to, y)], 0.7, lit(tiles, 0.6), 0.7);
            let mut x = from + random.unit() * 2.0;
            while x < to - 1.0 {
                let weathered = lit(tiles, 1.0 + 0.3 * random.centred());
                canvas.line(&[(x, y - 1.2), (x + 1.0, y - 1.2)], 1.3, weathered, 0.75);
                x += random.between(1.8, 3.6);
            }
        }
        canvas.line(
            &[(left + inset, ridge), (right - inset, ridge)],
            1.2,
            lit(tiles, 1.4),
            0.9,
        );
    }

    fn windows(&self, canvas: &mut Canvas, random: &mut Random) {
        let shutters = lit(random.pick(&SHUTTERS), self.light);
        let columns = ((self.width - 4.0) / 9.5).floor().max(1.0);
        let floors = ((self.wall - 4.0) / 13.0).floor().max(1.0);
        let door = (random.unit() * columns) as u32;
        for floor in 0..floors as u32 {
            let y = self.ground - 11.5 - 13.0 * floor as f32;
            for column in 0..columns as u32 {
                let x = self.left + self.width * (column as f32 + 0.5) / columns;
                if floor == 0 && column == door {
                    canvas.rectangle(
                        (x - 2.7, self.ground - 11.0),
                        5.4,
                        11.0,
                        lit(rgb(0xEFE6D2), self.light),
                    );
                    canvas.rectangle((x - 2.0, self.ground - 10.2), 4.0, 10.2, lit(shutters, 0.7));
                } else {
                    window(canvas, random, (x, y), shutters);
                }
            }
        }
    }
}

fn window(canvas: &mut Canvas, random: &mut Random, (x, y): Place, shutters: Colour) {
    canvas.rectangle((x - 2.6, y - 0.6), 5.2, 8.0, rgb(0xEFE6D2));
    let glass = mix(rgb(0x2B3A4C), rgb(0x86A8C0), random.unit().powi(2));
    canvas.rectangle((x - 1.9, y), 3.8, 6.6, glass);
    canvas.line(
        &[(x - 1.6, y + 1.0), (x + 0.2, y + 1.0)],
        1.0,
        rgb(0xD8E6EE),
        0.6,
    );
    canvas.line(&[(x, y), (x, y + 6.6)], 0.6, rgb(0xEFE6D2), 0.9);
    canvas.line(
        &[(x - 1.9, y + 3.0), (x + 1.9, y + 3.0)],
        0.6,
        rgb(0xEFE6D2),
        0.9,
    );
    canvas.rectangle((x - 4.3, y - 0.2), 1.7, 7.0, shutters);
    canvas.rectangle((x + 2.6, y - 0.2), 1.7, 7.0, lit(shutters, 0.8));
    if random.chance(0.4) {
        for _ in 0..7 {
            let flower = random.pick(&[rgb(0xD8343A), rgb(0xEF7FA0), rgb(0x5E9440), rgb(0x5E9440)]);
            let place = (x + random.between(-2.8, 2.8), y + 7.6 + random.centred());
            canvas.circle(place, 0.9, flower, 1.0);
        }
    } else {
        canvas.line(
            &[(x - 2.6, y + 7.8), (x + 2.6, y + 7.8)],
            0.9,
            rgb(0x7A6A58),
            0.7,
        );
    }
}

fn chimney(canvas: &mut Canvas, random: &mut Random, (x, y): Place) {
    let height = random.between(6.0, 9.0);
    canvas.rectangle((x - 2.0, y - height), 4.0, height + 2.0, rgb(0x8E5A48));
    canvas.rectangle((x + 0.4, y - height), 1.6, height + 2.0, rgb(0x5E3A34));
    canvas.rectangle((x - 2.6, y - height - 1.2), 5.2, 1.6, rgb(0xC9B49A));
}
