//! Stations at which a test lets a process die, as `kill -9` does, to see that nothing is lost there. Release builds have
//! none.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// What names the station, as `NAME`, or as `NAME:N` for the `N`th time that it is passed.
pub const VARIABLE: &str = "ATELIER_DIE_AT";

/// A station.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Station(&'static str);

/// On a node: it knows what it was given.
pub const LEASED: Station = Station("leased");
/// On a node: the inputs of a cell are at hand.
pub const PREPARED: Station = Station("prepared");
/// On a node: the picture is made, and nobody else knows of it.
pub const RENDERED: Station = Station("rendered");
/// On a node: the picture is in the bucket, and its thumbnail is not.
pub const PICTURE_PUT: Station = Station("picture-put");
/// On a node: everything is in the bucket, and the coordinator does not know.
pub const STORED: Station = Station("stored");
/// On a node: the coordinator knows, and the checkpoint is still there.
pub const COMPLETED: Station = Station("completed");
/// On a coordinator: what some calls say is to be committed.
pub const COMMITTING: Station = Station("committing");
/// On a coordinator: it is committed, and no caller has heard of it.
pub const COMMITTED: Station = Station("committed");
/// On a coordinator: a gallery has its new page, and not yet the manifest.
pub const PAGE_PUT: Station = Station("page-put");
/// On a coordinator: a gallery is as the grid is, and the database does not know.
pub const GALLERY_PUT: Station = Station("gallery-put");
/// On a coordinator with a bucket of its own: the bytes of an object are on the disk, and it cannot be seen.
pub const OBJECT_WRITTEN: Station = Station("object-written");
/// On a coordinator with a bucket of its own: an object can be seen, and whoever put it has not heard so.
pub const OBJECT_PUT: Station = Station("object-put");

/// The stations of a node, in the order in which a cell passes them.
pub const OF_NODE: [Station; 6] = [LEASED, PREPARED, RENDERED, PICTURE_PUT, STORED, COMPLETED];
/// The stations of a coordinator.
pub const OF_COORDINATOR: [Station; 4] = [COMMITTING, COMMITTED, PAGE_PUT, GALLERY_PUT];
/// Those of a bucket, which is a coordinator's own.
pub const OF_BUCKET: [Station; 2] = [OBJECT_WRITTEN, OBJECT_PUT];

impl Station {
    /// The value of [`VARIABLE`] with which a process dies when it passes here for the `time`th time.
    pub fn at(self, time: u32) -> String {
        format!("{}:{time}", self.0)
    }

    /// Passes, or dies.
    pub fn pass(self) {
        if cfg!(debug_assertions)
            && let Some(fate) = fate()
            && fate.station == self.0
            && fate.left.fetch_sub(1, Ordering::Relaxed) == 1
        {
            std::process::abort();
        }
    }
}

struct Fate {
    station: String,
    left: AtomicU32,
}

/// What this process was told; what cannot be understood lets it live.
fn fate() -> Option<&'static Fate> {
    static FATE: OnceLock<Option<Fate>> = OnceLock::new();
    let read = || {
        let told = std::env::var(VARIABLE).ok()?;
        let (station, time) = told.split_once(':').unwrap_or((&told, "1"));
        Some(Fate {
            station: station.to_owned(),
            left: AtomicU32::new(time.parse().ok()?),
        })
    };
    FATE.get_or_init(read).as_ref()
}
