//! Layers of VGG by name, and how much each counts.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::table::Setting;
use crate::v1;

/// A convolution of VGG, taken after its `ReLU`: `conv4_2` is the second one of the fourth block
/// (Simonyan and Zisserman 2014, <https://arxiv.org/abs/1409.1556>).
///
/// Every layer of VGG19 has a name here; VGG16 lacks `conv3_4`, `conv4_4` and `conv5_4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Layer {
    block: u8,
    index: u8,
}

impl Layer {
    /// The layer of a block (1 to 5) at an index (1 to 2 in the first two blocks, 1 to 4 in the others).
    pub fn new(block: u8, index: u8) -> Option<Self> {
        let last_index = match block {
            1 | 2 => 2,
            3..=5 => 4,
            _ => return None,
        };
        (1..=last_index)
            .contains(&index)
            .then_some(Self { block, index })
    }

    /// Its block, 1 to 5; the feature maps of block `b` are 2^(b-1) times smaller than the picture.
    pub fn block(self) -> u8 {
        self.block
    }

    /// Its index in the block, from 1.
    pub fn index(self) -> u8 {
        self.index
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "conv{}_{}", self.block, self.index)
    }
}

impl FromStr for Layer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.strip_prefix("conv")
            .and_then(|rest| rest.split_once('_'))
            .and_then(|(block, index)| Self::new(block.parse().ok()?, index.parse().ok()?))
            .ok_or_else(|| {
                // It may come from the wire and go to a terminal.
                let shown = |letter: char| {
                    if letter.is_control() {
                        '\u{fffd}'
                    } else {
                        letter
                    }
                };
                let text: String = text.chars().take(80).map(shown).collect();
                format!(
                    "`{text}` is not a layer; layers are conv1_1 and 1_2, 2_1 and 2_2, 3_1 to 3_4, \
                     4_1 to 4_4, 5_1 to 5_4"
                )
            })
    }
}

/// Layers with a weight each, shallowest first; empty means the network's own default.
///
/// Written as `"conv1_1,conv2_1:0.5"`, as a list of such words or as a table of weights.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LayerWeights(Vec<(Layer, f64)>);

impl LayerWeights {
    /// Layers with their weights, in any order.
    ///
    /// # Errors
    /// When a layer comes twice or a weight is not above 0 and at most 1e9.
    pub fn new(mut layers: Vec<(Layer, f64)>) -> Result<Self, String> {
        layers.sort_by_key(|(layer, _)| *layer);
        for pair in layers.windows(2) {
            if let [(left, _), (right, _)] = pair
                && left == right
            {
                return Err(format!("`{left}` is given twice"));
            }
        }
        for (layer, weight) in &layers {
            if !(*weight > 0.0 && *weight <= 1e9) {
                return Err(format!(
                    "the weight of `{layer}` is {weight}, but must be above 0 and at most 1e9"
                ));
            }
        }
        Ok(Self(layers))
    }

    /// The layers, shallowest first.
    pub fn iter(&self) -> impl Iterator<Item = (Layer, f64)> + '_ {
        self.0.iter().copied()
    }

    /// Whether the network's own default is meant.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn parse_word(word: &str) -> Result<(Layer, f64), String> {
        match word.split_once(':') {
            None => Ok((word.trim().parse()?, 1.0)),
            Some((layer, weight)) => {
                let weight = weight
                    .trim()
                    .parse()
                    .map_err(|_| format!("`{weight}` is not a number"))?;
                Ok((layer.trim().parse()?, weight))
            }
        }
    }
}

impl fmt::Display for LayerWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (layer, weight)) in self.iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            write!(f, "{layer}")?;
            if (weight - 1.0).abs() > f64::EPSILON {
                write!(f, ":{weight}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for LayerWeights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words = text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty());
        Self::new(words.map(Self::parse_word).collect::<Result<_, _>>()?)
    }
}

impl Serialize for LayerWeights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (layer, weight) in self.iter() {
            map.serialize_entry(&layer.to_string(), &weight)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for LayerWeights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LayerWeightsVisitor)
    }
}

struct LayerWeightsVisitor;

impl<'de> Visitor<'de> for LayerWeightsVisitor {
    type Value = LayerWeights;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("layers, as in \"conv1_1,conv2_1:0.5\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<LayerWeights, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut words: A) -> Result<LayerWeights, A::Error> {
        let mut layers = Vec::new();
        while let Some(word) = words.next_element::<String>()? {
            layers.push(LayerWeights::parse_word(&word).map_err(de::Error::custom)?);
        }
        LayerWeights::new(layers).map_err(de::Error::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<LayerWeights, A::Error> {
        let mut layers = Vec::new();
        while let Some((layer, weight)) = entries.next_entry::<String, f64>()? {
            layers.push((layer.parse().map_err(de::Error::custom)?, weight));
        }
        LayerWeights::new(layers).map_err(de::Error::custom)
    }
}

impl Setting for LayerWeights {
    type Wire = v1::LayerWeights;

    fn to_wire(&self) -> v1::LayerWeights {
        let layers = self.iter().map(|(layer, weight)| v1::LayerWeight {
            layer: layer.to_string(),
            weight,
        });
        v1::LayerWeights {
            layers: layers.collect(),
        }
    }

    fn from_wire(wire: v1::LayerWeights) -> Result<Self, String> {
        let layers = wire
            .layers
            .into_iter()
            .map(|entry| Ok((entry.layer.parse()?, entry.weight)))
            .collect::<Result<_, String>>()?;
        Self::new(layers)
    }
}
