//! A step of L-BFGS in two passes over its vectors, by their inner products (see [`compact`]): what GPUs do.

use std::collections::VecDeque;

use tch::{Device, Kind, TchError, Tensor};

use super::super::compact::{self, Known, OfGradient, Products};
use super::super::gpu;
use super::{Aimed, CURVATURE_MIN, Last, Lbfgs, only_where};

/// Inner products with all vectors at hand, `[row][vector][head]`: see [`gpu::inner`].
type Inner = Vec<Vec<Vec<f64>>>;

impl Lbfgs {
    /// Whether passes over the vectors are what a step costs, and our kernels save them.
    pub(super) fn counts_passes(&self, gradient: &Tensor) -> bool {
        gpu::serves(gradient) && 2 * self.pairs_max + 3 <= gpu::VECTORS_MAX
    }

    /// [`Lbfgs::learn`] and [`Lbfgs::aim`] in two passes over all vectors (see [`compact`]).
    pub(super) fn learn_and_aim(&mut self, gradient: &Tensor) -> Result<Aimed, TchError> {
        let new = match self.last.take() {
            None => None,
            Some(Last {
                gradient: before,
                step,
            }) => Some((step, gradient.f_sub(&before)?)),
        };
        let mut vectors: Vec<&Tensor> = self.vectors(self.pairs.len());
        if let Some((step, change)) = &new {
            vectors.extend([step, change]);
        }
        vectors.push(gradient);
        let heads = if new.is_some() { 3 } else { 1 };
        let inner = inner(&vectors, heads)?;
        // The gradient is the last of the heads.
        let of_gradient = |row: &[Vec<f64>], pair: usize| OfGradient {
            step: row[2 * pair][heads - 1],
            change: row[2 * pair + 1][heads - 1],
        };
        let before = self.pairs.len();
        let mut of_gradient: Vec<VecDeque<OfGradient>> = inner
            .iter()
            .map(|row| (0..before).map(|pair| of_gradient(row, pair)).collect())
            .collect();
        if let Some((step, change)) = new
            && self.learn_from(step, change, &inner)?
        {
            for (known, row) in of_gradient.iter_mut().zip(&inner) {
                let (step, change) = (&row[2 * before], &row[2 * before + 1]);
                known.push_back(OfGradient {
                    step: step[heads - 1],
                    change: change[heads - 1],
                });
                while known.len() > self.pairs.len() {
                    known.pop_front();
                }
            }
        }
        let rhos = self.pairs.iter().map(|pair| &pair.rho);
        let told: Vec<&Tensor> = rhos.chain([&self.scale]).collect();
        let told = rows_of(&Tensor::f_cat(&told, 1)?)?;
        let (mut factors, mut squares, mut is_steepest) = (Vec::new(), Vec::new(), Vec::new());
        for (row, (told, gradients)) in told.iter().zip(&of_gradient).enumerate() {
            let (scale, rhos) = told.split_last().unwrap_or((&1.0, &[]));
            let known: Vec<Known<'_>> = self
                .pairs
                .iter()
                .zip(rhos)
                .zip(gradients)
                .map(|((pair, rho), gradient)| Known {
                    products: &pair.products[row],
                    rho: *rho,
                    // What a row did not learn from is not looked at: it may be no number.
                    gradient: if *rho == 0.0 {
                        OfGradient::default()
                    } else {
                        *gradient
                    },
                })
                .collect();
            let square = inner[row]
                .last()
                .map_or(0.0, |gradient| gradient[heads - 1]);
            let combined = compact::direction(&known, *scale, square);
            factors.extend(combined.factors);
            squares.push(combined.square.max(0.0));
            is_steepest.push(combined.is_steepest);
        }
        let batch = gradient.size()[0];
        let factors = Tensor::f_from_slice(&factors)?
            .f_view([batch, -1])?
            .f_to_kind(gradient.kind())?;
        let mut vectors = vec![gradient];
        vectors.extend(self.vectors(self.pairs.len()));
        Ok(Aimed {
            direction: gpu::combine(&vectors, &factors)?,
            square: self.column(&squares)?,
            is_steepest: Tensor::f_from_slice(&is_steepest)?
                .f_view([batch, 1])?
                .f_to_device(gradient.device())?,
        })
    }

    /// A number for each row.
    fn column(&self, values: &[f64]) -> Result<Tensor, TchError> {
        Tensor::f_from_slice(values)?
            .f_view([-1, 1])?
            .f_to_kind(self.scale.kind())?
            .f_to_device(self.scale.device())
    }

    /// Adds a pair whose products, and those of all before it, with step, change and gradient are given; false: no row
    /// learns from it.
    fn learn_from(
        &mut self,
        step: Tensor,
        change: Tensor,
        inner: &Inner,
    ) -> Result<bool, TchError> {
        let new = self.pairs.len();
        let (mut rhos, mut scales, mut teaches) = (Vec::new(), Vec::new(), Vec::new());
        let mut products = Vec::new();
        for row in inner {
            let curvature = row[2 * new + 1][0];
            let is_taught = curvature > CURVATURE_MIN;
            teaches.push(is_taught);
            rhos.push(if is_taught { curvature.recip() } else { 0.0 });
            scales.push(curvature / row[2 * new + 1][1]);
            let with = |pair: usize| {
                if is_taught {
                    products_of(row, pair)
                } else {
                    Products::default()
                }
            };
            products.push((0..=new).map(with).collect());
        }
        if !teaches.contains(&true) {
            return Ok(false);
        }
        let (rho, scale) = (self.column(&rhos)?, self.column(&scales)?);
        let all_learn = teaches.iter().all(|teaches| *teaches);
        let teaches = Tensor::f_from_slice(&teaches)?
            .f_view([-1, 1])?
            .f_to_device(self.scale.device())?;
        self.scale = scale.f_where_self(&teaches, &self.scale)?;
        let (step, change) = if all_learn {
            (step, change)
        } else {
            only_where(&teaches, &step, &change)?
        };
        self.remember(step, change, rho, products);
        Ok(true)
    }

    /// The inner products of restored pairs.
    pub(super) fn multiply_anew(&mut self) -> Result<(), TchError> {
        for pair in 0..self.pairs.len() {
            let vectors = self.vectors(pair + 1);
            let counts_passes = vectors
                .first()
                .is_some_and(|vector| self.counts_passes(vector));
            if !counts_passes {
                return Ok(());
            }
            let inner = inner(&vectors, 2)?;
            let of_row =
                |row: &Vec<Vec<f64>>| (0..=pair).map(|other| products_of(row, other)).collect();
            self.pairs[pair].products = inner.iter().map(of_row).collect();
        }
        Ok(())
    }

    /// Step and change of the oldest pairs, in turn.
    fn vectors(&self, pairs: usize) -> Vec<&Tensor> {
        let pairs = self.pairs.iter().take(pairs);
        pairs.flat_map(|pair| [&pair.step, &pair.change]).collect()
    }
}

/// Products of vectors with the last `heads` of them.
fn inner(vectors: &[&Tensor], heads: usize) -> Result<Inner, TchError> {
    let products = gpu::inner(vectors, heads)?;
    let rows = rows_of(&products.f_flatten(1, 2)?)?;
    let by_vector = |row: Vec<f64>| row.chunks(heads).map(<[f64]>::to_vec).collect();
    Ok(rows.into_iter().map(by_vector).collect())
}

/// Of a pair whose step and change are the first two heads, with another one.
fn products_of(row: &[Vec<f64>], other: usize) -> Products {
    let (step, change) = (&row[2 * other], &row[2 * other + 1]);
    Products {
        step_step: step[0],
        step_change: change[0],
        change_step: step[1],
        change_change: change[1],
    }
}

/// The numbers of `[rows, values]`.
fn rows_of(tensor: &Tensor) -> Result<Vec<Vec<f64>>, TchError> {
    let (rows, values) = tensor.size2()?;
    let tensor = tensor
        .f_to_kind(Kind::Double)?
        .f_to_device(Device::Cpu)?
        .f_contiguous()?;
    let mut numbers = vec![0.0; tensor.numel()];
    tensor.f_copy_data(&mut numbers, tensor.numel())?;
    debug_assert_eq!(numbers.len() as i64, rows * values);
    Ok(numbers
        .chunks((values as usize).max(1))
        .map(<[f64]>::to_vec)
        .collect())
}
