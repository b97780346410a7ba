//! A device that is none: cells take time, make progress and may fail, and nothing is rendered.
//!
//! It is for measuring what stands around the renderer. It has no thread, so that thousands of them fit into a process.

use std::time::Duration;

use atelier_proto::clock::Stopwatch;
use atelier_proto::ids::Digest;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use rand_distr::{Distribution as _, StandardUniform};
use tokio::sync::Mutex;

use super::{About, ExecutorError, Image, Order, Painted, Progress, next_batch};
use crate::flat::{self, Colour, Flat, FlatFiles};
use crate::metrics::Metrics;
use crate::render::RenderError;

/// How often a batch tells how far it is, and looks whether a cell was cancelled.
const STEP_TIME: Duration = Duration::from_millis(500);

/// What is simulated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Simulation {
    /// How long the device works for one cell; above zero. A batch takes as long as its cells one after the other.
    pub cell_time: Duration,
    /// How far nodes differ: each is faster or slower than `cell_time` says by a share of up to this, 0..1.
    pub spread: f64,
    /// Share of the cells that fail on their way, 0..=1.
    pub failure_share: f64,
    /// Whether there are pictures to put into the bucket.
    pub leaves_pictures: bool,
    /// Cells that are rendered at once; 1 or more.
    pub batch: u32,
}

/// A simulated device.
#[derive(Debug)]
pub(super) struct Simulated {
    simulation: Simulation,
    /// Its own.
    cell_time: Duration,
    /// Held by the block that is being rendered. It says which cells fail.
    device: Mutex<ChaCha8Rng>,
    files: FlatFiles,
    metrics: Metrics,
}

/// A cell of the batch that is being rendered.
struct Live {
    order: Order,
    planned: u32,
    evaluations: u32,
    /// The share of its evaluations after which it fails.
    fails_at: Option<f64>,
}

pub(super) fn about() -> About {
    About {
        network: flat::NETWORK.to_owned(),
        device: "simulated".to_owned(),
        precision: "none".to_owned(),
        memory_bytes: 0,
    }
}

impl Simulated {
    pub(super) fn new(
        simulation: Simulation,
        seed: u64,
        files: FlatFiles,
        metrics: Metrics,
    ) -> Self {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let drawn: f64 = StandardUniform.sample(&mut chance);
        let factor = 1.0 + simulation.spread * (2.0 * drawn - 1.0);
        Self {
            cell_time: simulation.cell_time.div_f64(factor),
            simulation,
            device: Mutex::new(chance),
            files,
            metrics,
        }
    }

    pub(super) fn simulation(&self) -> &Simulation {
        &self.simulation
    }

    /// As [`super::Executor::render_block`] says.
    pub(super) async fn render_block(&self, orders: Vec<Order>) {
        let mut chance = self.device.lock().await;
        let mut waiting = orders.into();
        loop {
            let batch = next_batch(&mut waiting, self.simulation.batch);
            if batch.is_empty() {
                return;
            }
            self.render(batch, &mut chance).await;
        }
    }

    async fn render(&self, batch: Vec<Order>, chance: &mut ChaCha8Rng) {
        let cells = batch.len();
        let time = self.cell_time * cells as u32;
        let steps = time.div_duration_f64(STEP_TIME).ceil().max(1.0) as u32;
        let begin = |order| Live::begin(order, self.simulation.failure_share, chance);
        let mut live: Vec<Live> = batch.into_iter().map(begin).collect();
        self.metrics.batch_begun(cells);
        self.metrics.device().begin_batch();
        let rendering = Stopwatch::start();
        // An interval must not be zero. Its first tick comes at once.
        let mut ticks = tokio::time::interval((time / steps).max(Duration::from_nanos(1)));
        ticks.tick().await;
        for step in 1..=steps {
            ticks.tick().await;
            let share = f64::from(step) / f64::from(steps);
            let go_on = |cell: Live| cell.go_on(share, &self.metrics);
            live = live.into_iter().filter_map(go_on).collect();
            if live.is_empty() {
                break;
            }
        }
        self.metrics.device().end_batch();
        let seconds = rendering.seconds() / cells as f64;
        tracing::debug!(
            cells,
            seconds = rendering.seconds(),
            "simulated batch ended"
        );
        for cell in live {
            self.finish(cell, seconds);
        }
    }

    fn finish(&self, cell: Live, seconds: f64) {
        let Live { order, planned, .. } = cell;
        let canvas = order.canvas;
        let (width, height) = (canvas.width, canvas.height);
        let digest = Digest::of(canvas.cell.to_string().as_bytes());
        let image = if self.simulation.leaves_pictures {
            let flat = Flat {
                colour: Colour::of(&digest),
                width,
                height,
                format: order.job.settings.format,
            };
            Image::Flat(flat, self.files.clone())
        } else {
            Image::Absent {
                width,
                height,
                sha256: digest,
            }
        };
        // Nobody waits any more when the cell was dropped.
        let _ = order.answer.send(Ok(Painted {
            image,
            seconds,
            evaluations: planned,
            loss: 0.0,
        }));
    }
}

impl Live {
    fn begin(order: Order, failure_share: f64, chance: &mut ChaCha8Rng) -> Self {
        let drawn: f64 = StandardUniform.sample(chance);
        let live = Self {
            planned: order.job.settings.evaluations_planned(),
            evaluations: 0,
            // Below the share, so their quotient is any share of the way with the same chance.
            fails_at: (drawn < failure_share).then(|| drawn / failure_share),
            order,
        };
        live.tell();
        live
    }

    /// What is left of the cell when this share of its time has passed.
    fn go_on(mut self, share: f64, metrics: &Metrics) -> Option<Self> {
        let ended = if self.order.cancel.is_cancelled() {
            Some(RenderError::Cancelled.into())
        } else if self.fails_at.is_some_and(|at| at <= share) {
            Some(ExecutorError::Simulated)
        } else {
            None
        };
        if let Some(error) = ended {
            // Nobody waits any more when the cell was dropped.
            let _ = self.order.answer.send(Err(error));
            return None;
        }
        let evaluations = (f64::from(self.planned) * share) as u32;
        metrics.evaluated(u64::from(evaluations - self.evaluations));
        self.evaluations = evaluations;
        self.tell();
        Some(self)
    }

    fn tell(&self) {
        self.order.progress.send_replace(Progress {
            rendering: true,
            evaluations: self.evaluations,
            planned: self.planned,
            loss: 0.0,
        });
    }
}

#[cfg(test)]
mod tests;
