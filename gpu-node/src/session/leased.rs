//! A leased cell as the coordinator tells it, parsed.

use atelier_proto::ids::{CellId, Digest, GridId, MalformedId};
use atelier_proto::settings::{RenderSettings, SettingsError, SettingsPatch};
use atelier_proto::v1;

use crate::executor::Canvas;
use crate::inputs::Named;

/// One cell to render, with all that it takes.
#[derive(Debug)]
pub(super) struct LeasedCell {
    pub(super) cell: CellId,
    pub(super) grid: GridId,
    /// The attempt, which fences out those before.
    pub(super) attempt: u32,
    /// None where an artist's style is reconstructed alone.
    pub(super) photo: Option<Named>,
    /// None where a photo's content is reconstructed alone.
    pub(super) paintings: Vec<LeasedPainting>,
    /// The picture before the first evaluation, where a file is to be it.
    pub(super) start: Option<Named>,
    pub(super) settings: RenderSettings,
    pub(super) keys: Keys,
    /// What the attempt belongs to, as W3C has it; empty: to nothing.
    pub(super) trace_parent: String,
}

/// A painting of the cell's artist.
#[derive(Debug)]
pub(super) struct LeasedPainting {
    pub(super) input: Named,
    pub(super) weight: f64,
    /// Where in the photo it applies; none: everywhere.
    pub(super) mask: Option<Digest>,
}

/// Where in the bucket what is made of the cell goes.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) picture: String,
    pub(super) thumbnail: String,
    /// None where the coordinator knows of no such thing.
    pub(super) large_thumbnail: Option<String>,
    /// None where there is no photo to show.
    pub(super) photo_original: Option<String>,
    /// None where there is no artist to show.
    pub(super) artist_original: Option<String>,
    /// Where a checkpoint may be, and where further ones go; none: there are no checkpoints.
    pub(super) checkpoint: Option<String>,
    /// Where previews go; none: nobody wants them.
    pub(super) preview: Option<String>,
}

/// What is wrong with a leased cell.
#[derive(Debug, thiserror::Error)]
pub(super) enum MalformedCell {
    #[error(transparent)]
    Id(#[from] MalformedId),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("it has no {0}")]
    Lacks(&'static str),
}

impl LeasedCell {
    pub(super) fn parse(cell: v1::LeasedCell) -> Result<Self, MalformedCell> {
        let settings = cell.settings.ok_or(MalformedCell::Lacks("settings"))?;
        let photo = cell.photo.unwrap_or_default();
        let paintings = cell.artist.unwrap_or_default().paintings;
        if photo.input.is_none() && paintings.is_empty() {
            return Err(MalformedCell::Lacks("photo and no artist"));
        }
        let paintings = paintings.into_iter().map(|painting| {
            Ok(LeasedPainting {
                mask: mask(&photo.masks, &painting.mask)?,
                input: named(painting.input, "painting")?,
                weight: painting.weight,
            })
        });
        let paintings = paintings.collect::<Result<_, MalformedCell>>()?;
        let optional = |input: Option<v1::Input>, what| {
            let input = input.map(|input| named(Some(input), what));
            input.transpose()
        };
        Ok(Self {
            cell: cell.cell_id.parse()?,
            grid: cell.grid_id.parse()?,
            attempt: cell.attempt,
            photo: optional(photo.input, "photo")?,
            paintings,
            start: optional(photo.start, "start")?,
            settings: SettingsPatch::try_from(settings)?.resolve(),
            trace_parent: cell.trace_parent,
            keys: Keys {
                picture: cell.picture_key,
                thumbnail: cell.thumbnail_key,
                large_thumbnail: key(cell.large_thumbnail_key),
                photo_original: key(cell.photo_original_key),
                artist_original: key(cell.artist_original_key),
                checkpoint: key(cell.checkpoint_key),
                preview: key(cell.preview_key),
            },
        })
    }

    /// What it is made of.
    pub(super) fn inputs(&self) -> impl Iterator<Item = Digest> {
        let paintings = self.paintings.iter().flat_map(|painting| {
            let mask = painting.mask.iter().copied();
            mask.chain([painting.input.digest])
        });
        let own = self.photo.iter().chain(&self.start);
        own.map(|input| input.digest).chain(paintings)
    }

    /// What it is to become. The renderer finds the same size in the inputs.
    pub(super) fn canvas(&self) -> Canvas {
        let painting = self.paintings.first().map(|painting| painting.input);
        let shape_of = self.settings.shape_of(self.photo, painting);
        // A cell has one of both.
        let (width, height) = shape_of.map_or((1, 1), |input| (input.width, input.height));
        let (width, height) = self.settings.picture_size(width, height);
        Canvas {
            cell: self.cell,
            width,
            height,
        }
    }
}

fn named(input: Option<v1::Input>, what: &'static str) -> Result<Named, MalformedCell> {
    let input = input.ok_or(MalformedCell::Lacks(what))?;
    Ok(Named {
        digest: input.sha256.parse()?,
        width: input.width,
        height: input.height,
    })
}

/// The mask that a painting names; an empty name is none.
fn mask(masks: &[v1::Mask], name: &str) -> Result<Option<Digest>, MalformedCell> {
    if name.is_empty() {
        return Ok(None);
    }
    let mask = masks.iter().find(|mask| mask.name == name);
    let input = mask.and_then(|mask| mask.input.clone());
    let input = named(input, "mask that a painting names")?;
    Ok(Some(input.digest))
}

fn key(key: String) -> Option<String> {
    (!key.is_empty()).then_some(key)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn input(content: &[u8]) -> v1::Input {
        v1::Input {
            sha256: Digest::of(content).to_string(),
            width: 80,
            height: 60,
        }
    }

    pub(in crate::session) fn cell() -> v1::LeasedCell {
        let painting = |content: &[u8], mask: &str| v1::Painting {
            input: Some(input(content)),
            weight: 1.0,
            mask: mask.to_owned(),
            ..v1::Painting::default()
        };
        let grid = GridId::generate();
        v1::LeasedCell {
            cell_id: CellId { grid, place: 3 }.to_string(),
            grid_id: grid.to_string(),
            photo: Some(v1::Photo {
                input: Some(input(b"photo")),
                masks: vec![v1::Mask {
                    name: "sky".to_owned(),
                    input: Some(input(b"sky")),
                }],
                ..v1::Photo::default()
            }),
            artist: Some(v1::Artist {
                paintings: vec![painting(b"one", "sky"), painting(b"two", "")],
                ..v1::Artist::default()
            }),
            settings: Some(v1::RenderSettings::default()),
            artist_original_key: "originals/artist.jpg".to_owned(),
            ..v1::LeasedCell::default()
        }
    }

    #[test]
    fn each_painting_has_the_mask_that_it_names() {
        let parsed = LeasedCell::parse(cell()).unwrap();
        let masks: Vec<_> = parsed
            .paintings
            .iter()
            .map(|painting| painting.mask)
            .collect();
        assert_eq!(masks, [Some(Digest::of(b"sky")), None]);
        let mut unknown = cell();
        unknown.photo.as_mut().unwrap().masks.clear();
        let error = LeasedCell::parse(unknown).unwrap_err().to_string();
        assert_eq!(error, "it has no mask that a painting names");
    }

    #[test]
    fn a_reconstruction_lacks_a_photo_or_an_artist_and_never_both() {
        let mut style = cell();
        style.photo = None;
        let artist = style.artist.as_mut().unwrap();
        artist.paintings[0].mask.clear();
        let parsed = LeasedCell::parse(style.clone()).unwrap();
        assert_eq!((parsed.photo, parsed.paintings.len()), (None, 2));
        assert_eq!(parsed.keys.photo_original, None);
        let mut content = cell();
        content.artist = None;
        let parsed = LeasedCell::parse(content).unwrap();
        let photo = parsed.photo.map(|photo| photo.digest);
        assert_eq!(photo, Some(Digest::of(b"photo")));
        style.artist = None;
        let error = LeasedCell::parse(style).unwrap_err().to_string();
        assert_eq!(error, "it has no photo and no artist");
        let error = LeasedCell::parse(v1::LeasedCell::default()).unwrap_err();
        assert_eq!(error.to_string(), "it has no settings");
    }

    #[test]
    fn a_picture_has_the_shape_of_what_its_mode_looks_at() {
        let canvas = |mode: v1::Mode| {
            let mut cell = cell();
            let artist = cell.artist.as_mut().unwrap();
            artist.paintings[0].input.as_mut().unwrap().height = 160;
            cell.settings = Some(v1::RenderSettings {
                size: Some(40),
                mode: Some(mode.into()),
                ..v1::RenderSettings::default()
            });
            let canvas = LeasedCell::parse(cell).unwrap().canvas();
            assert_eq!(canvas.cell.place, 3);
            (canvas.width, canvas.height)
        };
        assert_eq!(canvas(v1::Mode::Transfer), (40, 30));
        assert_eq!(canvas(v1::Mode::Style), (20, 40));
    }
}
