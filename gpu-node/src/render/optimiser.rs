//! The optimiser that the settings name.

use std::collections::BTreeMap;

use atelier_proto::settings::{self, RenderSettings};
use tch::{TchError, Tensor};

use super::adam::Adam;
use super::lbfgs::Lbfgs;

/// Root mean square of the longest step of L-BFGS, in colours of 0..=1. The first pair may see next to no curvature where
/// a loss is about to rise with the fourth power; the step that it suggests then lies beyond every picture.
const STEP_MAX: f64 = 0.25;

/// Moves a batch of images, `[batch, values]`, each row for itself.
#[derive(Debug)]
pub(super) enum Optimiser {
    Lbfgs(Lbfgs),
    Adam(Adam),
}

impl Optimiser {
    /// Without history, for images like `like`; L-BFGS remembers `pairs_max` pairs.
    pub(super) fn new(
        settings: &RenderSettings,
        like: &Tensor,
        pairs_max: u32,
    ) -> Result<Self, TchError> {
        Ok(match settings.optimiser {
            settings::Optimiser::Lbfgs => Self::Lbfgs(Lbfgs::new(like, pairs_max, STEP_MAX)?),
            settings::Optimiser::Adam => {
                Self::Adam(Adam::new(like, settings.learning_rate, settings.averaging)?)
            }
        })
    }

    /// The images after one step, given the gradient at them; all are `[batch, values]`.
    pub(super) fn step(&mut self, images: &Tensor, gradient: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Lbfgs(lbfgs) => lbfgs.step(images, gradient),
            Self::Adam(adam) => adam.step(images, gradient),
        }
    }

    /// The average of the iterates, for an optimiser that has one.
    pub(super) fn averaged(&self, images: &Tensor) -> Result<Option<Tensor>, TchError> {
        match self {
            Self::Lbfgs(_) => Ok(None),
            Self::Adam(adam) => adam.averaged(images).map(Some),
        }
    }

    /// Rows where `rows` (`[batch, 1]`, boolean) holds forget what they learnt and take half as long steps from now on.
    pub(super) fn begin_anew(&mut self, rows: &Tensor) -> Result<(), TchError> {
        match self {
            Self::Lbfgs(lbfgs) => lbfgs.begin_anew(rows),
            Self::Adam(adam) => adam.begin_anew(rows),
        }
    }

    /// The images are elsewhere than the last step left them: nothing is learnt across the jump.
    pub(super) fn jumped(&mut self) {
        match self {
            Self::Lbfgs(lbfgs) => lbfgs.jumped(),
            // Adam knows gradients and no steps.
            Self::Adam(_) => {}
        }
    }

    /// Goes on with some rows alone, in this order.
    pub(super) fn keep(&mut self, rows: &[i64]) -> Result<(), TchError> {
        match self {
            Self::Lbfgs(lbfgs) => lbfgs.keep(rows),
            Self::Adam(adam) => adam.keep(rows),
        }
    }

    /// What one row knows, by name.
    pub(super) fn state(&self, row: i64) -> Result<Vec<(String, Tensor)>, TchError> {
        match self {
            Self::Lbfgs(lbfgs) => lbfgs.state(row),
            Self::Adam(adam) => adam
                .state()
                .into_iter()
                .map(|(name, tensor)| Ok((name, tensor.f_narrow(0, row, 1)?)))
                .collect(),
        }
    }

    /// Goes on from what [`Optimiser::state`] told of a row; this optimiser has one row.
    pub(super) fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<(), TchError> {
        match self {
            Self::Lbfgs(lbfgs) => lbfgs.restore(state),
            Self::Adam(adam) => adam.restore(state),
        }
    }
}
