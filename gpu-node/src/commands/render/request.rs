//! What the command line asks for: settings that fit together, and the files that they need.

use std::path::Path;
use std::sync::Arc;

use atelier_gallery::picture;
use atelier_proto::ids::Digest;
use atelier_proto::settings::{Mode, PictureFormat, RenderSettings, SettingsPatch, Start};

use super::report::{InputReport, InputsReport, PaintingReport};
use crate::cli::{MaskArg, RenderArgs};
use crate::commands::CommandError;
use crate::render::{Checkpoint, Input, MaskInput, PaintingInput, RenderJob};

/// The settings of a render, which fit together and to its inputs; no file is read for them.
///
/// # Errors
/// Says which argument is wrong or missing.
pub(super) fn settings(args: &RenderArgs) -> Result<RenderSettings, CommandError> {
    let settings = resolved(args)?;
    check(args, &settings)?;
    Ok(settings)
}

/// The settings asked for: `--set` over `--preset` over the defaults. Besides, `--start` is `start=file`, a
/// reconstruction starts from noise unless told otherwise, and the output's name says the format.
fn resolved(args: &RenderArgs) -> Result<RenderSettings, CommandError> {
    let mut patch = SettingsPatch::default();
    for assignment in &args.settings {
        patch.set(assignment)?;
    }
    if let Some(preset) = args.preset {
        patch = patch.over(preset.patch());
    }
    let start_is_set = args.settings.iter().any(|assignment| {
        let key = assignment.split('=').next().unwrap_or_default();
        key.trim() == "start"
    });
    if !start_is_set {
        if args.start.is_some() {
            patch.start = Some(Start::File);
        } else if patch.mode.is_some_and(|mode| mode != Mode::Transfer) {
            patch.start = Some(Start::Noise);
        }
    }
    patch.format = Some(format(&args.out, patch.format)?);
    Ok(patch.resolve())
}

/// The format that the name of the output asks for.
fn format(output: &Path, set: Option<PictureFormat>) -> Result<PictureFormat, CommandError> {
    let extension = output.extension().and_then(|extension| extension.to_str());
    let named = match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("jpg" | "jpeg") => PictureFormat::Jpeg,
        Some("png") => PictureFormat::Png,
        _ => {
            return Err(CommandError::OutputFormat {
                path: output.to_owned(),
            });
        }
    };
    match set {
        None => Ok(named),
        Some(format) if format.extension() == named.extension() => Ok(format),
        Some(format) => Err(CommandError::OutputContradicts {
            path: output.to_owned(),
            format,
        }),
    }
}

/// Whether everything is given that the settings need, and nothing that they have no use for.
fn check(args: &RenderArgs, settings: &RenderSettings) -> Result<(), CommandError> {
    let refuse = |problem: String, hint| Err(CommandError::Arguments { problem, hint });
    let mode = settings.mode;
    let start = settings.start;
    if args.photo.is_none() && mode != Mode::Style {
        return refuse(
            format!("mode={mode} needs a photo, and none is given"),
            "name one with --photo, or render an artist's texture with --set mode=style",
        );
    }
    if args.paintings.is_empty() && mode != Mode::Content {
        return refuse(
            format!("mode={mode} needs a painting, and none is given"),
            "name one with --painting, or reconstruct the photo with --set mode=content",
        );
    }
    if args.photo.is_none() && matches!(start, Start::Photo | Start::Mix) {
        return refuse(
            format!("start={start} needs a photo, and none is given"),
            "name one with --photo, or begin with --set start=noise",
        );
    }
    if args.paintings.is_empty() && start == Start::Painting {
        return refuse(
            "start=painting needs a painting, and none is given".to_owned(),
            "name one with --painting, or begin with --set start=noise",
        );
    }
    if (start == Start::File) != args.start.is_some() {
        return refuse(
            match &args.start {
                Some(file) => format!("start={start} has no use for --start {}", file.display()),
                None => "start=file needs a file, and none is given".to_owned(),
            },
            "name the file with --start and leave `--set start=…` out, or leave --start out",
        );
    }
    if args.masks.is_empty() {
        return Ok(());
    }
    if mode != Mode::Transfer {
        return refuse(
            format!("mode={mode} has no use for --mask"),
            "leave it out: masks say where in a photo an artist applies",
        );
    }
    let (masks, paintings) = (args.masks.len(), args.paintings.len());
    if masks != paintings {
        return refuse(
            format!("{masks} --mask for {paintings} --painting"),
            "give one --mask for each --painting, in their order; `everywhere` for one without",
        );
    }
    Ok(())
}

/// The files of a request, read.
#[derive(Debug)]
pub(super) struct Inputs {
    photo: Option<Opened>,
    paintings: Vec<OpenedPainting>,
    start: Option<Opened>,
}

/// A picture with what the report says of it.
#[derive(Debug)]
struct Opened {
    input: Input,
    report: InputReport,
}

#[derive(Debug)]
struct OpenedPainting {
    painting: Opened,
    weight: f64,
    mask: Option<(MaskInput, InputReport)>,
}

impl Inputs {
    /// Reads every file that the arguments name.
    pub(super) fn open(args: &RenderArgs) -> Result<Self, CommandError> {
        let masks = args.masks.iter().map(Some);
        let masks = masks.chain(std::iter::repeat(None));
        let paintings = args.paintings.iter().zip(masks).map(|(painting, mask)| {
            Ok(OpenedPainting {
                painting: open(&painting.path)?,
                weight: painting.weight,
                mask: match mask {
                    Some(MaskArg::File(path)) => Some(open_mask(path)?),
                    Some(MaskArg::Everywhere) | None => None,
                },
            })
        });
        Ok(Self {
            photo: args.photo.as_deref().map(open).transpose()?,
            paintings: paintings.collect::<Result<_, CommandError>>()?,
            start: args.start.as_deref().map(open).transpose()?,
        })
    }

    /// The job for the renderer.
    pub(super) fn job(
        &self,
        settings: RenderSettings,
        checkpoint: Option<Checkpoint>,
    ) -> RenderJob {
        let paintings = self.paintings.iter().map(|opened| PaintingInput {
            input: opened.painting.input.clone(),
            weight: opened.weight,
            mask: opened.mask.as_ref().map(|(mask, _)| mask.clone()),
        });
        let input = |opened: &Option<Opened>| opened.as_ref().map(|opened| opened.input.clone());
        RenderJob {
            photo: input(&self.photo),
            paintings: paintings.collect(),
            start: input(&self.start),
            settings,
            checkpoint,
        }
    }

    /// What the report says of them.
    pub(super) fn report(&self) -> InputsReport {
        let paintings = self.paintings.iter().map(|opened| PaintingReport {
            input: opened.painting.report.clone(),
            weight: opened.weight,
            mask: opened.mask.as_ref().map(|(_, report)| report.clone()),
        });
        let report = |opened: &Option<Opened>| opened.as_ref().map(|opened| opened.report.clone());
        InputsReport {
            photo: report(&self.photo),
            paintings: paintings.collect(),
            start: report(&self.start),
        }
    }
}

fn open(path: &Path) -> Result<Opened, CommandError> {
    let bytes = read(path)?;
    let picture = picture::decode(&bytes).map_err(|source| CommandError::Picture {
        path: path.to_owned(),
        source,
    })?;
    let report = report(path, &bytes, picture.dimensions());
    let input = Input {
        digest: report.sha256,
        picture: Arc::new(picture),
    };
    Ok(Opened { input, report })
}

fn open_mask(path: &Path) -> Result<(MaskInput, InputReport), CommandError> {
    let bytes = read(path)?;
    let mask = picture::decode_mask(&bytes).map_err(|source| CommandError::Picture {
        path: path.to_owned(),
        source,
    })?;
    let report = report(path, &bytes, mask.dimensions());
    let mask = MaskInput {
        digest: report.sha256,
        mask: Arc::new(mask),
    };
    Ok((mask, report))
}

fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    std::fs::read(path).map_err(|source| CommandError::Read {
        path: path.to_owned(),
        source,
    })
}

fn report(path: &Path, bytes: &[u8], (width, height): (u32, u32)) -> InputReport {
    InputReport {
        path: path.to_owned(),
        sha256: Digest::of(bytes),
        width,
        height,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn asked(args: &str) -> Result<RenderSettings, String> {
        let line = format!("atelier-node render -o out.png {args}");
        let cli =
            Cli::try_parse_from(line.split_whitespace()).map_err(|error| error.to_string())?;
        let Command::Render(args) = cli.command else {
            panic!("another command");
        };
        settings(&args).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_set_goes_before_the_preset_whatever_the_order() {
        for args in [
            "--photo p.jpg --painting a.jpg --preset classic --set iterations=7",
            "--photo p.jpg --painting a.jpg --set iterations=7 --preset classic",
        ] {
            let settings = asked(args).unwrap();
            assert_eq!((settings.iterations, settings.round), (7, 20), "{args}");
        }
        let with_start = "--photo p.jpg --painting a.jpg --preset classic --start s.png";
        assert_eq!(asked(with_start).unwrap().start, Start::File);
        let deep = "--photo p.jpg --painting a.jpg --set format=png16";
        assert_eq!(asked(deep).unwrap().format, PictureFormat::Png16);
    }

    #[test]
    fn reconstructions_need_one_input_and_start_from_noise() {
        let style = asked("--painting a.jpg --set mode=style").unwrap();
        assert_eq!((style.mode, style.start), (Mode::Style, Start::Noise));
        let content = asked("--photo p.jpg --set mode=content --set start=photo").unwrap();
        assert_eq!((content.mode, content.start), (Mode::Content, Start::Photo));
    }

    #[test]
    fn what_is_missing_or_of_no_use_is_named() {
        let photo_and = |rest: &str| format!("--photo p.jpg --painting a.jpg {rest}");
        for (args, word) in [
            ("--painting a.jpg".to_owned(), "--photo"),
            ("--photo p.jpg".to_owned(), "--painting"),
            ("--photo p.jpg --set mode=style".to_owned(), "mode=style"),
            (
                "--painting a.jpg --set mode=style --set start=mix".to_owned(),
                "start=mix",
            ),
            (photo_and("--set start=file"), "--start"),
            (photo_and("--set start=noise --start s.png"), "start=noise"),
            (photo_and("--mask m.png --mask n.png"), "2 --mask for 1"),
            (photo_and("--set format=jpeg"), "format=jpeg"),
            (photo_and("--preset clasic"), "classic"),
            (photo_and("--memory-max lots"), "8GB"),
            (photo_and("--precision half"), "bfloat16"),
            (photo_and("--painting b.jpg:0"), "above 0"),
        ] {
            let error = asked(&args).unwrap_err();
            assert!(error.contains(word), "{args}: {error}");
        }
    }
}
