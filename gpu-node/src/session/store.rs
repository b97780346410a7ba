//! What a node leaves in the bucket for a cell: its picture, the thumbnail, and the header pictures of its gallery.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atelier_gallery::bucket::{BucketError, PutOutcome};
use atelier_gallery::picture::{self, Picture, PictureError, Provenance};
use atelier_gallery::signed::{Content, Method, SignedBucket, Wanted};
use atelier_proto::ids::Digest;
use atelier_proto::settings::PictureFormat;
use atelier_proto::{fault, v1};
use bytes::Bytes;
use futures::FutureExt as _;

use super::Session;
use super::attempt::AttemptError;
use super::held::StopSign;
use super::leased::{Keys, LeasedCell};
use crate::executor::{Image, Painted};
use crate::flat::FlatError;
use crate::render::{Input, RenderJob};

/// Long side of thumbnails, pixels.
const THUMBNAIL_SIDE: u32 = 320;
/// Long side of the larger ones, for screens that show more pixels.
const LARGE_THUMBNAIL_SIDE: u32 = 640;
/// Long side of the originals that a gallery shows in its header row and column, pixels.
const ORIGINAL_SIDE: u32 = 640;
/// The largest picture that is read back from the bucket.
const PICTURE_BYTES_MAX: u64 = 1 << 30;
/// Keys that are remembered, so that a bucket is not asked for the same header again and again.
const KNOWN_KEYS_MAX: usize = 4096;

/// A picture that lies in the bucket, with what is known of its making.
pub(super) struct Stored {
    thumbnail: Thumbnail,
    width: u32,
    height: u32,
    sha256: Digest,
    bytes: u64,
    seconds: f64,
    evaluations: u32,
    loss: f64,
    losses: Vec<v1::LossPoint>,
    network: String,
    device: String,
}

/// Where a thumbnail comes from.
enum Thumbnail {
    Of(Picture),
    Made(Bytes),
    /// From nowhere: there is no picture either.
    Absent,
}

/// A picture on its way to the bucket.
struct Encoded {
    /// None: there is no picture.
    bytes: Option<Bytes>,
    thumbnail: Thumbnail,
    width: u32,
    height: u32,
    sha256: Digest,
}

/// How a picture came about.
pub(super) struct Making {
    pub(super) losses: Vec<v1::LossPoint>,
    pub(super) about: Provenance,
}

/// The inputs that a gallery shows beside the pictures, with where they go.
pub(super) struct Headers(Vec<(String, Input)>);

impl Headers {
    /// The photo, and of the artist the first painting, which is the one people listed first.
    pub(super) fn of(job: &RenderJob, keys: &Keys) -> Self {
        let photo = keys.photo_original.clone().zip(job.photo.clone());
        let first = job.paintings.first();
        let painting = first.map(|painting| painting.input.clone());
        let artist = keys.artist_original.clone().zip(painting);
        Self(photo.into_iter().chain(artist).collect())
    }
}

/// Keys of objects that never change and are known to be in the bucket.
#[derive(Debug, Default)]
pub(super) struct KnownKeys(Mutex<HashSet<String>>);

impl KnownKeys {
    fn contains(&self, key: &str) -> bool {
        self.lock().contains(key)
    }

    fn insert(&self, key: &str) {
        let mut keys = self.lock();
        if keys.len() >= KNOWN_KEYS_MAX {
            keys.clear();
        }
        keys.insert(key.to_owned());
    }

    /// After the coordinator was away: it may have come back with a bucket of an earlier time, out of a backup.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves the set whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// The bucket, by the right of whoever holds the cell.
    fn bucket_of(&self, cell: &LeasedCell) -> SignedBucket {
        self.bucket.of_cell(cell.cell, cell.attempt)
    }

    /// Has everything signed at once that is sent for a cell when its picture is there. What is not signed here is when it is
    /// sent.
    async fn sign_results(
        &self,
        cell: &LeasedCell,
        stored: &Stored,
        content: &Content,
        headers: &Headers,
    ) {
        let (bucket, keys) = (self.bucket_of(cell), &cell.keys);
        let leaves = self.executor.leaves();
        let mut wanted = vec![bucket.wanted_put(&keys.picture, content.clone())];
        let large = keys.large_thumbnail.as_ref().filter(|_| stored.is_large());
        let thumbnails = [Some(&keys.thumbnail), large].into_iter().flatten();
        wanted.extend(thumbnails.map(|key| bucket.wanted_put(key, jpeg_content())));
        for (key, _) in &headers.0 {
            if !self.headers.contains(key) {
                wanted.push(bucket.wanted(Method::Head, key));
                wanted.push(bucket.wanted_put(key, jpeg_content()));
            }
        }
        let checkpoint = keys.checkpoint.as_ref().filter(|_| leaves.checkpoints);
        let preview = keys.preview.as_ref().filter(|_| leaves.previews);
        let removed = checkpoint.into_iter().chain(preview);
        wanted.extend(removed.map(|key| bucket.wanted(Method::Delete, key)));
        self.sign_ahead(&wanted).await;
    }

    /// Has requests signed that are about to be sent.
    pub(super) async fn sign_ahead(&self, wanted: &[Wanted]) {
        if wanted.is_empty() {
            return;
        }
        if let Err(error) = self.bucket.prepare(wanted).await {
            // Whoever sends one of them has it signed again, and tells of it.
            tracing::debug!(%error, "not signed ahead");
        }
    }

    /// The picture of an earlier attempt that died before it could tell of it; none: there is none.
    pub(super) async fn stored(&self, cell: &LeasedCell) -> Result<Option<Stored>, AttemptError> {
        if !self.executor.leaves().pictures {
            return Ok(None);
        }
        let _turn = self.at_bucket.acquire().await;
        match self.bucket_of(cell).head(&cell.keys.picture).await? {
            Some(_) => self.adopt(cell).await.map(Some),
            None => Ok(None),
        }
    }

    /// Puts the picture if none is there; the first writer wins, and a second one reports the winner.
    pub(super) async fn store(
        &self,
        cell: &LeasedCell,
        stop: &StopSign,
        painted: Painted,
        Making { losses, about }: Making,
        headers: &Headers,
    ) -> Result<Stored, AttemptError> {
        let encoded = encode(painted.image, cell.settings.format, about).await?;
        let about_node = self.executor.about();
        let stored = Stored {
            thumbnail: encoded.thumbnail,
            width: encoded.width,
            height: encoded.height,
            sha256: encoded.sha256,
            // A picture that is not there is told to have one byte: none has fewer.
            bytes: encoded.bytes.as_ref().map_or(1, |bytes| bytes.len() as u64),
            seconds: painted.seconds,
            evaluations: painted.evaluations,
            loss: painted.loss,
            losses,
            network: about_node.network.clone(),
            device: about_node.device.clone(),
        };
        let Some(bytes) = encoded.bytes else {
            return Ok(stored);
        };
        let content = Content {
            if_absent: true,
            ..Content::of_type(cell.settings.format.content_type())
        };
        let content = content
            .of_bytes(stored.sha256, stored.bytes)
            .with_metadata(&stored.metadata());
        self.sign_results(cell, &stored, &content, headers).await;
        let won = self.patiently(stop, || {
            self.put_picture(cell, bytes.clone(), content.clone())
                .boxed()
        });
        Ok(won.await?.unwrap_or(stored))
    }

    /// The picture that was there before this one, if one was.
    async fn put_picture(
        &self,
        cell: &LeasedCell,
        bytes: Bytes,
        content: Content,
    ) -> Result<Option<Stored>, AttemptError> {
        let _turn = self.at_bucket.acquire().await;
        let bucket = self.bucket_of(cell);
        let put = bucket.put_if_absent(&cell.keys.picture, bytes, content);
        match put.await? {
            PutOutcome::Created => {
                fault::PICTURE_PUT.pass();
                Ok(None)
            }
            PutOutcome::AlreadyThere => self.adopt(cell).await.map(Some),
        }
    }

    /// Reads back a picture that another attempt stored.
    async fn adopt(&self, cell: &LeasedCell) -> Result<Stored, AttemptError> {
        tracing::info!(
            key = cell.keys.picture,
            "the picture is there already: keeping it"
        );
        let (bytes, metadata) = self
            .bucket_of(cell)
            .get_with_metadata(&cell.keys.picture, PICTURE_BYTES_MAX)
            .await?;
        tokio::task::spawn_blocking(move || Stored::read(&bytes, &metadata))
            .await?
            .map_err(|source| AttemptError::Picture {
                what: "stored picture",
                source,
            })
    }

    /// Thumbnail and header pictures. They are the same whoever makes them, so the first one stays.
    pub(super) async fn store_companions(
        &self,
        cell: &LeasedCell,
        stop: &StopSign,
        stored: Stored,
        headers: Headers,
    ) -> Result<v1::CellResult, AttemptError> {
        let result = stored.result(&cell.keys);
        let (small, large) = (&result.thumbnail_key, &result.large_thumbnail_key);
        let mut thumbnails = Vec::new();
        match stored.thumbnail {
            Thumbnail::Of(picture) => {
                let picture = Arc::new(picture);
                if !large.is_empty() {
                    let bytes = jpeg(picture.clone(), LARGE_THUMBNAIL_SIDE).await?;
                    thumbnails.push((large, bytes));
                }
                thumbnails.push((small, jpeg(picture, THUMBNAIL_SIDE).await?));
            }
            Thumbnail::Made(bytes) => thumbnails.push((small, bytes)),
            Thumbnail::Absent => return Ok(result),
        }
        let bucket = self.bucket_of(cell);
        self.patiently(stop, || {
            let put = async {
                let _turn = self.at_bucket.acquire().await;
                for (key, bytes) in &thumbnails {
                    put_jpeg(&bucket, key, bytes.clone()).await?;
                }
                self.put_headers(&bucket, &headers).await
            };
            put.boxed()
        })
        .await?;
        Ok(result)
    }

    async fn put_headers(
        &self,
        bucket: &SignedBucket,
        headers: &Headers,
    ) -> Result<(), AttemptError> {
        for (key, input) in &headers.0 {
            // Every cell of a row has the same photo, and most come when its header is there.
            if self.headers.contains(key) {
                continue;
            }
            if bucket.head(key).await?.is_none() {
                let header = jpeg(input.picture.clone(), ORIGINAL_SIDE).await?;
                put_jpeg(bucket, key, header).await?;
            }
            self.headers.insert(key);
        }
        Ok(())
    }
}

/// A picture as a file, made off the async threads where it is not there yet.
async fn encode(
    image: Image,
    format: PictureFormat,
    about: Provenance,
) -> Result<Encoded, AttemptError> {
    let failed = |source| AttemptError::Picture {
        what: "rendered picture",
        source,
    };
    match image {
        Image::Rendered(picture) => {
            let encode = move || {
                let bytes = picture::encode(&picture, format, &about);
                bytes.map(|bytes| Encoded {
                    width: picture.width(),
                    height: picture.height(),
                    sha256: Digest::of(&bytes),
                    bytes: Some(bytes.into()),
                    thumbnail: Thumbnail::Of(picture),
                })
            };
            tokio::task::spawn_blocking(encode).await?.map_err(failed)
        }
        Image::Flat(flat, files) => {
            let file = files.file(flat, THUMBNAIL_SIDE).await;
            let file = file.map_err(|error| match error {
                FlatError::Picture(source) => failed(source),
                FlatError::Task(error) => error.into(),
            })?;
            Ok(Encoded {
                bytes: Some(file.bytes.clone()),
                thumbnail: Thumbnail::Made(file.thumbnail.clone()),
                width: flat.width,
                height: flat.height,
                sha256: file.sha256,
            })
        }
        Image::Absent {
            width,
            height,
            sha256,
        } => Ok(Encoded {
            bytes: None,
            thumbnail: Thumbnail::Absent,
            width,
            height,
            sha256,
        }),
    }
}

/// A JPEG of at most `long_side` pixels, made off the async threads.
async fn jpeg(
    picture: impl Borrow<Picture> + Send + 'static,
    long_side: u32,
) -> Result<Bytes, AttemptError> {
    let draw = move || picture::thumbnail(&picture.borrow().to_rgb8(), long_side);
    tokio::task::spawn_blocking(draw)
        .await?
        .map(Bytes::from)
        .map_err(|source| AttemptError::Picture {
            what: "thumbnail",
            source,
        })
}

async fn put_jpeg(bucket: &SignedBucket, key: &str, bytes: Bytes) -> Result<(), BucketError> {
    bucket.put_if_absent(key, bytes, jpeg_content()).await?;
    Ok(())
}

/// What every thumbnail and header picture is. Their bytes are not said, so that they can be signed for before they are made.
fn jpeg_content() -> Content {
    Content {
        if_absent: true,
        ..Content::of_type("image/jpeg")
    }
}

impl Stored {
    /// What travels with the picture, so that whoever adopts it can report how it was made.
    fn metadata(&self) -> [(&'static str, String); 5] {
        [
            ("seconds", self.seconds.to_string()),
            ("evaluations", self.evaluations.to_string()),
            ("loss", self.loss.to_string()),
            ("network", self.network.clone()),
            ("device", self.device.clone()),
        ]
    }

    fn read(bytes: &[u8], metadata: &BTreeMap<String, String>) -> Result<Self, PictureError> {
        let text = |name| metadata.get(name).cloned().unwrap_or_default();
        let picture = picture::decode(bytes)?;
        Ok(Self {
            width: picture.width(),
            height: picture.height(),
            thumbnail: Thumbnail::Of(picture),
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

    /// Whether its picture has more pixels than a thumbnail.
    fn is_large(&self) -> bool {
        matches!(self.thumbnail, Thumbnail::Of(_)) && self.width.max(self.height) > THUMBNAIL_SIDE
    }

    fn result(&self, keys: &Keys) -> v1::CellResult {
        let large_thumbnail = keys.large_thumbnail.clone().filter(|_| self.is_large());
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

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;

    #[test]
    fn a_stored_picture_tells_whoever_adopts_it_how_it_was_made() {
        let picture = RgbImage::from_fn(8, 4, |x, y| image::Rgb([x as u8 * 30, y as u8 * 60, 7]));
        let picture = Picture::from(picture);
        let bytes = picture::encode(&picture, PictureFormat::Png, &Provenance::new()).unwrap();
        let stored = Stored {
            sha256: Digest::of(&bytes),
            bytes: bytes.len() as u64,
            width: 8,
            height: 4,
            thumbnail: Thumbnail::Of(picture.clone()),
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
        let adopted = Stored::read(&bytes, &metadata).unwrap();
        assert_eq!(adopted.metadata(), stored.metadata());
        assert_eq!(
            (adopted.sha256, adopted.bytes),
            (stored.sha256, stored.bytes)
        );
        assert_eq!((adopted.width, adopted.height), (8, 4));
        assert!(matches!(adopted.thumbnail, Thumbnail::Of(adopted) if adopted == picture));
    }
}
