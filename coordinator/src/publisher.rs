//! Writes the galleries: `gallery.json` and `index.html` of every grid, while it renders and for good when it has ended.
//!
//! What it must do follows from the store alone (every grid whose gallery is not complete), so a restart, an outage of
//! the bucket or a second coordinator lose nothing: both files are replaced as a whole by what is true now. On the same
//! occasion it removes what was kept of renders that nobody goes on with. It knows no gRPC.

mod describe;
mod sheet;
mod sweep;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use atelier_gallery::bucket::{Bucket, BucketError};
use atelier_gallery::keys::GridKeys;
use atelier_gallery::manifest::{Manifest, ManifestError};
use atelier_gallery::page;
use atelier_proto::clock::Stopwatch;
use atelier_proto::fault;
use atelier_proto::ids::{Digest, GridId};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use self::describe::describe;
use self::sheet::SheetError;
use self::sweep::sweep;
use crate::ledger::{Ledger, POLL_INTERVAL};
use crate::store::{StoreError, Unpublished};

/// A grid that still renders is written at most this often.
const DEBOUNCE: Duration = Duration::from_secs(2);
/// A grid that takes long to write is written after so many times as long.
const SHARE_OF_TIME: u32 = 20;
/// The same for each of many grids, so that writing all of them leaves time for what galleries are of.
const SHARE_OF_TIME_EACH: u32 = 4;
/// How long a grid whose writing failed waits at first, and at most.
const RETRY_DELAY_MIN: Duration = Duration::from_secs(1);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(30);
/// Both files change until the grid has ended: whoever shows them asks again.
const CACHE_CONTROL: &str = "no-cache";

/// After how many times as long as it took to write one of so many open grids it is written again.
fn times_as_long(open: usize) -> u32 {
    let open = u32::try_from(open).unwrap_or(u32::MAX);
    SHARE_OF_TIME.max(open.saturating_mul(SHARE_OF_TIME_EACH))
}

/// Why a gallery could not be written.
#[derive(Debug, thiserror::Error)]
enum PublishError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// What is known of a grid's files. It only saves work: without it everything is written once more.
#[derive(Debug, Default)]
struct Written {
    /// The sequence that was looked at last.
    sequence: u64,
    /// Digest of the manifest that was written last; a change that it does not show is not worth a write.
    manifest: Option<Digest>,
    /// Cells that had failed when their checkpoints were last removed.
    failed: u32,
    /// Not to be written before.
    not_before: Option<Timestamp>,
    failures: u32,
}

/// Writes galleries.
#[derive(Debug)]
pub struct Publisher {
    ledger: Arc<Ledger>,
    bucket: Bucket,
    written: HashMap<GridId, Written>,
    /// Grids whose gallery is to be written, and since when.
    behind: HashMap<GridId, Timestamp>,
}

impl Publisher {
    /// A publisher that has written nothing yet.
    pub fn new(ledger: Arc<Ledger>, bucket: Bucket) -> Self {
        Self {
            ledger,
            bucket,
            written: HashMap::new(),
            behind: HashMap::new(),
        }
    }

    /// Writes galleries until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut bell = self.ledger.changed_bell();
        let publishing = async {
            loop {
                bell.mark_unchanged();
                self.publish_due().await;
                // Over when it rings, and when it has not for a while.
                let _ = tokio::time::timeout(POLL_INTERVAL, bell.changed()).await;
            }
        };
        // Files are replaced as a whole, so that being cut off between leaves nothing half-made.
        shutdown.run_until_cancelled(publishing).await;
        // Whoever writes them next tells how far behind they are.
        self.ledger.metrics().publisher_lag.set_known(None);
    }

    async fn publish_due(&mut self) {
        let unpublished = match self.ledger.store().unpublished().await {
            Ok(unpublished) => unpublished,
            Err(error) => {
                tracing::warn!(%error, "cannot tell which galleries to write; trying again");
                return;
            }
        };
        let open: HashSet<GridId> = unpublished.iter().map(|entry| entry.grid).collect();
        self.written.retain(|grid, _| open.contains(grid));
        self.behind.retain(|grid, _| open.contains(grid));
        let now = self.ledger.now();
        for entry in &unpublished {
            if self.is_behind(*entry) {
                self.behind.entry(entry.grid).or_insert(now);
            }
        }
        self.tell_lag();
        for entry in unpublished {
            if self.is_due(entry) {
                self.publish_one(entry, open.len()).await;
                self.tell_lag();
            }
        }
    }

    /// Whether the gallery of a grid shows less than there is.
    fn is_behind(&self, entry: Unpublished) -> bool {
        let written = self.written.get(&entry.grid);
        entry.has_ended || written.is_none_or(|written| written.sequence != entry.sequence)
    }

    fn tell_lag(&self) {
        let now = self.ledger.now();
        let first = self.behind.values().min();
        let lag = first.map_or(0.0, |first| now.duration_since(*first).as_secs_f64());
        self.ledger.metrics().publisher_lag.set(lag.max(0.0));
    }

    /// Whether there is something to write of a grid, and the time for it has come.
    fn is_due(&self, entry: Unpublished) -> bool {
        let Some(written) = self.written.get(&entry.grid) else {
            return true;
        };
        let is_waiting = written
            .not_before
            .is_some_and(|time| self.ledger.now() < time);
        if entry.has_ended {
            // The end is not debounced; only failures make it wait.
            return written.failures == 0 || !is_waiting;
        }
        written.sequence != entry.sequence && !is_waiting
    }

    /// Writes one of so many open grids.
    async fn publish_one(&mut self, entry: Unpublished, open: usize) {
        let mut written = self.written.remove(&entry.grid).unwrap_or_default();
        let writing = Stopwatch::start();
        let wait = match self.publish(entry, &mut written).await {
            Ok(()) => {
                self.behind.remove(&entry.grid);
                written.failures = 0;
                // What takes long to write is not written all the time.
                DEBOUNCE.max(writing.elapsed() * times_as_long(open))
            }
            Err(error) => {
                let factor = 2_u32.saturating_pow(written.failures);
                written.failures = written.failures.saturating_add(1);
                let wait = RETRY_DELAY_MIN.saturating_mul(factor).min(RETRY_DELAY_MAX);
                tracing::warn!(grid = %entry.grid, %error, ?wait, "the gallery cannot be written yet");
                wait
            }
        };
        written.not_before = self.ledger.now().checked_add(wait).ok();
        self.written.insert(entry.grid, written);
    }

    async fn publish(&self, entry: Unpublished, written: &mut Written) -> Result<(), PublishError> {
        let store = self.ledger.store();
        let facts = self.ledger.facts(entry.grid).await?;
        let changes = store.changes(entry.grid, 0).await?;
        let summary = &changes.summary;
        let manifest = describe(&facts, &changes);
        let json = manifest.to_json()?;
        let digest = Digest::of(&json);
        if written.manifest != Some(digest) {
            let keys = GridKeys::new(entry.grid);
            let page = page::render(&manifest)?;
            // The manifest last: whoever finds the manifest complete finds everything complete.
            self.put(&keys.page(), page.into_bytes(), "text/html; charset=utf-8")
                .await?;
            fault::PAGE_PUT.pass();
            if summary.state.has_ended()
                && let Err(error) = self.put_contact_sheet(keys, manifest).await
            {
                tracing::warn!(grid = %entry.grid, %error, "no contact sheet");
            }
            self.put(&keys.manifest(), json, "application/json").await?;
            written.manifest = Some(digest);
        }
        // Cells that are done have none: whoever put the picture has removed it.
        if summary.state.has_ended() || written.failed != summary.counts.failed {
            sweep(&self.bucket, &facts, &changes).await;
            written.failed = summary.counts.failed;
        }
        written.sequence = summary.sequence;
        fault::GALLERY_PUT.pass();
        if summary.state.has_ended()
            && self
                .ledger
                .gallery_complete(entry.grid, summary.sequence)
                .await?
        {
            tracing::info!(grid = %entry.grid, state = summary.state.word(), "the gallery is complete");
        }
        Ok(())
    }

    /// Draws the contact sheet of an ended grid. It is no part of what makes a gallery complete.
    async fn put_contact_sheet(
        &self,
        keys: GridKeys,
        manifest: Manifest,
    ) -> Result<(), SheetError> {
        let Some(sheet) = sheet::draw(&self.bucket, keys, manifest).await? else {
            return Ok(());
        };
        Ok(self.put(&keys.contact_sheet(), sheet, "image/jpeg").await?)
    }

    async fn put(&self, key: &str, bytes: Vec<u8>, content_type: &str) -> Result<(), BucketError> {
        self.bucket
            .put(key, bytes.into(), content_type, Some(CACHE_CONTROL))
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_grids_are_open_writing_them_takes_a_part_of_the_time() {
        for open in [1, 5, 60, 10_000] {
            let share = open as f64 / f64::from(times_as_long(open));
            assert!(
                share <= 1.0 / f64::from(SHARE_OF_TIME_EACH),
                "{open}: {share}"
            );
        }
        assert_eq!(times_as_long(1), SHARE_OF_TIME);
    }
}
