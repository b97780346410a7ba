//! What paints the cells of a node: the renderer on its device, or a simulation that renders nothing.
//!
//! Both take blocks of [`Order`]s and render them in batches, one after the other. A session does not know which it has.
//!
//! - [`device`]: the thread that owns the renderer; [`watch`]: what it does after each evaluation
//! - [`simulated`]: timers instead of a device

mod device;
mod simulated;
mod watch;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use atelier_gallery::picture::{Picture, Provenance};
use atelier_proto::ids::{CellId, Digest};
use image::RgbImage;
use tokio::sync::{mpsc, oneshot, watch as latest};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use self::device::DeviceThread;
use self::simulated::Simulated;
pub use self::simulated::Simulation;
use crate::device_time::AtHand;
use crate::flat::{self, Flat, FlatFiles};
use crate::metrics::Metrics;
use crate::provenance::provenance;
use crate::render::{Checkpoint, RenderError, RenderJob, Rendered, RendererOptions};
use crate::weights::Network;

/// Checkpoints of one cell that may wait to be taken: one of the interval and the last one.
const CHECKPOINTS_WAITING_MAX: usize = 2;

/// Why an order brought no picture.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// The renderer said why.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The renderer panicked. It took the whole batch with it; the next one finds the network as it was, because
    /// rendering changes nothing in it.
    #[error("the renderer panicked: {0}")]
    Panicked(String),
    /// The simulation was told to let some cells fail.
    #[error("a simulated failure")]
    Simulated,
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

/// What an executor's work leaves in the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaves {
    /// Pictures, with thumbnails and header pictures.
    pub pictures: bool,
    /// Checkpoints.
    pub checkpoints: bool,
    /// Previews.
    pub previews: bool,
}

/// What a cell is to become.
#[derive(Debug, Clone, Copy)]
pub struct Canvas {
    /// The cell.
    pub cell: CellId,
    /// Of its picture, pixels.
    pub width: u32,
    /// Of its picture, pixels.
    pub height: u32,
}

/// What a cell has become.
#[derive(Debug)]
pub struct Painted {
    /// Its picture.
    pub image: Image,
    /// Seconds of the device that it took: in a batch, its share.
    pub seconds: f64,
    /// Evaluations made.
    pub evaluations: u32,
    /// Loss of the picture; 0 where nothing was rendered.
    pub loss: f64,
}

/// The picture of a cell.
#[derive(Debug)]
pub enum Image {
    /// It is still to be written as a file.
    Rendered(Picture),
    /// One colour, with the files that others of that colour share.
    Flat(Flat, FlatFiles),
    /// There is none, and nobody is to look for it.
    Absent {
        /// Of the picture that is not there, pixels.
        width: u32,
        /// See `width`.
        height: u32,
        /// What is told instead of a file's digest.
        sha256: Digest,
    },
}

impl From<Rendered> for Painted {
    fn from(rendered: Rendered) -> Self {
        Self {
            image: Image::Rendered(rendered.picture),
            seconds: rendered.seconds,
            evaluations: rendered.evaluations,
            loss: rendered.loss,
        }
    }
}

/// One cell of a block, with whoever waits for it.
#[derive(Debug)]
pub struct Order {
    pub(crate) job: RenderJob,
    canvas: Canvas,
    /// Ends this cell alone, at its next evaluation but one at the latest.
    cancel: CancellationToken,
    progress: latest::Sender<Progress>,
    on_the_way: OnTheWay,
    at_hand: AtHand,
    answer: oneshot::Sender<Result<Painted, ExecutorError>>,
    span: Span,
}

/// What is wanted of a cell while it is rendered.
#[derive(Debug, Default)]
pub struct OnTheWay {
    /// What a later attempt goes on from.
    pub checkpoints: Option<CheckpointOrder>,
    /// What people look at.
    pub previews: Option<PreviewOrder>,
}

/// Where a cell's previews go, and how often there is one.
#[derive(Debug)]
pub struct PreviewOrder {
    interval: Duration,
    sender: mpsc::Sender<RgbImage>,
}

impl PreviewOrder {
    /// One preview at every `interval` at most: fewer where the receiver does not keep up, and where the batch is so large
    /// that its previews would be many.
    pub fn new(interval: Duration) -> (Self, mpsc::Receiver<RgbImage>) {
        let (sender, receiver) = mpsc::channel(1);
        (Self { interval, sender }, receiver)
    }
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
pub type Answer = oneshot::Receiver<Result<Painted, ExecutorError>>;

impl Order {
    /// An order and where its answer will be; within the current span, which goes with it to whoever renders.
    pub fn new(
        job: RenderJob,
        canvas: Canvas,
        cancel: CancellationToken,
        progress: latest::Sender<Progress>,
        on_the_way: OnTheWay,
        at_hand: AtHand,
    ) -> (Self, Answer) {
        let (answer, receiver) = oneshot::channel();
        let order = Self {
            job,
            canvas,
            cancel,
            progress,
            on_the_way,
            at_hand,
            answer,
            span: Span::current(),
        };
        (order, receiver)
    }
}

/// Takes the next batch off a block. Whoever was cancelled while it waited is told, and leaves room for another.
fn next_batch(waiting: &mut VecDeque<Order>, cells_max: u32) -> Vec<Order> {
    let mut batch = Vec::new();
    while batch.len() < cells_max.max(1) as usize {
        let Some(order) = waiting.pop_front() else {
            break;
        };
        if order.cancel.is_cancelled() {
            // Nobody waits any more when the cell was dropped.
            let _ = order.answer.send(Err(RenderError::Cancelled.into()));
        } else {
            batch.push(order);
        }
    }
    batch
}

/// A handle to whatever paints; clones paint on the same device.
#[derive(Debug, Clone)]
pub struct Executor {
    painter: Painter,
    about: About,
}

#[derive(Debug, Clone)]
enum Painter {
    Device(DeviceThread),
    Simulated(Arc<Simulated>),
}

impl Executor {
    /// Starts the thread that owns a renderer, and waits until it has loaded the network.
    ///
    /// # Errors
    /// What [`crate::render::Renderer::load`] says, or [`ExecutorError::Ended`] when no thread can be had.
    pub async fn start(
        network: Network,
        options: RendererOptions,
        metrics: Metrics,
    ) -> Result<Self, ExecutorError> {
        let (thread, about) = DeviceThread::start(network, options, metrics).await?;
        Ok(Self {
            painter: Painter::Device(thread),
            about,
        })
    }

    /// Simulates a device, without a thread of its own. `seed` says which cells fail, if some are to.
    pub fn simulated(
        simulation: Simulation,
        seed: u64,
        files: FlatFiles,
        metrics: Metrics,
    ) -> Self {
        let simulated = Simulated::new(simulation, seed, files, metrics);
        Self {
            painter: Painter::Simulated(Arc::new(simulated)),
            about: simulated::about(),
        }
    }

    /// What the renderer is.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Cells that are best rendered at once; 1 or more.
    pub fn batch_wanted(&self) -> u32 {
        match &self.painter {
            Painter::Device(thread) => thread.batch_wanted(),
            Painter::Simulated(simulated) => simulated.simulation().batch,
        }
    }

    /// What of its work goes into the bucket.
    pub fn leaves(&self) -> Leaves {
        match &self.painter {
            Painter::Device(_) => Leaves {
                pictures: true,
                checkpoints: true,
                previews: true,
            },
            Painter::Simulated(simulated) => Leaves {
                pictures: simulated.simulation().leaves_pictures,
                checkpoints: false,
                previews: false,
            },
        }
    }

    /// What the file of a job's picture tells of how it came about.
    pub fn provenance(&self, job: &RenderJob) -> Provenance {
        match &self.painter {
            Painter::Device(_) => provenance(job, &self.about.network),
            Painter::Simulated(_) => flat::provenance(),
        }
    }

    /// Renders a block after those ordered before it, and returns when it has ended. Each order is answered by itself,
    /// at the end of its batch.
    ///
    /// # Errors
    /// [`ExecutorError::Ended`]; the orders have no other answer then.
    pub async fn render_block(&self, orders: Vec<Order>) -> Result<(), ExecutorError> {
        match &self.painter {
            Painter::Device(thread) => thread.render_block(orders).await,
            Painter::Simulated(simulated) => {
                simulated.render_block(orders).await;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests;
