//! The thread that owns the renderer.
//!
//! libtorch is synchronous and may panic, and a device renders one batch at a time; so one OS thread owns the
//! [`Renderer`] and takes blocks, while downloads and uploads go on beside it on the async runtime.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use atelier_proto::clock::Stopwatch;
use tokio::sync::{mpsc, oneshot, watch as latest};

use super::watch::BatchWatch;
use super::{About, ExecutorError, Order, Painted, next_batch};
use crate::metrics::Metrics;
use crate::render::{RenderError, RenderJob, Rendered, Renderer, RendererOptions, Watch};
use crate::weights::Network;

/// Blocks that may wait at the executor besides the one it works on.
const BLOCKS_WAITING_MAX: usize = 1;

pub(super) struct Block {
    pub(super) orders: Vec<Order>,
    pub(super) ended: oneshot::Sender<()>,
}

/// A handle to the thread; the thread ends when the last handle is dropped.
#[derive(Debug, Clone)]
pub(super) struct DeviceThread {
    blocks: mpsc::Sender<Block>,
    batch_wanted: latest::Receiver<u32>,
}

impl DeviceThread {
    /// Starts the thread and waits until it has loaded the network.
    pub(super) async fn start(
        network: Network,
        options: RendererOptions,
        metrics: Metrics,
    ) -> Result<(Self, About), ExecutorError> {
        let (blocks, inbox) = mpsc::channel(BLOCKS_WAITING_MAX);
        let (wanted, batch_wanted) = latest::channel(1);
        let (loaded, about) = oneshot::channel();
        std::thread::Builder::new()
            .name("renderer".to_owned())
            .spawn(move || {
                let renderer = catch_unwind(|| Renderer::load(network, &options));
                match renderer {
                    Ok(Ok(mut renderer)) => {
                        wanted.send_replace(renderer.batch_wanted());
                        // The receiver is gone only when the program is ending.
                        let _ = loaded.send(Ok(about_renderer(&renderer)));
                        work(&mut renderer, inbox, &wanted, &metrics);
                    }
                    Ok(Err(error)) => {
                        let _ = loaded.send(Err(error.into()));
                    }
                    Err(panic) => {
                        let _ = loaded.send(Err(ExecutorError::Panicked(panic_text(&*panic))));
                    }
                }
            })
            .map_err(|_| ExecutorError::Ended)?;
        let about = about.await.map_err(|_| ExecutorError::Ended)??;
        let thread = Self {
            blocks,
            batch_wanted,
        };
        Ok((thread, about))
    }

    /// By what the renderer has measured so far.
    pub(super) fn batch_wanted(&self) -> u32 {
        (*self.batch_wanted.borrow()).max(1)
    }

    pub(super) async fn render_block(&self, orders: Vec<Order>) -> Result<(), ExecutorError> {
        let (ended, end) = oneshot::channel();
        self.blocks
            .send(Block { orders, ended })
            .await
            .map_err(|_| ExecutorError::Ended)?;
        end.await.map_err(|_| ExecutorError::Ended)
    }
}

fn about_renderer(renderer: &Renderer) -> About {
    About {
        network: renderer.network().to_owned(),
        device: renderer.device().to_owned(),
        precision: renderer.precision().to_owned(),
        memory_bytes: renderer.memory_bytes(),
    }
}

/// What the thread needs of a renderer; tests have one that does as it is told.
pub(super) trait RenderAll {
    fn batch_wanted(&self) -> u32;
    fn render_all(
        &mut self,
        jobs: &[RenderJob],
        watch: &mut dyn Watch,
    ) -> Vec<Result<Rendered, RenderError>>;
}

impl RenderAll for Renderer {
    fn batch_wanted(&self) -> u32 {
        self.batch_wanted()
    }

    fn render_all(
        &mut self,
        jobs: &[RenderJob],
        watch: &mut dyn Watch,
    ) -> Vec<Result<Rendered, RenderError>> {
        self.render_all(jobs, watch)
    }
}

/// Renders blocks as they come, each in batches of the size that the renderer wants.
pub(super) fn work(
    renderer: &mut impl RenderAll,
    mut inbox: mpsc::Receiver<Block>,
    wanted: &latest::Sender<u32>,
    metrics: &Metrics,
) {
    while let Some(block) = inbox.blocking_recv() {
        let mut waiting = block.orders.into();
        loop {
            let batch = next_batch(&mut waiting, renderer.batch_wanted());
            if batch.is_empty() {
                break;
            }
            render(renderer, batch, metrics);
            wanted.send_replace(renderer.batch_wanted());
        }
        // Nobody waits for its end when the program is ending.
        let _ = block.ended.send(());
    }
}

fn render(renderer: &mut impl RenderAll, orders: Vec<Order>, metrics: &Metrics) {
    let cells = orders.len();
    let mut jobs = Vec::with_capacity(cells);
    let mut answers = Vec::with_capacity(cells);
    let mut at_hand = Vec::with_capacity(cells);
    let mut watch = BatchWatch::new(metrics);
    for order in orders {
        watch.add(
            order.job.settings.evaluations_planned(),
            order.cancel,
            order.progress,
            order.on_the_way,
            order.span,
        );
        jobs.push(order.job);
        answers.push(order.answer);
        at_hand.push(order.at_hand);
    }
    let rendering = Stopwatch::start();
    tracing::debug!(cells, "batch begun");
    metrics.batch_begun(cells);
    metrics.device().begin_batch();
    let results = catch_unwind(AssertUnwindSafe(|| {
        let mut results = renderer.render_all(&jobs, &mut watch);
        begin_anew(renderer, &mut jobs, &mut watch, &mut results);
        results
    }));
    drop(at_hand);
    metrics.device().end_batch();
    let time = metrics.device().read();
    tracing::info!(
        cells,
        evaluations = watch.evaluations(),
        seconds = rendering.seconds(),
        idle_share = time.idle_share(),
        idle_seconds = time.idle.as_secs_f64(),
        "batch ended"
    );
    match results {
        Ok(results) => {
            for (answer, result) in answers.into_iter().zip(results) {
                let _ = answer.send(result.map(Painted::from).map_err(ExecutorError::from));
            }
        }
        Err(panic) => {
            let text = panic_text(&*panic);
            tracing::error!(cells, text, "the renderer panicked");
            for answer in answers {
                let _ = answer.send(Err(ExecutorError::Panicked(text.clone())));
            }
        }
    }
}

/// Renders those again from their start whose checkpoint is of no use: a checkpoint saves work and never costs a picture.
/// A node with another network, or of another version, may have left it.
fn begin_anew(
    renderer: &mut impl RenderAll,
    jobs: &mut [RenderJob],
    watch: &mut BatchWatch<'_>,
    results: &mut [Result<Rendered, RenderError>],
) {
    for (number, (job, result)) in jobs.iter_mut().zip(results).enumerate() {
        let Err(error) = result else { continue };
        // Whatever is wrong before the first evaluation may be the checkpoint's fault.
        let is_suspect = !matches!(error, RenderError::Cancelled) && !watch.has_begun(number);
        if is_suspect && job.checkpoint.take().is_some() {
            watch.note_useless_checkpoint(number, error);
            let again = renderer.render_all(std::slice::from_ref(job), &mut watch.only(number));
            *result = again
                .into_iter()
                .next()
                .unwrap_or(Err(RenderError::Cancelled));
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "no message".to_owned())
}
