//! One thing that is not as it is told each, and that it is found, once, by its own word.

use super::*;

type Case = (&'static str, Kind, fn(&mut Facts));

/// One thing that is not as it is told each, and the only kind of difference that this is.
const CASES: [Case; 49] = [
    ("a count", Kind::Counts, |facts| {
        both(facts, |it| it.summary.cells.done = 3);
    }),
    (
        "a cell that is missing in the midst",
        Kind::LostCell,
        |facts| {
            both(facts, |it| {
                it.cells.remove(1);
                it.summary.cells.done = 1;
            });
            for path in [
                PICTURE,
                "thumbnails/photo-1--monet.jpg",
                "originals/photo-photo-1.jpg",
            ] {
                lose(facts, path);
            }
            gallery(facts).cells.remove(1);
            gallery(facts).photos[1].original = None;
        },
    ),
    (
        "a cell that is missing at the end",
        Kind::LostCell,
        |facts| {
            both(facts, |it| {
                it.cells.remove(3);
                it.summary.cells.cancelled = 0;
            });
            gallery(facts).cells.remove(3);
        },
    ),
    ("a cell that is there twice", Kind::LostCell, |facts| {
        both(facts, |it| {
            it.cells.push(it.cells[3].clone());
            it.summary.cells.cancelled = 2;
        });
    }),
    ("an open cell of an ended grid", Kind::State, |facts| {
        both(facts, |it| {
            it.cells[3].state = CellState::Queued;
            (it.summary.cells.queued, it.summary.cells.cancelled) = (1, 0);
        });
        gallery(facts).cells[3].outcome.state = "queued".to_owned();
    }),
    (
        "an active grid without an open cell",
        Kind::State,
        |facts| {
            both(facts, |it| {
                it.summary.state = GridState::Active;
                it.summary.gallery_complete = false;
            });
            gallery(facts).complete = false;
        },
    ),
    (
        "a gallery that is not complete",
        Kind::LateGallery,
        |facts| {
            both(facts, |it| it.summary.gallery_complete = false);
        },
    ),
    ("a done cell without a picture", Kind::Undone, |facts| {
        both(facts, |it| it.cells[1].picture = None);
        for path in [PICTURE, "thumbnails/photo-1--monet.jpg"] {
            lose(facts, path);
        }
    }),
    (
        "a done cell that has another picture later",
        Kind::Undone,
        |facts| {
            let now = Digest::of(b"now");
            facts.after.cells[1].picture.as_mut().unwrap().sha256 = now;
            gallery(facts).cells[1]
                .outcome
                .picture
                .as_mut()
                .unwrap()
                .sha256 = now;
        },
    ),
    ("a done cell without an attempt", Kind::Attempts, |facts| {
        both(facts, |it| it.cells[1].attempts = 0);
        gallery(facts).cells[1].outcome.attempts = 0;
    }),
    (
        "a failed attempt beyond the last",
        Kind::Attempts,
        |facts| {
            both(facts, |it| it.failed_attempts.push(failed(it, 2, 2)));
        },
    ),
    (
        "a failed attempt that ended twice",
        Kind::Attempts,
        |facts| {
            both(facts, |it| it.failed_attempts.push(failed(it, 2, 1)));
        },
    ),
    (
        "a failed attempt before the first",
        Kind::Attempts,
        |facts| {
            both(facts, |it| it.failed_attempts.push(failed(it, 2, 0)));
        },
    ),
    (
        "a failed attempt that brought the picture",
        Kind::Attempts,
        |facts| {
            both(facts, |it| it.failed_attempts.push(failed(it, 0, 2)));
        },
    ),
    ("a failed attempt of no cell", Kind::Attempts, |facts| {
        both(facts, |it| it.failed_attempts[0].cell_id.place = 9);
    }),
    ("a failed cell without a reason", Kind::NoReason, |facts| {
        both(facts, |it| {
            it.cells[2].failure = None;
            it.failed_attempts[1].outcome = AttemptOutcome::Released;
        });
    }),
    ("a picture that is not there", Kind::Missing, |facts| {
        lose(facts, PICTURE);
    }),
    ("a thumbnail that is not there", Kind::Missing, |facts| {
        lose(facts, "thumbnails/photo-0--monet.jpg");
    }),
    ("an original that is not there", Kind::Missing, |facts| {
        lose(facts, "originals/artist-monet.jpg");
    }),
    (
        "an original that only the gallery names",
        Kind::Missing,
        |facts| {
            gallery(facts).photos[3].original = Some("originals/photo-photo-3.jpg".to_owned());
        },
    ),
    ("a picture that is too short", Kind::Length, |facts| {
        put(facts, PICTURE);
    }),
    (
        "a larger thumbnail that is not there",
        Kind::Missing,
        |facts| {
            lose(facts, "thumbnails/photo-0--monet.large.jpg");
        },
    ),
    (
        "a larger thumbnail that is not listed",
        Kind::Gallery,
        |facts| {
            gallery(facts).cells[0]
                .outcome
                .picture
                .as_mut()
                .unwrap()
                .large_thumbnail = None;
        },
    ),
    (
        "a larger thumbnail of a cancelled cell",
        Kind::Orphan,
        |facts| {
            put(facts, "thumbnails/photo-3--monet.large.jpg");
        },
    ),
    ("an empty thumbnail", Kind::Length, |facts| {
        facts
            .objects
            .insert(format!("{GRID}/thumbnails/photo-0--monet.jpg"), 0);
    }),
    ("other bytes of the same length", Kind::Content, |facts| {
        content(facts, PICTURE).sha256 = Digest::of(b"other");
    }),
    ("bytes that have rotted", Kind::Content, |facts| {
        let rotten = Err("broke off".to_owned());
        facts.contents.insert(format!("{GRID}/{PICTURE}"), rotten);
    }),
    ("a thumbnail that has rotted", Kind::Content, |facts| {
        let rotten = Err("broke off".to_owned());
        let key = format!("{GRID}/thumbnails/photo-0--monet.jpg");
        facts.contents.insert(key, rotten);
    }),
    ("a picture of another size", Kind::Pixels, |facts| {
        content(facts, PICTURE).picture = Ok((48, 64));
    }),
    ("a thumbnail that is no picture", Kind::Pixels, |facts| {
        content(facts, "thumbnails/photo-0--monet.jpg").picture = Err("cut short".to_owned());
    }),
    (
        "a thumbnail in another cell's place",
        Kind::ForeignKey,
        |facts| {
            let elsewhere = "thumbnails/photo-1--monet.jpg";
            both(facts, |it| {
                it.cells[0].picture.as_mut().unwrap().thumbnail_key = format!("{GRID}/{elsewhere}");
            });
            let entry = gallery(facts).cells[0].outcome.picture.as_mut().unwrap();
            elsewhere.clone_into(&mut entry.thumbnail);
            lose(facts, "thumbnails/photo-0--monet.jpg");
        },
    ),
    ("a picture of a failed cell", Kind::Orphan, |facts| {
        put(facts, "pictures/photo-2--monet.png");
    }),
    ("a thumbnail of a cancelled cell", Kind::Orphan, |facts| {
        put(facts, "thumbnails/photo-3--monet.jpg");
    }),
    (
        "an original that no done cell shows",
        Kind::Orphan,
        |facts| {
            put(facts, "originals/photo-photo-3.jpg");
        },
    ),
    ("a checkpoint of a done cell", Kind::Checkpoint, |facts| {
        put(facts, "checkpoints/photo-0--monet.safetensors");
    }),
    ("a second picture of a done cell", Kind::Stray, |facts| {
        put(facts, "pictures/photo-0--monet.png");
    }),
    ("a picture of no cell", Kind::Stray, |facts| {
        put(facts, "pictures/photo-9--monet.jpg");
    }),
    ("a file beside the gallery", Kind::Stray, |facts| {
        put(facts, "notes.txt");
    }),
    ("a photo that is not there", Kind::Input, |facts| {
        facts.objects.remove(&input_key(&Digest::of(b"photo-3")));
    }),
    ("a painting with other bytes", Kind::Input, |facts| {
        let key = input_key(&Digest::of(b"lilies"));
        let content = facts.contents.get_mut(&key).unwrap();
        content.as_mut().unwrap().sha256 = Digest::of(b"roses");
    }),
    ("no manifest", Kind::NoGallery, |facts| {
        facts.gallery = Gallery::Absent;
    }),
    ("no page", Kind::NoGallery, |facts| {
        lose(facts, "index.html");
    }),
    (
        "a manifest that cannot be read",
        Kind::BadGallery,
        |facts| {
            facts.gallery = Gallery::Unreadable("not JSON".to_owned());
        },
    ),
    ("a manifest of another grid", Kind::BadGallery, |facts| {
        gallery(facts).grid_id = GridId::generate();
    }),
    (
        "a picture that is listed with another digest",
        Kind::Gallery,
        |facts| {
            gallery(facts).cells[0]
                .outcome
                .picture
                .as_mut()
                .unwrap()
                .sha256 = Digest::of(b"other");
        },
    ),
    ("a cell that is not listed", Kind::Gallery, |facts| {
        gallery(facts).cells.pop();
    }),
    (
        "a cell with fewer attempts than it had",
        Kind::Gallery,
        |facts| {
            gallery(facts).cells[0].outcome.attempts = 1;
        },
    ),
    (
        "a done cell whose photo has no original",
        Kind::Gallery,
        |facts| {
            gallery(facts).photos[0].original = None;
        },
    ),
    (
        "a manifest that says it is not complete",
        Kind::GalleryComplete,
        |facts| {
            gallery(facts).complete = false;
        },
    ),
];

#[test]
fn each_kind_of_difference_is_found_and_is_the_only_one() {
    for (what, kind, change) in CASES {
        let mut facts = facts();
        change(&mut facts);
        let found = compare(&facts);
        let kinds: BTreeSet<&str> = found.iter().map(|it| it.kind.word()).collect();
        assert_eq!(kinds, [kind.word()].into(), "{what}: {found:?}");
        assert_eq!(found.len(), 1, "{what}: {found:?}");
    }
}

#[test]
fn two_cells_with_one_picture_are_named_with_its_key() {
    let mut facts = facts();
    both(&mut facts, |it| {
        let key = it.cells[0].picture.as_ref().unwrap().key.clone();
        it.cells[1].picture.as_mut().unwrap().key = key;
    });
    let found = compare(&facts);
    let shared = found.iter().find(|it| it.kind == Kind::SharedKey).unwrap();
    assert_eq!(shared.about, format!("{GRID}/pictures/photo-0--monet.jpg"));
    assert!(
        shared.detail.contains("cell 1 (photo-1 × Monet)"),
        "{shared}"
    );
}

#[test]
fn there_is_a_case_for_each_kind_and_a_word_for_none_but_one() {
    let tested: BTreeSet<Kind> = CASES.iter().map(|(_, kind, _)| *kind).collect();
    let untested = Kind::ALL.into_iter().filter(|kind| !tested.contains(kind));
    assert_eq!(untested.collect::<Vec<_>>(), [Kind::SharedKey]);
    let words: BTreeSet<&str> = Kind::ALL.into_iter().map(Kind::word).collect();
    assert_eq!(words.len(), Kind::ALL.len());
}
