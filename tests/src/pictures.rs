//! Small pictures for grids of tests: each has its own colours, so that no two digests are alike.

use std::path::Path;

use image::{Rgb, RgbImage};

/// Writes a photo of 64 × 48 pixels: a sky, a hill, a sun that stands elsewhere in each.
pub fn photo(path: &Path, number: u32) -> anyhow::Result<()> {
    let picture = RgbImage::from_fn(64, 48, |x, y| {
        let hill = 30 + (x + 13 * number) % 17 / 3;
        let (sun_x, sun_y) = (12 + 17 * (number % 3), 10);
        let from_sun = x.abs_diff(sun_x).pow(2) + y.abs_diff(sun_y).pow(2);
        match () {
            () if from_sun < 36 => Rgb([250, 220, 120]),
            () if y > hill => Rgb([60, 110 + (x % 8) as u8 * 4, 60]),
            () => Rgb([110, 150 + y as u8, 230]),
        }
    });
    Ok(picture.save(path)?)
}

/// Writes a painting of 48 × 48 pixels: bands in two colours, of another width and slope in each.
pub fn painting(path: &Path, number: u32) -> anyhow::Result<()> {
    let picture = RgbImage::from_fn(48, 48, |x, y| {
        let band = (x * (number % 3 + 1) + y * (number % 2 + 1)) / (3 + number % 4) % 2;
        let hue = (number * 53 % 200) as u8;
        if band == 0 {
            Rgb([230, hue, 40])
        } else {
            Rgb([20, 255 - hue, 200])
        }
    });
    Ok(picture.save(path)?)
}

/// Fills `folder` with `photos/photo-N.png` and `artists/artist-N.png`.
pub fn grid(folder: &Path, photos: u32, artists: u32) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder.join("photos"))?;
    std::fs::create_dir_all(folder.join("artists"))?;
    for number in 0..photos {
        photo(&folder.join(format!("photos/photo-{number}.png")), number)?;
    }
    for number in 0..artists {
        painting(&folder.join(format!("artists/artist-{number}.png")), number)?;
    }
    Ok(())
}
