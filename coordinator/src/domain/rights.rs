//! What nodes and clients may do with the bucket: which requests are signed for whom.
//!
//! A node may read what its cells are made of and put what becomes of them; a client may put inputs and look at galleries.
//! Nobody lists, and nobody puts anything that a browser would run.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::time::Duration;

use atelier_gallery::keys::{Place, input_key};
use atelier_gallery::picture;
use atelier_gallery::signed::{Content, Method, Wanted, header_value};
use atelier_proto::ids::Digest;

use super::access::{Caller, Role};
use super::cell::{Cell, Refusal};
use super::facts::GridFacts;
use super::grid::Work;
use super::lease::Holder;

/// The longest picture that a node may put, bytes.
pub const PICTURE_BYTES_MAX: u64 = 1 << 30;
/// What a picture tells of how it was made.
const METADATA_NAMES: [&str; 5] = ["seconds", "evaluations", "loss", "network", "device"];
/// Most bytes of it, names and values: what S3 takes.
const METADATA_BYTES_MAX: usize = 2 << 10;
/// What inputs are, as those who put them say: pictures, or nothing that a browser would show.
const INPUT_TYPES: [&str; 5] = [
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/tiff",
    "application/octet-stream",
];
/// What thumbnails, header pictures and previews are.
const JPEG: [&str; 1] = ["image/jpeg"];
/// What checkpoints are.
const BYTES: [&str; 1] = ["application/octet-stream"];

/// Why a request is not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It is not for whoever asks.
    #[error("{method} {key:?} is not for {who}")]
    NotForYou {
        /// Of the request.
        method: &'static str,
        /// What it is about.
        key: String,
        /// Who asks, in words.
        who: &'static str,
    },
    /// What would be put is not what belongs there.
    #[error("{key:?} may not be put so: {problem}")]
    Content {
        /// What it is about.
        key: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// It would hold for too long.
    #[error("{key:?} is signed for {usual:?} at most for whoever asks")]
    TooLong {
        /// What it is about.
        key: String,
        /// How long it may hold.
        usual: Duration,
    },
    /// The cell is not theirs.
    #[error(transparent)]
    Cell(#[from] Refusal),
}

/// What has to hold of what is put somewhere.
struct Terms<'a> {
    content_types: &'a [&'a str],
    if_absent: bool,
    /// Known beforehand, and so signed: what the bytes are.
    has_digest: bool,
    /// The same for their length, which has a bound.
    bytes_max: Option<u64>,
    has_metadata: bool,
    cache_control: Option<&'static str>,
}

impl<'a> Terms<'a> {
    /// Of what the first writer puts for all.
    fn first_wins(content_types: &'a [&'a str]) -> Self {
        Self {
            content_types,
            if_absent: true,
            has_digest: false,
            bytes_max: None,
            has_metadata: false,
            cache_control: None,
        }
    }

    fn check(&self, wanted: &Wanted) -> Result<(), Denied> {
        let content = wanted.content.as_ref();
        let result = content.ok_or("it has no content");
        let result = result.and_then(|content| self.check_content(content));
        result.map_err(|problem| Denied::Content {
            key: wanted.key.clone(),
            problem,
        })
    }

    fn check_content(&self, content: &Content) -> Result<(), &'static str> {
        if !self.content_types.contains(&content.content_type.as_str()) {
            return Err("its content type is another one");
        }
        if content.if_absent != self.if_absent {
            return Err("if_absent is the other way round");
        }
        if self.has_digest && content.sha256.is_none() {
            return Err("its sha256 is missing");
        }
        match (self.bytes_max, content.bytes) {
            (Some(_), None) => return Err("its length is missing"),
            (Some(most), Some(bytes)) if bytes > most => return Err("it is too long"),
            _ => {}
        }
        if content.cache_control.as_deref() != self.cache_control {
            return Err("its cache_control is another one");
        }
        let bytes: usize = content
            .metadata
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let is_known = |name: &str| self.has_metadata && METADATA_NAMES.contains(&name);
        if !content.metadata.keys().all(|name| is_known(name)) || bytes > METADATA_BYTES_MAX {
            return Err("its metadata is not what pictures have");
        }
        if content.metadata.values().any(|it| header_value(it) != *it) {
            return Err("its metadata holds what no header can");
        }
        Ok(())
    }
}

impl Denied {
    /// It is about another grid than the one that whoever asks may see.
    pub fn foreign(wanted: &Wanted) -> Self {
        Self::not_for("those who look at another grid", wanted)
    }

    fn not_for(who: &'static str, wanted: &Wanted) -> Self {
        Self::NotForYou {
            method: wanted.method.name(),
            key: wanted.key.clone(),
            who,
        }
    }
}

/// Whether somebody is one of these; whoever is not told apart is all of them.
fn is_one_of(caller: &Caller, roles: &[Role]) -> bool {
    match caller {
        Caller::Anyone => true,
        Caller::Known(identity) => roles.contains(&identity.role),
    }
}

/// Whether a request may hold as long as is wanted; none holds longer than `usual` but those to look at galleries.
///
/// # Errors
/// When it may not.
pub fn check_duration(caller: &Caller, wanted: &Wanted, usual: Duration) -> Result<(), Denied> {
    let is_long = wanted.valid_for.is_some_and(|wanted| wanted > usual);
    let is_to_look =
        wanted.method == Method::Get && matches!(Place::of(&wanted.key), Some(Place::Gallery(_)));
    if is_long && !(is_to_look && is_one_of(caller, &[Role::Client, Role::Operator])) {
        let key = wanted.key.clone();
        return Err(Denied::TooLong { key, usual });
    }
    Ok(())
}

/// Whether a node may do this with an object of a cell that it says it holds.
///
/// # Errors
/// When it may not, or does not hold the cell.
pub fn of_cell(
    caller: &Caller,
    wanted: &Wanted,
    facts: &GridFacts,
    place: u32,
    cell: &Cell,
    holder: Holder,
) -> Result<(), Denied> {
    let not_for_you = || Denied::not_for("a node that holds this cell", wanted);
    if !is_one_of(caller, &[Role::Node]) {
        return Err(Denied::not_for("those who are no nodes", wanted));
    }
    let position = facts.position(place).ok_or_else(not_for_you)?;
    let work = facts.spec.work(position).ok_or_else(not_for_you)?;
    let format = work.settings.format;
    let keys = facts.names.cell(position, format.extension());
    let keys = keys.ok_or_else(not_for_you)?;
    let key = wanted.key.as_str();
    // What was kept of a cell is of no use once it has ended, whoever finds that.
    let is_kept = key == keys.checkpoint || key == keys.preview;
    if !(is_kept && wanted.method == Method::Delete && cell.has_ended()) {
        cell.check_held(holder)?;
    }
    let is_header = [&keys.photo_original, &keys.artist_original]
        .into_iter()
        .any(|header| header.as_deref() == Some(key));
    let picture_types = [format.content_type()];
    match wanted.method {
        Method::Get if key == keys.picture || is_kept => Ok(()),
        Method::Get if takes(&work, key) => Ok(()),
        Method::Head if key == keys.picture || is_kept || is_header => Ok(()),
        Method::Delete if is_kept => Ok(()),
        Method::Put if key == keys.picture => {
            let terms = Terms {
                has_digest: true,
                bytes_max: Some(PICTURE_BYTES_MAX),
                has_metadata: true,
                ..Terms::first_wins(&picture_types)
            };
            terms.check(wanted)
        }
        Method::Put if key == keys.thumbnail || key == keys.large_thumbnail || is_header => {
            Terms::first_wins(&JPEG).check(wanted)
        }
        Method::Put if key == keys.checkpoint => {
            let terms = Terms {
                if_absent: false,
                ..Terms::first_wins(&BYTES)
            };
            terms.check(wanted)
        }
        Method::Put if key == keys.preview => {
            let terms = Terms {
                if_absent: false,
                cache_control: Some("no-cache"),
                ..Terms::first_wins(&JPEG)
            };
            terms.check(wanted)
        }
        _ => Err(not_for_you()),
    }
}

/// Whether a cell is made of the input with this key.
fn takes(work: &Work, key: &str) -> bool {
    let photo = work.photo.iter().flat_map(|photo| {
        let masks = photo.masks.iter().map(|mask| mask.input);
        masks.chain(photo.start).chain([photo.input])
    });
    let artist = work.artist.iter().flat_map(|artist| &artist.paintings);
    let inputs = photo.chain(artist.map(|painting| painting.input));
    inputs
        .into_iter()
        .any(|input| input_key(&input.sha256) == key)
}

/// Whether whoever may see a grid, with these inputs, may do this.
///
/// # Errors
/// When they may not.
pub fn of_grid(
    caller: &Caller,
    wanted: &Wanted,
    inputs: &HashSet<Digest, impl BuildHasher>,
) -> Result<(), Denied> {
    let is_to_look = match Place::of(&wanted.key) {
        Some(Place::Gallery(_)) => true,
        Some(Place::Input(digest)) => inputs.contains(&digest),
        Some(Place::Weights(_)) | None => false,
    };
    let who_look = [Role::Client, Role::Operator, Role::ReadOnly];
    if !is_one_of(caller, &who_look) {
        return Err(Denied::not_for("nodes", wanted));
    }
    if is_to_look && matches!(wanted.method, Method::Get | Method::Head) {
        Ok(())
    } else {
        Err(Denied::not_for("those who look at a grid", wanted))
    }
}

/// Whether somebody may do this by what they are.
///
/// # Errors
/// When they may not.
pub fn own(caller: &Caller, wanted: &Wanted) -> Result<(), Denied> {
    if wanted.key.is_empty() && wanted.method == Method::Head {
        // Whether there is a bucket at all.
        return Ok(());
    }
    let for_these: &[Role] = match (Place::of(&wanted.key), wanted.method) {
        (Some(Place::Weights(_)), Method::Get | Method::Head) => &[Role::Node],
        (Some(Place::Input(_)), Method::Head) => &[Role::Client, Role::Operator],
        (Some(Place::Input(digest)), Method::Put) => {
            let terms = Terms {
                has_digest: true,
                bytes_max: Some(picture::BYTES_MAX),
                ..Terms::first_wins(&INPUT_TYPES)
            };
            terms.check(wanted)?;
            let content = wanted.content.as_ref();
            if content.and_then(|content| content.sha256) != Some(digest) {
                return Err(Denied::Content {
                    key: wanted.key.clone(),
                    problem: "its sha256 is another one",
                });
            }
            &[Role::Client, Role::Operator]
        }
        _ => return Err(Denied::not_for("anybody without a cell or a grid", wanted)),
    };
    if is_one_of(caller, for_these) {
        Ok(())
    } else {
        Err(Denied::not_for("whoever asks", wanted))
    }
}

#[cfg(test)]
mod tests;
