//! A render on its way, to go on with elsewhere.

use std::collections::{BTreeMap, HashMap, VecDeque};

use atelier_proto::ids::Digest;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use tch::{Device, Kind, TchError, Tensor};

use super::RenderError;
use super::descent::{Past, RowState};

/// What marks the file.
const FORMAT: &str = "atelier checkpoint 2";

/// Where a render is: its image, scale, evaluation and optimiser history.
///
/// It belongs to one job and one network: a renderer refuses it for another.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// Of the settings, inputs and network that it belongs to.
    pub(super) job: Digest,
    /// Index of the scale, the coarsest being 0.
    pub(super) scale: usize,
    /// Evaluations made at this scale.
    pub(super) evaluations_of_scale: u32,
    /// Evaluations made over all scales.
    pub(super) evaluations: u32,
    /// Seconds of devices that it took so far.
    pub(super) seconds: f64,
    pub(super) best_loss: f64,
    past: Past,
    tensors: BTreeMap<String, Saved>,
}

/// Values of a tensor, away from any device.
#[derive(Debug, Clone)]
struct Saved {
    shape: Vec<usize>,
    /// float32, little-endian. Rounded histories were tried: they cost a resumed run more than they save.
    bytes: Vec<u8>,
}

impl Checkpoint {
    pub(super) fn of(
        job: Digest,
        scale: usize,
        evaluations_of_scale: u32,
        evaluations: u32,
        seconds: f64,
        state: &RowState,
    ) -> Result<Self, TchError> {
        let mut tensors = BTreeMap::from([
            ("image".to_owned(), Saved::of(&state.image)?),
            ("best".to_owned(), Saved::of(&state.best)?),
        ]);
        for (name, tensor) in &state.optimiser {
            tensors.insert(format!("optimiser.{name}"), Saved::of(tensor)?);
        }
        Ok(Self {
            job,
            scale,
            evaluations_of_scale,
            evaluations,
            seconds,
            best_loss: state.best_loss,
            past: state.past.clone(),
            tensors,
        })
    }

    /// Evaluations made over all scales.
    pub fn evaluations(&self) -> u32 {
        self.evaluations
    }

    pub(super) fn state(&self, device: Device) -> Result<RowState, RenderError> {
        let get = |name: &str| match self.tensors.get(name) {
            Some(saved) => Ok(saved.tensor(device)?),
            None => Err(RenderError::DamagedCheckpoint),
        };
        let optimiser = self.tensors.iter().filter_map(|(name, saved)| {
            let name = name.strip_prefix("optimiser.")?;
            Some(saved.tensor(device).map(|tensor| (name.to_owned(), tensor)))
        });
        Ok(RowState {
            image: get("image")?,
            best: get("best")?,
            best_loss: self.best_loss,
            past: self.past.clone(),
            optimiser: optimiser.collect::<Result<_, _>>()?,
        })
    }

    /// The bytes of a file: safetensors, with what is no tensor in its metadata.
    ///
    /// # Errors
    /// When the tensors cannot be written, which would be a fault of this program.
    pub fn to_bytes(&self) -> Result<Vec<u8>, RenderError> {
        let metadata = HashMap::from([
            ("format".to_owned(), FORMAT.to_owned()),
            ("job".to_owned(), self.job.to_string()),
            ("scale".to_owned(), self.scale.to_string()),
            (
                "evaluations_of_scale".to_owned(),
                self.evaluations_of_scale.to_string(),
            ),
            ("evaluations".to_owned(), self.evaluations.to_string()),
            ("seconds".to_owned(), self.seconds.to_string()),
            ("best_loss".to_owned(), self.best_loss.to_string()),
            ("since_best".to_owned(), self.past.since_best.to_string()),
            ("recoveries".to_owned(), self.past.recoveries.to_string()),
            ("bests".to_owned(), listed(&self.past.bests)),
        ]);
        let views = self.tensors.iter().map(|(name, saved)| {
            let view = TensorView::new(Dtype::F32, saved.shape.clone(), &saved.bytes);
            view.map(|view| (name.as_str(), view))
        });
        let views = views
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| RenderError::DamagedCheckpoint)?;
        safetensors::serialize(views, Some(metadata)).map_err(|_| RenderError::DamagedCheckpoint)
    }

    /// Reads what [`Checkpoint::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`RenderError::DamagedCheckpoint`] when the bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RenderError> {
        Self::read(bytes).ok_or(RenderError::DamagedCheckpoint)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
        let metadata = header.metadata().as_ref()?;
        let text = |name: &str| metadata.get(name);
        if text("format")? != FORMAT {
            return None;
        }
        let file = SafeTensors::deserialize(bytes).ok()?;
        let tensors = file.iter().map(|(name, view)| {
            let saved = Saved {
                shape: view.shape().to_vec(),
                bytes: view.data().to_vec(),
            };
            (view.dtype() == Dtype::F32).then_some((name.to_owned(), saved))
        });
        let bests = text("bests")?.split_whitespace().map(str::parse);
        let past = Past {
            since_best: text("since_best")?.parse().ok()?,
            recoveries: text("recoveries")?.parse().ok()?,
            bests: bests.collect::<Result<_, _>>().ok()?,
        };
        Some(Self {
            past,
            job: text("job")?.parse().ok()?,
            scale: text("scale")?.parse().ok()?,
            evaluations_of_scale: text("evaluations_of_scale")?.parse().ok()?,
            evaluations: text("evaluations")?.parse().ok()?,
            seconds: text("seconds")?.parse().ok()?,
            best_loss: text("best_loss")?.parse().ok()?,
            tensors: tensors.collect::<Option<_>>()?,
        })
    }
}

/// Losses as they are read again, to the last bit.
fn listed(losses: &VecDeque<f64>) -> String {
    let losses: Vec<String> = losses.iter().map(f64::to_string).collect();
    losses.join(" ")
}

impl Saved {
    fn of(tensor: &Tensor) -> Result<Self, TchError> {
        let shape = tensor.size().iter().map(|axis| *axis as usize).collect();
        let tensor = tensor
            .f_detach()?
            .f_to_kind(Kind::Float)?
            .f_to_device(Device::Cpu)?
            .f_contiguous()?;
        let mut values = vec![0.0_f32; tensor.numel()];
        tensor.f_copy_data(&mut values, tensor.numel())?;
        let bytes = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        Ok(Self { shape, bytes })
    }

    fn tensor(&self, device: Device) -> Result<Tensor, TchError> {
        let shape: Vec<i64> = self.shape.iter().map(|axis| *axis as i64).collect();
        Tensor::f_from_data_size(&self.bytes, &shape, Kind::Float)?.f_to_device(device)
    }
}
