//! What a node leaves in the bucket for a cell: its picture, and what a gallery shows of it.

use atelier_gallery::bucket::PutOutcome;
use atelier_gallery::picture::Provenance;
use atelier_gallery::signed::{Content, SignedBucket};
use atelier_proto::{fault, v1};
use bytes::Bytes;
use futures::FutureExt as _;

use super::Session;
use super::error::AttemptError;
use super::files::{Files, Stored, put_jpeg};
use super::headers::Headers;
use super::held::StopSign;
use super::leased::LeasedCell;
use crate::executor::Painted;

/// The largest picture that is read back from the bucket.
const PICTURE_BYTES_MAX: u64 = 1 << 30;

/// How a picture came about.
pub(super) struct Making {
    pub(super) losses: Vec<v1::LossPoint>,
    pub(super) about: Provenance,
}

impl Session {
    /// The bucket, by the right of whoever holds the cell.
    pub(super) fn bucket_of(&self, cell: &LeasedCell) -> SignedBucket {
        self.bucket.of_cell(cell.cell, cell.attempt)
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
        let wants_large = cell.keys.large_thumbnail.is_some();
        let files = Files::of(painted.image, cell.settings.format, about, wants_large).await?;
        let about_node = self.executor.about();
        let stored = Stored {
            thumbnails: files.thumbnails,
            width: files.width,
            height: files.height,
            sha256: files.sha256,
            // A picture that is not there is told to have one byte: none has fewer.
            bytes: files.picture.as_ref().map_or(1, |bytes| bytes.len() as u64),
            seconds: painted.seconds,
            evaluations: painted.evaluations,
            loss: painted.loss,
            losses,
            network: about_node.network.clone(),
            device: about_node.device.clone(),
        };
        let Some(bytes) = files.picture else {
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
        let wants_large = cell.keys.large_thumbnail.is_some();
        tokio::task::spawn_blocking(move || Stored::read(&bytes, &metadata, wants_large))
            .await?
            .map_err(|source| AttemptError::Picture {
                what: "stored picture",
                source,
            })
    }

    /// Thumbnails and header pictures. They are the same whoever makes them, so the first one stays.
    pub(super) async fn store_companions(
        &self,
        cell: &LeasedCell,
        stop: &StopSign,
        stored: &Stored,
        headers: &Headers,
    ) -> Result<(), AttemptError> {
        if !self.executor.leaves().pictures {
            return Ok(());
        }
        let bucket = self.bucket_of(cell);
        self.patiently(stop, || {
            let put = async {
                let _turn = self.at_bucket.acquire().await;
                for (key, bytes) in stored.thumbnails.placed(&cell.keys) {
                    put_jpeg(&bucket, key, bytes.clone()).await?;
                }
                self.put_headers(&bucket, headers).await
            };
            put.boxed()
        })
        .await
    }
}
