//! The demo's own pictures, drawn here so that the project ships nobody else's: two photos and three
//! paintings by artists who do not exist.
//!
//! Every picture follows from its seed alone. Nothing here knows what becomes of them.

#![expect(
    clippy::unreadable_literal,
    reason = "colours are written as the web writes them"
)]

mod canvas;
mod colour;
mod cyclist;
mod dots;
mod facets;
mod noise;
mod scenery;
mod swirls;
mod town;

use std::path::{Path, PathBuf};

use image::RgbImage;

/// Why the sample pictures are not there.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// A canvas of no pixels, or of more than fit in memory.
    #[error("a picture of {width} × {height} pixels cannot be drawn")]
    Size {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// A folder that cannot be made.
    #[error("cannot make the folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A picture that cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The picture.
        path: PathBuf,
        /// What the encoder or the system said.
        source: image::ImageError,
    },
}

/// Where the sample pictures lie.
#[derive(Debug, Clone)]
pub struct Samples {
    /// Holds a file per photo.
    pub photos: PathBuf,
    /// Holds a file per artist, called like the artist.
    pub artists: PathBuf,
}

type Draw = fn() -> Result<RgbImage, SampleError>;

const PHOTOS: [(&str, Draw); 2] = [("Cyclist", cyclist::draw), ("Town", town::draw)];

const ARTISTS: [(&str, Draw); 3] = [
    ("Ada Tupfer", dots::draw),
    ("Ilja Kante", facets::draw),
    ("Mina Wirbel", swirls::draw),
];

/// Draws all pictures into `photos/` and `artists/` below `folder`, which are made if they are not there.
pub fn draw(folder: &Path) -> Result<Samples, SampleError> {
    let samples = Samples {
        photos: folder.join("photos"),
        artists: folder.join("artists"),
    };
    for folder in [&samples.photos, &samples.artists] {
        std::fs::create_dir_all(folder).map_err(|source| SampleError::Folder {
            path: folder.clone(),
            source,
        })?;
    }
    let photos = PHOTOS.iter().map(|sample| (&samples.photos, sample));
    let artists = ARTISTS.iter().map(|sample| (&samples.artists, sample));
    std::thread::scope(|scope| {
        let drawing: Vec<_> = photos
            .chain(artists)
            .map(|(folder, (name, draw))| {
                scope.spawn(move || save(&folder.join(format!("{name}.png")), *draw))
            })
            .collect();
        drawing
            .into_iter()
            .try_for_each(|drawn| match drawn.join() {
                Ok(drawn) => drawn,
                Err(panicked) => std::panic::resume_unwind(panicked),
            })
    })?;
    Ok(samples)
}

fn save(path: &Path, draw: Draw) -> Result<(), SampleError> {
    draw()?.save(path).map_err(|source| SampleError::Write {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn files(samples: &Samples) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for folder in [&samples.photos, &samples.artists] {
            let entries = std::fs::read_dir(folder).unwrap();
            files.extend(entries.map(|entry| entry.unwrap().path()));
        }
        files.sort();
        files
    }

    #[test]
    fn pictures_are_the_same_every_time_and_all_different() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = files(&draw(first.path()).unwrap())
            .into_iter()
            .map(|path| std::fs::read(path).unwrap());
        let first: Vec<Vec<u8>> = first.collect();
        let second = files(&draw(second.path()).unwrap());
        assert_eq!(second.len(), 5);
        for (path, before) in second.iter().zip(&first) {
            assert!(
                std::fs::read(path).unwrap() == *before,
                "{path:?} differs when drawn again"
            );
            let picture = image::open(path).unwrap().to_rgb8();
            assert!((256..=480).contains(&picture.width().max(picture.height())));
            let colours: BTreeSet<[u8; 3]> = picture.pixels().map(|pixel| pixel.0).collect();
            assert!(
                colours.len() > 5_000,
                "{path:?}: only {} colours",
                colours.len()
            );
        }
        let distinct: BTreeSet<&Vec<u8>> = first.iter().collect();
        assert_eq!(distinct.len(), 5);
    }
}
