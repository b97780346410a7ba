//! `atelier-node render`: one photo, one artist, no coordinator.

use std::io::{IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use atelier_gallery::picture;
use atelier_proto::ids::Digest;
use atelier_proto::settings::{PictureFormat, RenderSettings, SettingsPatch};
use atelier_proto::shutdown;
use image::RgbImage;
use serde::Serialize;
use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;

use super::CommandError;
use crate::cli::RenderArgs;
use crate::executor::ExecutorError;
use crate::render::{DeviceChoice, Evaluation, RenderError, RenderJob, Rendered, Renderer};
use crate::weights::{Network, Source, choose};

/// What `--report` writes.
#[derive(Debug, Serialize)]
struct Report<'a> {
    version: &'static str,
    photo: &'a InputReport,
    paintings: Vec<&'a InputReport>,
    settings: &'a RenderSettings,
    network: String,
    /// SHA-256 of the weights file; none: the network is untrained.
    weights_sha256: Option<String>,
    device: String,
    picture: PictureReport<'a>,
    loss: f64,
    seconds: f64,
    evaluations: Vec<Evaluation>,
}

#[derive(Debug, Serialize)]
struct InputReport {
    path: PathBuf,
    sha256: Digest,
    width: u32,
    height: u32,
}

#[derive(Debug, Serialize)]
struct PictureReport<'a> {
    path: &'a Path,
    sha256: Digest,
    width: u32,
    height: u32,
}

/// What one run of the renderer leaves.
struct Outcome {
    rendered: Rendered,
    evaluations: Vec<Evaluation>,
    network: String,
    device: String,
}

pub(super) async fn render(args: RenderArgs) -> Result<(), CommandError> {
    let shutdown = shutdown::on_signals(false)?;
    let settings = settings(&args)?;
    let (photo, photo_report) = open(&args.photo)?;
    let paintings = args.paintings.iter().map(|path| open(path));
    let (paintings, painting_reports): (Vec<_>, Vec<_>) = paintings
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .unzip();
    // Asked for before the work, so that a folder that cannot be written costs nobody an hour.
    let output = Output::begin(&args.output)?;
    let report = args.report.as_deref().map(Output::begin).transpose()?;

    let keras = Source::keras_vgg16();
    let choosing = choose(&args.renderer.weights, &keras);
    let chosen = shutdown
        .run_until_cancelled(choosing)
        .await
        .ok_or(CommandError::Interrupted)??;
    if let Some(notice) = &chosen.notice {
        tracing::warn!("{notice}");
    }
    let weights_sha256 = match &chosen.network {
        Network::Trained(weights) => Some(weights.digest.to_string()),
        Network::Untrained { .. } => None,
    };
    let job = RenderJob {
        photo,
        paintings: paintings
            .into_iter()
            .map(|painting| (painting, 1.0))
            .collect(),
        settings: settings.clone(),
    };
    let device = args.renderer.device;
    let outcome =
        tokio::task::spawn_blocking(move || optimise(chosen.network, device, &job, &shutdown))
            .await
            .map_err(|panic| ExecutorError::Panicked(panic.to_string()))??;

    let picture = &outcome.rendered.picture;
    let bytes = picture::encode(picture, settings.format).map_err(CommandError::Encode)?;
    let picture = PictureReport {
        path: &args.output,
        sha256: Digest::of(&bytes),
        width: picture.width(),
        height: picture.height(),
    };
    output.finish(&bytes)?;
    if let Some(output) = report {
        let report = Report {
            version: env!("CARGO_PKG_VERSION"),
            photo: &photo_report,
            paintings: painting_reports.iter().collect(),
            settings: &settings,
            network: outcome.network,
            weights_sha256,
            device: outcome.device,
            picture,
            loss: outcome.rendered.loss,
            seconds: outcome.rendered.seconds,
            evaluations: outcome.evaluations,
        };
        let json = serde_json::to_vec_pretty(&report).map_err(std::io::Error::from)?;
        output.finish(&json)?;
    }
    tracing::info!(
        picture = %args.output.display(),
        seconds = outcome.rendered.seconds,
        evaluations = outcome.rendered.evaluations,
        loss = outcome.rendered.loss,
        "rendered"
    );
    Ok(())
}

/// The settings asked for; the output's name says the format.
fn settings(args: &RenderArgs) -> Result<RenderSettings, CommandError> {
    let mut patch = SettingsPatch::default();
    for assignment in &args.settings {
        patch.set(assignment)?;
    }
    let extension = args
        .output
        .extension()
        .and_then(|extension| extension.to_str());
    let format = match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("jpg" | "jpeg") => PictureFormat::Jpeg,
        Some("png") => PictureFormat::Png,
        _ => {
            return Err(CommandError::OutputFormat {
                path: args.output.clone(),
            });
        }
    };
    patch.format = Some(format);
    Ok(patch.resolve())
}

fn open(path: &Path) -> Result<(RgbImage, InputReport), CommandError> {
    let bytes = std::fs::read(path).map_err(|source| CommandError::Read {
        path: path.to_owned(),
        source,
    })?;
    let picture = picture::decode(&bytes).map_err(|source| CommandError::Picture {
        path: path.to_owned(),
        source,
    })?;
    let report = InputReport {
        path: path.to_owned(),
        sha256: Digest::of(&bytes),
        width: picture.width(),
        height: picture.height(),
    };
    Ok((picture, report))
}

fn optimise(
    network: Network,
    device: DeviceChoice,
    job: &RenderJob,
    shutdown: &CancellationToken,
) -> Result<Outcome, RenderError> {
    let renderer = Renderer::load(network, device)?;
    let watched = std::io::stderr().is_terminal();
    let mut evaluations = Vec::new();
    let outcome = renderer.render(job, &mut |evaluation| {
        if watched {
            // A progress line that cannot be written is not missed.
            let _ = write!(
                std::io::stderr(),
                "\r{} of {} evaluations, {} × {}, loss {:<12.6}",
                evaluation.number,
                evaluation.planned,
                evaluation.width,
                evaluation.height,
                evaluation.total
            );
        }
        evaluations.push(evaluation.clone());
        if shutdown.is_cancelled() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    if watched {
        let _ = writeln!(std::io::stderr());
    }
    Ok(Outcome {
        rendered: outcome?,
        evaluations,
        network: renderer.network().to_string(),
        device: renderer.device().to_owned(),
    })
}

/// A file that appears whole or not at all.
struct Output<'a> {
    path: &'a Path,
    temporary: NamedTempFile,
}

impl<'a> Output<'a> {
    /// Makes sure that the file can be written, without touching one that is there.
    fn begin(path: &'a Path) -> Result<Self, CommandError> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            Some(_) | None => Path::new("."),
        };
        let temporary = tempfile::Builder::new()
            .prefix(".atelier-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(folder)
            .map_err(|source| Self::error(path, source))?;
        if path.is_dir() {
            let source = std::io::Error::from(std::io::ErrorKind::IsADirectory);
            return Err(Self::error(path, source));
        }
        Ok(Self { path, temporary })
    }

    fn finish(mut self, bytes: &[u8]) -> Result<(), CommandError> {
        let written = self
            .temporary
            .write_all(bytes)
            .and_then(|()| self.temporary.as_file().sync_all());
        written.map_err(|source| Self::error(self.path, source))?;
        self.temporary
            .persist(self.path)
            .map_err(|error| Self::error(self.path, error.error))?;
        Ok(())
    }

    fn error(path: &Path, source: std::io::Error) -> CommandError {
        CommandError::Write {
            path: path.to_owned(),
            source,
        }
    }
}
