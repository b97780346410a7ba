//! The optimisation of a batch of images at one scale: evaluate, remember the best, step; recover rows that went astray.

use std::collections::{BTreeMap, VecDeque};

use atelier_proto::settings::{PLATEAU_EVALUATIONS, RenderSettings};
use tch::{Device, Kind, TchError, Tensor};

use super::loss::Objective;
use super::optimiser::Optimiser;
use super::vgg::Vgg;

/// A row whose loss is so many times its best has left the region that its history describes.
const ASTRAY_FACTOR: f64 = 10.0;
/// A row that has found nothing better for so many evaluations gets nowhere with its history.
const STALLED_EVALUATIONS: usize = 40;
/// A row that had to be recovered so often ends with the best picture that it found.
const RECOVERIES_MAX: u32 = 8;

/// A batch of images on their way down.
#[derive(Debug)]
pub(super) struct Descent {
    /// `[batch, 3, height, width]`.
    images: Tensor,
    /// Those with the lowest losses so far.
    best: Tensor,
    rows: Vec<Row>,
    optimiser: Optimiser,
    pairs_max: u32,
}

/// What is known of one image.
#[derive(Debug, Clone)]
struct Row {
    best: f64,
    /// The best loss that was told less exactly.
    best_before: f64,
    past: Past,
}

/// What decides when a row is recovered or has ended, besides its best loss.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Past {
    /// Evaluations since the best loss was found.
    pub(super) since_best: usize,
    pub(super) recoveries: u32,
    /// The best losses of the last evaluations, the newest last; one more than a plateau is long.
    pub(super) bests: VecDeque<f64>,
}

/// Losses of one evaluation, a number for each row.
#[derive(Debug, Clone, Default)]
pub(super) struct RowLosses {
    pub(super) total: Vec<f64>,
    pub(super) content: Vec<f64>,
    pub(super) style: Vec<f64>,
}

/// What one row leaves at the end of a scale.
#[derive(Debug)]
pub(super) struct Best {
    /// `[1, 3, height, width]`.
    pub(super) image: Tensor,
    /// Infinite: no evaluation of this row was finite.
    pub(super) loss: f64,
}

/// One row, to go on from elsewhere.
#[derive(Debug)]
pub(super) struct RowState {
    /// `[1, 3, height, width]` each.
    pub(super) image: Tensor,
    pub(super) best: Tensor,
    pub(super) best_loss: f64,
    pub(super) past: Past,
    pub(super) optimiser: BTreeMap<String, Tensor>,
}

impl Row {
    /// Of its best image, as exactly as it is known; infinite when no loss was finite.
    fn loss(&self) -> f64 {
        if self.best.is_finite() {
            self.best
        } else {
            self.best_before
        }
    }
}

impl Descent {
    /// Begins at `images`, `[batch, 3, height, width]`, with an optimiser that remembers `pairs_max` pairs at most.
    pub(super) fn begin(
        images: Tensor,
        settings: &RenderSettings,
        pairs_max: u32,
    ) -> Result<Self, TchError> {
        let batch = images.size()[0];
        let row = Row {
            best: f64::INFINITY,
            best_before: f64::INFINITY,
            past: Past::default(),
        };
        Ok(Self {
            optimiser: Optimiser::new(settings, &images.f_reshape([batch, -1])?, pairs_max)?,
            best: images.shallow_clone(),
            images,
            rows: vec![row; batch as usize],
            pairs_max,
        })
    }

    /// Goes on from a saved row, alone.
    pub(super) fn resume(
        state: &RowState,
        settings: &RenderSettings,
        pairs_max: u32,
    ) -> Result<Self, TchError> {
        let mut descent = Self::begin(state.image.shallow_clone(), settings, pairs_max)?;
        descent.best = state.best.shallow_clone();
        descent.optimiser.restore(&state.optimiser)?;
        for row in &mut descent.rows {
            row.best = state.best_loss;
            row.past.clone_from(&state.past);
        }
        Ok(descent)
    }

    /// Evaluates the images and moves them; returns their losses before the move.
    ///
    /// A row whose loss is not finite or far above its best, or that gets nowhere, goes back to its best image, forgets
    /// its history and takes smaller steps from there; its neighbours notice nothing.
    pub(super) fn advance(
        &mut self,
        vgg: &Vgg,
        objective: &Objective,
    ) -> Result<RowLosses, TchError> {
        let (losses, gradient) = objective.evaluate(vgg, &self.images)?;
        // Together: a GPU is waited for once.
        let told = Tensor::f_cat(&[losses.total, losses.content, losses.style], 0)?;
        let told = numbers(&told)?;
        let (total, parts) = told.split_at(self.rows.len());
        let (content, style) = parts.split_at(self.rows.len());
        let losses = RowLosses {
            total: total.to_vec(),
            content: content.to_vec(),
            style: style.to_vec(),
        };
        tch::no_grad(|| self.move_on(&losses.total, &gradient))?;
        Ok(losses)
    }

    /// Whether a row has nothing more to gain: the last [`PLATEAU_EVALUATIONS`] lowered its loss by less than `plateau`
    /// of it, or it had to be recovered too often, or its very first loss was not finite.
    pub(super) fn has_ended(&self, row: usize, plateau: f64) -> bool {
        let Some(row) = self.rows.get(row) else {
            return true;
        };
        let flat = match (
            row.past.bests.front(),
            row.past.bests.len() > PLATEAU_EVALUATIONS,
        ) {
            (Some(before), true) => before - row.best < plateau * before,
            _ => false,
        };
        flat || row.loss().is_infinite() || row.past.recoveries >= RECOVERIES_MAX
    }

    /// From now on losses are told more exactly: those before do not compare with them. All rows go on from their best
    /// images, so that none of these is lost to a worse one.
    pub(super) fn look_closer(&mut self) {
        self.images = self.best.shallow_clone();
        self.optimiser.jumped();
        for row in &mut self.rows {
            row.best_before = row.best;
            row.best = f64::INFINITY;
            row.past.since_best = 0;
            row.past.bests.clear();
        }
    }

    /// Forgets all history and brings colours into range, as the source article does after each round.
    pub(super) fn next_round(&mut self, settings: &RenderSettings) -> Result<(), TchError> {
        self.images = self.images.f_clamp(0.0, 1.0)?;
        let flat = self.images.f_flatten(1, -1)?;
        self.optimiser = Optimiser::new(settings, &flat, self.pairs_max)?;
        Ok(())
    }

    /// Goes on with some rows alone, in this order.
    pub(super) fn keep(&mut self, kept: &[usize]) -> Result<(), TchError> {
        let rows = row_indices(kept, self.images.device())?;
        self.images = self.images.f_index_select(0, &rows)?;
        self.best = self.best.f_index_select(0, &rows)?;
        self.rows = kept
            .iter()
            .filter_map(|row| self.rows.get(*row).cloned())
            .collect();
        let kept: Vec<i64> = kept.iter().map(|row| *row as i64).collect();
        self.optimiser.keep(&kept)
    }

    /// One row as it stands.
    pub(super) fn state(&self, row: usize) -> Result<RowState, TchError> {
        let at = row as i64;
        Ok(RowState {
            image: self.images.f_narrow(0, at, 1)?,
            best: self.best.f_narrow(0, at, 1)?,
            best_loss: self.rows.get(row).map_or(f64::INFINITY, Row::loss),
            past: self
                .rows
                .get(row)
                .map(|row| row.past.clone())
                .unwrap_or_default(),
            optimiser: self.optimiser.state(at)?.into_iter().collect(),
        })
    }

    /// The best image of a row so far, `[1, 3, height, width]`.
    pub(super) fn best_image(&self, row: usize) -> Result<Tensor, TchError> {
        self.best.f_narrow(0, row as i64, 1)
    }

    /// The best image of a row.
    ///
    /// Where the optimiser averages its iterates, their average is looked at once more and taken unless it is worse.
    pub(super) fn best(
        &self,
        row: usize,
        vgg: &Vgg,
        objective: &Objective,
    ) -> Result<Best, TchError> {
        let best = Best {
            image: self.best_image(row)?,
            loss: self.rows.get(row).map_or(f64::INFINITY, Row::loss),
        };
        let flat = self.images.f_flatten(1, -1)?;
        let Some(averaged) = self.optimiser.averaged(&flat)? else {
            return Ok(best);
        };
        let only = row_indices(&[row], self.images.device())?;
        let image = averaged
            .f_index_select(0, &only)?
            .f_reshape(best.image.size())?;
        let loss = objective.kept(&only)?.loss(vgg, &image)?;
        Ok(if loss <= best.loss {
            Best { image, loss }
        } else {
            best
        })
    }

    fn move_on(&mut self, losses: &[f64], gradient: &Tensor) -> Result<(), TchError> {
        let batch = self.images.size()[0];
        let mut better = Vec::with_capacity(losses.len());
        let mut astray = Vec::with_capacity(losses.len());
        for (row, loss) in self.rows.iter_mut().zip(losses) {
            better.push(*loss < row.best);
            if *loss < row.best {
                row.best = *loss;
                row.past.since_best = 0;
            } else {
                row.past.since_best += 1;
            }
            let is_lost = !loss.is_finite() || *loss > row.best * ASTRAY_FACTOR;
            astray.push(is_lost || row.past.since_best >= STALLED_EVALUATIONS);
            row.past.bests.push_back(row.best);
            if row.past.bests.len() > PLATEAU_EVALUATIONS + 1 {
                row.past.bests.pop_front();
            }
        }
        self.best = self.choose(&better, &self.images, &self.best)?;
        let mut gradient = gradient.f_reshape([batch, -1])?;
        if astray.contains(&true) {
            let rows = astray.iter().filter(|astray| **astray).count();
            tracing::debug!(rows, "astray: going on from the best picture so far");
            for (row, astray) in self.rows.iter_mut().zip(&astray) {
                if *astray {
                    row.past.recoveries += 1;
                    row.past.since_best = 0;
                }
            }
            let rows = self.flags(&astray)?.f_view([batch, 1])?;
            self.images = self.choose(&astray, &self.best, &self.images)?;
            self.optimiser.begin_anew(&rows)?;
            // The gradient was taken where these rows no longer are; they stand still until the next one.
            gradient = gradient.f_zeros_like()?.f_where_self(&rows, &gradient)?;
        }
        let images = self.images.f_reshape([batch, -1])?;
        let images = self.optimiser.step(&images, &gradient)?;
        self.images = images.f_reshape(self.images.size())?;
        Ok(())
    }

    /// Sends every value of a row elsewhere, as a step that went wrong would.
    #[cfg(test)]
    pub(super) fn displace(&mut self, row: i64, value: f64) {
        let _ = self.images.get(row).fill_(value);
    }

    /// Rows of `yes` where `rows` holds, else of `no`.
    fn choose(&self, rows: &[bool], yes: &Tensor, no: &Tensor) -> Result<Tensor, TchError> {
        if rows.iter().all(|row| *row) {
            return Ok(yes.shallow_clone());
        }
        if rows.iter().all(|row| !*row) {
            return Ok(no.shallow_clone());
        }
        yes.f_where_self(&self.flags(rows)?, no)
    }

    /// `[batch, 1, 1, 1]`, boolean.
    fn flags(&self, rows: &[bool]) -> Result<Tensor, TchError> {
        Tensor::f_from_slice(rows)?
            .f_view([-1, 1, 1, 1])?
            .f_to_device(self.images.device())
    }
}

/// Numbers of rows as `[rows]`, int64.
pub(super) fn row_indices(rows: &[usize], device: Device) -> Result<Tensor, TchError> {
    let rows: Vec<i64> = rows.iter().map(|row| *row as i64).collect();
    Tensor::f_from_slice(&rows)?.f_to_device(device)
}

fn numbers(row_values: &Tensor) -> Result<Vec<f64>, TchError> {
    let row_values = row_values
        .f_detach()?
        .f_to_kind(Kind::Double)?
        .f_to_device(Device::Cpu)?;
    let mut numbers = vec![0.0; row_values.numel()];
    row_values.f_copy_data(&mut numbers, row_values.numel())?;
    Ok(numbers)
}
