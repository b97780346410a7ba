//! Settings that are one of a few words.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::table::Setting;
use crate::v1;

macro_rules! choice {
    (
        $(#[doc = $doc:literal])*
        $name:ident { $($(#[doc = $variant_doc:literal])* $variant:ident = $word:literal,)* }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[doc = $variant_doc])* #[serde(rename = $word)] $variant,)*
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word,)* })
            }
        }

        impl Setting for $name {
            type Wire = i32;

            fn to_wire(&self) -> i32 {
                match self { $(Self::$variant => v1::$name::$variant as i32,)* }
            }

            fn from_wire(wire: i32) -> Result<Self, String> {
                match v1::$name::try_from(wire) {
                    $(Ok(v1::$name::$variant) => Ok(Self::$variant),)*
                    Ok(v1::$name::Unspecified) | Err(_) => {
                        Err(format!("{wire} is none of the known values"))
                    }
                }
            }
        }
    };
}

choice! {
    /// What the picture is before the first evaluation.
    Start {
        /// Gaussian noise fixed by the seed, as in the source article.
        Noise = "noise",
        /// The photo itself.
        Photo = "photo",
        /// The artist's first painting, in the shape of the picture.
        Painting = "painting",
        /// The photo with a share of noise.
        Mix = "mix",
        /// The picture that the grid names for the photo.
        File = "file",
    }
}

choice! {
    /// How the network halves its feature maps.
    Pooling {
        /// 2×2 mean: the "modified VGG" of Gatys et al. 2015, which gives slightly smoother pictures.
        Average = "average",
        /// 2×2 maximum, as VGG was trained.
        Max = "max",
    }
}

choice! {
    /// What the network sees beyond the border of a picture.
    Padding {
        /// The border pixel again: no dark frame.
        Replicate = "replicate",
        /// Zeros, as VGG was trained and the published numbers were made.
        Zero = "zero",
    }
}

choice! {
    /// Which formula the losses follow.
    LossKind {
        /// Each layer relative to its target: the same look whatever the scale of the weights file.
        Relative = "relative",
        /// The formula of Gatys' published code, for comparing with published numbers.
        Gatys = "gatys",
        /// The formula of neural-style and of the source article: Gram matrices divided by channels and positions, and
        /// their mean squared difference.
        NeuralStyle = "neural-style",
    }
}

choice! {
    /// File format of the picture.
    PictureFormat {
        /// JPEG, quality 95.
        Jpeg = "jpeg",
        /// PNG, 8 bits a channel.
        Png = "png",
        /// PNG, 16 bits a channel.
        Png16 = "png16",
    }
}

choice! {
    /// What is painted.
    Mode {
        /// A photo in the style of an artist.
        Transfer = "transfer",
        /// What the content layers keep of a photo (Gatys et al. 2015, figure 1, lower row).
        Content = "content",
        /// What the style layers keep of an artist: texture without positions (the same, upper row).
        Style = "style",
    }
}

choice! {
    /// Scale of the features that losses are taken of.
    Features {
        /// Each layer is brought to the scale that it has in the original weights of Simonyan and Zisserman, for which
        /// published settings were made; so one setting gives one balance, whatever the weights file.
        Normalised = "normalised",
        /// As the weights file has them.
        Raw = "raw",
    }
}

choice! {
    /// Which optimiser moves the picture.
    Optimiser {
        /// L-BFGS, as Gatys et al. have it.
        Lbfgs = "lbfgs",
        /// Adam (Kingma and Ba 2014) with averaged iterates.
        Adam = "adam",
    }
}

choice! {
    /// Whose colours the picture has (Gatys et al. 2016, <https://arxiv.org/abs/1606.05897>).
    Colour {
        /// The paintings'.
        Painting = "painting",
        /// The photo's: only the brightness of the rendering is kept.
        Photo = "photo",
        /// The photo's statistics: the paintings are recoloured before the rendering.
        Matched = "matched",
        /// The photo's statistics: the picture is recoloured after the rendering.
        MatchedAfter = "matched-after",
    }
}

impl PictureFormat {
    /// The file name extension, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png | Self::Png16 => "png",
        }
    }

    /// The media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png | Self::Png16 => "image/png",
        }
    }
}
