//! Grids that render while they are looked at.

use super::*;

/// The second cell was at work at the first reading and is done at the second; the fourth is still queued.
fn rendering() -> Facts {
    let mut facts = facts();
    both(&mut facts, |it| {
        it.summary.state = GridState::Active;
        it.summary.gallery_complete = false;
        it.cells[3].state = CellState::Queued;
        (it.summary.cells.queued, it.summary.cells.cancelled) = (1, 0);
    });
    let before = &mut facts.before;
    before.summary.sequence -= 1;
    before.cells[1].state = CellState::Rendering;
    before.cells[1].picture = None;
    (before.summary.cells.rendering, before.summary.cells.done) = (1, 1);
    facts.gallery = Gallery::There(Box::new(manifest(&facts.before)));
    facts
}

#[test]
fn what_may_be_on_its_way_is_no_difference() {
    let facts = rendering();
    assert_eq!(compare(&facts), []);

    let mut early = facts.clone();
    for path in [
        PICTURE,
        "thumbnails/photo-1--monet.jpg",
        "originals/photo-photo-1.jpg",
    ] {
        lose(&mut early, path);
    }
    let entry = &mut gallery(&mut early).cells[0].outcome;
    (entry.state, entry.attempts, entry.picture) = ("leased".to_owned(), 1, None);
    assert_eq!(compare(&early), [], "the bucket and the gallery lag behind");

    let mut late = facts.clone();
    put(&mut late, "pictures/photo-3--monet.jpg");
    put(&mut late, "originals/photo-photo-3.jpg");
    put(&mut late, "checkpoints/photo-3--monet.safetensors");
    put(&mut late, "checkpoints/photo-0--monet.safetensors");
    late.gallery = Gallery::There(Box::new(manifest(&late.after)));
    assert_eq!(compare(&late), [], "they are ahead of the first reading");
}

#[test]
fn what_a_grid_that_renders_cannot_have_is_a_difference_all_the_same() {
    let words = |facts: &Facts| {
        let found = compare(facts).into_iter();
        found.map(|it| it.kind.word()).collect::<Vec<_>>()
    };
    let mut facts = rendering();
    let ahead = &mut gallery(&mut facts).cells[3].outcome;
    ahead.attempts = 7;
    assert_eq!(words(&facts), ["gallery"]);

    let mut facts = rendering();
    gallery(&mut facts).complete = true;
    assert_eq!(words(&facts), ["gallery-complete"]);

    let mut facts = rendering();
    put(&mut facts, "pictures/photo-2--monet.jpg");
    lose(&mut facts, "pictures/photo-0--monet.jpg");
    assert_eq!(words(&facts), ["missing", "orphan"]);

    let mut facts = rendering();
    facts.before.summary.cells.done = 9;
    assert_eq!(words(&facts), [] as [&str; 0], "by one reading alone");
}
