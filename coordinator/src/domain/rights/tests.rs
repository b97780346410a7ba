use atelier_gallery::keys::{GridKeys, weights_key};
use atelier_gallery::signed::Right;
use atelier_proto::ids::{CellId, GridId, NodeId};
use jiff::Timestamp;

use super::*;
use crate::domain::access::Identity;
use crate::domain::cell::{Event, History};
use crate::domain::grid::GridSpec;
use crate::domain::grid::tests::{draft, mask};
use crate::domain::keys::CellKeys;
use crate::domain::lease::LeaseRules;

fn known(role: Role) -> Caller {
    Caller::Known(Identity {
        name: "ann".to_owned(),
        role,
    })
}

/// A grid of two photos by one artist, whose first cell is held by a node.
struct Held {
    facts: GridFacts,
    keys: CellKeys,
    cell: Cell,
    holder: Holder,
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

impl Held {
    fn new() -> Self {
        let mut draft = draft(2, 1);
        draft.photos[0].masks = vec![mask("sky"), mask("sea")];
        draft.photos[1].masks = vec![mask("sky")];
        draft.artists[0].paintings[0].mask = Some("sky".to_owned());
        let spec = GridSpec::accept(draft, 10).unwrap();
        let facts = GridFacts::new(GridId::generate(), spec.into());
        let node = NodeId::generate();
        let lease = Event::Lease { node };
        let cell = Cell::new(now()).apply(lease, now(), &LeaseRules::default());
        Self {
            keys: facts.keys(0).unwrap(),
            facts,
            cell: cell.unwrap(),
            holder: Holder { node, attempt: 1 },
        }
    }

    fn wanted(&self, method: Method, key: &str) -> Wanted {
        let grid = self.facts.grid;
        let right = Right::Cell {
            cell: CellId { grid, place: 0 },
            attempt: 1,
        };
        Wanted::new(method, key, right)
    }

    fn may(&self, method: Method, key: &str) -> Result<(), Denied> {
        self.asks(&self.wanted(method, key))
    }

    fn puts(&self, key: &str, content: Content) -> Result<(), Denied> {
        let mut wanted = self.wanted(Method::Put, key);
        wanted.content = Some(content);
        self.asks(&wanted)
    }

    fn asks(&self, wanted: &Wanted) -> Result<(), Denied> {
        let caller = known(Role::Node);
        of_cell(&caller, wanted, &self.facts, 0, &self.cell, self.holder)
    }

    fn picture(&self) -> Content {
        let format = self.facts.settings(0).unwrap().format;
        let content = Content {
            if_absent: true,
            ..Content::of_type(format.content_type())
        };
        content.of_bytes(Digest::of(b"picture"), 7)
    }
}

fn jpeg() -> Content {
    Content {
        if_absent: true,
        ..Content::of_type("image/jpeg")
    }
}

#[test]
fn a_node_reads_what_its_cell_is_made_of_and_no_other_input() {
    let held = Held::new();
    let spec = &held.facts.spec;
    let (photos, artists) = (spec.photos(), spec.artists());
    let reads = |digest: &Digest| held.may(Method::Get, &input_key(digest)).is_ok();
    assert!(reads(&photos[0].input.sha256));
    assert!(reads(&photos[0].masks[0].input.sha256), "bound");
    assert!(reads(&artists[0].paintings[0].input.sha256));
    assert!(!reads(&photos[0].masks[1].input.sha256), "bound to nothing");
    assert!(!reads(&photos[1].input.sha256), "of another cell");
    assert!(!reads(&Digest::of(b"of another grid")));
    for method in [Method::Head, Method::Put, Method::Delete] {
        let key = input_key(&photos[0].input.sha256);
        assert!(held.may(method, &key).is_err(), "{method:?}");
    }
}

#[test]
fn a_node_puts_what_becomes_of_its_cell_and_nothing_else() {
    let held = Held::new();
    let keys = &held.keys;
    held.puts(&keys.picture, held.picture()).unwrap();
    let metadata = [("seconds", "1.5".to_owned()), ("device", "cpu".to_owned())];
    let told = held.picture().with_metadata(&metadata);
    held.puts(&keys.picture, told).unwrap();
    let headers = [&keys.photo_original, &keys.artist_original];
    let headers = headers.map(|key| key.as_deref().unwrap());
    for key in [
        &keys.thumbnail,
        &keys.large_thumbnail,
        headers[0],
        headers[1],
    ] {
        held.puts(key, jpeg()).unwrap();
    }
    held.puts(
        &keys.checkpoint,
        Content::of_type("application/octet-stream"),
    )
    .unwrap();
    let preview = Content {
        cache_control: Some("no-cache".to_owned()),
        ..Content::of_type("image/jpeg")
    };
    held.puts(&keys.preview, preview).unwrap();
    for key in [&keys.checkpoint, &keys.preview] {
        for method in [Method::Get, Method::Head, Method::Delete] {
            held.may(method, key).unwrap();
        }
    }
    for method in [Method::Get, Method::Head] {
        held.may(method, &keys.picture).unwrap();
    }
    held.may(Method::Head, headers[0]).unwrap();

    let other = held.facts.keys(1).unwrap();
    assert!(held.puts(&other.picture, held.picture()).is_err());
    assert!(held.puts(&other.thumbnail, jpeg()).is_err());
    assert!(held.may(Method::Get, &other.checkpoint).is_err());
    let grid = GridKeys::new(held.facts.grid);
    for key in [
        grid.page(),
        grid.manifest(),
        grid.contact_sheet(),
        grid.prefix(),
        String::new(),
    ] {
        for method in [Method::Get, Method::Head, Method::Put, Method::Delete] {
            let mut wanted = held.wanted(method, &key);
            wanted.content = (method == Method::Put).then(jpeg);
            assert!(held.asks(&wanted).is_err(), "{method:?} {key}");
        }
    }
    for key in [&keys.picture, &keys.thumbnail, &headers[0].to_owned()] {
        assert!(held.may(Method::Delete, key).is_err(), "{key}");
    }
}

#[test]
fn what_a_node_puts_is_what_belongs_there() {
    let held = Held::new();
    let (picture, keys) = (held.picture(), &held.keys);
    let wrong = [
        Content {
            if_absent: false,
            ..picture.clone()
        },
        Content {
            sha256: None,
            ..picture.clone()
        },
        Content {
            bytes: None,
            ..picture.clone()
        },
        Content {
            bytes: Some(PICTURE_BYTES_MAX + 1),
            ..picture.clone()
        },
        Content {
            content_type: "text/html".to_owned(),
            ..picture.clone()
        },
        Content {
            cache_control: Some("no-cache".to_owned()),
            ..picture.clone()
        },
        picture
            .clone()
            .with_metadata(&[("acl", "public".to_owned())]),
        picture
            .clone()
            .with_metadata(&[("loss", "x".repeat(METADATA_BYTES_MAX))]),
        Content {
            metadata: [("loss".to_owned(), "a\r\nb".to_owned())].into(),
            ..picture
        },
    ];
    for content in wrong {
        let told = format!("{content:?}");
        let denied = held.puts(&keys.picture, content);
        assert!(matches!(denied, Err(Denied::Content { .. })), "{told}");
    }
    let html = Content {
        content_type: "text/html".to_owned(),
        ..jpeg()
    };
    assert!(held.puts(&keys.thumbnail, html).is_err());
    assert!(
        held.puts(&keys.thumbnail, Content::of_type("image/jpeg"))
            .is_err()
    );
    assert!(
        held.may(Method::Put, &keys.thumbnail).is_err(),
        "without content"
    );
}

#[test]
fn who_has_lost_a_cell_has_lost_its_objects_but_may_clear_up_after_one_that_ended() {
    let mut held = Held::new();
    let keys = held.keys.clone();
    held.holder.attempt = 2;
    let stale = Refusal::Stale {
        attempt: 2,
        current: 1,
    };
    assert_eq!(held.may(Method::Get, &keys.picture), Err(stale.into()));
    assert_eq!(
        held.may(Method::Delete, &keys.checkpoint),
        Err(stale.into())
    );
    held.holder = Holder {
        node: NodeId::generate(),
        attempt: 1,
    };
    assert!(held.puts(&keys.picture, held.picture()).is_err());

    held.cell = Cell::new(now());
    let not_held = Denied::Cell(Refusal::NotHeld);
    assert_eq!(held.may(Method::Delete, &keys.checkpoint), Err(not_held));

    held.cell = Cell::Cancelled {
        history: History::default(),
    };
    held.may(Method::Delete, &keys.checkpoint).unwrap();
    held.may(Method::Delete, &keys.preview).unwrap();
    let ended = Denied::Cell(Refusal::Ended { state: "cancelled" });
    assert_eq!(held.may(Method::Get, &keys.checkpoint), Err(ended.clone()));
    assert_eq!(held.may(Method::Delete, &keys.picture), Err(ended));
}

#[test]
fn only_nodes_have_cells() {
    let held = Held::new();
    let wanted = held.wanted(Method::Get, &held.keys.picture);
    for (caller, may) in [
        (Caller::Anyone, true),
        (known(Role::Node), true),
        (known(Role::Client), false),
        (known(Role::Operator), false),
        (known(Role::ReadOnly), false),
    ] {
        let asked = of_cell(&caller, &wanted, &held.facts, 0, &held.cell, held.holder);
        assert_eq!(asked.is_ok(), may, "{caller:?}");
    }
}

#[test]
fn those_who_see_a_grid_read_its_gallery_and_its_inputs_and_change_nothing() {
    let held = Held::new();
    let inputs: HashSet<Digest> = held
        .facts
        .spec
        .inputs()
        .into_iter()
        .map(|it| it.0)
        .collect();
    let input = input_key(&held.facts.spec.photos()[0].input.sha256);
    let foreign = input_key(&Digest::of(b"of another grid"));
    let may = |role, method, key: &str| {
        let wanted = Wanted::new(method, key, Right::Own);
        of_grid(&known(role), &wanted, &inputs).is_ok()
    };
    for role in [Role::Client, Role::Operator, Role::ReadOnly] {
        for key in [&held.keys.picture, &held.keys.preview, &input] {
            assert!(
                may(role, Method::Get, key) && may(role, Method::Head, key),
                "{key}"
            );
            assert!(
                !may(role, Method::Put, key) && !may(role, Method::Delete, key),
                "{key}"
            );
        }
        assert!(!may(role, Method::Get, &foreign));
        assert!(!may(role, Method::Get, &held.keys.checkpoint));
        assert!(!may(
            role,
            Method::Get,
            &weights_key(&Digest::of(b"weights"))
        ));
    }
    assert!(!may(Role::Node, Method::Get, &held.keys.picture));
}

#[test]
fn an_input_is_put_by_clients_under_its_own_digest_alone() {
    let digest = Digest::of(b"photo");
    let mut wanted = Wanted::new(Method::Put, input_key(&digest), Right::Own);
    let content = Content {
        content_type: "image/png".to_owned(),
        ..jpeg()
    };
    wanted.content = Some(content.clone().of_bytes(digest, 5));
    own(&known(Role::Client), &wanted).unwrap();
    own(&known(Role::Operator), &wanted).unwrap();
    for role in [Role::Node, Role::ReadOnly] {
        assert!(own(&known(role), &wanted).is_err(), "{role:?}");
    }
    for wrong in [
        content.clone().of_bytes(Digest::of(b"other"), 5),
        content.clone(),
        content.clone().of_bytes(digest, picture::BYTES_MAX + 1),
        Content {
            content_type: "image/svg+xml".to_owned(),
            ..content.of_bytes(digest, 5)
        },
    ] {
        wanted.content = Some(wrong);
        let denied = own(&known(Role::Client), &wanted);
        assert!(matches!(denied, Err(Denied::Content { .. })), "{denied:?}");
    }
    for (role, method, key, may) in [
        (Role::Client, Method::Head, input_key(&digest), true),
        (Role::Client, Method::Get, input_key(&digest), false),
        (Role::Client, Method::Delete, input_key(&digest), false),
        (Role::Node, Method::Get, weights_key(&digest), true),
        (Role::Node, Method::Put, weights_key(&digest), false),
        (Role::Client, Method::Get, weights_key(&digest), false),
        (Role::ReadOnly, Method::Head, String::new(), true),
        (Role::Operator, Method::Get, String::new(), false),
        (Role::Operator, Method::Get, "elsewhere".to_owned(), false),
    ] {
        let asked = own(&known(role), &Wanted::new(method, key.as_str(), Right::Own));
        assert_eq!(asked.is_ok(), may, "{role:?} {method:?} {key}");
    }
}

#[test]
fn only_links_to_galleries_hold_long_and_only_for_those_whose_they_are() {
    let held = Held::new();
    let usual = Duration::from_mins(5);
    let long = |role, method, key: &str, seconds| {
        let mut wanted = Wanted::new(method, key, Right::Own);
        wanted.valid_for = Some(Duration::from_secs(seconds));
        check_duration(&known(role), &wanted, usual).is_ok()
    };
    let picture = &held.keys.picture;
    assert!(long(Role::Client, Method::Get, picture, 301));
    assert!(long(Role::Operator, Method::Get, picture, 604_800));
    assert!(!long(Role::ReadOnly, Method::Get, picture, 301));
    assert!(long(Role::ReadOnly, Method::Get, picture, 300));
    assert!(!long(Role::Node, Method::Get, picture, 301));
    assert!(!long(Role::Client, Method::Put, picture, 301));
    let input = input_key(&Digest::of(b"photo"));
    assert!(!long(Role::Client, Method::Put, &input, 301));
}
