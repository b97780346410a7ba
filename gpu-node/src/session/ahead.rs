//! What is signed ahead: the requests that a block begins with in one call, and those that follow a picture in another.
//!
//! What is not signed here is signed when it is sent.

use std::collections::HashSet;

use atelier_gallery::keys::input_key;
use atelier_gallery::signed::{Content, Method, Wanted};
use atelier_proto::ids::Digest;

use super::Session;
use super::checkpoints::checkpoint_content;
use super::files::{Stored, jpeg_content};
use super::headers::Headers;
use super::leased::LeasedCell;
use super::previews::preview_content;

impl Session {
    /// What is sent to the bucket for the cells of a block before the first of them is rendered, and while they are. `at_hand`
    /// are inputs that are here.
    pub(super) fn first_requests(
        &self,
        cells: &[LeasedCell],
        at_hand: &HashSet<Digest>,
    ) -> Vec<Wanted> {
        let mut fetched = HashSet::new();
        let mut wanted = Vec::new();
        for cell in cells {
            let bucket = self.bucket_of(cell);
            if self.inputs.are_fetched() {
                let lacking = cell.inputs().filter(|it| !at_hand.contains(it));
                for digest in lacking.filter(|it| fetched.insert(*it)) {
                    wanted.push(bucket.wanted(Method::Get, input_key(&digest)));
                }
            }
            if self.executor.leaves().pictures {
                wanted.push(bucket.wanted(Method::Head, &cell.keys.picture));
            }
            if let Some(key) = self.checkpoint_key(cell) {
                wanted.push(bucket.wanted_put(key, checkpoint_content()));
                if cell.attempt > 1 {
                    wanted.push(bucket.wanted(Method::Get, key));
                }
            }
            if let Some(key) = self.preview_key(cell) {
                wanted.push(bucket.wanted_put(key, preview_content()));
            }
        }
        wanted
    }

    /// Has everything signed that is sent for a cell when its picture is there, the header pictures aside: most of them are in
    /// the bucket already.
    pub(super) async fn sign_results(
        &self,
        cell: &LeasedCell,
        stored: &Stored,
        content: &Content,
        headers: &Headers,
    ) {
        let bucket = self.bucket_of(cell);
        let mut wanted = vec![bucket.wanted_put(&cell.keys.picture, content.clone())];
        for (key, bytes) in stored.thumbnails.placed(&cell.keys) {
            wanted.push(bucket.wanted_put(key, jpeg_content(bytes)));
        }
        for key in headers.keys().filter(|key| !self.headers.contains(key)) {
            wanted.push(bucket.wanted(Method::Head, key));
        }
        let removed = [self.checkpoint_key(cell), self.preview_key(cell)];
        for key in removed.into_iter().flatten() {
            wanted.push(bucket.wanted(Method::Delete, key));
        }
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
}
