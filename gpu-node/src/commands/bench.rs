//! `atelier-node bench`: what a device makes of growing batches.
//!
//! Every batch renders as many different made-up photos, each by a painting of its own. A short batch goes before, so
//! that libraries have chosen their ways; its pictures are others, so that no targets are known beforehand.

mod arithmetic;
mod memory;
mod report;
mod synthetic;

use std::ops::ControlFlow;

use atelier_proto::clock::Stopwatch;
use atelier_proto::settings::{RenderSettings, SettingsPatch};
use atelier_proto::shutdown;
use tokio_util::sync::CancellationToken;

use self::arithmetic::Arithmetic;
use self::memory::Memory;
use self::report::{BatchReport, Report};
use super::{CommandError, chosen, say};
use crate::cli::BenchArgs;
use crate::executor::ExecutorError;
use crate::render::{Evaluation, PaintingInput, RenderError, RenderJob, Renderer, Watch};
use crate::weights::Network;

/// Beneath `--set`: one scale, so that evaluations cost alike, and named layers, so that arithmetic can be counted.
const SETTINGS: [&str; 3] = [
    "scales=1",
    "content_layers=conv4_2",
    "style_layers=conv1_1,conv2_1,conv3_1,conv4_1,conv5_1",
];
/// Evaluations at each scale before anything is measured.
const WARM_UP_ITERATIONS: u32 = 2;
/// Where the numbers of the pictures that are measured begin; below are those of the short batch before.
const MEASURED: u64 = 1_000;

pub(super) async fn bench(args: BenchArgs) -> Result<(), CommandError> {
    let shutdown = shutdown::on_signals(false)?;
    let settings = settings(&args)?;
    let network = shutdown
        .run_until_cancelled(chosen(&args.weights))
        .await
        .ok_or(CommandError::Interrupted)??
        .network;
    let json = args.json;
    let measuring =
        tokio::task::spawn_blocking(move || measure(&args, network, &settings, shutdown));
    let report = measuring
        .await
        .map_err(|panic| ExecutorError::Panicked(panic.to_string()))??;
    let answer = if json {
        report.to_json()?
    } else {
        report.to_words()
    };
    say(&answer)
}

fn settings(args: &BenchArgs) -> Result<RenderSettings, CommandError> {
    let mut patch = SettingsPatch::default();
    for assignment in SETTINGS {
        patch.set(assignment)?;
    }
    patch.set(&format!("size={}", args.size))?;
    patch.set(&format!("iterations={}", args.iterations))?;
    for assignment in &args.settings {
        patch.set(assignment)?;
    }
    Ok(patch.resolve())
}

fn measure(
    args: &BenchArgs,
    network: Network,
    settings: &RenderSettings,
    shutdown: CancellationToken,
) -> Result<Report, CommandError> {
    let arithmetic = Arithmetic::of(&network, settings);
    let mut renderer = Renderer::load(network, &args.device.options(None))?;
    let memory = Memory::note(&renderer);
    let mut report = Report::new(&renderer, settings.clone());
    let mut sizes = args.batch.clone();
    sizes.sort_unstable();
    sizes.dedup();
    let mut watch = Counting {
        arithmetic,
        operations: 0.0,
        evaluations: 0,
        shutdown,
    };
    for size in sizes {
        let measured = batch(&mut renderer, settings, size, &memory, &mut watch)?;
        if let Some(measured) = measured {
            tracing::info!(
                batch = size,
                cells_per_hour = measured.cells_per_hour.round(),
                "measured"
            );
            report.batches.push(measured);
        } else {
            tracing::warn!(batch = size, "does not fit into the memory that there is");
            report.batches_too_large.push(size);
        }
    }
    // Last, because what it takes of a GPU's memory would be counted otherwise.
    report.peaks = Some(renderer.measure_peaks()?);
    Ok(report)
}

/// Measures one size; none when so many do not fit.
fn batch(
    renderer: &mut Renderer,
    settings: &RenderSettings,
    size: u32,
    memory: &Memory,
    watch: &mut Counting,
) -> Result<Option<BatchReport>, RenderError> {
    let warm_up = RenderSettings {
        iterations: settings.iterations.min(WARM_UP_ITERATIONS),
        ..settings.clone()
    };
    if renderer
        .render_at_once(&jobs(0, size, &warm_up), watch)?
        .is_none()
    {
        return Ok(None);
    }
    let jobs = jobs(MEASURED, size, settings);
    watch.operations = 0.0;
    watch.evaluations = 0;
    memory.reset();
    let stopwatch = Stopwatch::start();
    let outcome = renderer.render_at_once(&jobs, watch)?;
    let seconds = stopwatch.seconds();
    let Some(pictures) = outcome else {
        return Ok(None);
    };
    let count = f64::from(size);
    let taken = memory.taken(renderer);
    Ok(Some(BatchReport {
        batch: size,
        seconds,
        seconds_per_cell: seconds / count,
        cells_per_hour: 3600.0 * count / seconds,
        // Evaluations are counted picture by picture, and a batch's are made together.
        milliseconds_per_evaluation: 1000.0 * seconds * count / f64::from(watch.evaluations),
        operations_per_second: watch.operations / seconds,
        memory_bytes: taken.peak,
        memory_bytes_per_picture: taken.beyond / u64::from(size),
        loss: pictures.iter().map(|picture| picture.loss).sum::<f64>() / count,
    }))
}

/// Different pictures, numbered from `first`.
fn jobs(first: u64, count: u32, settings: &RenderSettings) -> Vec<RenderJob> {
    let numbers = first..first + u64::from(count);
    let job = |number| RenderJob {
        photo: Some(synthetic::photo(number, settings.size)),
        paintings: vec![PaintingInput {
            input: synthetic::painting(number, settings.size),
            weight: 1.0,
            mask: None,
        }],
        start: None,
        settings: settings.clone(),
        checkpoint: None,
    };
    numbers.map(job).collect()
}

/// Counts what was computed, and ends everything when it is to end.
struct Counting {
    arithmetic: Arithmetic,
    operations: f64,
    evaluations: u32,
    shutdown: CancellationToken,
}

impl Watch for Counting {
    fn evaluated(&mut self, _job: usize, evaluation: &Evaluation) -> ControlFlow<()> {
        self.operations += self
            .arithmetic
            .operations(evaluation.width, evaluation.height);
        self.evaluations += 1;
        if self.shutdown.is_cancelled() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
