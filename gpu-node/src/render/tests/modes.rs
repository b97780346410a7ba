//! Goal: reconstructions, masks, colours and checkpoints do what they say.

use std::ops::ControlFlow;
use std::sync::Arc;

use atelier_gallery::picture::Picture;
use atelier_proto::ids::Digest;
use image::{GrayImage, Luma, Rgb, RgbImage};

use super::{input, job, narrow_renderer, painting, picture, render};
use crate::render::{Checkpoint, Evaluation, MaskInput, RenderError, RenderJob, Watch};

/// Peak signal-to-noise ratio of two pictures, decibels.
fn psnr(left: &Picture, right: &Picture) -> f64 {
    let (left, right) = (left.to_rgb8(), right.to_rgb8());
    let squares = left.iter().zip(right.iter()).map(|(left, right)| {
        let difference = f64::from(*left) - f64::from(*right);
        difference * difference
    });
    let mean = squares.sum::<f64>() / left.as_raw().len() as f64;
    10.0 * (255.0 * 255.0 / mean).log10()
}

#[test]
fn a_photo_comes_back_from_noise_the_better_the_more_is_spent_on_it() {
    let photo = picture(32, 24, 0);
    let reconstructed = |iterations: u32| {
        let iterations = format!("iterations={iterations}");
        // The published formula holds on to colours too, so the photo itself is the goal.
        let further = [
            "mode=content",
            "start=noise",
            "scales=1",
            "loss=gatys",
            "tv_weight=0",
        ];
        let mut job = job(
            0,
            &[further.as_slice(), &[&iterations, "content_layers=conv1_1"]].concat(),
        );
        job.photo = Some(input(photo.clone()));
        job.paintings.clear();
        psnr(&render(&job).unwrap().picture, &photo)
    };
    let by_budget = [5, 20, 80, 320].map(reconstructed);
    assert!(by_budget.is_sorted(), "{by_budget:?}");
    assert!(by_budget[3] > 25.0, "{by_budget:?}");
}

#[test]
fn a_texture_comes_nearer_the_more_is_spent_on_it() {
    let distance = |iterations: u32| {
        let iterations = format!("iterations={iterations}");
        let further = ["mode=style", "start=noise", "scales=1", &iterations];
        let mut job = job(0, &further);
        job.photo = None;
        let rendered = render(&job).unwrap();
        assert_eq!(
            rendered.picture.dimensions(),
            (32, 32),
            "the painting's shape"
        );
        rendered.loss
    };
    let by_budget = [5, 20, 80, 320].map(distance);
    assert!(
        by_budget.is_sorted_by(|more, less| more > less),
        "{by_budget:?}"
    );
    assert!(by_budget[3] < by_budget[0] / 10.0, "{by_budget:?}");
}

/// Mean of red minus blue in a part of a picture.
fn warmth(picture: &Picture, columns: std::ops::Range<u32>) -> f64 {
    let picture = picture.to_rgb8();
    let mut sum = 0.0;
    let mut count = 0.0;
    for (x, _, Rgb([red, _, blue])) in picture.enumerate_pixels() {
        if columns.contains(&x) {
            sum += f64::from(*red) - f64::from(*blue);
            count += 1.0;
        }
    }
    sum / count
}

fn flat(colour: [u8; 3]) -> Picture {
    // A little texture, or there would be no statistics but the means.
    RgbImage::from_fn(32, 32, |x, y| {
        let shade = ((x * 7 + y * 5) % 16) as u8;
        Rgb(colour.map(|channel| channel.saturating_sub(shade)))
    })
    .into()
}

#[test]
fn each_artist_paints_where_the_mask_is() {
    let mut job = job(0, &["iterations=200", "scales=1", "style_weight=30"]);
    job.photo = Some(input(flat([128, 128, 128])));
    let halves = [([230, 60, 30], 0..32), ([30, 60, 230], 32..64)];
    job.paintings = halves
        .map(|(colour, columns)| {
            let mask = GrayImage::from_fn(64, 64, |x, _| {
                Luma([if columns.contains(&x) { 255 } else { 0 }])
            });
            let mut painting = painting(flat(colour));
            painting.mask = Some(MaskInput {
                digest: Digest::of(mask.as_raw()),
                mask: Arc::new(mask),
            });
            painting
        })
        .into();
    let picture = render(&job).unwrap().picture;
    let (left, right) = (warmth(&picture, 0..14), warmth(&picture, 18..32));
    assert!(left > 10.0 && right < -10.0, "{left} {right}");
}

#[test]
fn where_no_artist_applies_the_picture_is_the_photo() {
    let photo = picture(64, 48, 0);
    let mask = GrayImage::from_fn(64, 48, |x, _| Luma([if x < 32 { 255 } else { 0 }]));
    for start in ["start=photo", "start=noise"] {
        let mut job = job(0, &["size=64", "scales=2", "iterations=10", start]);
        job.photo = Some(input(photo.clone()));
        job.paintings[0].mask = Some(MaskInput {
            digest: Digest::of(mask.as_raw()),
            mask: Arc::new(mask.clone()),
        });
        let rendered = render(&job).unwrap();
        let painted = rendered.picture.to_rgb8();
        let moved = |columns: std::ops::Range<u32>| {
            let photo = photo.to_rgb8();
            let pixels = columns.flat_map(|x| (0..48).map(move |y| (x, y)));
            let moved =
                pixels.filter(|(x, y)| painted.get_pixel(*x, *y) != photo.get_pixel(*x, *y));
            moved.count()
        };
        assert_eq!(moved(32..64), 0, "{start}");
        assert!(moved(0..32) > 32 * 48 / 2, "{start}");
    }
}

#[test]
fn colours_are_whose_they_are_asked_to_be() {
    let painted = |colour: &str| {
        let mut job = job(
            0,
            &["iterations=200", "scales=1", "style_weight=30", colour],
        );
        job.photo = Some(input(flat([30, 60, 230])));
        job.paintings = vec![painting(flat([230, 60, 30]))];
        warmth(&render(&job).unwrap().picture, 0..32)
    };
    let warm = painted("colour=painting");
    for colour in ["colour=photo", "colour=matched", "colour=matched-after"] {
        let cold = painted(colour);
        assert!(
            cold < -100.0 && warm > cold + 100.0,
            "{colour}: {cold}, {warm}"
        );
    }
}

#[test]
fn transparency_is_the_photo_s_and_depth_the_format_s() {
    let alpha = GrayImage::from_fn(40, 30, |x, _| Luma([(x * 6) as u8]));
    let photo = Picture::new(picture(40, 30, 0).colours().clone(), Some(alpha));
    let mut job = job(0, &["iterations=2", "scales=1", "format=png16"]);
    job.photo = Some(input(photo));
    let painted = render(&job).unwrap().picture;
    let alpha = painted.alpha().unwrap();
    assert_eq!(alpha.dimensions(), (32, 24));
    assert!(alpha.get_pixel(0, 5).0[0] < 10 && alpha.get_pixel(31, 5).0[0] > 220);
    let sixteen = matches!(
        painted.colours(),
        atelier_gallery::picture::Colours::Sixteen(_)
    );
    assert!(sixteen);
}

/// Takes a checkpoint at one evaluation and stops there.
struct Interrupt {
    at: u32,
    seen: u32,
    taken: Option<Checkpoint>,
}

impl Watch for Interrupt {
    fn evaluated(&mut self, _: usize, evaluation: &Evaluation) -> ControlFlow<()> {
        self.seen = evaluation.number;
        if self.taken.is_some() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn wants_checkpoint(&mut self, _: usize) -> bool {
        self.seen == self.at
    }

    fn checkpoint(&mut self, _: usize, checkpoint: Checkpoint) {
        self.taken = Some(checkpoint);
    }
}

/// The checkpoint of a job after so many evaluations, through a file.
fn interrupted(job: &RenderJob, at: u32) -> Checkpoint {
    let mut interrupt = Interrupt {
        at,
        seen: 0,
        taken: None,
    };
    let stopped = narrow_renderer().render(job, &mut interrupt);
    assert!(matches!(stopped, Err(RenderError::Cancelled)));
    let bytes = interrupt.taken.unwrap().to_bytes().unwrap();
    Checkpoint::from_bytes(&bytes).unwrap()
}

#[test]
fn a_resumed_render_ends_where_one_that_was_never_stopped_ends() {
    for optimiser in ["optimiser=lbfgs", "optimiser=adam"] {
        let whole = job(0, &["start=noise", "iterations=60", "scales=2", optimiser]);
        let never_stopped = render(&whole).unwrap();
        // In the first scale and in the second.
        for at in [40, 120] {
            let resumed = RenderJob {
                checkpoint: Some(interrupted(&whole, at)),
                ..whole.clone()
            };
            let resumed = render(&resumed).unwrap();
            assert_eq!(resumed.evaluations, never_stopped.evaluations);
            let ratio = resumed.loss / never_stopped.loss;
            assert!((ratio - 1.0).abs() <= 0.01, "{optimiser}, {at}: {ratio}");
        }
    }
}

#[test]
fn a_plateau_is_seen_across_a_checkpoint() {
    let whole = job(0, &["iterations=400", "scales=1", "plateau=0.05"]);
    let never_stopped = render(&whole).unwrap().evaluations;
    assert!(never_stopped < 300, "it has a plateau");
    let resumed = RenderJob {
        checkpoint: Some(interrupted(&whole, never_stopped - 2)),
        ..whole
    };
    assert_eq!(render(&resumed).unwrap().evaluations, never_stopped);
}

#[test]
fn a_checkpoint_belongs_to_its_job_and_damage_is_noticed() {
    let whole = job(0, &["iterations=20", "scales=1"]);
    let checkpoint = interrupted(&whole, 5);
    let bytes = checkpoint.to_bytes().unwrap();
    let mut other = job(0, &["iterations=20", "scales=1", "style_weight=9"]);
    other.checkpoint = Some(checkpoint);
    let error = render(&other).unwrap_err().to_string();
    assert!(error.contains("belongs to other pictures"), "{error}");
    for damaged in [&bytes[..bytes.len() / 2], b"{}", b""] {
        assert!(Checkpoint::from_bytes(damaged).is_err());
    }
}
