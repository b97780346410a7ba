//! The thread that owns the renderer.
//!
//! libtorch is synchronous and may panic, and a device renders one batch at a time; so one OS thread owns
//! the [`Renderer`] and takes orders, while downloads and uploads go on beside it on the async runtime.

use std::any::Any;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::render::{DeviceChoice, RenderError, RenderJob, Rendered, Renderer};
use crate::weights::Network;

/// Orders that may wait at the executor besides the one it works on.
const ORDERS_WAITING_MAX: usize = 1;

/// Why an order brought no picture.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// The renderer said why.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The renderer panicked; the next order finds it as it was, because rendering changes nothing in it.
    #[error("the renderer panicked: {0}")]
    Panicked(String),
    /// The thread has ended.
    #[error("the executor has ended")]
    Ended,
}

/// How far an order is.
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
    /// Bytes that the device can give to a render.
    pub memory_bytes: u64,
}

struct Order {
    job: RenderJob,
    cancel: CancellationToken,
    progress: watch::Sender<Progress>,
    answer: oneshot::Sender<Result<Rendered, ExecutorError>>,
    span: Span,
}

/// A handle to the thread; the thread ends when the last handle is dropped.
#[derive(Debug, Clone)]
pub struct Executor {
    orders: mpsc::Sender<Order>,
    about: About,
}

impl Executor {
    /// Starts the thread and waits until it has loaded the network.
    ///
    /// # Errors
    /// What [`Renderer::load`] says, or [`ExecutorError::Ended`] when no thread can be had.
    pub async fn start(network: Network, device: DeviceChoice) -> Result<Self, ExecutorError> {
        let (orders, inbox) = mpsc::channel(ORDERS_WAITING_MAX);
        let (loaded, about) = oneshot::channel();
        std::thread::Builder::new()
            .name("renderer".to_owned())
            .spawn(move || {
                let renderer = catch_unwind(|| Renderer::load(network, device));
                match renderer {
                    Ok(Ok(renderer)) => {
                        // The receiver is gone only when the program is ending.
                        let _ = loaded.send(Ok(about_renderer(&renderer)));
                        work(&renderer, inbox);
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
        Ok(Self { orders, about })
    }

    /// What the renderer is.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Renders one job after those ordered before it; `cancel` stops it at its next evaluation.
    ///
    /// # Errors
    /// What [`Renderer::render`] says, its panic, or [`ExecutorError::Ended`].
    pub async fn render(
        &self,
        job: RenderJob,
        cancel: CancellationToken,
        progress: watch::Sender<Progress>,
    ) -> Result<Rendered, ExecutorError> {
        let (answer, rendered) = oneshot::channel();
        let order = Order {
            job,
            cancel,
            progress,
            answer,
            span: Span::current(),
        };
        self.orders
            .send(order)
            .await
            .map_err(|_| ExecutorError::Ended)?;
        rendered.await.map_err(|_| ExecutorError::Ended)?
    }
}

fn about_renderer(renderer: &Renderer) -> About {
    About {
        network: renderer.network().to_string(),
        device: renderer.device().to_owned(),
        memory_bytes: renderer.memory_bytes(),
    }
}

fn work(renderer: &Renderer, mut inbox: mpsc::Receiver<Order>) {
    while let Some(order) = inbox.blocking_recv() {
        let _entered = order.span.enter();
        let result = catch_unwind(AssertUnwindSafe(|| render(renderer, &order)));
        let result = match result {
            Ok(result) => result.map_err(ExecutorError::from),
            Err(panic) => Err(ExecutorError::Panicked(panic_text(&*panic))),
        };
        // Nobody waits any more when the cell was dropped.
        let _ = order.answer.send(result);
    }
}

fn render(renderer: &Renderer, order: &Order) -> Result<Rendered, RenderError> {
    if order.cancel.is_cancelled() {
        return Err(RenderError::Cancelled);
    }
    order.progress.send_modify(|progress| {
        progress.rendering = true;
        progress.planned = order.job.settings.evaluations_planned();
    });
    renderer.render(&order.job, &mut |evaluation| {
        order.progress.send_replace(Progress {
            rendering: true,
            evaluations: evaluation.number,
            planned: evaluation.planned,
            loss: evaluation.total,
        });
        if order.cancel.is_cancelled() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "no message".to_owned())
}
