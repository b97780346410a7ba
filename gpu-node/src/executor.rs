//! The thread that owns the renderer.
//!
//! libtorch is synchronous and may panic, and a device renders one block at a time; so one OS thread owns
//! the [`Renderer`] and takes blocks, while downloads and uploads go on beside it on the async runtime.

mod watch;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use atelier_proto::clock::Stopwatch;
use tokio::sync::{mpsc, oneshot, watch as latest};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use self::watch::BlockWatch;
use crate::device_time::AtHand;
use crate::metrics::Metrics;
use crate::render::{
    Checkpoint, RenderError, RenderJob, Rendered, Renderer, RendererOptions, Watch,
};
use crate::weights::Network;

/// Blocks that may wait at the executor besides the one it works on.
const BLOCKS_WAITING_MAX: usize = 1;
/// Checkpoints of one cell that may wait to be taken: one of the interval and the last one.
const CHECKPOINTS_WAITING_MAX: usize = 2;

/// Why an order brought no picture.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// The renderer said why.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The renderer panicked. It took the whole block with it; the next one finds the network as it was, because
    /// rendering changes nothing in it.
    #[error("the renderer panicked: {0}")]
    Panicked(String),
    /// The thread has ended.
    #[error("the executor has ended")]
    Ended,
}

/// How far a cell is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Progress {
    /// The device works on it; before that it waits.
    pub rendering: bool,
    /// Evaluations made.
    pub evaluations: u32,
    /// Evaluations in all.
    pub planned: u32,
    /// The last loss.
    pub loss: f64,
}

/// What the executor's renderer is.
#[derive(Debug, Clone)]
pub struct About {
    /// Which network paints: "vgg16 untrained", "vgg19 sha256:…".
    pub network: String,
    /// "cpu" or "cuda:0 NVIDIA H100".
    pub device: String,
    /// "float32" or "bfloat16".
    pub precision: String,
    /// Bytes that the device can give to a render.
    pub memory_bytes: u64,
}

/// One cell of a block, with whoever waits for it.
#[derive(Debug)]
pub struct Order {
    pub(crate) job: RenderJob,
    /// Ends this cell alone, at its next evaluation but one at the latest.
    cancel: CancellationToken,
    progress: latest::Sender<Progress>,
    checkpoints: Option<CheckpointOrder>,
    at_hand: AtHand,
    answer: oneshot::Sender<Result<Rendered, ExecutorError>>,
    span: Span,
}

/// Where a cell's checkpoints go, and how often there is one.
#[derive(Debug)]
pub struct CheckpointOrder {
    interval: Duration,
    sender: mpsc::Sender<Checkpoint>,
}

impl CheckpointOrder {
    /// One checkpoint at every `interval` that the receiver keeps up with, and one when the cell is cancelled while it
    /// renders.
    pub fn new(interval: Duration) -> (Self, mpsc::Receiver<Checkpoint>) {
        let (sender, receiver) = mpsc::channel(CHECKPOINTS_WAITING_MAX);
        (Self { interval, sender }, receiver)
    }
}

/// What comes of one [`Order`].
pub type Answer = oneshot::Receiver<Result<Rendered, ExecutorError>>;

impl Order {
    /// An order and where its answer will be; within the current span, which goes with it to the thread.
    pub fn new(
        job: RenderJob,
        cancel: CancellationToken,
        progress: latest::Sender<Progress>,
        checkpoints: Option<CheckpointOrder>,
        at_hand: AtHand,
    ) -> (Self, Answer) {
        let (answer, receiver) = oneshot::channel();
        let order = Self {
            job,
            cancel,
            progress,
            checkpoints,
            at_hand,
            answer,
            span: Span::current(),
        };
        (order, receiver)
    }
}

struct Block {
    orders: Vec<Order>,
    ended: oneshot::Sender<()>,
}

/// A handle to the thread; the thread ends when the last handle is dropped.
#[derive(Debug, Clone)]
pub struct Executor {
    blocks: mpsc::Sender<Block>,
    batch_wanted: latest::Receiver<u32>,
    about: About,
}

impl Executor {
    /// Starts the thread and waits until it has loaded the network.
    ///
    /// # Errors
    /// What [`Renderer::load`] says, or [`ExecutorError::Ended`] when no thread can be had.
    pub async fn start(
        network: Network,
        options: RendererOptions,
        metrics: Metrics,
    ) -> Result<Self, ExecutorError> {
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
        Ok(Self {
            blocks,
            batch_wanted,
            about,
        })
    }

    /// What the renderer is.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Cells that are best rendered at once, by what the renderer has measured so far; 1 or more.
    pub fn batch_wanted(&self) -> u32 {
        (*self.batch_wanted.borrow()).max(1)
    }

    /// Renders a block after those ordered before it, and returns when it has ended. Each order is answered by itself.
    ///
    /// # Errors
    /// [`ExecutorError::Ended`]; the orders have no other answer then.
    pub async fn render_block(&self, orders: Vec<Order>) -> Result<(), ExecutorError> {
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
trait RenderBlocks {
    fn batch_wanted(&self) -> u32;
    fn render_block(
        &mut self,
        jobs: &[RenderJob],
        watch: &mut dyn Watch,
    ) -> Vec<Result<Rendered, RenderError>>;
}

impl RenderBlocks for Renderer {
    fn batch_wanted(&self) -> u32 {
        self.batch_wanted()
    }

    fn render_block(
        &mut self,
        jobs: &[RenderJob],
        watch: &mut dyn Watch,
    ) -> Vec<Result<Rendered, RenderError>> {
        self.render_block(jobs, watch)
    }
}

fn work(
    renderer: &mut impl RenderBlocks,
    mut inbox: mpsc::Receiver<Block>,
    wanted: &latest::Sender<u32>,
    metrics: &Metrics,
) {
    while let Some(block) = inbox.blocking_recv() {
        let (orders, cancelled): (Vec<_>, Vec<_>) = block
            .orders
            .into_iter()
            .partition(|order| !order.cancel.is_cancelled());
        for order in cancelled {
            // Nobody waits any more when the cell was dropped.
            let _ = order.answer.send(Err(RenderError::Cancelled.into()));
        }
        if !orders.is_empty() {
            render(renderer, orders, metrics);
            wanted.send_replace(renderer.batch_wanted());
        }
        let _ = block.ended.send(());
    }
}

fn render(renderer: &mut impl RenderBlocks, orders: Vec<Order>, metrics: &Metrics) {
    let cells = orders.len();
    let mut jobs = Vec::with_capacity(cells);
    let mut answers = Vec::with_capacity(cells);
    let mut at_hand = Vec::with_capacity(cells);
    let mut watch = BlockWatch::new(metrics);
    for order in orders {
        watch.add(
            order.job.settings.evaluations_planned(),
            order.cancel,
            order.progress,
            order.checkpoints,
            order.span,
        );
        jobs.push(order.job);
        answers.push(order.answer);
        at_hand.push(order.at_hand);
    }
    let rendering = Stopwatch::start();
    tracing::debug!(cells, "block begun");
    metrics.block_begun(cells);
    metrics.device().begin_block();
    let results = catch_unwind(AssertUnwindSafe(|| {
        let mut results = renderer.render_block(&jobs, &mut watch);
        begin_anew(renderer, &mut jobs, &mut watch, &mut results);
        results
    }));
    drop(at_hand);
    metrics.device().end_block();
    let time = metrics.device().read();
    tracing::info!(
        cells,
        evaluations = watch.evaluations(),
        seconds = rendering.seconds(),
        idle_share = time.idle_share(),
        idle_seconds = time.idle.as_secs_f64(),
        "block ended"
    );
    match results {
        Ok(results) => {
            for (answer, result) in answers.into_iter().zip(results) {
                let _ = answer.send(result.map_err(ExecutorError::from));
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
    renderer: &mut impl RenderBlocks,
    jobs: &mut [RenderJob],
    watch: &mut BlockWatch<'_>,
    results: &mut [Result<Rendered, RenderError>],
) {
    for (number, (job, result)) in jobs.iter_mut().zip(results).enumerate() {
        let Err(error) = result else { continue };
        // Whatever is wrong before the first evaluation may be the checkpoint's fault.
        let is_suspect = !matches!(error, RenderError::Cancelled) && !watch.has_begun(number);
        if is_suspect && job.checkpoint.take().is_some() {
            watch.note_useless_checkpoint(number, error);
            let again = renderer.render_block(std::slice::from_ref(job), &mut watch.only(number));
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

#[cfg(test)]
mod tests;
