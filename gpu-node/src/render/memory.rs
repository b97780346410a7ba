//! How much of a device's memory a render takes, and what is done so that it fits.

use atelier_proto::settings::Layer;

use super::tile_plan::{self, Tile};
use super::vgg::Vgg;

/// Vectors of an image's size that descending holds besides the optimiser's history: image, gradient, best image, step,
/// last gradient, direction, and what comes and goes between them.
const VECTORS: u64 = 10;
/// No history is cut below so many pairs: L-BFGS would be no better than gradient descent.
const PAIRS_MIN: u32 = 3;
/// What the program itself, the network and libtorch's own buffers take, bytes.
const PROGRAM_BYTES: u64 = 1 << 30;
/// Tiles are not made smaller for want of memory: halos would be most of them.
const TILE_PIXELS_MIN: u64 = 256 * 256;
/// Copies of the features at a wanted layer that the sums take, float32.
const COPIES_AT_LAYERS: u64 = 3;

/// Share of the memory, one in so many, that targets may take for the next cells to find.
const TARGETS_SHARE: u64 = 8;

/// The memory that renders may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    /// For pictures on their way.
    bytes: u64,
    /// For targets that are kept.
    targets_bytes: u64,
}

/// How a batch fits.
#[derive(Debug)]
pub(super) struct Plan {
    /// Empty: pictures are looked at as a whole.
    pub(super) tiles: Vec<Tile>,
    /// Pairs that L-BFGS remembers.
    pub(super) pairs: u32,
}

impl Memory {
    /// `bytes` are those that the whole program may take.
    pub(super) fn new(bytes: u64) -> Self {
        let bytes = bytes.saturating_sub(PROGRAM_BYTES);
        let targets_bytes = bytes / TARGETS_SHARE;
        Self {
            bytes: bytes - targets_bytes,
            targets_bytes,
        }
    }

    /// Bytes that targets may take while no picture needs them.
    pub(super) fn targets_bytes(self) -> u64 {
        self.targets_bytes
    }

    /// Half as much for pictures: what was planned did not fit, because something else took its share.
    pub(super) fn halved(self) -> Self {
        Self {
            bytes: self.bytes / 2,
            ..self
        }
    }

    /// The largest batch of pictures of this size that is looked at as a whole with full histories; at least 1.
    pub(super) fn batch_max(
        self,
        vgg: &Vgg,
        layers: &[Layer],
        size: (u32, u32),
        history: u32,
    ) -> u32 {
        let pixels = u64::from(size.0) * u64::from(size.1);
        let of_one = pixels * (bytes_per_pixel(vgg, layers) + optimiser_bytes(history));
        u32::try_from(self.bytes / of_one.max(1))
            .unwrap_or(u32::MAX)
            .max(1)
    }

    /// How pictures of this size fit in a batch of so many. `held` are the layers whose features the targets have.
    pub(super) fn plan(
        self,
        vgg: &Vgg,
        layers: &[Layer],
        held: &[Layer],
        size: (u32, u32),
        batch: u32,
        history: u32,
    ) -> Plan {
        let pixels = u64::from(size.0) * u64::from(size.1) * u64::from(batch.max(1));
        let targets = pixels * target_bytes(vgg, held);
        let left = self.bytes.saturating_sub(targets);
        // Half for the optimiser at most: a short history costs evaluations, small tiles cost halos.
        let pairs_that_fit =
            (left / 2 / pixels.max(1)).saturating_sub(optimiser_bytes(0)) / (2 * 12);
        let pairs = u32::try_from(pairs_that_fit)
            .unwrap_or(u32::MAX)
            .clamp(PAIRS_MIN.min(history), history);
        let left = left.saturating_sub(pixels * optimiser_bytes(pairs));
        Plan {
            tiles: tiles(vgg, layers, size, left / u64::from(batch.max(1))),
            pairs,
        }
    }

    /// How a picture of this size is looked at once, without a way back.
    pub(super) fn tiles_to_look_at(
        self,
        vgg: &Vgg,
        layers: &[Layer],
        size: (u32, u32),
    ) -> Vec<Tile> {
        tiles(vgg, layers, size, self.bytes / 2)
    }
}

/// Tiles of a picture of which each takes so many bytes at most; none when the whole does.
fn tiles(vgg: &Vgg, layers: &[Layer], size: (u32, u32), bytes: u64) -> Vec<Tile> {
    let pixels_max = (bytes / bytes_per_pixel(vgg, layers).max(1)).max(TILE_PIXELS_MIN);
    if u64::from(size.0) * u64::from(size.1) <= pixels_max {
        return Vec::new();
    }
    let blocks = computed(vgg, layers).map(|(layer, _)| layer.block());
    let deepest = blocks.clone().max().unwrap_or(1);
    let halo = tile_plan::halo(blocks);
    let (width, height) = (i64::from(size.0), i64::from(size.1));
    tile_plan::tiles(height, width, deepest, halo, pixels_max)
}

/// Multiplications and additions of one look at these layers, for each pixel: what a second of measured work is
/// compared by.
pub(super) fn work_per_pixel(vgg: &Vgg, layers: &[Layer]) -> f64 {
    let mut inputs = 3.0;
    let works = computed(vgg, layers).map(|(layer, channels)| {
        let outputs = channels as f64;
        let work = 9.0 * inputs * outputs / f64::from(4_u32.pow(u32::from(layer.block() - 1)));
        inputs = outputs;
        work
    });
    works.sum()
}

/// The convolutions that are computed for these layers, with their channels.
fn computed<'a>(vgg: &'a Vgg, layers: &[Layer]) -> impl Iterator<Item = (Layer, i64)> + Clone + 'a {
    let deepest = layers.iter().max().copied();
    vgg.layers()
        .take_while(move |(layer, _)| deepest.is_some_and(|deepest| *layer <= deepest))
}

/// Bytes of a forward and backward pass for each pixel.
fn bytes_per_pixel(vgg: &Vgg, layers: &[Layer]) -> u64 {
    let convolutions =
        computed(vgg, layers).map(|(layer, channels)| (layer.block(), channels.unsigned_abs()));
    let bytes = vgg.numbers().convolutions.elt_size_in_bytes() as u64;
    let of_network = tile_plan::bytes_per_pixel(convolutions, bytes);
    of_network + COPIES_AT_LAYERS * target_bytes(vgg, layers)
}

/// Bytes of float32 features at these layers for each pixel.
fn target_bytes(vgg: &Vgg, layers: &[Layer]) -> u64 {
    let named = vgg.layers().filter(|(layer, _)| layers.contains(layer));
    let bytes =
        named.map(|(layer, channels)| (4 * channels.unsigned_abs()) >> (2 * (layer.block() - 1)));
    bytes.sum()
}

/// Bytes of the descent for each pixel: float32 vectors of three colours.
fn optimiser_bytes(pairs: u32) -> u64 {
    (VECTORS + 2 * u64::from(pairs)) * 12
}
