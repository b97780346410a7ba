//! Whether a grid is as it is told: the coordinator's database, the bucket and `gallery.json` against each other.
//!
//! - [`compare`], a function of what was read, and of nothing else; [`difference`], what it finds
//! - [`read`], what is compared, from the coordinator and the bucket
//!
//! A grid that still renders changes under the eyes of whoever looks. So the database is read before and after the bucket,
//! and what may still be on its way by either reading is no difference. What is found all the same is looked at a second
//! time, a while later: galleries are written, and checkpoints removed, some moments after the cell that they are of.

mod database;
pub mod difference;
mod leftovers;
mod objects;
mod published;
pub mod read;
#[cfg(test)]
pub(crate) mod tests;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use atelier_gallery::bucket::Bucket;
use atelier_gallery::manifest::Manifest;
use atelier_proto::ids::{Digest, GridId};

use self::difference::in_both;
pub use self::difference::{Difference, Kind};
use self::told::Told;
use crate::coordinator::Coordinator;
use crate::coordinator::view::{GridView, InputView};
use crate::error::Error;
use crate::printer::Printer;

/// How long after the first look the second one comes: twice as long as a coordinator takes to write a gallery anew.
const SECOND_LOOK_DELAY: Duration = Duration::from_secs(6);

/// All that is compared.
#[derive(Debug, Clone)]
pub struct Facts {
    /// What the coordinator said before the bucket was looked at.
    pub before: GridView,
    /// What it said after.
    pub after: GridView,
    /// What lies in the place of `gallery.json`.
    pub gallery: Gallery,
    /// Length of each object below the grid's prefix, and of each input of it that is there, by key.
    pub objects: BTreeMap<String, u64>,
    /// What the bytes of objects are, by key, or why nobody gets them; of those objects that were to be read.
    pub contents: BTreeMap<String, Result<Content, String>>,
}

/// What lies in the place of `gallery.json`.
#[derive(Debug, Clone)]
pub enum Gallery {
    /// Nothing.
    Absent,
    /// Something that is no manifest; why not.
    Unreadable(String),
    /// A manifest.
    There(Box<Manifest>),
}

/// What the bytes of an object are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Their digest.
    pub sha256: Digest,
    /// Width and height of the picture, or why it is none.
    pub picture: Result<(u32, u32), String>,
}

/// What an audit looked at and found.
#[derive(Debug, Clone)]
pub struct Audited {
    /// What was compared last.
    pub facts: Facts,
    /// What is not as it is told.
    pub differences: Vec<Difference>,
}

/// Every difference between what is told and what is, each once.
pub fn compare(facts: &Facts) -> Vec<Difference> {
    let told = Told::new(&facts.before, &facts.after);
    let before = database::differences(&facts.before);
    let mut found = in_both(&before, database::differences(&facts.after));
    found.extend(database::undone(&told));
    found.extend(objects::differences(facts, &told));
    found.extend(leftovers::differences(facts, &told));
    found.extend(published::differences(facts, &told));
    let mut seen = BTreeSet::new();
    found.retain(|difference| seen.insert((difference.kind, difference.about.clone())));
    found
}

/// Reads and compares; a second time, if there seem to be differences. `deep` also reads every picture and input.
pub async fn audit(
    printer: &Printer,
    coordinator: &Coordinator,
    bucket: &Bucket,
    grid: GridId,
    deep: bool,
) -> Result<Audited, Error> {
    let mut facts = read::facts(coordinator, bucket, grid).await?;
    if deep {
        read::contents(printer, bucket, &mut facts).await?;
    }
    let mut differences = compare(&facts);
    if !differences.is_empty() {
        tracing::debug!(?differences, "looking a second time");
        tokio::time::sleep(SECOND_LOOK_DELAY).await;
        let again = read::facts(coordinator, bucket, grid).await?;
        // What was read once does not change.
        let contents = std::mem::take(&mut facts.contents);
        facts = Facts { contents, ..again };
        differences = in_both(&differences, compare(&facts));
    }
    Ok(Audited { facts, differences })
}

/// Every input of a grid, with what it is to the grid.
fn inputs(grid: &GridView) -> impl Iterator<Item = (&InputView, String)> {
    let photos = grid.photos.iter().flat_map(|photo| {
        let name = &photo.name;
        let itself = (&photo.input, format!("the photo {name}"));
        let start = photo.start.iter();
        let start = start.map(move |input| (input, format!("the start of {name}")));
        let masks = photo.masks.iter();
        let masks = masks.map(move |it| (&it.input, format!("the mask {} of {name}", it.name)));
        [itself].into_iter().chain(start).chain(masks)
    });
    let artists = grid.artists.iter().flat_map(|artist| {
        let paintings = artist.paintings.iter();
        paintings.map(|it| (&it.input, format!("a painting of {}", artist.name)))
    });
    photos.chain(artists)
}
