//! Goal: masks, start pictures and reconstructions go the whole way from a grid file to the fetched gallery, and its
//! pictures are what was asked for.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use atelier_gallery::manifest::{Manifest, ReconstructionOf};
use atelier_tests::cluster::Cluster;
use atelier_tests::pictures;
use image::imageops::{FilterType, resize};
use image::{GrayImage, Luma, RgbImage};

/// A gallery on this machine.
struct Gallery {
    manifest: Manifest,
    folder: PathBuf,
}

impl Gallery {
    /// Submits a grid file to a node of its own and fetches what comes of it.
    async fn of(work: &Path, grid: &str) -> anyhow::Result<Self> {
        let cluster = Cluster::with_nodes(1).await?;
        std::fs::write(work.join("grid.toml"), grid)?;
        let ran = cluster
            .atelier(work, &["submit", "grid.toml", "--wait"])
            .await?;
        anyhow::ensure!(ran.code() == Some(0), "{}", ran.stderr);
        let fetch = ["fetch", "grid", "--out", "gallery"];
        cluster.atelier(work, &fetch).await?.success()?;
        let folder = work.join("gallery");
        let manifest = Manifest::from_json(&std::fs::read(folder.join("gallery.json"))?)?;
        anyhow::ensure!(manifest.complete, "the gallery is not complete");
        Ok(Self { manifest, folder })
    }

    /// The picture of the only photo by an artist.
    fn by(&self, artist: usize, variant: usize) -> anyhow::Result<RgbImage> {
        let cells = &self.manifest.cells;
        let cell = cells
            .iter()
            .find(|cell| (cell.artist, cell.variant) == (artist, variant));
        let picture = cell.and_then(|cell| cell.outcome.picture.as_ref());
        self.open(&picture.context("no picture")?.path)
    }

    /// The path of a reconstruction's picture, relative to the gallery.
    fn path_of(&self, of: ReconstructionOf, variant: usize) -> anyhow::Result<&str> {
        let entries = &self.manifest.reconstructions;
        let entry = entries
            .iter()
            .find(|entry| (entry.of, entry.variant) == (of, variant));
        let picture = entry.and_then(|entry| entry.outcome.picture.as_ref());
        Ok(&picture.context("no reconstruction")?.path)
    }

    fn open(&self, path: &str) -> anyhow::Result<RgbImage> {
        Ok(image::open(self.folder.join(path))?.to_rgb8())
    }
}

/// Mean difference of the colours of two pictures of one size, levels of 255, between these columns.
fn difference(one: &RgbImage, other: &RgbImage, columns: Range<u32>) -> f64 {
    assert_eq!(one.dimensions(), other.dimensions());
    let pixels = one.enumerate_pixels().zip(other.pixels());
    let within = pixels.filter(|((x, _, _), _)| columns.contains(x));
    let levels = within.flat_map(|((_, _, one), other)| {
        let pairs = one.0.into_iter().zip(other.0);
        pairs.map(|(one, other)| f64::from(one.abs_diff(other)))
    });
    let (sum, count) = levels.fold((0.0, 0.0), |(sum, count), level| (sum + level, count + 1.0));
    sum / count
}

/// Correlation of the brightness of two pictures, -1 to 1; the other one is brought to the size of the first.
fn correlation(one: &RgbImage, other: &RgbImage) -> f64 {
    let (width, height) = one.dimensions();
    let other = resize(other, width, height, FilterType::Triangle);
    let brightness = |picture: &RgbImage| -> Vec<f64> {
        let sums = picture
            .pixels()
            .map(|pixel| pixel.0.into_iter().map(f64::from).sum());
        let values: Vec<f64> = sums.collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.into_iter().map(|value| value - mean).collect()
    };
    let (one, other) = (brightness(one), brightness(&other));
    let product = |left: &[f64], right: &[f64]| -> f64 {
        left.iter()
            .zip(right)
            .map(|(left, right)| left * right)
            .sum()
    };
    product(&one, &other) / (product(&one, &one) * product(&other, &other)).sqrt()
}

/// Distance of the mean colours of two pictures, levels of 255.
fn colour_distance(one: &RgbImage, other: &RgbImage) -> f64 {
    let mean = |picture: &RgbImage| {
        let count = f64::from(picture.width() * picture.height());
        [0, 1, 2].map(|channel| {
            let levels = picture.pixels().map(|pixel| f64::from(pixel.0[channel]));
            levels.sum::<f64>() / count
        })
    };
    let squares = mean(one)
        .into_iter()
        .zip(mean(other))
        .map(|(one, other)| (one - other).powi(2));
    squares.sum::<f64>().sqrt()
}

/// How much more red than blue there is in some columns, levels of 255.
fn warmth(picture: &RgbImage, columns: Range<u32>) -> f64 {
    let pixels = picture
        .enumerate_pixels()
        .filter(|(x, _, _)| columns.contains(x))
        .map(|(_, _, pixel)| f64::from(pixel.0[0]) - f64::from(pixel.0[2]));
    let count = columns.len() as f64 * f64::from(picture.height());
    pixels.sum::<f64>() / count
}

/// Takes red from the painting of the first artist and blue from the second's, so that their colours tell them apart.
fn take_colours_apart(folder: &Path) -> anyhow::Result<Vec<RgbImage>> {
    let taken = [(0, 0), (1, 2)].map(|(number, channel)| {
        let path = folder.join(format!("artists/artist-{number}.png"));
        let mut painting = image::open(&path)?.to_rgb8();
        painting.pixels_mut().for_each(|pixel| pixel.0[channel] = 0);
        painting.save(&path)?;
        Ok(painting)
    });
    taken.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mask_says_where_an_artist_applies_and_two_share_a_picture() -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 1, 2)?;
    take_colours_apart(work.path())?;
    for (name, white) in [("left.png", 0..32), ("right.png", 32..64)] {
        let mask = GrayImage::from_fn(64, 48, |x, _| {
            Luma([if white.contains(&x) { 255 } else { 0 }])
        });
        mask.save(work.path().join(name))?;
    }
    let grid = r#"
        [[photo]]
        path = "photos/photo-0.png"
        masks = { left = "left.png", right = "right.png" }

        [[artist]]
        name = "The one on the left"
        paintings = ["artists/artist-0.png"]
        masks = ["left"]

        [[artist]]
        name = "One on each side"
        paintings = ["artists/artist-0.png", "artists/artist-1.png"]
        masks = ["left", "right"]

        [[artist]]
        name = "The one everywhere"
        paintings = ["artists/artist-0.png"]

        [render]
        size = 64
        scales = 1
        iterations = 20
        format = "png"
    "#;
    let gallery = Gallery::of(work.path(), grid).await?;
    let photo = image::open(work.path().join("photos/photo-0.png"))?.to_rgb8();
    let (left, right) = (0..24, 40..64);
    let [one, both, everywhere] = [0, 1, 2].map(|artist| gallery.by(artist, 0));
    let (one, both, everywhere) = (one?, both?, everywhere?);
    let from_photo =
        |picture| [&left, &right].map(|columns| difference(picture, &photo, columns.clone()));
    let [
        [one_left, one_right],
        [_, both_right],
        [_, everywhere_right],
    ] = [&one, &both, &everywhere].map(from_photo);
    // A grid's pictures are seen as the photo's own pixels, but for the rounding of sizes.
    assert!(
        one_right < 1.0 && everywhere_right > 3.0,
        "{one_right} levels where the mask is black, {everywhere_right} without a mask"
    );
    assert!(
        one_left > 2.0 * one_right,
        "{one_left} levels where it is white"
    );
    // Each side goes the way of its own artist's colours.
    let [cooler, warmer] =
        [left, right].map(|columns| warmth(&both, columns.clone()) - warmth(&photo, columns));
    assert!(
        warmer > cooler + 20.0,
        "warmer by {cooler} on the left, by {warmer} on the right"
    );
    assert!(
        both_right > 2.0 * one_right,
        "{both_right} levels from the photo where the second mask is white"
    );
    assert_eq!(gallery.manifest.photos[0].masks.len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_begins_with_the_file_that_its_photo_names() -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 2, 1)?;
    // The first evaluation is of the start itself, and the best picture so far is delivered.
    let grid = r#"
        [[photo]]
        path = "photos/photo-0.png"
        start = "photos/photo-1.png"

        [[artist]]
        name = "Anybody"
        paintings = ["artists/artist-0.png"]

        [render]
        size = 64
        scales = 1
        iterations = 1
        format = "png"

        [sweep]
        start = ["file", "photo"]
    "#;
    let gallery = Gallery::of(work.path(), grid).await?;
    for (variant, near, far) in [(0, 1, 0), (1, 0, 1)] {
        let picture = gallery.by(0, variant)?;
        let from = |number: u32| {
            let photo = work.path().join(format!("photos/photo-{number}.png"));
            Ok::<_, anyhow::Error>(difference(&picture, &image::open(photo)?.to_rgb8(), 0..64))
        };
        let (near, far) = (from(near)?, from(far)?);
        assert!(near < 1.0 && far > 5.0, "variant {variant}: {near}, {far}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn reconstructions_show_what_each_layer_keeps() -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 1, 2)?;
    let paintings = take_colours_apart(work.path())?;
    let grid = r#"
        photos = ["photos/*.png"]
        reconstructions = true

        [[artist]]
        name = "Zero"
        paintings = ["artists/artist-0.png"]

        [[artist]]
        name = "One"
        paintings = ["artists/artist-1.png"]

        [render]
        size = 48
        scales = 1
        iterations = 30
        loss = "gatys"
        format = "png"

        [sweep]
        layers = ["conv1_1", "conv4_1"]
    "#;
    let gallery = Gallery::of(work.path(), grid).await?;
    let outcomes = gallery.manifest.outcomes();
    let states: Vec<&str> = outcomes.map(|outcome| outcome.state.as_str()).collect();
    assert_eq!(states, ["done"; (2 + 1 + 2) * 2]);
    assert_eq!(gallery.manifest.reconstructions.len(), 6);

    let photo = image::open(work.path().join("photos/photo-0.png"))?.to_rgb8();
    let page = std::fs::read_to_string(gallery.folder.join("index.html"))?;
    let mut likeness = Vec::new();
    for variant in 0..2 {
        // The photo, from noise; less of it, the deeper the layer.
        let path = gallery.path_of(ReconstructionOf::Photo(0), variant)?;
        let content = gallery.open(path)?;
        assert_eq!(content.dimensions(), (48, 36), "the photo's shape");
        likeness.push(correlation(&content, &photo));
        assert!(page.contains(path), "{path}");
        for (artist, painting) in paintings.iter().enumerate() {
            // The painting's shape and colours, and nobody's places.
            let path = gallery.path_of(ReconstructionOf::Artist(artist), variant)?;
            let style = gallery.open(path)?;
            assert_eq!(style.dimensions(), (48, 48), "the painting's shape");
            let like_photo = correlation(&style, &photo);
            assert!(
                like_photo.abs() < 0.3,
                "it resembles the photo: {like_photo}"
            );
            let [own, other] = [painting, &paintings[1 - artist]]
                .map(|painting| colour_distance(&style, painting));
            assert!(
                variant == 1 || own < 0.75 * other,
                "colours: {own}, {other}"
            );
            assert!(page.contains(path), "{path}");
        }
    }
    assert!(
        likeness[0] > 0.9,
        "conv1_1 tells colours and places: {likeness:?}"
    );
    assert!(
        likeness[1] < likeness[0] - 0.1,
        "conv4_1 tells less: {likeness:?}"
    );
    Ok(())
}
