//! Settings that are one of a few words.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Setting;
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
    }
}

choice! {
    /// File format of the picture.
    PictureFormat {
        /// JPEG, quality 95.
        Jpeg = "jpeg",
        /// PNG, 8 bits a channel.
        Png = "png",
    }
}

impl PictureFormat {
    /// The file name extension, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
        }
    }

    /// The media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }
}
