//! Targets of photos and paintings: what their features are, kept for the next cell that has the same ones.
//!
//! A grid shows the same photo to many artists and the same artist to many photos, so targets are computed once and
//! kept within a bound.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

use atelier_proto::ids::Digest;
use atelier_proto::settings::{Colour, Layer, LossKind};
use tch::{TchError, Tensor};

use super::statistics::{Moments, structure};
use super::tile_plan::Tile;
use super::tiles::{self, Look};
use super::vgg::Vgg;

/// Tensors of each layer.
pub(super) type OfLayers = BTreeMap<Layer, Vec<Tensor>>;

/// Everything that fixes a target besides the network.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TargetKey {
    pub(super) of: Of,
    pub(super) input: Digest,
    /// The photo whose colours a painting was given.
    pub(super) recoloured: Option<(Colour, Digest)>,
    /// Pixels.
    pub(super) size: (u32, u32),
    pub(super) layers: Vec<Layer>,
    pub(super) look: Look,
    pub(super) loss: LossKind,
}

/// What a target is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Of {
    /// A photo's features, or their structure, at each layer.
    Content,
    /// A painting's statistics at each layer.
    Style,
}

/// Computes the target of an image, `[1, 3, height, width]`, that `key` describes.
pub(super) fn compute(
    vgg: &Vgg,
    key: &TargetKey,
    image: &Tensor,
    tiles: &[Tile],
) -> Result<OfLayers, TchError> {
    tch::no_grad(|| match key.of {
        Of::Content => content(vgg, key, image, tiles),
        Of::Style => style(vgg, key, image, tiles),
    })
}

fn content(
    vgg: &Vgg,
    key: &TargetKey,
    image: &Tensor,
    tiles: &[Tile],
) -> Result<OfLayers, TchError> {
    let mut whole: BTreeMap<Layer, Tensor> = BTreeMap::new();
    let (_, _, height, width) = image.size4()?;
    tiles::look(
        vgg,
        image,
        tiles,
        &key.layers,
        key.look,
        |layer, features, window| {
            if tiles.is_empty() {
                whole.insert(layer, features);
                return Ok(());
            }
            let whole = match whole.entry(layer) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    let halve = |side: i64| (side >> (layer.block() - 1)).max(1);
                    let shape = [1, features.size()[1], halve(height), halve(width)];
                    let options = (features.kind(), features.device());
                    entry.insert(Tensor::f_zeros(shape, options)?)
                }
            };
            window.fill(whole, &features)
        },
    )?;
    let targets = whole.into_iter().map(|(layer, features)| {
        let target = match key.loss {
            LossKind::Relative => structure(&features)?,
            LossKind::Gatys | LossKind::NeuralStyle => features,
        };
        Ok((layer, vec![target]))
    });
    targets.collect()
}

fn style(vgg: &Vgg, key: &TargetKey, image: &Tensor, tiles: &[Tile]) -> Result<OfLayers, TchError> {
    let mut sums: BTreeMap<Layer, (Moments, i64)> = BTreeMap::new();
    tiles::look(
        vgg,
        image,
        tiles,
        &key.layers,
        key.look,
        |layer, features, _| {
            let positions = features.size().iter().skip(2).product::<i64>();
            let moments = Moments::of(&features, None, key.loss)?;
            match sums.get_mut(&layer) {
                None => drop(sums.insert(layer, (moments, positions))),
                Some((sum, count)) => {
                    sum.second = sum.second.f_add(&moments.second)?;
                    if let (Some(sum), Some(first)) = (&mut sum.first, &moments.first) {
                        *sum = sum.f_add(first)?;
                    }
                    *count += positions;
                }
            }
            Ok::<_, TchError>(())
        },
    )?;
    let targets = sums.into_iter().map(|(layer, (moments, positions))| {
        let options = (moments.second.kind(), moments.second.device());
        let positions = Tensor::f_full([1, 1, 1], positions as f64, options)?;
        Ok((layer, moments.statistics(&positions, key.loss)?))
    });
    targets.collect()
}

/// Targets that were computed before; the longest unused ones leave first.
#[derive(Debug)]
pub(super) struct TargetCache {
    kept: HashMap<TargetKey, Kept>,
    bytes: u64,
    bytes_max: u64,
    /// Counts uses; the smallest one in `kept` is the longest unused.
    uses: u64,
}

#[derive(Debug)]
struct Kept {
    target: OfLayers,
    bytes: u64,
    used: u64,
}

impl TargetCache {
    /// An empty cache of so many bytes at most.
    pub(super) fn new(bytes_max: u64) -> Self {
        Self {
            kept: HashMap::new(),
            bytes: 0,
            bytes_max,
            uses: 0,
        }
    }

    /// The target of a key, computed if it is not there.
    pub(super) fn get<E>(
        &mut self,
        key: TargetKey,
        compute: impl FnOnce(&TargetKey) -> Result<OfLayers, E>,
    ) -> Result<OfLayers, E> {
        self.uses += 1;
        if let Some(kept) = self.kept.get_mut(&key) {
            kept.used = self.uses;
            return Ok(shared(&kept.target));
        }
        let target = compute(&key)?;
        let bytes = target.values().flatten().map(bytes_of).sum();
        if bytes <= self.bytes_max {
            self.make_room(bytes);
            self.bytes += bytes;
            let kept = Kept {
                target: shared(&target),
                bytes,
                used: self.uses,
            };
            self.kept.insert(key, kept);
        }
        Ok(target)
    }

    fn make_room(&mut self, bytes: u64) {
        while self.bytes + bytes > self.bytes_max {
            let longest_unused = self
                .kept
                .iter()
                .min_by_key(|(_, kept)| kept.used)
                .map(|(key, _)| key.clone());
            let Some(kept) = longest_unused.and_then(|key| self.kept.remove(&key)) else {
                return;
            };
            self.bytes -= kept.bytes;
        }
    }
}

fn bytes_of(tensor: &Tensor) -> u64 {
    (tensor.numel() * tensor.kind().elt_size_in_bytes()) as u64
}

/// The same tensors, not copies of them.
fn shared(target: &OfLayers) -> OfLayers {
    target
        .iter()
        .map(|(layer, tensors)| (*layer, tensors.iter().map(Tensor::shallow_clone).collect()))
        .collect()
}

#[cfg(test)]
mod tests {
    use atelier_proto::settings::{Padding, Pooling};
    use tch::{Device, Kind};

    use super::*;

    fn key(input: &str) -> TargetKey {
        TargetKey {
            of: Of::Style,
            input: Digest::of(input.as_bytes()),
            recoloured: None,
            size: (4, 4),
            layers: Vec::new(),
            look: Look {
                pooling: Pooling::Average,
                padding: Padding::Zero,
            },
            loss: LossKind::Gatys,
        }
    }

    /// How many of the inputs had to be computed, in turn.
    fn computed(bytes_max: u64, inputs: &[&str]) -> Vec<bool> {
        let mut cache = TargetCache::new(bytes_max);
        let ask = |input: &&str| {
            let mut was_computed = false;
            let compute = |_: &TargetKey| {
                was_computed = true;
                let tensor = Tensor::f_zeros([4], (Kind::Float, Device::Cpu))?;
                let layer = Layer::new(1, 1).into_iter();
                Ok::<_, TchError>(
                    layer
                        .map(|layer| (layer, vec![tensor.shallow_clone()]))
                        .collect(),
                )
            };
            cache.get(key(input), compute).unwrap();
            was_computed
        };
        inputs.iter().map(ask).collect()
    }

    #[test]
    fn a_target_is_computed_once_while_there_is_room_and_the_longest_unused_leaves() {
        let inputs = ["a", "b", "a", "c", "a", "b"];
        assert_eq!(
            computed(48, &inputs),
            [true, true, false, true, false, false]
        );
        assert_eq!(
            computed(32, &inputs),
            [true, true, false, true, false, true]
        );
        assert_eq!(computed(8, &inputs), [true; 6], "none fits");
    }
}
