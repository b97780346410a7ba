//! Colours from the space that a profile describes to sRGB.
//!
//! A picture without a profile is sRGB, as everybody takes it. So is one whose profile is damaged, of a kind that the
//! colour management does not know, or made for other channels: like damaged EXIF data, it costs the picture its fine
//! print and not itself.

use std::sync::Arc;

use moxcms::{
    ColorProfile, DataColorSpace, Layout, LutType, LutWarehouse, RenderingIntent, TransformOptions,
};

use super::sample::{Sample, Space, Transform};

/// Pixels converted at a time: a few pages of memory, however wide or tall the picture.
const BLOCK_PIXELS: usize = 4096;
/// A profile need not have tables for every intent; perceptual is for pictures, so it comes first.
const INTENTS: [RenderingIntent; 3] = [
    RenderingIntent::Perceptual,
    RenderingIntent::RelativeColorimetric,
    RenderingIntent::Saturation,
];
/// Steps of each channel at which a profile is compared with doing without.
const PROBES: u32 = 6;

/// The profile that the bytes hold; none if they hold none that can be read.
pub(super) fn parse(bytes: &[u8]) -> Option<ColorProfile> {
    /// Where the version has its first byte (ICC.1:2022, table 17).
    const VERSION: usize = 8;
    let profile = ColorProfile::new_from_slice(bytes).ok()?;
    // Tables of 16 bits encode L* 100 as 0xFF00 in every version, those of 8 bits as 0xFF (ICC.1:2022, sections 10.10 and
    // 10.11). The colour management goes by the version alone, so it is told the one that it gets right.
    let version = match a_table(&profile) {
        Some(LutWarehouse::Lut(table)) if table.lut_type == LutType::Lut16 => 2,
        Some(LutWarehouse::Lut(table)) if table.lut_type == LutType::Lut8 => 4,
        _ => return Some(profile),
    };
    if profile.pcs != DataColorSpace::Lab || bytes[VERSION] == version {
        return Some(profile);
    }
    let mut bytes = bytes.to_vec();
    bytes[VERSION] = version;
    ColorProfile::new_from_slice(&bytes).ok()
}

/// The first of its tables to the connection space, in the order of [`INTENTS`].
fn a_table(profile: &ColorProfile) -> Option<&LutWarehouse> {
    let tables = [
        &profile.lut_a_to_b_perceptual,
        &profile.lut_a_to_b_colorimetric,
        &profile.lut_a_to_b_saturation,
    ];
    tables.into_iter().find_map(Option::as_ref)
}

/// Samples of `space` as sRGB, three a pixel, by the profile if it is one for such samples.
pub(super) fn to_srgb<S: Sample>(
    samples: Vec<S>,
    space: Space,
    profile: Option<&ColorProfile>,
) -> Vec<S> {
    // Grey pictures are often tagged with the profile of the screen they were made on.
    let is_rgb = |profile: &ColorProfile| profile.color_space == DataColorSpace::Rgb;
    if space == Space::Grey && profile.is_some_and(is_rgb) {
        let spread = converted(&samples, Space::Grey, None);
        return to_srgb(spread, Space::Rgb, profile);
    }
    let transform = profile.and_then(|profile| transform(profile, space));
    match (space, transform) {
        (Space::Rgb, None) => samples,
        (Space::Rgb, Some(transform)) => {
            // In place: a large picture is not held twice.
            let mut samples = samples;
            for block in samples.chunks_mut(BLOCK_PIXELS * 3) {
                let stored = block.to_vec();
                convert(&stored, block, space, Some(&*transform));
            }
            samples
        }
        (_, transform) => converted(&samples, space, transform.as_deref()),
    }
}

fn converted<S: Sample>(samples: &[S], space: Space, transform: Option<&Transform<S>>) -> Vec<S> {
    let channels = space.channels();
    let mut colours = vec![S::from_number(0); samples.len() / channels * 3];
    for (stored, colours) in samples
        .chunks(BLOCK_PIXELS * channels)
        .zip(colours.chunks_mut(BLOCK_PIXELS * 3))
    {
        convert(stored, colours, space, transform);
    }
    colours
}

/// Fills `colours` with as many RGB pixels as there are pixels in `stored`.
fn convert<S: Sample>(
    stored: &[S],
    colours: &mut [S],
    space: Space,
    transform: Option<&Transform<S>>,
) {
    if transform.is_some_and(|transform| transform.transform(stored, colours).is_ok()) {
        return;
    }
    match space {
        Space::Rgb => colours.copy_from_slice(stored),
        Space::Grey => {
            for (colour, grey) in colours.chunks_exact_mut(3).zip(stored) {
                colour.fill(*grey);
            }
        }
        Space::Cmyk => {
            for (colour, inks) in colours.chunks_exact_mut(3).zip(stored.chunks_exact(4)) {
                let paper = u64::from(S::MAX - inks[3].number());
                for (channel, ink) in colour.iter_mut().zip(inks) {
                    // Each ink takes its share of the light that black leaves: what viewers do without a profile.
                    let light = u64::from(S::MAX - ink.number()) * paper;
                    let light = (light + u64::from(S::MAX / 2)) / u64::from(S::MAX);
                    *channel = S::from_number(light as u32);
                }
            }
        }
    }
}

/// The conversion that the profile asks for; none if it is not for such samples, or if there is nothing to convert.
fn transform<S: Sample>(profile: &ColorProfile, space: Space) -> Option<Arc<Transform<S>>> {
    let (layout, described) = match space {
        Space::Grey => (Layout::Gray, DataColorSpace::Gray),
        Space::Rgb => (Layout::Rgb, DataColorSpace::Rgb),
        // Four interleaved samples, whatever they are, are this layout.
        Space::Cmyk => (Layout::Rgba, DataColorSpace::Cmyk),
    };
    if profile.color_space != described {
        return None;
    }
    let srgb = ColorProfile::new_srgb();
    let transform = INTENTS.into_iter().find_map(|rendering_intent| {
        let options = TransformOptions {
            rendering_intent,
            // Fixed point is faster, and off by several steps of 16 bits.
            prefer_fixed_point: false,
            ..TransformOptions::default()
        };
        S::transform(profile, layout, &srgb, options).ok()
    })?;
    (!changes_nothing(&*transform, space)).then_some(transform)
}

/// Whether the conversion moves no colour by more than the rounding of eight bits.
///
/// sRGB has many profiles that differ in their last digits. A picture tagged with one of them stays as it is, to the bit.
fn changes_nothing<S: Sample>(transform: &Transform<S>, space: Space) -> bool {
    let channels = space.channels();
    let probes: Vec<S> = (0..PROBES.pow(channels as u32))
        .flat_map(|number| {
            (0..channels as u32).map(move |channel| {
                let step = number / PROBES.pow(channel) % PROBES;
                S::from_number(step * S::MAX / (PROBES - 1))
            })
        })
        .collect();
    let plain = converted(&probes, space, None);
    let with_profile = converted(&probes, space, Some(transform));
    let tolerance = S::MAX / 255;
    plain
        .iter()
        .zip(&with_profile)
        .all(|(plain, moved)| plain.number().abs_diff(moved.number()) <= tolerance)
}
