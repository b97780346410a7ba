//! A picture as the files that go into the bucket, how the JPEGs among them are put there, and what is told of it.

use std::collections::BTreeMap;

use atelier_gallery::bucket::BucketError;
use atelier_gallery::picture::{
    self, LARGE_THUMBNAIL_SIDE, Picture, PictureError, Provenance, THUMBNAIL_SIDE,
};
use atelier_gallery::signed::{Content, SignedBucket};
use atelier_proto::ids::Digest;
use atelier_proto::settings::PictureFormat;
use atelier_proto::v1;
use bytes::Bytes;

use super::error::AttemptError;
use super::leased::Keys;
use crate::executor::Image;
use crate::flat::FlatError;

/// A picture on its way to the bucket.
pub(super) struct Files {
    /// None: there is no picture.
    pub(super) picture: Option<Bytes>,
    pub(super) thumbnails: Thumbnails,
    /// Pixels.
    pub(super) width: u32,
    /// Pixels.
    pub(super) height: u32,
    /// Of the picture's file.
    pub(super) sha256: Digest,
}

/// The JPEGs that a gallery shows of a picture; none where there is no picture.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Thumbnails {
    small: Option<Bytes>,
    /// None where the picture has no more pixels than the small one, or nobody wants it.
    large: Option<Bytes>,
}

/// A picture that lies in the bucket, with what is known of its making.
pub(super) struct Stored {
    pub(super) thumbnails: Thumbnails,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) sha256: Digest,
    pub(super) bytes: u64,
    pub(super) seconds: f64,
    pub(super) evaluations: u32,
    pub(super) loss: f64,
    pub(super) losses: Vec<v1::LossPoint>,
    pub(super) network: String,
    pub(super) device: String,
}

impl Files {
    /// What is painted, as files, made off the async threads where they are not there yet.
    pub(super) async fn of(
        image: Image,
        format: PictureFormat,
        about: Provenance,
        wants_large: bool,
    ) -> Result<Self, AttemptError> {
        match image {
            Image::Rendered(picture) => {
                let encode = move || Self::encode(&picture, format, &about, wants_large);
                let encoded = tokio::task::spawn_blocking(encode).await?;
                encoded.map_err(AttemptError::Encode)
            }
            Image::Flat(flat, files) => {
                let file = files.file(flat, THUMBNAIL_SIDE).await;
                let file = file.map_err(|error| match error {
                    FlatError::Picture(source) => AttemptError::Encode(source),
                    FlatError::Task(error) => error.into(),
                })?;
                Ok(Self {
                    picture: Some(file.bytes.clone()),
                    thumbnails: Thumbnails {
                        small: Some(file.thumbnail.clone()),
                        large: None,
                    },
                    width: flat.width,
                    height: flat.height,
                    sha256: file.sha256,
                })
            }
            Image::Absent {
                width,
                height,
                sha256,
            } => Ok(Self {
                picture: None,
                thumbnails: Thumbnails::default(),
                width,
                height,
                sha256,
            }),
        }
    }

    fn encode(
        picture: &Picture,
        format: PictureFormat,
        about: &Provenance,
        wants_large: bool,
    ) -> Result<Self, PictureError> {
        let bytes = picture::encode(picture, format, about)?;
        Ok(Self {
            sha256: Digest::of(&bytes),
            picture: Some(bytes.into()),
            thumbnails: Thumbnails::of(picture, wants_large)?,
            width: picture.width(),
            height: picture.height(),
        })
    }
}

impl Thumbnails {
    fn of(picture: &Picture, wants_large: bool) -> Result<Self, PictureError> {
        let colours = picture.to_rgb8();
        let draw = |side| picture::thumbnail(&colours, side).map(Bytes::from);
        let is_larger = picture.width().max(picture.height()) > THUMBNAIL_SIDE;
        let large = (wants_large && is_larger).then(|| draw(LARGE_THUMBNAIL_SIDE));
        Ok(Self {
            small: Some(draw(THUMBNAIL_SIDE)?),
            large: large.transpose()?,
        })
    }

    /// Each with where it goes.
    pub(super) fn placed<'a>(
        &'a self,
        keys: &'a Keys,
    ) -> impl Iterator<Item = (&'a String, &'a Bytes)> {
        let small = self.small.as_ref().map(|bytes| (&keys.thumbnail, bytes));
        let large = keys.large_thumbnail.as_ref().zip(self.large.as_ref());
        small.into_iter().chain(large)
    }
}

impl Stored {
    /// What travels with the picture, so that whoever adopts it can report how it was made.
    pub(super) fn metadata(&self) -> [(&'static str, String); 5] {
        [
            ("seconds", self.seconds.to_string()),
            ("evaluations", self.evaluations.to_string()),
            ("loss", self.loss.to_string()),
            ("network", self.network.clone()),
            ("device", self.device.clone()),
        ]
    }

    /// A picture that lies in the bucket, from its file and what travels with it.
    pub(super) fn read(
        bytes: &[u8],
        metadata: &BTreeMap<String, String>,
        wants_large: bool,
    ) -> Result<Self, PictureError> {
        let text = |name| metadata.get(name).cloned().unwrap_or_default();
        let picture = picture::decode(bytes)?;
        Ok(Self {
            thumbnails: Thumbnails::of(&picture, wants_large)?,
            width: picture.width(),
            height: picture.height(),
            sha256: Digest::of(bytes),
            bytes: bytes.len() as u64,
            seconds: text("seconds").parse().unwrap_or_default(),
            evaluations: text("evaluations").parse().unwrap_or_default(),
            loss: text("loss").parse().unwrap_or_default(),
            losses: Vec::new(),
            network: text("network"),
            device: text("device"),
        })
    }

    /// What the coordinator is told of it.
    pub(super) fn result(&self, keys: &Keys) -> v1::CellResult {
        let large = self.thumbnails.large.as_ref();
        let large_thumbnail = keys.large_thumbnail.clone().filter(|_| large.is_some());
        v1::CellResult {
            picture_key: keys.picture.clone(),
            thumbnail_key: keys.thumbnail.clone(),
            sha256: self.sha256.to_string(),
            bytes: self.bytes,
            width: self.width,
            height: self.height,
            seconds: self.seconds,
            evaluations: self.evaluations,
            loss: self.loss,
            network: self.network.clone(),
            device: self.device.clone(),
            large_thumbnail_key: large_thumbnail.unwrap_or_default(),
            losses: self.losses.clone(),
        }
    }
}

/// Puts a thumbnail or a header picture, unless it is there.
pub(super) async fn put_jpeg(
    bucket: &SignedBucket,
    key: &str,
    bytes: Bytes,
) -> Result<(), BucketError> {
    let content = jpeg_content(&bytes);
    bucket.put_if_absent(key, bytes, content).await?;
    Ok(())
}

/// What a thumbnail or a header picture is.
pub(super) fn jpeg_content(bytes: &Bytes) -> Content {
    let content = Content {
        if_absent: true,
        ..Content::of_type("image/jpeg")
    };
    content.of_bytes(Digest::of(bytes), bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;

    fn picture(width: u32, height: u32) -> Picture {
        RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([(x * 30) as u8, (y * 60) as u8, 7])
        })
        .into()
    }

    #[test]
    fn a_stored_picture_tells_whoever_adopts_it_how_it_was_made() {
        let picture = picture(8, 4);
        let about = Provenance::new();
        let files = Files::encode(&picture, PictureFormat::Png, &about, true).unwrap();
        let bytes = files.picture.unwrap();
        let stored = Stored {
            sha256: files.sha256,
            bytes: bytes.len() as u64,
            width: 8,
            height: 4,
            thumbnails: files.thumbnails,
            seconds: 1.5,
            evaluations: 180,
            loss: 0.25,
            losses: Vec::new(),
            network: "vgg16 untrained".to_owned(),
            device: "cpu".to_owned(),
        };
        let metadata = stored.metadata();
        let metadata = metadata
            .map(|(name, value)| (name.to_owned(), value))
            .into();
        let adopted = Stored::read(&bytes, &metadata, true).unwrap();
        assert_eq!(adopted.metadata(), stored.metadata());
        assert_eq!(
            (adopted.sha256, adopted.bytes),
            (stored.sha256, stored.bytes)
        );
        assert_eq!((adopted.width, adopted.height), (8, 4));
        assert_eq!(adopted.thumbnails, stored.thumbnails);
    }

    #[test]
    fn a_large_thumbnail_is_made_where_there_is_more_to_show_and_somebody_wants_it() {
        let sides = |picture: Picture, wants_large| {
            let thumbnails = Thumbnails::of(&picture, wants_large).unwrap();
            let side = |bytes: Option<Bytes>| Some(picture::size(&bytes?).unwrap().0);
            (side(thumbnails.small), side(thumbnails.large))
        };
        assert_eq!(sides(picture(800, 2), true), (Some(320), Some(640)));
        assert_eq!(sides(picture(400, 2), true), (Some(320), Some(400)));
        assert_eq!(sides(picture(320, 2), true), (Some(320), None));
        assert_eq!(sides(picture(800, 2), false), (Some(320), None));
    }
}
