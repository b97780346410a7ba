//! What the file of a rendered picture tells of how it came about.

use std::fmt::Write as _;

use atelier_gallery::picture::Provenance;

use crate::render::{Input, RenderJob};

/// The program, the render settings, the inputs by digest and the network, for the metadata of the picture's file. It
/// names nothing that changes from one attempt to the next, so the same picture has the same file.
pub fn provenance(job: &RenderJob, network: &str) -> Provenance {
    let mut about =
        Provenance::new().with("Software", concat!("Atelier ", env!("CARGO_PKG_VERSION")));
    // Settings are plain numbers, words and tables, which TOML can always hold.
    let settings = toml::to_string(&job.settings).unwrap_or_default();
    about = about.with("Atelier settings", settings);
    let sha256 = |input: &Input| format!("sha256:{}", input.digest);
    if let Some(photo) = &job.photo {
        about = about.with("Atelier photo", sha256(photo));
    }
    if !job.paintings.is_empty() {
        let mut lines = String::new();
        for painting in &job.paintings {
            // Writing to a string cannot fail.
            let _ = write!(
                lines,
                "{} weight {}",
                sha256(&painting.input),
                painting.weight
            );
            if let Some(mask) = &painting.mask {
                let _ = write!(lines, " mask sha256:{}", mask.digest);
            }
            lines.push('\n');
        }
        about = about.with("Atelier paintings", lines.trim_end());
    }
    if let Some(start) = &job.start {
        about = about.with("Atelier start", sha256(start));
    }
    about
        .with("Atelier network", network)
        .with("Atelier seed", job.settings.seed.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atelier_gallery::picture::{self, Picture};
    use atelier_proto::ids::Digest;
    use atelier_proto::settings::{PictureFormat, RenderSettings, SettingsPatch};
    use image::RgbImage;

    use super::*;
    use crate::render::PaintingInput;

    #[test]
    fn a_file_tells_the_settings_so_that_they_can_be_used_again() {
        let input = |content: &[u8]| Input {
            picture: Arc::new(RgbImage::new(4, 4).into()),
            digest: Digest::of(content),
        };
        let settings = RenderSettings {
            seed: 7,
            content_weight: 2.5,
            style_layers: "conv1_1,conv2_1:0.5".parse().unwrap(),
            ..RenderSettings::default()
        };
        let job = RenderJob {
            photo: Some(input(b"photo")),
            paintings: vec![PaintingInput {
                input: input(b"painting"),
                weight: 2.0,
                mask: None,
            }],
            start: None,
            settings: settings.clone(),
            checkpoint: None,
        };
        let about = provenance(&job, "vgg16 untrained");
        let picture = Picture::from(RgbImage::new(4, 4));
        let bytes = picture::encode(&picture, PictureFormat::Png, &about).unwrap();
        let told = picture::provenance(&bytes);
        let text = |keyword: &str| {
            let found = told.iter().find(|(key, _)| key == keyword);
            found.map(|(_, text)| text.as_str()).unwrap()
        };
        let table: toml::Table = text("Atelier settings").parse().unwrap();
        let singles = table.iter().map(|(key, value)| {
            let single = SettingsPatch::single(key, value);
            (key.as_str(), single.unwrap())
        });
        assert_eq!(SettingsPatch::together(singles).resolve(), settings);
        assert_eq!(
            text("Atelier paintings"),
            format!("sha256:{} weight 2", Digest::of(b"painting"))
        );
        assert_eq!(text("Atelier network"), "vgg16 untrained");
    }
}
