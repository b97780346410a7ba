//! The optimisation of a batch of images at one scale: evaluate, remember the best, step; recover rows that went astray.

use tch::{Kind, TchError, Tensor};

use super::RenderError;
use super::lbfgs::Lbfgs;
use super::loss::Objective;

/// A row whose loss is so many times its best has left the region that its history describes.
const ASTRAY_FACTOR: f64 = 10.0;

/// A batch of images on their way down.
#[derive(Debug)]
pub(super) struct Descent {
    /// `[batch, 3, height, width]`.
    images: Tensor,
    optimiser: Lbfgs,
    best: Best,
}

/// The images with the lowest losses so far.
#[derive(Debug)]
pub(super) struct Best {
    /// `[batch, 3, height, width]`.
    pub(super) image: Tensor,
    pub(super) losses: Vec<f64>,
}

/// Losses of one evaluation, a number for each row.
#[derive(Debug)]
pub(super) struct RowLosses {
    pub(super) total: Vec<f64>,
    pub(super) content: Vec<f64>,
    pub(super) style: Vec<f64>,
}

impl Descent {
    /// Begins at `images`, `[batch, 3, height, width]`, with an optimiser that remembers `history` pairs.
    pub(super) fn begin(images: Tensor, history: u32) -> Result<Self, TchError> {
        let batch = images.size()[0];
        Ok(Self {
            optimiser: Lbfgs::new(&images.f_reshape([batch, -1])?, history)?,
            best: Best {
                image: images.shallow_clone(),
                losses: vec![f64::INFINITY; batch as usize],
            },
            images,
        })
    }

    /// Evaluates the images and moves them; returns their losses before the move.
    ///
    /// A row whose loss is not finite or far above its best goes back to its best image, forgets its history and takes
    /// smaller steps from there; its neighbours notice nothing.
    pub(super) fn advance(&mut self, objective: &Objective<'_>) -> Result<RowLosses, RenderError> {
        let (losses, gradient) = objective.evaluate(&self.images)?;
        let losses = RowLosses {
            total: numbers(&losses.total)?,
            content: numbers(&losses.content)?,
            style: numbers(&losses.style)?,
        };
        if losses
            .total
            .iter()
            .zip(&self.best.losses)
            .any(|(loss, best)| !loss.is_finite() && best.is_infinite())
        {
            return Err(RenderError::NotFinite);
        }
        tch::no_grad(|| self.move_on(&losses.total, &gradient))?;
        Ok(losses)
    }

    fn move_on(&mut self, losses: &[f64], gradient: &Tensor) -> Result<(), TchError> {
        let batch = self.images.size()[0];
        let better: Vec<bool> = losses
            .iter()
            .zip(&self.best.losses)
            .map(|(loss, best)| loss < best)
            .collect();
        let astray: Vec<bool> = losses
            .iter()
            .zip(&self.best.losses)
            .map(|(loss, best)| !loss.is_finite() || *loss > best * ASTRAY_FACTOR)
            .collect();
        for (best, loss) in self.best.losses.iter_mut().zip(losses) {
            *best = best.min(*loss);
        }
        self.best.image = self.choose(&better, &self.images, &self.best.image)?;
        if astray.contains(&true) {
            let rows = self.rows(&astray)?;
            tracing::debug!(
                ?losses,
                "went astray: going on from the best picture so far"
            );
            self.images = self.choose(&astray, &self.best.image, &self.images)?;
            self.optimiser.begin_anew(&rows.f_view([batch, 1])?)?;
            // The gradient was taken where these rows no longer are; they stand still until the next one.
        }
        let still = self.rows(&astray)?.f_view([batch, 1])?;
        let gradient = gradient.f_reshape([batch, -1])?;
        let gradient = gradient.f_zeros_like()?.f_where_self(&still, &gradient)?;
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

    /// The images with the lowest losses.
    pub(super) fn finish(self) -> Best {
        self.best
    }

    /// Rows of `yes` where `rows` holds, else of `no`.
    fn choose(&self, rows: &[bool], yes: &Tensor, no: &Tensor) -> Result<Tensor, TchError> {
        if rows.iter().all(|row| *row) {
            return Ok(yes.shallow_clone());
        }
        if rows.iter().all(|row| !*row) {
            return Ok(no.shallow_clone());
        }
        yes.f_where_self(&self.rows(rows)?, no)
    }

    /// `[batch, 1, 1, 1]`, boolean.
    fn rows(&self, rows: &[bool]) -> Result<Tensor, TchError> {
        Tensor::f_from_slice(rows)?
            .f_view([-1, 1, 1, 1])?
            .f_to_device(self.images.device())
    }
}

fn numbers(row_values: &Tensor) -> Result<Vec<f64>, TchError> {
    let row_values = row_values
        .f_detach()?
        .f_to_kind(Kind::Double)?
        .f_to_device(tch::Device::Cpu)?;
    let mut numbers = vec![0.0; row_values.numel()];
    row_values.f_copy_data(&mut numbers, row_values.numel())?;
    Ok(numbers)
}
