//! The bicycle and its rider, from the side, riding to the right.

use crate::samples::canvas::{Canvas, Place};
use crate::samples::colour::{Colour, lit, mix, rgb};

/// Wheel radius, pixels; all else is measured by it.
const WHEEL: f32 = 41.0;

const JERSEY: Colour = rgb(0xE3362C);
const SHORTS: Colour = rgb(0x20243A);
const SKIN: Colour = rgb(0xD99A72);
const FRAME: Colour = rgb(0x1F7FA8);
const METAL: Colour = rgb(0xC9CED6);
const BLACK: Colour = rgb(0x17181C);

/// The joints of bicycle and rider.
struct Posture {
    rear: Place,
    front: Place,
    crank: Place,
    seat: Place,
    saddle: Place,
    head_top: Place,
    head_bottom: Place,
    hip: Place,
    shoulder: Place,
    hand: Place,
    head: Place,
}

/// Draws both, with the rear hub at the given place.
pub(super) fn draw(canvas: &mut Canvas, rear: Place) {
    let at = |right: f32, down: f32| (rear.0 + right * WHEEL, rear.1 + down * WHEEL);
    let posture = Posture {
        rear,
        front: at(2.95, 0.0),
        crank: at(1.24, 0.2),
        seat: at(0.8, -1.28),
        saddle: at(0.66, -1.86),
        head_top: at(2.5, -1.42),
        head_bottom: at(2.62, -1.02),
        hip: at(0.78, -2.04),
        shoulder: at(2.02, -3.16),
        hand: at(3.02, -1.72),
        head: at(2.5, -3.62),
    };
    let ground = rear.1 + WHEEL;
    for (reach, alpha) in [(3.1, 0.22), (2.7, 0.25), (2.2, 0.2)] {
        let centre = (rear.0 + 1.1 * WHEEL, ground + 3.0);
        canvas.ellipse(
            centre,
            (reach * WHEEL, 5.5 * reach / 2.6),
            rgb(0x1C1A2A),
            alpha,
        );
    }
    let pedals = [(0.82, 0.42), (-0.82, -0.42)].map(|(right, down): (f32, f32)| {
        (
            posture.crank.0 + right * 20.0,
            posture.crank.1 + down * 20.0,
        )
    });
    // From the far side to the near one.
    leg(canvas, posture.hip, pedals[1], 0.62);
    arm(canvas, &posture, (7.0, -1.0), 0.62);
    wheel(canvas, posture.rear);
    wheel(canvas, posture.front);
    frame(canvas, &posture, pedals);
    let (x, y) = posture.head;
    canvas.limb(
        posture.shoulder,
        (x - 2.0, y + 6.0),
        (15.0, 11.0),
        lit(SKIN, 0.8),
    );
    body(canvas, &posture);
    leg(canvas, posture.hip, pedals[0], 1.0);
    arm(canvas, &posture, (0.0, 0.0), 1.0);
    head(canvas, &posture);
}

fn wheel(canvas: &mut Canvas, hub: Place) {
    for spoke in 0..22 {
        let angle = spoke as f32 * std::f32::consts::TAU / 22.0 + 0.1;
        let end = (
            hub.0 + angle.cos() * (WHEEL - 4.0),
            hub.1 + angle.sin() * (WHEEL - 4.0),
        );
        canvas.line(&[hub, end], 0.7, rgb(0xE8EAEE), 0.7);
    }
    canvas.ring(hub, WHEEL - 1.6, 4.0, BLACK);
    canvas.ring(hub, WHEEL - 4.6, 2.0, METAL);
    canvas.ring(hub, WHEEL - 0.8, 0.7, rgb(0x5A5A62));
    canvas.circle(hub, 4.0, lit(METAL, 0.7), 1.0);
    canvas.circle((hub.0 + 0.8, hub.1 - 0.8), 2.0, METAL, 1.0);
}

fn tube(canvas: &mut Canvas, places: &[Place], width: f32, colour: Colour) {
    canvas.curve(places, width, lit(colour, 0.6), 1.0);
    let lifted: Vec<Place> = places
        .iter()
        .map(|(x, y)| (x + 0.3, y - width * 0.16))
        .collect();
    canvas.curve(&lifted, width * 0.62, colour, 1.0);
    let glint: Vec<Place> = places
        .iter()
        .map(|(x, y)| (x + 0.5, y - width * 0.26))
        .collect();
    canvas.curve(&glint, width * 0.2, lit(colour, 1.7), 0.8);
}

fn frame(canvas: &mut Canvas, posture: &Posture, pedals: [Place; 2]) {
    let Posture {
        rear,
        front,
        crank,
        seat,
        saddle,
        head_top,
        head_bottom,
        hand,
        ..
    } = *posture;
    canvas.line(&[crank, pedals[1]], 3.4, lit(METAL, 0.55), 1.0);
    tube(canvas, &[rear, seat], 3.0, FRAME);
    tube(canvas, &[rear, crank], 3.2, FRAME);
    tube(canvas, &[crank, seat], 5.0, FRAME);
    tube(canvas, &[seat, head_top], 4.6, FRAME);
    tube(canvas, &[crank, head_bottom], 5.8, FRAME);
    tube(canvas, &[head_top, head_bottom], 5.6, FRAME);
    let bend = (
        head_bottom.0 + 6.5,
        f32::midpoint(head_bottom.1, front.1) + 6.0,
    );
    tube(canvas, &[head_bottom, bend, front], 3.8, FRAME);
    tube(canvas, &[seat, saddle], 3.2, METAL);
    let (x, y) = saddle;
    let shape = [
        (x - 11.0, y - 2.5),
        (x - 4.0, y - 3.2),
        (x + 13.0, y - 0.8),
        (x + 13.0, y + 1.2),
        (x - 5.0, y + 3.6),
    ];
    canvas.polygon(&shape, BLACK, 1.0);
    let stem = (head_top.0 - 1.5, head_top.1 - 6.0);
    tube(canvas, &[head_top, stem], 4.0, METAL);
    tube(canvas, &[stem, (hand.0 - 8.0, hand.1 + 1.0)], 3.6, METAL);
    let (x, y) = hand;
    let drop = [
        (x - 9.0, y + 1.0),
        (x + 1.0, y + 1.0),
        (x + 6.0, y + 5.0),
        (x + 5.0, y + 15.0),
        (x - 4.0, y + 19.0),
        (x - 9.0, y + 18.0),
    ];
    canvas.curve(&drop, 3.6, BLACK, 1.0);
    canvas.limb((x + 1.0, y), (x + 5.0, y - 5.0), (5.0, 3.0), BLACK);
    canvas.line(&[(x + 4.0, y - 1.0), (x + 8.0, y + 10.0)], 1.5, METAL, 1.0);
    for offset in [-4.6_f32, 4.6] {
        let chain = [
            (rear.0, rear.1 + offset * 0.55),
            (crank.0, crank.1 + offset * 1.7),
        ];
        canvas.line(&chain, 1.1, rgb(0x2B2B30), 1.0);
    }
    canvas.circle(rear, 4.4, rgb(0x4A4B52), 1.0);
    canvas.ring(crank, 8.2, 1.8, lit(METAL, 0.8));
    canvas.circle(crank, 3.0, METAL, 1.0);
    canvas.line(&[crank, pedals[0]], 3.4, METAL, 1.0);
    // A bottle on the down tube, because a ride without one is short.
    let (from, to) = (
        between(crank, head_bottom, 0.34),
        between(crank, head_bottom, 0.62),
    );
    let raised = |(x, y): Place| (x - 2.6, y - 3.6);
    canvas.limb(raised(from), raised(to), (7.4, 6.4), rgb(0xF2EDE2));
    canvas.limb(
        raised(between(from, to, 0.35)),
        raised(between(from, to, 0.6)),
        (7.2, 6.8),
        rgb(0xE9A93A),
    );
}

fn leg(canvas: &mut Canvas, hip: Place, pedal: Place, light: f32) {
    let ankle = (pedal.0 - 5.0, pedal.1 - 9.0);
    let knee = joint(hip, ankle, (56.0, 57.0), 1.0);
    let skin = lit(SKIN, light);
    let calf = between(knee, ankle, 0.36);
    let calf = (calf.0 - 3.0, calf.1);
    canvas.limb(knee, calf, (13.0, 14.0), lit(skin, 0.94));
    canvas.limb(calf, ankle, (13.0, 7.0), lit(skin, 0.94));
    canvas.limb(knee, between(knee, ankle, 0.9), (7.0, 3.0), lit(skin, 1.12));
    canvas.limb(hip, knee, (25.0, 14.0), skin);
    canvas.limb(
        hip,
        between(hip, knee, 0.7),
        (27.0, 19.0),
        lit(SHORTS, light),
    );
    let sheen = |(x, y): Place| (x + 2.0, y - 5.0);
    let shine = mix(SHORTS, rgb(0x7080A8), 0.5);
    canvas.limb(
        sheen(between(hip, knee, 0.1)),
        sheen(between(hip, knee, 0.55)),
        (5.0, 3.0),
        lit(shine, light),
    );
    canvas.limb(
        between(knee, ankle, 0.82),
        ankle,
        (8.4, 7.6),
        lit(rgb(0xF4F1EA), light),
    );
    canvas.limb(
        (ankle.0 - 2.0, ankle.1 + 5.0),
        (ankle.0 + 12.0, ankle.1 + 8.0),
        (9.0, 5.5),
        lit(rgb(0xF1EDE4), light),
    );
    canvas.line(
        &[
            (ankle.0 - 5.0, ankle.1 + 9.5),
            (ankle.0 + 14.0, ankle.1 + 11.0),
        ],
        2.0,
        BLACK,
        1.0,
    );
    canvas.line(
        &[
            (pedal.0 - 6.0, pedal.1 + 3.0),
            (pedal.0 + 6.0, pedal.1 + 3.4),
        ],
        2.6,
        lit(METAL, 0.5),
        1.0,
    );
}

fn arm(canvas: &mut Canvas, posture: &Posture, shift: Place, light: f32) {
    let moved = |(x, y): Place| (x + shift.0, y + shift.1);
    let (shoulder, hand) = (moved(posture.shoulder), moved(posture.hand));
    let elbow = joint(shoulder, hand, (39.0, 36.5), -1.0);
    let skin = lit(SKIN, light);
    canvas.limb(elbow, hand, (9.6, 6.4), skin);
    canvas.limb(
        between(elbow, hand, 0.1),
        between(elbow, hand, 0.8),
        (3.4, 2.4),
        lit(skin, 1.16),
    );
    canvas.limb(shoulder, elbow, (14.0, 10.0), skin);
    canvas.limb(
        shoulder,
        between(shoulder, elbow, 0.55),
        (17.0, 13.5),
        lit(JERSEY, 0.92 * light),
    );
    canvas.limb(
        hand,
        (hand.0 + 3.0, hand.1 + 0.6),
        (9.0, 7.6),
        lit(rgb(0x2A2B33), light),
    );
}

fn body(canvas: &mut Canvas, posture: &Posture) {
    let (hip, shoulder) = (posture.hip, posture.shoulder);
    let waist = between(hip, shoulder, 0.42);
    let back = (waist.0 - 4.0, waist.1 - 5.0);
    canvas.limb(hip, waist, (31.0, 29.0), SHORTS);
    canvas.limb(
        between(hip, waist, 0.45),
        back,
        (30.0, 31.0),
        lit(JERSEY, 0.78),
    );
    canvas.limb(back, shoulder, (31.0, 27.0), lit(JERSEY, 0.78));
    let lifted = |(x, y): Place| (x + 0.5, y - 3.4);
    canvas.limb(
        lifted(between(hip, back, 0.5)),
        lifted(back),
        (23.0, 24.0),
        JERSEY,
    );
    canvas.limb(lifted(back), lifted(shoulder), (24.0, 20.0), JERSEY);
    let ridge = |(x, y): Place| (x - 4.0, y - 9.0);
    canvas.limb(ridge(back), ridge(shoulder), (5.0, 7.0), lit(JERSEY, 1.3));
    let (from, to) = (between(back, shoulder, 0.3), between(back, shoulder, 0.48));
    let across = (10.5, 11.0);
    let band = |(x, y): Place, side: f32| (x + across.0 * side, y + across.1 * side);
    let stripe = [
        band(from, -1.0),
        band(to, -1.0),
        band(to, 1.0),
        band(from, 1.0),
    ];
    canvas.polygon(&stripe, rgb(0xF7E6B4), 1.0);
    canvas.ellipse(
        (back.0 - 7.0, back.1 + 2.0),
        (7.0, 5.0),
        lit(JERSEY, 0.62),
        0.7,
    );
}

fn head(canvas: &mut Canvas, posture: &Posture) {
    let (x, y) = posture.head;
    canvas.ellipse((x, y), (11.0, 12.5), SKIN, 1.0);
    canvas.ellipse((x + 3.5, y - 1.0), (6.5, 9.0), lit(SKIN, 1.13), 1.0);
    canvas.polygon(
        &[(x + 9.0, y - 2.0), (x + 14.0, y + 3.6), (x + 9.0, y + 4.6)],
        lit(SKIN, 1.12),
        1.0,
    );
    canvas.line(
        &[(x + 6.0, y + 8.0), (x + 10.0, y + 7.2)],
        1.2,
        rgb(0x8A3F32),
        1.0,
    );
    canvas.ellipse((x - 2.5, y + 2.0), (2.4, 3.6), lit(SKIN, 0.78), 1.0);
    canvas.limb((x + 3.0, y - 2.0), (x + 11.0, y - 1.4), (4.4, 5.0), BLACK);
    canvas.line(&[(x - 4.0, y - 2.0), (x + 4.0, y - 2.0)], 1.4, BLACK, 1.0);
    let helmet = [
        (x - 15.5, y - 2.0),
        (x - 14.0, y - 9.5),
        (x - 6.0, y - 16.0),
        (x + 4.0, y - 16.5),
        (x + 12.0, y - 11.0),
        (x + 14.5, y - 5.0),
        (x, y - 6.0),
    ];
    canvas.polygon_shaded(
        &helmet,
        ((x + 6.0, y - 16.0), rgb(0xFFFDF4)),
        ((x - 10.0, y - 2.0), rgb(0x9FB2C8)),
    );
    for vent in [-7.0_f32, -0.5, 6.0] {
        let start = (x + vent - 2.0, y - 8.0);
        canvas.curve(
            &[start, (x + vent, y - 12.5), (x + vent + 3.5, y - 14.0)],
            1.7,
            rgb(0x34506E),
            1.0,
        );
    }
    canvas.line(&[(x - 3.0, y - 5.0), (x + 2.5, y + 11.0)], 1.1, BLACK, 0.9);
}

fn between(from: Place, to: Place, share: f32) -> Place {
    (
        from.0 + (to.0 - from.0) * share,
        from.1 + (to.1 - from.1) * share,
    )
}

/// Where knee or elbow is, between two bones of these lengths; `side` says to which side it bends.
fn joint(start: Place, end: Place, (first, second): (f32, f32), side: f32) -> Place {
    let (dx, dy) = (end.0 - start.0, end.1 - start.1);
    let distance = dx.hypot(dy).clamp(1.0, first + second - 0.1);
    let along = (first.powi(2) - second.powi(2) + distance.powi(2)) / (2.0 * distance);
    let aside = (first.powi(2) - along.powi(2)).max(0.0).sqrt() * side;
    let (ux, uy) = (dx / distance, dy / distance);
    (
        start.0 + ux * along + uy * aside,
        start.1 + uy * along - ux * aside,
    )
}
