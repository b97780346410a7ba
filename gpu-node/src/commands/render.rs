//! `atelier-node render`: one photo, one artist, no coordinator.

mod kept;
mod report;
mod request;
mod watcher;

use atelier_gallery::picture;
use atelier_proto::shutdown;

use self::kept::CheckpointFile;
use self::report::{PictureReport, Report};
use self::request::{Inputs, settings};
use self::watcher::Watcher;
use super::{CommandError, chosen};
use crate::cli::RenderArgs;
use crate::executor::ExecutorError;
use crate::provenance::provenance;
use crate::render::{
    Checkpoint, Evaluation, RenderError, RenderJob, Rendered, Renderer, RendererOptions,
};
use crate::weights::Network;
use crate::whole_file::WholeFile;

/// What one run of the renderer leaves.
struct Outcome {
    rendered: Result<Rendered, RenderError>,
    evaluations: Vec<Evaluation>,
    network: String,
    device: String,
    precision: String,
}

pub(super) async fn render(args: RenderArgs) -> Result<(), CommandError> {
    let shutdown = shutdown::on_signals(false)?;
    let settings = settings(&args)?;
    let inputs = Inputs::open(&args)?;
    // Asked for before the work, so that a folder that cannot be written costs nobody an hour.
    let output = WholeFile::begin(&args.out)?;
    let report = args.report.as_deref().map(WholeFile::begin).transpose()?;
    let kept = args.checkpoint.clone().map(CheckpointFile::new);
    let checkpoint = match &kept {
        Some(file) => file.open()?,
        None => None,
    };
    let resumed_at = checkpoint.as_ref().map(Checkpoint::evaluations);

    let network = shutdown
        .run_until_cancelled(chosen(&args.renderer.weights))
        .await
        .ok_or(CommandError::Interrupted)??
        .network;
    let weights_sha256 = match &network {
        Network::Trained(weights) => Some(weights.digest.to_string()),
        Network::Untrained { .. } => None,
    };
    let job = inputs.job(settings.clone(), checkpoint);
    let watcher = Watcher::new(
        shutdown,
        kept.clone(),
        args.checkpoints.checkpoint_interval.into(),
    );
    let options = args.renderer.options();
    let optimising = {
        let job = job.clone();
        move || optimise(network, &options, &job, watcher)
    };
    let outcome = tokio::task::spawn_blocking(optimising)
        .await
        .map_err(|panic| ExecutorError::Panicked(panic.to_string()))??;
    let rendered = outcome
        .rendered
        .map_err(|error| explain(error, kept.as_ref()))?;

    let about = provenance(&job, &outcome.network);
    let format = settings.format;
    let bytes = picture::encode(&rendered.picture, format, &about).map_err(CommandError::Encode)?;
    let picture = PictureReport::new(&args.out, &rendered.picture, &bytes);
    output.finish(&bytes)?;
    if let Some(output) = report {
        let report = Report {
            version: env!("CARGO_PKG_VERSION"),
            inputs: inputs.report(),
            settings: &settings,
            network: outcome.network,
            weights_sha256,
            device: outcome.device,
            precision: outcome.precision,
            picture,
            loss: rendered.loss,
            seconds: rendered.seconds,
            resumed_at,
            evaluations: outcome.evaluations,
        };
        let json = serde_json::to_vec_pretty(&report).map_err(std::io::Error::from)?;
        output.finish(&json)?;
    }
    if let Some(file) = kept {
        file.remove();
    }
    tracing::info!(
        picture = %args.out.display(),
        seconds = rendered.seconds,
        evaluations = rendered.evaluations,
        loss = rendered.loss,
        "rendered"
    );
    Ok(())
}

fn optimise(
    network: Network,
    options: &RendererOptions,
    job: &RenderJob,
    mut watcher: Watcher,
) -> Result<Outcome, RenderError> {
    let mut renderer = Renderer::load(network, options)?;
    Ok(Outcome {
        rendered: renderer.render(job, &mut watcher),
        evaluations: watcher.finish(),
        network: renderer.network().to_owned(),
        device: renderer.device().to_owned(),
        precision: renderer.precision().to_owned(),
    })
}

/// A render that ended early, in terms of what was asked for.
fn explain(error: RenderError, kept: Option<&CheckpointFile>) -> CommandError {
    match (error, kept) {
        (RenderError::Cancelled, Some(file)) if file.exists() => {
            CommandError::InterruptedWithCheckpoint {
                path: file.path().to_owned(),
            }
        }
        (
            source @ (RenderError::CheckpointOfAnother | RenderError::DamagedCheckpoint),
            Some(file),
        ) => CommandError::Checkpoint {
            path: file.path().to_owned(),
            source,
        },
        (error, _) => error.into(),
    }
}
