//! Requests that anybody may want to have signed.

use std::collections::{BTreeSet, HashSet};
use std::sync::LazyLock;

use atelier_gallery::keys::{GridKeys, weights_key};
use atelier_proto::ids::NodeId;
use atelier_proto::settings::SettingsPatch;
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Caller, Cell, Content, Denied, Digest, Duration, GridFacts, Holder, INPUT_TYPES, Method, Place,
    Role, Wanted, check_duration, input_key, of_cell, of_grid, own,
};
use crate::domain::access::Identity;
use crate::domain::cell::Event;
use crate::domain::grid::{Artist, Draft, GridSpec, Input, Mask, Painting, Photo};
use crate::domain::keys::CellKeys;
use crate::domain::lease::LeaseRules;
use crate::domain::node::Labels;

/// How long requests hold that nobody wants to hold longer.
const USUAL: Duration = Duration::from_mins(15);

/// A grid of a masked photo by one artist, whose only cell is held by a node.
pub(crate) struct Held {
    pub(crate) facts: GridFacts,
    pub(crate) keys: CellKeys,
    /// What the cell is made of.
    pub(crate) inputs: HashSet<Digest>,
    cell: Cell,
    holder: Holder,
}

/// The cell that is asked about.
pub(crate) static HELD: LazyLock<Held> = LazyLock::new(|| match Held::new() {
    Some(held) => held,
    None => panic!("there is no cell that a node holds"),
});

impl Held {
    fn new() -> Option<Self> {
        let input = |name: &str| Input {
            sha256: Digest::of(name.as_bytes()),
            width: 8,
            height: 6,
        };
        let photo = Photo {
            name: "photo".to_owned(),
            input: input("photo"),
            masks: vec![Mask {
                name: "sky".to_owned(),
                input: input("sky"),
            }],
            start: Some(input("start")),
        };
        let painting = Painting {
            name: "a.png".to_owned(),
            input: input("painting"),
            weight: 1.0,
            mask: Some("sky".to_owned()),
        };
        let artist = Artist {
            name: "artist".to_owned(),
            paintings: vec![painting],
            settings: SettingsPatch::default(),
        };
        let draft = Draft {
            name: "Afternoon".to_owned(),
            photos: vec![photo],
            artists: vec![artist],
            variants: Vec::new(),
            settings: SettingsPatch::default(),
            reconstructions: false,
            labels: Labels::new(),
        };
        let spec = GridSpec::accept(draft, 1).ok()?;
        let inputs = spec.inputs().into_iter().map(|(digest, _)| digest);
        let inputs = inputs.collect();
        let facts = GridFacts::new(Uuid::max().into(), spec.into());
        let node = NodeId::from(Uuid::max());
        let now = Timestamp::UNIX_EPOCH;
        let lease = Event::Lease { node };
        Some(Self {
            keys: facts.keys(0)?,
            facts,
            inputs,
            cell: Cell::new(now)
                .apply(lease, now, &LeaseRules::default())
                .ok()?,
            holder: Holder { node, attempt: 1 },
        })
    }

    /// What becomes of the cell.
    pub(crate) fn outputs(&self) -> BTreeSet<&str> {
        let keys = &self.keys;
        let headers = [&keys.photo_original, &keys.artist_original];
        let headers = headers.into_iter().flatten().map(String::as_str);
        headers
            .chain([
                keys.picture.as_str(),
                &keys.thumbnail,
                &keys.large_thumbnail,
            ])
            .chain([keys.checkpoint.as_str(), &keys.preview])
            .collect()
    }
}

/// Whatever is signed is for the role that asks, and about the cell, the grid or the input by whose right it is asked for;
/// nothing is put that a browser would run, and nothing removed but what a node kept of its cell. What is told of a refusal
/// is returned.
///
/// # Panics
/// Where that is not so.
pub(crate) fn refusals_of(wanted: &Wanted) -> Vec<Denied> {
    let known = |role| {
        Caller::Known(Identity {
            name: "ann".to_owned(),
            role,
        })
    };
    let callers = Role::ALL.map(known).into_iter().chain([Caller::Anyone]);
    assert_one_spelling(&wanted.key);
    let mut refusals = Vec::new();
    for caller in callers {
        let role = match &caller {
            Caller::Known(identity) => Some(identity.role),
            Caller::Anyone => None,
        };
        let is_for = |roles: &[Role]| assert!(role.is_none_or(|role| roles.contains(&role)));
        let held = &*HELD;
        let cell = of_cell(&caller, wanted, &held.facts, 0, &held.cell, held.holder);
        if cell.is_ok() {
            is_for(&[Role::Node]);
            assert_of_cell(wanted, held);
        }
        let grid = of_grid(&caller, wanted, &held.inputs);
        if grid.is_ok() {
            is_for(&[Role::Client, Role::Operator, Role::ReadOnly]);
            assert_looks(wanted, held);
        }
        let own = own(&caller, wanted);
        if own.is_ok() {
            assert_own(wanted, is_for);
        }
        let duration = check_duration(&caller, wanted, USUAL);
        if duration.is_ok() && role.is_none_or(|role| role == Role::Node) {
            let is_long = wanted.valid_for.is_some_and(|wanted| wanted > USUAL);
            assert!(!is_long || (role.is_none() && wanted.method == Method::Get));
        }
        if [&cell, &grid, &own].into_iter().any(Result::is_ok) && wanted.method == Method::Put {
            assert!(wanted.content.as_ref().is_some_and(is_harmless));
        }
        let outcomes = [cell, grid, own, duration];
        refusals.extend(outcomes.into_iter().filter_map(Result::err));
    }
    refusals
}

fn assert_of_cell(wanted: &Wanted, held: &Held) {
    let key = wanted.key.as_str();
    let is_output = held.outputs().contains(key);
    let is_kept = [&held.keys.checkpoint, &held.keys.preview].contains(&&wanted.key);
    let is_input = || held.inputs.iter().any(|input| input_key(input) == key);
    match wanted.method {
        Method::Get => assert!(is_output || is_input(), "{key}"),
        Method::Head | Method::Put => assert!(is_output, "{key}"),
        Method::Delete => assert!(is_kept, "{key}"),
    }
}

fn assert_looks(wanted: &Wanted, held: &Held) {
    let key = wanted.key.as_str();
    assert!(matches!(wanted.method, Method::Get | Method::Head), "{key}");
    let is_input = || held.inputs.iter().any(|input| input_key(input) == key);
    assert!(key.starts_with("grids/") || is_input(), "{key}");
    assert!(key != held.keys.checkpoint, "checkpoints are none of it");
}

fn assert_own(wanted: &Wanted, is_for: impl Fn(&[Role])) {
    let key = wanted.key.as_str();
    match wanted.method {
        Method::Head if key.is_empty() => {}
        Method::Get => {
            assert!(key.starts_with("weights/"), "{key}");
            is_for(&[Role::Node]);
        }
        Method::Head if key.starts_with("weights/") => is_for(&[Role::Node]),
        Method::Head => {
            assert!(key.starts_with("inputs/"), "{key}");
            is_for(&[Role::Client, Role::Operator]);
        }
        Method::Put => {
            let digest = wanted.content.as_ref().and_then(|it| it.sha256);
            let own = digest.map(|digest| input_key(&digest));
            assert_eq!(own.as_deref(), Some(key), "other bytes than its key says");
            is_for(&[Role::Client, Role::Operator]);
        }
        Method::Delete => panic!("{key} is removed by no right"),
    }
}

/// A place has one key: rights to it are rights to nothing else.
fn assert_one_spelling(key: &str) {
    match Place::of(key) {
        None => {}
        Some(Place::Input(digest)) => assert_eq!(input_key(&digest), key),
        Some(Place::Weights(digest)) => assert_eq!(weights_key(&digest), key),
        Some(Place::Gallery(grid)) => {
            let path = key.strip_prefix(&GridKeys::new(grid).prefix());
            let is_plain = |name: &str| !name.is_empty() && !name.starts_with('.');
            assert!(
                path.is_some_and(|path| path.split('/').all(is_plain)),
                "{key}"
            );
        }
    }
}

/// Whether browsers show it as a picture, or not at all, and every header of it is one line.
fn is_harmless(content: &Content) -> bool {
    let headers = content.metadata.iter().flat_map(|(name, it)| [name, it]);
    let mut headers = headers.chain(&content.cache_control);
    INPUT_TYPES.contains(&content.content_type.as_str())
        && headers.all(|text| !text.chars().any(char::is_control))
}
