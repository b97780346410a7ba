//! Where a picture is cut so that its features, computed tile by tile, are those of the whole picture. Knows rectangles
//! and how VGG reaches, no tensor.
//!
//! A picture is divided into cores. A tile is a core with a halo of picture around it, as wide as the features of the
//! core can see ([`halo`]); at the borders of the picture there is none, for there the network's own padding is right.
//! Edges inside the picture lie on multiples of the coarsest pooling, so that a tile pools the same pixels together as
//! the whole picture does. So the features of all cores, each cut out of its tile, are those of the picture, each once.
//!
//! **The gradient** of a sum over positions is the sum of the cores' gradients: each is propagated from the features of
//! the core alone to all pixels of its tile, halo included, and *added* there. (To keep only the pixels of each core, all
//! features of the tile would have to count and the halo to be twice as wide.) The idea is that of Galerne et al. 2022,
//! <https://arxiv.org/abs/2212.13459>.

/// Parts that a side is cut into at most; more would be tiles of nothing but halo, or a picture beyond any memory.
const PARTS_MAX: i64 = 512;

/// A part of a picture or of a feature map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rect {
    pub(super) top: i64,
    pub(super) left: i64,
    pub(super) height: i64,
    pub(super) width: i64,
}

/// A part of a picture whose features are computed in one go, pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tile {
    /// The part that this tile answers for.
    pub(super) core: Rect,
    /// The part that the network is shown.
    pub(super) with_halo: Rect,
}

impl Rect {
    /// The same part of the feature maps of a block, 1 to the deepest that the tiles were made for.
    pub(super) fn at_block(self, block: u8) -> Self {
        let (top, height) = at_block(self.top, self.height, block);
        let (left, width) = at_block(self.left, self.width, block);
        Self {
            top,
            left,
            height,
            width,
        }
    }
}

impl Tile {
    /// Where the core's features lie in the tile's own feature maps of a block.
    pub(super) fn core_at_block(&self, block: u8) -> Rect {
        Rect {
            top: self.core.top - self.with_halo.top,
            left: self.core.left - self.with_halo.left,
            ..self.core
        }
        .at_block(block)
    }
}

/// Start and length, rounded as poolings do it: an end is rounded down, a side of 1 is kept.
fn at_block(start: i64, length: i64, block: u8) -> (i64, i64) {
    let shift = block.saturating_sub(1);
    let first = start >> shift;
    (first, (((start + length) >> shift) - first).max(1))
}

/// The tiles of a picture, row by row: as few pixels in all as can be, halos included, with none of more than
/// `pixels_max` pixels where that is possible at all, else of the fewest. A picture that is small enough is one tile.
///
/// `blocks` is the deepest block whose features are wanted, 1 to 5, and `halo` what [`halo`] says for it. Memory gives
/// `pixels_max`: bytes there are, divided by [`bytes_per_pixel`].
pub(super) fn tiles(height: i64, width: i64, blocks: u8, halo: i64, pixels_max: u64) -> Vec<Tile> {
    let align = 1 << blocks.saturating_sub(1);
    let halo = round_up(halo.max(0), align);
    let across = divisions(width, halo, align);
    let mut best: Option<(bool, u64, u64)> = None;
    let mut chosen = (1, 1);
    for down in divisions(height, halo, align) {
        // More parts than needed only add halos.
        let fits = |across: &&Division| down.longest * across.longest <= pixels_max;
        let Some(across) = across.iter().find(fits).or(across.last()) else {
            continue;
        };
        let largest = down.longest * across.longest;
        let work = down.total * across.total;
        let too_large = largest > pixels_max;
        let rank = (too_large, if too_large { largest } else { 0 }, work);
        if best.is_none_or(|best| rank < best) {
            best = Some(rank);
            chosen = (down.parts, across.parts);
        }
    }
    let columns = spans(width, chosen.1, halo, align);
    spans(height, chosen.0, halo, align)
        .iter()
        .flat_map(|row| {
            columns.iter().map(|column| Tile {
                core: rect(row.core, column.core),
                with_halo: rect(row.with_halo, column.with_halo),
            })
        })
        .collect()
}

/// Pixels of picture that the features of a core see beyond its edges, rounded up to where a tile may be cut.
///
/// `blocks` are those of the convolutions that are computed, shallowest first: 1, 1, 2, 2, 3 for `conv3_1`. Each 3×3
/// convolution sees one position of its own block further, 2^(block−1) pixels; a 2×2 pooling sees no further, because
/// cores begin and end where it does. VGG16 sees 58 pixels at `conv5_1`, hence 64.
pub(super) fn halo(blocks: impl IntoIterator<Item = u8>) -> i64 {
    let (mut reach, mut align) = (0, 1);
    for block in blocks {
        let stride = 1_i64 << block.saturating_sub(1);
        reach += stride;
        align = align.max(stride);
    }
    round_up(reach, align)
}

/// Bytes that a pixel costs in a forward and backward pass to the image, weights not counted.
///
/// `convolutions` are block and output channels of those that are computed, shallowest first; `bytes_per_value` is that
/// of the features, 4 for float32. Kept for the way back are each convolution's padded input and its rectified output;
/// on top comes what is in hand at the widest one: its output before the `ReLU`, and the gradients of its output and
/// its padded input. VGG19 up to `conv5_1` took 2,748 bytes on a processor at 512 × 512 in float32, where this says 2,732;
/// with padding by zeros there is no padded copy, and it took 1,802.
pub(super) fn bytes_per_pixel(
    convolutions: impl IntoIterator<Item = (u8, u64)>,
    bytes_per_value: u64,
) -> u64 {
    // Counted in 256ths, the share of a pixel that a position of block 5 has.
    let (mut kept, mut in_hand) = (0, 0);
    let mut input = 3;
    for (block, output) in convolutions {
        let share = 256_u64 >> (2 * u32::from(block.clamp(1, 5) - 1));
        kept += (input + output) * share;
        in_hand = in_hand.max((input + 2 * output) * share);
        input = output;
    }
    ((kept + in_hand) * bytes_per_value).div_ceil(256)
}

fn round_up(pixels: i64, align: i64) -> i64 {
    (pixels + align - 1) / align * align
}

/// One side of a picture cut into so many parts.
#[derive(Debug, Clone, Copy)]
struct Division {
    parts: i64,
    /// The longest part and the sum of all, halos included, pixels.
    longest: u64,
    total: u64,
}

/// Start and end of one part of a side, without and with its halo, pixels.
#[derive(Debug, Clone, Copy)]
struct Span {
    core: (i64, i64),
    with_halo: (i64, i64),
}

/// Every way to cut a side, fewest parts first.
fn divisions(side: i64, halo: i64, align: i64) -> Vec<Division> {
    // A part needs a position of its own at the deepest block.
    (1..=(side / align).clamp(1, PARTS_MAX))
        .map(|parts| {
            let lengths = spans(side, parts, halo, align)
                .into_iter()
                .map(|Span { with_halo, .. }| (with_halo.1 - with_halo.0).unsigned_abs());
            Division {
                parts,
                longest: lengths.clone().max().unwrap_or(0),
                total: lengths.sum(),
            }
        })
        .collect()
}

/// A side cut into `parts` of nearly the same length. The last one goes on to the border: what is left there beyond the
/// last whole position of the deepest block has no features of its own in that block.
fn spans(side: i64, parts: i64, halo: i64, align: i64) -> Vec<Span> {
    let positions = side / align;
    // Longer parts first, because the last one has the rest to carry.
    let edge = |part: i64| match part {
        0 => 0,
        part if part == parts => side,
        part => (positions * part + parts - 1) / parts * align,
    };
    (0..parts)
        .map(|part| {
            let (start, end) = (edge(part), edge(part + 1));
            Span {
                core: (start, end),
                with_halo: ((start - halo).max(0), (end + halo).min(side)),
            }
        })
        .collect()
}

fn rect(row: (i64, i64), column: (i64, i64)) -> Rect {
    Rect {
        top: row.0,
        left: column.0,
        height: row.1 - row.0,
        width: column.1 - column.0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Convolutions in each block.
    const VGG16: [u8; 5] = [2, 2, 3, 3, 3];
    const VGG19: [u8; 5] = [2, 2, 4, 4, 4];

    /// The block of each convolution up to one.
    fn up_to(network: [u8; 5], block: u8, index: u8) -> Vec<u8> {
        (1..block)
            .flat_map(|at| vec![at; network[usize::from(at) - 1].into()])
            .chain(vec![block; index.into()])
            .collect()
    }

    /// Features of one row of pixels after the last convolution of each block. Whole numbers that wrap around stand for
    /// activations: any pixel more or less, or at another place, gives others.
    fn features(pixels: &[u64], blocks: &[u8]) -> Vec<Vec<u64>> {
        let mut found: Vec<Vec<u64>> = Vec::new();
        let mut values = pixels.to_vec();
        let mut block = 1;
        for at in blocks {
            if *at != block {
                block = *at;
                found.push(values.clone());
                if values.len() > 1 {
                    let (pairs, _) = values.as_chunks::<2>();
                    values = pairs.iter().map(|[a, b]| a.wrapping_add(*b)).collect();
                }
            }
            let padded = [&[0], values.as_slice(), &[0]].concat();
            values = padded
                .windows(3)
                .map(|w| {
                    w[0].wrapping_mul(3)
                        ^ w[1].wrapping_mul(5)
                        ^ w[2].wrapping_mul(7).rotate_left(9)
                })
                .collect();
        }
        found.push(values);
        found
    }

    fn noise(side: i64) -> Vec<u64> {
        (1..=side.unsigned_abs())
            .map(|place| place.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23))
            .collect()
    }

    /// Whether the features of all cores, computed tile by tile with this halo, are those of the whole row.
    fn exact(side: i64, blocks: &[u8], halo: i64, pixels_max: u64) -> bool {
        let deepest = *blocks.last().unwrap();
        let pixels = noise(side);
        let whole = features(&pixels, blocks);
        let mut joined = vec![Vec::new(); whole.len()];
        for tile in tiles(1, side, deepest, halo, pixels_max) {
            let shown = tile.with_halo;
            let shown = &pixels[shown.left as usize..(shown.left + shown.width) as usize];
            for (block, maps) in (1..).zip(features(shown, blocks)) {
                let core = tile.core_at_block(block);
                let range = core.left as usize..(core.left + core.width) as usize;
                joined[usize::from(block) - 1].extend_from_slice(&maps[range]);
            }
        }
        joined == whole
    }

    fn network() -> impl Strategy<Value = Vec<u8>> {
        let deepest =
            (1_u8..=5).prop_flat_map(|block| (Just(block), 1..=VGG19[usize::from(block) - 1]));
        deepest.prop_map(|(block, index)| up_to(VGG19, block, index))
    }

    proptest! {
        #[test]
        fn features_of_the_cores_are_those_of_the_whole(
            side in 1_i64..700, blocks in network(), pixels_max in 1_u64..500,
        ) {
            prop_assert!(exact(side, &blocks, halo(blocks.iter().copied()), pixels_max));
        }

        #[test]
        fn cores_partition_the_picture_and_each_feature_map(
            height in 1_i64..300, width in 1_i64..300, blocks in 1_u8..=5, halo in 0_i64..100,
            pixels_max in 1_u64..40_000,
        ) {
            let align = 1 << (blocks - 1);
            let tiles = tiles(height, width, blocks, halo, pixels_max);
            for Tile { core, with_halo } in &tiles {
                for (start, length, halo_start, halo_length, side) in [
                    (core.top, core.height, with_halo.top, with_halo.height, height),
                    (core.left, core.width, with_halo.left, with_halo.width, width),
                ] {
                    for edge in [start, start + length, halo_start, halo_start + halo_length] {
                        prop_assert!(edge % align == 0 || edge == side);
                    }
                    // The halo is there, or the border is.
                    prop_assert!(halo_start == 0 || start - halo_start >= halo);
                    let (end, halo_end) = (start + length, halo_start + halo_length);
                    prop_assert!(halo_end == side || halo_end - end >= halo);
                    prop_assert!(0 <= halo_start && halo_end <= side);
                }
            }
            for block in 1..=blocks {
                let side = |side: i64| (side >> (block - 1)).max(1);
                let mut covered = vec![0; (side(height) * side(width)) as usize];
                for tile in &tiles {
                    let part = tile.core.at_block(block);
                    for row in part.top..part.top + part.height {
                        for column in part.left..part.left + part.width {
                            covered[(row * side(width) + column) as usize] += 1;
                        }
                    }
                }
                prop_assert!(covered.iter().all(|times| *times == 1));
            }
        }

        #[test]
        fn tiles_fit_unless_not_even_the_smallest_do(
            height in 1_i64..500, width in 1_i64..500, pixels_max in 1_u64..40_000,
        ) {
            let (blocks, halo) = (4, 32);
            let largest = tiles(height, width, blocks, halo, pixels_max)
                .iter()
                .map(|tile| (tile.with_halo.height * tile.with_halo.width).unsigned_abs())
                .max();
            let smallest = |side: i64| side.min(2 * 8 - 1 + 2 * halo).unsigned_abs();
            prop_assert!(largest <= Some(pixels_max.max(smallest(height) * smallest(width))));
        }
    }

    #[test]
    fn the_halo_is_what_the_network_reaches_and_no_more() {
        let cases = [
            (VGG16, 1, 1, 1),
            (VGG16, 2, 1, 4),
            (VGG16, 3, 1, 12),
            (VGG16, 4, 2, 40),
            (VGG16, 5, 1, 64),
            (VGG16, 5, 3, 96),
            (VGG19, 5, 1, 80),
        ];
        for (network, block, index, wanted) in cases {
            let blocks = up_to(network, block, index);
            assert_eq!(halo(blocks.iter().copied()), wanted, "conv{block}_{index}");
            let pixels_max = 200 + 2 * wanted.unsigned_abs();
            assert!(exact(1000, &blocks, wanted, pixels_max));
            let less = wanted - (1 << (block - 1));
            assert!(!exact(1000, &blocks, less, pixels_max), "{block} {index}");
        }
        assert_eq!(halo([]), 0);
    }

    #[test]
    fn a_picture_is_cut_no_more_than_memory_asks() {
        let count = |height, width, pixels_max| tiles(height, width, 5, 64, pixels_max).len();
        assert_eq!(count(1000, 1000, 1_000_000), 1);
        // Two strips with one halo each: 564 × 1000 pixels.
        assert_eq!(count(1000, 1000, 600_000), 2);
        // A long strip is cut across, never along.
        let strip = tiles(100, 8000, 5, 64, 100_000);
        assert!(strip.iter().all(|tile| tile.with_halo.height == 100) && strip.len() < 11);
        // Sixteen megapixels in tiles of one and a half: a fifth more work than untiled.
        let large = tiles(4096, 4096, 5, 64, 1_500_000);
        let work: i64 = large
            .iter()
            .map(|tile| tile.with_halo.height * tile.with_halo.width)
            .sum();
        assert!((work as f64) < 1.2 * 4096.0 * 4096.0, "{work} pixels");
    }

    #[test]
    fn memory_is_counted_from_the_channels() {
        // 3 + 64 and 64 + 64 kept, 64 + 2·64 in hand.
        assert_eq!(bytes_per_pixel([(1, 64), (1, 64)], 4), (67 + 128 + 192) * 4);
        // A position of block 2 is a quarter of a pixel: (64 + 128) / 4 more is kept.
        assert_eq!(
            bytes_per_pixel([(1, 64), (1, 64), (2, 128)], 2),
            (67 + 128 + 48 + 192) * 2
        );
    }
}
