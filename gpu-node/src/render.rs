//! The renderer: the only code of Atelier that names tch.
//!
//! [`Renderer`] holds a network on a device and turns [`RenderJob`]s into pictures. Inside, everything is batched: images
//! are `[batch, 3, height, width]`, and each row has losses, an optimiser history and an end of its own.
//!
//! - [`job`]: what is asked and answered; [`rows`]: which jobs can share a batch; [`tuner`]: how many should
//! - [`batch`]: a batch through its scales; [`descent`]: the loop at one scale, with recovery and the best picture so far;
//!   [`optimiser`], [`lbfgs`], [`compact`], [`adam`]: the steps; [`checkpoint`]: a render that goes on elsewhere
//! - [`vgg`]: the network, cut after the deepest layer that is asked for; [`untrained`]: one that needs no file;
//!   [`feature_scale`]: why the file does not matter
//! - [`statistics`]: what content and style are measured by; [`targets`]: what they are in photos and paintings;
//!   [`aims`], [`loss`]: how far a picture is from them; [`prepare`]: from jobs to all of these;
//!   [`starts`]: what a scale begins with; [`unpainted`]: what masks leave alone
//! - [`at_once`], [`peak`]: for measuring; [`memory`], [`host_memory`]: what fits; [`tiles`], [`tile_plan`]: what is done
//!   when a picture does not
//! - [`pixels`], [`colour`]: pictures to tensors and back; [`device`], [`mod@devices`], [`cuda`], [`precision`], [`tf32`]: what
//!   it all runs on; [`packed`], [`gpu`]: what processors and GPUs do faster than by libtorch's own operators; [`shim`]: how
//!   C++ is called; [`layout`]: how maps lie in memory

mod adam;
mod aims;
mod at_once;
mod batch;
mod checkpoint;
mod colour;
mod compact;
mod cuda;
mod descent;
mod device;
mod devices;
mod error;
mod feature_scale;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod gpu;
mod host_memory;
mod job;
mod layout;
mod lbfgs;
mod loss;
mod memory;
mod optimiser;
mod packed;
mod peak;
mod pixels;
mod precision;
mod prepare;
mod rows;
mod shim;
mod starts;
mod statistics;
mod targets;
mod tf32;
mod tile_plan;
mod tiles;
mod tuner;
mod unpainted;
mod untrained;
mod vgg;

use std::collections::BTreeMap;

use atelier_proto::settings::{Features, Layer, LayerWeights, LossKind, RenderSettings};
use tch::Kind;

use self::batch::{Batch, Outcome};
pub use self::checkpoint::Checkpoint;
pub use self::device::{DeviceChoice, UnknownDevice, open_libraries};
pub use self::devices::{DeviceInfo, LIBTORCH_VERSION, devices, libtorch_folder};
pub use self::error::RenderError;
pub use self::job::{
    Evaluation, Input, MaskInput, PREVIEW_SIDE, PaintingInput, RenderJob, Rendered, Unwatched,
    Watch,
};
use self::memory::Memory;
pub use self::peak::{Peak, Peaks};
pub use self::precision::{Precision, UnknownPrecision};
use self::prepare::Preparer;
use self::rows::{Row, looked_at};
use self::targets::TargetCache;
use self::tuner::BatchTuner;
pub use self::untrained::calibrated;
use self::vgg::{Numbers, Vgg};
use crate::weights::{Network, VggWeights};

/// The largest batch, whatever the memory: beyond it devices gain nothing, and one fault costs many cells.
const BATCH_MAX: u32 = 256;
/// How often a picture that does not fit alone is tried in half the memory, in smaller tiles, before it fails.
const HALVINGS_MAX: u32 = 3;

/// What a renderer runs on, and how.
#[derive(Debug, Clone, Copy, Default)]
pub struct RendererOptions {
    /// The device.
    pub device: DeviceChoice,
    /// In which numbers it convolves.
    pub precision: Precision,
    /// Most cells in one batch; as many as measurement says without it.
    pub batch_max: Option<u32>,
    /// Bytes of memory that the renderer may take, the program's own included; most of what is free without it.
    pub memory_bytes_max: Option<u64>,
}

/// A network on a device, ready to render.
#[derive(Debug)]
pub struct Renderer {
    /// In float32.
    exact: Vgg,
    /// The same in numbers that the device is faster with, if any.
    fast: Option<Vgg>,
    network: String,
    device: device::Selected,
    memory: Memory,
    tuner: BatchTuner,
    batch_max: u32,
    targets: TargetCache,
    /// Known once some job asked for it.
    feature_factors: Option<BTreeMap<Layer, f64>>,
    /// The scale of features relative to that of the original weights.
    feature_strength: f64,
    /// The layers of this network where the settings name none.
    content_layers: LayerWeights,
    style_layers: LayerWeights,
}

impl Renderer {
    /// Puts a network on a device; an untrained one is calibrated on the way, which takes about a second.
    ///
    /// # Errors
    /// When the device is not there or libtorch refuses.
    pub fn load(network: Network, options: &RendererOptions) -> Result<Self, RenderError> {
        let device = device::select(options.device)?;
        tf32::allow_in_convolutions(options.precision != Precision::Float32)?;
        gpu::load(device.torch);
        let name = network_name(&network);
        let (weights, content, feature_strength) = match network {
            Network::Trained(weights) => (weights, TRAINED_CONTENT, 1.0),
            Network::Untrained { seed } => (
                untrained::calibrated(seed)?,
                UNTRAINED_CONTENT,
                untrained::STRENGTH,
            ),
        };
        let halves = match options.precision {
            Precision::Auto => precision::gains_by_bfloat16(device.torch),
            Precision::Float32 => false,
            Precision::Bfloat16 => {
                if device.torch == tch::Device::Cpu && !precision::processors_have_bfloat16() {
                    tracing::warn!(
                        "bfloat16 is slower than float32 on these processors, which do not multiply it themselves"
                    );
                }
                true
            }
        };
        let load = |convolutions| {
            let numbers = Numbers {
                convolutions,
                channels_last: true,
            };
            Vgg::load(&weights, device.torch, numbers)
        };
        let memory = Memory::new(options.memory_bytes_max.unwrap_or(device.free_bytes()));
        let batch_max = options.batch_max.unwrap_or(BATCH_MAX).clamp(1, BATCH_MAX);
        Ok(Self {
            exact: load(Kind::Float)?,
            fast: halves.then(|| load(Kind::BFloat16)).transpose()?,
            network: name,
            memory,
            tuner: BatchTuner::new(batch_max, device.first_batch()),
            batch_max,
            targets: TargetCache::new(memory.targets_bytes()),
            feature_factors: None,
            feature_strength,
            device,
            content_layers: layers(content),
            style_layers: layers(STYLE),
        })
    }

    /// Which network paints: "vgg16 untrained 2", "vgg19 sha256:…".
    pub fn network(&self) -> &str {
        &self.network
    }

    /// "cpu" or "cuda:0 NVIDIA H100".
    pub fn device(&self) -> &str {
        &self.device.name
    }

    /// Bytes that the device can give to a render; 0 where it does not tell.
    pub fn memory_bytes(&self) -> u64 {
        self.device.memory_bytes
    }

    /// In which numbers it convolves: "float32" or "bfloat16".
    pub fn precision(&self) -> &'static str {
        match self.fast {
            Some(_) => "bfloat16",
            None => "float32",
        }
    }

    /// Cells worth having at hand at once: those of the next batch, as measurement of the last ones suggests.
    pub fn batch_wanted(&self) -> u32 {
        self.tuner.wanted()
    }

    /// Renders jobs; results come in their order. Those that are alike enough share batches, and each succeeds, is stopped
    /// or fails for itself.
    ///
    /// # Errors
    /// For each job: [`RenderError::Cancelled`] when `watch` ended it; a refusal when it asks what this network cannot do;
    /// what libtorch says otherwise.
    pub fn render_all(
        &mut self,
        jobs: &[RenderJob],
        watch: &mut dyn Watch,
    ) -> Vec<Result<Rendered, RenderError>> {
        let mut results: Vec<Option<Result<Rendered, RenderError>>> =
            jobs.iter().map(|_| None).collect();
        let mut waiting = Vec::new();
        for (number, job) in jobs.iter().enumerate() {
            match self.row(number, job) {
                Ok(row) => waiting.push(row),
                Err(error) => results[number] = Some(Err(error)),
            }
        }
        while let Some(first) = waiting.first() {
            let shared = first.shared();
            let (alike, others): (Vec<_>, Vec<_>) =
                waiting.into_iter().partition(|row| row.shared() == shared);
            waiting = others;
            let alike: Vec<&Row<'_>> = alike.iter().collect();
            self.render_alike(&alike, &mut results, watch);
        }
        let ended = |result: Option<_>| result.unwrap_or(Err(RenderError::Cancelled));
        results.into_iter().map(ended).collect()
    }

    /// Renders one job.
    ///
    /// # Errors
    /// As [`Renderer::render_all`] says.
    pub fn render(
        &mut self,
        job: &RenderJob,
        watch: &mut dyn Watch,
    ) -> Result<Rendered, RenderError> {
        let mut results = self.render_all(std::slice::from_ref(job), watch);
        results.pop().unwrap_or(Err(RenderError::Cancelled))
    }

    /// Renders rows that may share batches, in batches of the size that measurement says is best.
    fn render_alike(
        &mut self,
        rows: &[&Row<'_>],
        results: &mut [Option<Result<Rendered, RenderError>>],
        watch: &mut dyn Watch,
    ) {
        let Some(first) = rows.first() else { return };
        let size = first.size;
        let mut fits = self.fits(rows).min(self.batch_max) as usize;
        let mut memory = self.memory;
        let mut halvings = 0;
        let mut rest = rows;
        while !rest.is_empty() {
            let batch = self.tuner.next(size, rest.len().min(fits));
            let (now, later) = rest.split_at((batch as usize).clamp(1, rest.len()));
            match self.render_batch(now, memory, true, watch) {
                Ok(ended) => {
                    rest = later;
                    for (row, result) in now.iter().zip(ended) {
                        results[row.number] = Some(result);
                    }
                }
                // What does not fit at once may fit by halves.
                Err(error) if error.is_lack_of_memory() && batch > 1 => {
                    tracing::warn!(batch, "too little memory: going on with smaller batches");
                    self.tuner.record(size, batch, f64::INFINITY);
                    fits = batch as usize / 2;
                }
                Err(error) if error.is_lack_of_memory() && halvings < HALVINGS_MAX => {
                    tracing::warn!("too little memory for one picture: once more in smaller tiles");
                    self.targets = TargetCache::new(self.memory.targets_bytes());
                    memory = memory.halved();
                    halvings += 1;
                }
                // The batch is at fault as a whole, or one row of it: each is told alone.
                Err(_) if batch > 1 => fits = 1,
                Err(error) => {
                    rest = later;
                    if let Some(row) = now.first() {
                        results[row.number] = Some(Err(error));
                    }
                }
            }
        }
    }

    /// How many rows like these fit into the memory at once, seen as a whole.
    fn fits(&self, rows: &[&Row<'_>]) -> u32 {
        let Some(first) = rows.first() else { return 1 };
        let (size, history) = (first.size, first.settings.history);
        self.memory
            .batch_max(&self.exact, &looked_at(rows), size, history)
    }

    /// Renders one batch, in the fast numbers where allowed and in float32 where those fail.
    fn render_batch(
        &mut self,
        rows: &[&Row<'_>],
        memory: Memory,
        may_be_fast: bool,
        watch: &mut dyn Watch,
    ) -> Result<Vec<Result<Rendered, RenderError>>, RenderError> {
        let no_factors = BTreeMap::new();
        let wants_factors = rows.iter().any(|row| {
            row.settings.features == Features::Normalised && row.settings.loss != LossKind::Relative
        });
        if wants_factors && self.feature_factors.is_none() {
            self.feature_factors = Some(feature_scale::factors(
                &self.exact,
                self.feature_strength,
                self.device.torch,
            )?);
        }
        let fast = self.fast.as_ref().filter(|_| may_be_fast);
        let preparer = Preparer {
            vgg: &self.exact,
            device: self.device.torch,
            cache: &mut self.targets,
            feature_factors: self.feature_factors.as_ref().unwrap_or(&no_factors),
            memory: &memory,
        };
        let fast = fast.unwrap_or(&self.exact);
        let mut batch = Batch::new(rows, preparer, fast, &self.network);
        let outcomes = batch.paint(watch)?;
        let seconds = batch.seconds_per_row_evaluation();
        if let (Some(seconds), Some(first)) = (seconds, rows.first()) {
            // Settings that look deeper take longer in any batch.
            let work = memory::work_per_pixel(&self.exact, &looked_at(rows));
            self.tuner
                .record(first.size, rows.len() as u32, seconds / work.max(1.0));
        }
        let mut results = Vec::with_capacity(rows.len());
        for (row, outcome) in rows.iter().zip(outcomes) {
            results.push(match outcome {
                Outcome::Rendered(rendered) => Ok(*rendered),
                Outcome::Cancelled => Err(RenderError::Cancelled),
                Outcome::NotFinite => Err(RenderError::NotFinite),
                Outcome::NotFiniteYet => {
                    tracing::warn!("no finite loss in bfloat16: once more in float32");
                    // The others' pictures are done, whatever comes of this one.
                    match self.render_batch(std::slice::from_ref(row), memory, false, watch) {
                        Ok(mut again) => again.pop().unwrap_or(Err(RenderError::NotFinite)),
                        Err(error) => Err(error),
                    }
                }
            });
        }
        Ok(results)
    }

    /// A job with its settings complete and checked.
    fn row<'a>(&self, number: usize, job: &'a RenderJob) -> Result<Row<'a>, RenderError> {
        let settings = self.complete(&job.settings);
        self.exact.check_layers(&settings)?;
        Row::new(number, job, settings)
    }

    /// The settings with this network's own layers where none are named.
    fn complete(&self, settings: &RenderSettings) -> RenderSettings {
        let mut settings = settings.clone();
        let fill = |layers: &mut LayerWeights, default: &LayerWeights| {
            if layers.is_empty() {
                layers.clone_from(default);
            }
        };
        fill(&mut settings.content_layers, &self.content_layers);
        fill(&mut settings.style_layers, &self.style_layers);
        settings
    }
}

/// Block and index of a layer.
type Place = (u8, u8);
/// Gatys et al. 2015 take the content of trained networks from here.
const TRAINED_CONTENT: &[Place] = &[(4, 2)];
/// Random filters forget positions sooner: deeper layers no longer tell what was in the photo.
const UNTRAINED_CONTENT: &[Place] = &[(2, 2), (3, 1)];
/// Gatys et al. 2015, section 2.
const STYLE: &[Place] = &[(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)];

/// Layers that count alike.
fn layers(places: &[Place]) -> LayerWeights {
    let layers = places
        .iter()
        .filter_map(|(block, index)| Some((Layer::new(*block, *index)?, 1.0)));
    LayerWeights::new(layers.collect()).unwrap_or_default()
}

fn network_name(network: &Network) -> String {
    match network {
        Network::Trained(VggWeights {
            architecture,
            digest,
            ..
        }) => format!("{architecture} sha256:{digest}"),
        Network::Untrained { .. } => untrained::NAME.to_owned(),
    }
}

#[cfg(test)]
mod tests;
