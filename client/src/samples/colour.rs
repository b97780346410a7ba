//! Colours, mixed as a painter would by eye: in sRGB, each channel in 0..1.

/// Red, green, blue.
pub(super) type Colour = [f32; 3];

/// A colour as the web writes it: `0xRRGGBB`.
pub(super) const fn rgb(hex: u32) -> Colour {
    [
        (hex >> 16 & 255) as f32 / 255.0,
        (hex >> 8 & 255) as f32 / 255.0,
        (hex & 255) as f32 / 255.0,
    ]
}

/// `from` where `share` is 0, `to` where it is 1.
pub(super) fn mix(from: Colour, to: Colour, share: f32) -> Colour {
    let share = share.clamp(0.0, 1.0);
    std::array::from_fn(|channel| from[channel] + (to[channel] - from[channel]) * share)
}

/// Every channel multiplied: brighter above 1, darker below.
pub(super) fn lit(colour: Colour, light: f32) -> Colour {
    colour.map(|channel| (channel * light).clamp(0.0, 1.0))
}

/// Every channel raised or lowered by its own amount.
pub(super) fn shifted(colour: Colour, by: Colour) -> Colour {
    std::array::from_fn(|channel| (colour[channel] + by[channel]).clamp(0.0, 1.0))
}

/// The colour at `place` of a gradient through `stops`, which ascend.
pub(super) fn ramp(stops: &[(f32, Colour)], place: f32) -> Colour {
    let above = stops.iter().position(|(at, _)| *at >= place);
    match above {
        Some(0) => stops[0].1,
        Some(above) => {
            let ((low, from), (high, to)) = (stops[above - 1], stops[above]);
            mix(from, to, (place - low) / (high - low).max(f32::EPSILON))
        }
        None => stops.last().map_or([0.0; 3], |(_, colour)| *colour),
    }
}

/// 0 below `low`, 1 above `high`, smooth between.
pub(super) fn smoothstep(low: f32, high: f32, value: f32) -> f32 {
    let share = ((value - low) / (high - low)).clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}
