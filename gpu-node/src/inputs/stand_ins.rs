//! What a simulated node has instead of photos and paintings: it fetches and decodes nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atelier_proto::ids::Digest;
use atelier_proto::settings::fit;
use image::GrayImage;

use super::{Named, TOLD_DIGESTS_MAX};
use crate::flat::{self, Colour};
use crate::render::Input;

/// Long side of a stand-in, pixels: enough to show its proportions in a gallery, and so little that thousands are held.
const STAND_IN_SIDE: u32 = 16;

/// Stand-ins for inputs, and the digests that the node claims to have: those that it was asked for.
#[derive(Debug, Default)]
pub(super) struct StandIns(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// When each was asked for last, in uses.
    last_uses: HashMap<Digest, u64>,
    uses: u64,
}

impl StandIns {
    /// A picture of one colour with the proportions of the input.
    pub(super) fn picture(&self, input: Named) -> Input {
        self.note(input.digest);
        let (width, height) = fit(input.width, input.height, STAND_IN_SIDE);
        Input {
            picture: Arc::new(flat::picture(Colour::of(&input.digest), width, height)),
            digest: input.digest,
        }
    }

    /// A mask of one pixel, all white. Nobody looks at it.
    pub(super) fn mask(&self, digest: Digest) -> Arc<GrayImage> {
        self.note(digest);
        Arc::new(GrayImage::from_pixel(1, 1, image::Luma([u8::MAX])))
    }

    /// The digests, the last used first. Those that are not told are forgotten.
    pub(super) fn digests(&self) -> Vec<Digest> {
        let mut seen = self.lock();
        let mut by_use: Vec<_> = seen
            .last_uses
            .iter()
            .map(|(digest, use_)| (*use_, *digest))
            .collect();
        by_use.sort_unstable_by(|left, right| right.cmp(left));
        for (_, digest) in by_use.drain(TOLD_DIGESTS_MAX.min(by_use.len())..) {
            seen.last_uses.remove(&digest);
        }
        by_use.into_iter().map(|(_, digest)| digest).collect()
    }

    fn note(&self, digest: Digest) {
        let mut seen = self.lock();
        seen.uses += 1;
        let now = seen.uses;
        seen.last_uses.insert(digest, now);
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // Every change is one insertion or removal, so a panic elsewhere leaves the map whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_has_the_proportions_and_the_digest_of_its_input() {
        let stand_ins = StandIns::default();
        let digest = Digest::of(b"a photo of 200 megapixels");
        let input = stand_ins.picture(Named {
            digest,
            width: 20_000,
            height: 10_000,
        });
        assert_eq!(input.digest, digest);
        assert_eq!((input.picture.width(), input.picture.height()), (16, 8));
    }

    #[test]
    fn the_node_tells_what_it_was_asked_for_last_within_a_bound() {
        let stand_ins = StandIns::default();
        let digest = |number: usize| Digest::of(&number.to_le_bytes());
        for number in 0..=TOLD_DIGESTS_MAX {
            stand_ins.mask(digest(number));
        }
        stand_ins.mask(digest(1));
        let told = stand_ins.digests();
        assert_eq!(told.len(), TOLD_DIGESTS_MAX);
        assert_eq!(told[..2], [digest(1), digest(TOLD_DIGESTS_MAX)]);
        assert!(!told.contains(&digest(0)));
        assert_eq!(stand_ins.digests(), told);
    }
}
