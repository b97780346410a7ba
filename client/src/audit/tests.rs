//! A grid that is as it is told, and what is found when one thing of it is not.

mod cases;
mod rendering;

use atelier_gallery::keys::input_key;
use atelier_gallery::manifest::{
    ArtistEntry, CellEntry, Outcome, PaintingEntry, PhotoEntry, PictureEntry, VERSION, VariantEntry,
};
use atelier_proto::settings::{RenderSettings, SettingsPatch};

use super::*;
use crate::coordinator::tests::grid;
use crate::coordinator::view::{
    Attempt, AttemptOutcome, CellCounts, CellState, CellView, GridState, PaintingView, PhotoView,
    PictureView,
};

const GRID: &str = "grids/01890a5d-ac96-774b-bcce-b302099a8057";

/// A finished grid of four photos in the style of Monet: two done, one failed, one cancelled.
pub(crate) fn facts() -> Facts {
    let mut view = grid(&[
        CellState::Done,
        CellState::Done,
        CellState::Failed,
        CellState::Cancelled,
    ]);
    view.summary.state = GridState::Finished;
    view.summary.gallery_complete = true;
    view.summary.cells = CellCounts {
        done: 2,
        failed: 1,
        cancelled: 1,
        ..CellCounts::default()
    };
    for photo in &mut view.photos {
        photo.input.sha256 = Digest::of(photo.name.as_bytes());
    }
    view.artists[0].paintings = vec![PaintingView {
        name: "lilies.jpg".to_owned(),
        input: InputView {
            sha256: Digest::of(b"lilies"),
            width: 1,
            height: 1,
        },
        weight: 1.0,
        mask: None,
    }];
    for cell in &mut view.cells[..2] {
        cell.attempts = 2;
        cell.picture = Some(picture(cell));
    }
    view.cells[2].failure = Some("no memory".to_owned());
    view.failed_attempts = [0, 2].map(|place| failed(&view, place, 1)).into();
    let manifest = manifest(&view);
    Facts {
        gallery: Gallery::There(Box::new(manifest)),
        objects: objects(&view),
        contents: contents(&view),
        after: view.clone(),
        before: view,
    }
}

fn picture(cell: &CellView) -> PictureView {
    let place = cell.cell_id.place;
    PictureView {
        key: format!("{GRID}/pictures/photo-{place}--monet.jpg"),
        thumbnail_key: format!("{GRID}/thumbnails/photo-{place}--monet.jpg"),
        large_thumbnail_key: (place == 0)
            .then(|| format!("{GRID}/thumbnails/photo-0--monet.large.jpg")),
        sha256: Digest::of(&place.to_be_bytes()),
        bytes: 100 + u64::from(place),
        width: 64,
        height: 48,
        seconds: 1.5,
        evaluations: 60,
        // Equal to nothing, itself included.
        loss: f64::NAN,
        network: "vgg16 untrained".to_owned(),
        device: "cpu".to_owned(),
    }
}

fn failed(view: &GridView, place: usize, attempt: u32) -> Attempt {
    Attempt {
        cell_id: view.cells[place].cell_id,
        attempt,
        node: "02890a5d-ac96-774b-bcce-b302099a8059".parse().unwrap(),
        node_name: "studio-1".to_owned(),
        ended_at: None,
        outcome: AttemptOutcome::Lost,
        reason: "lost".to_owned(),
        log: None,
    }
}

fn objects(view: &GridView) -> BTreeMap<String, u64> {
    let below = |path: &str, bytes| (format!("{GRID}/{path}"), bytes);
    let pictures = view.cells.iter().filter_map(|cell| cell.picture.as_ref());
    let pictures = pictures.flat_map(|it| {
        let thumbnails = it.thumbnails().map(|key| (key.clone(), 9));
        thumbnails.chain([(it.key.clone(), it.bytes)])
    });
    let inputs = inputs(view).map(|(input, _)| (input_key(&input.sha256), 7));
    [
        below("gallery.json", 5),
        below("index.html", 5),
        below("originals/photo-photo-0.jpg", 3),
        below("originals/photo-photo-1.jpg", 3),
        below("originals/artist-monet.jpg", 3),
    ]
    .into_iter()
    .chain(pictures)
    .chain(inputs)
    .collect()
}

fn contents(view: &GridView) -> BTreeMap<String, Result<Content, String>> {
    let content = |sha256| {
        Ok(Content {
            sha256,
            picture: Ok((64, 48)),
        })
    };
    let inputs = inputs(view).map(|(input, _)| (input_key(&input.sha256), content(input.sha256)));
    let pictures = view.cells.iter().filter_map(|cell| cell.picture.as_ref());
    let pictures = pictures.flat_map(|it| {
        let thumbnail = || content(Digest::of(b"thumbnail"));
        let thumbnails = it.thumbnails().map(move |key| (key.clone(), thumbnail()));
        thumbnails.chain([(it.key.clone(), content(it.sha256))])
    });
    inputs.chain(pictures).collect()
}

/// What the coordinator would write of the grid.
fn manifest(view: &GridView) -> Manifest {
    let is_done = |cell: &CellView| cell.state == CellState::Done;
    let relative = |key: &str| key[GRID.len() + 1..].to_owned();
    let photo = |(index, photo): (usize, &PhotoView)| {
        let shown = view
            .cells
            .iter()
            .any(|it| is_done(it) && it.photo == Some(index));
        PhotoEntry {
            name: photo.name.clone(),
            sha256: photo.input.sha256,
            width: 1,
            height: 1,
            original: shown.then(|| format!("originals/photo-{}.jpg", photo.name)),
            masks: Vec::new(),
            start: None,
        }
    };
    let cell = |cell: &CellView| CellEntry {
        cell_id: cell.cell_id,
        photo: cell.photo.unwrap(),
        artist: cell.artist.unwrap(),
        variant: cell.variant,
        outcome: Outcome {
            state: cell.state.to_string(),
            attempts: cell.attempts,
            picture: cell.picture.as_ref().map(|it| PictureEntry {
                path: relative(&it.key),
                thumbnail: relative(&it.thumbnail_key),
                large_thumbnail: it.large_thumbnail_key.as_deref().map(relative),
                sha256: it.sha256,
                bytes: it.bytes,
                width: it.width,
                height: it.height,
                seconds: it.seconds,
                evaluations: it.evaluations,
                loss: it.loss,
                node: "studio-1".to_owned(),
                network: it.network.clone(),
                device: it.device.clone(),
                dollars: None,
                losses: Vec::new(),
            }),
            failure: cell.failure.clone(),
        },
    };
    Manifest {
        version: VERSION,
        grid_id: view.summary.grid_id,
        name: view.summary.name.clone(),
        submitted_at: jiff::Timestamp::UNIX_EPOCH,
        finished_at: None,
        complete: view.summary.state.has_ended(),
        state: view.summary.state.to_string(),
        settings: RenderSettings::default(),
        photos: view.photos.iter().enumerate().map(photo).collect(),
        artists: vec![ArtistEntry {
            name: "Monet".to_owned(),
            paintings: vec![PaintingEntry {
                name: "lilies.jpg".to_owned(),
                sha256: Digest::of(b"lilies"),
                width: 1,
                height: 1,
                weight: 1.0,
                mask: None,
            }],
            settings: SettingsPatch::default(),
            original: Some("originals/artist-monet.jpg".to_owned()),
        }],
        variants: vec![VariantEntry {
            name: String::new(),
            settings: SettingsPatch::default(),
        }],
        cells: view.cells.iter().map(cell).collect(),
        reconstructions: Vec::new(),
    }
}

/// Changes the grid by both readings.
fn both(facts: &mut Facts, change: impl Fn(&mut GridView)) {
    change(&mut facts.before);
    change(&mut facts.after);
}

fn gallery(facts: &mut Facts) -> &mut Manifest {
    match &mut facts.gallery {
        Gallery::There(manifest) => manifest,
        other => panic!("{other:?}"),
    }
}

fn put(facts: &mut Facts, path: &str) {
    facts.objects.insert(format!("{GRID}/{path}"), 9);
}

fn lose(facts: &mut Facts, path: &str) {
    assert!(
        facts.objects.remove(&format!("{GRID}/{path}")).is_some(),
        "{path}"
    );
}

fn content<'a>(facts: &'a mut Facts, path: &str) -> &'a mut Content {
    let content = facts.contents.get_mut(&format!("{GRID}/{path}")).unwrap();
    content.as_mut().unwrap()
}

const PICTURE: &str = "pictures/photo-1--monet.jpg";

#[test]
fn a_grid_that_is_as_it_is_told_has_no_differences() {
    assert_eq!(compare(&facts()), []);
}

#[test]
fn only_what_both_looks_find_stays() {
    let difference = |kind, about: &str, detail: &str| Difference {
        kind,
        about: about.to_owned(),
        detail: detail.to_owned(),
    };
    let first = [
        difference(Kind::Missing, "a", "one"),
        difference(Kind::Counts, "the grid", "3 done"),
    ];
    let second = vec![
        difference(Kind::Orphan, "a", "one"),
        difference(Kind::Counts, "the grid", "4 done"),
    ];
    assert_eq!(in_both(&first, second.clone()), second[1..]);
}
