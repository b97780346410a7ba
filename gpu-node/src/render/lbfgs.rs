//! L-BFGS for many images at once, each with a history of its own.
//!
//! The semantics are those of `torch.optim.LBFGS` without line search (learning rate 1): a first step along the
//! gradient whose entries add up to at most 1, then full quasi-Newton steps (Nocedal and Wright, Numerical
//! Optimization, algorithm 7.4). Rows never mix: every product below is taken within a row.

mod by_products;

use std::collections::{BTreeMap, VecDeque};

use tch::{Kind, TchError, Tensor};

use super::compact::Products;
use super::statistics::by_row;

/// Pairs whose curvature is not above this teach nothing (`torch.optim.LBFGS` has the same number).
const CURVATURE_MIN: f64 = 1e-10;
/// By how much a damped step grows with every step that was taken: whole again sixteen steps after it was halved.
const DAMPING_LIFT: f64 = 1.044_273_782_427_413_8;
/// Bytes of pairs that a saved state has at most: all twenty of a picture of 512 × 512 pixels.
const STATE_BYTES_MAX: usize = 128 << 20;

/// The optimiser of a batch of images.
#[derive(Debug)]
pub(super) struct Lbfgs {
    pairs_max: usize,
    /// Root mean square of the longest step.
    step_max: f64,
    pairs: VecDeque<Pair>,
    /// The scale of the first guess of the inverse Hessian, `[batch, 1]`.
    scale: Tensor,
    /// Rows that have not made a step since they began anew, `[batch, 1]`, 1 or 0.
    fresh: Tensor,
    /// How much of each step is taken, `[batch, 1]`.
    damping: Tensor,
    last: Option<Last>,
}

/// A step and how it changed the gradient, each `[batch, values]`.
#[derive(Debug)]
struct Pair {
    step: Tensor,
    change: Tensor,
    /// 1 / (step · change), `[batch, 1]`; 0 in rows that this pair says nothing about.
    rho: Tensor,
    /// Inner products with all pairs up to this one, by row; empty where nobody asks for them.
    products: Vec<VecDeque<Products>>,
}

/// Where a step goes.
struct Aimed {
    /// `[batch, values]`.
    direction: Tensor,
    /// Its product with itself, `[batch, 1]`.
    square: Tensor,
    /// Rows in which it is the gradient turned round, `[batch, 1]`, boolean. A direction that does not descend comes of a
    /// worn history: the gradient itself always does.
    is_steepest: Tensor,
}

#[derive(Debug)]
struct Last {
    gradient: Tensor,
    step: Tensor,
}

impl Lbfgs {
    /// An optimiser without history for images like `like`, `[batch, values]`, that remembers `pairs_max` pairs
    /// and makes no step whose root mean square is above `step_max`.
    pub(super) fn new(like: &Tensor, pairs_max: u32, step_max: f64) -> Result<Self, TchError> {
        let ones = Tensor::f_ones([like.size()[0], 1], (like.kind(), like.device()))?;
        Ok(Self {
            pairs_max: pairs_max as usize,
            step_max,
            pairs: VecDeque::new(),
            scale: ones.shallow_clone(),
            fresh: ones.shallow_clone(),
            damping: ones,
            last: None,
        })
    }

    /// The images after one step, given the gradient at them; all are `[batch, values]`.
    pub(super) fn step(&mut self, images: &Tensor, gradient: &Tensor) -> Result<Tensor, TchError> {
        let Aimed {
            direction,
            square,
            is_steepest,
        } = if self.counts_passes(gradient) {
            self.learn_and_aim(gradient)?
        } else {
            self.learn(gradient)?;
            self.aim(gradient)?
        };
        let size = by_row(&gradient.f_abs()?, |row| {
            row.f_sum_dim_intlist(1, true, None)
        })?;
        let first = size.f_reciprocal()?.f_clamp_max(1.0)?;
        let is_first = self.fresh.f_gt(0.5)?.f_logical_or(&is_steepest)?;
        let length = first
            .f_where_self(&is_first, &first.f_ones_like()?)?
            .f_mul(&self.damping)?;
        let length = shortened(&square, direction.size()[1], &length, self.step_max)?;
        self.damping = self.damping.f_mul_scalar(DAMPING_LIFT)?.f_clamp_max(1.0)?;
        // A row that stood still has its first step before it.
        let stood = size.f_eq(0.0)?.f_to_kind(self.fresh.kind())?;
        self.fresh = self.fresh.f_mul(&stood)?;
        self.last = Some(Last {
            gradient: gradient.f_detach()?,
            step: direction.f_mul(&length)?,
        });
        images.f_addcmul(&direction, &length)
    }

    /// Rows where `rows` (`[batch, 1]`, boolean) holds forget what they learnt, and take half as long steps for a
    /// while: they have stepped too far.
    pub(super) fn begin_anew(&mut self, rows: &Tensor) -> Result<(), TchError> {
        let kept = rows.f_logical_not()?.f_to_kind(self.scale.kind())?;
        for pair in &mut self.pairs {
            pair.rho = pair.rho.f_mul(&kept)?;
        }
        let ones = self.scale.f_ones_like()?;
        self.scale = ones.f_where_self(rows, &self.scale)?;
        self.fresh = ones.f_where_self(rows, &self.fresh)?;
        self.damping = self
            .damping
            .f_mul_scalar(0.5)?
            .f_where_self(rows, &self.damping)?;
        if let Some(last) = &mut self.last {
            // A step of 0 has no curvature, so nothing is learnt across the jump, whatever went wrong before it.
            last.step = last.step.f_zeros_like()?.f_where_self(rows, &last.step)?;
            last.gradient = last
                .gradient
                .f_zeros_like()?
                .f_where_self(rows, &last.gradient)?;
        }
        Ok(())
    }

    /// Forgets the last step: the images are elsewhere.
    pub(super) fn jumped(&mut self) {
        self.last = None;
    }

    /// Goes on with some rows alone, in this order.
    pub(super) fn keep(&mut self, numbers: &[i64]) -> Result<(), TchError> {
        let rows = Tensor::f_from_slice(numbers)?.f_to_device(self.scale.device())?;
        let kept = |tensor: &mut Tensor| {
            *tensor = tensor.f_index_select(0, &rows)?;
            Ok::<_, TchError>(())
        };
        for pair in &mut self.pairs {
            kept(&mut pair.step)?;
            kept(&mut pair.change)?;
            kept(&mut pair.rho)?;
            if !pair.products.is_empty() {
                let of_rows = numbers
                    .iter()
                    .map(|row| pair.products[*row as usize].clone());
                pair.products = of_rows.collect();
            }
        }
        if let Some(last) = &mut self.last {
            kept(&mut last.gradient)?;
            kept(&mut last.step)?;
        }
        kept(&mut self.scale)?;
        kept(&mut self.fresh)?;
        kept(&mut self.damping)
    }

    /// What one row knows, by name, to go on elsewhere from [`Lbfgs::restore`]; of the pairs, the latest
    /// ones, which tell the most, if all would be too many.
    pub(super) fn state(&self, row: i64) -> Result<Vec<(String, Tensor)>, TchError> {
        let mut state = Vec::new();
        let mut add = |name: String, tensor: &Tensor| {
            state.push((name, tensor.f_narrow(0, row, 1)?));
            Ok::<_, TchError>(())
        };
        add("scale".to_owned(), &self.scale)?;
        add("fresh".to_owned(), &self.fresh)?;
        add("damping".to_owned(), &self.damping)?;
        let values = self.pairs.front().map_or(1, |pair| pair.step.size()[1]);
        let pairs_max = STATE_BYTES_MAX / (2 * 4 * values.unsigned_abs() as usize);
        let skipped = self.pairs.len().saturating_sub(pairs_max);
        for (number, pair) in self.pairs.iter().skip(skipped).enumerate() {
            add(format!("pair{number}.step"), &pair.step)?;
            add(format!("pair{number}.change"), &pair.change)?;
            add(format!("pair{number}.rho"), &pair.rho)?;
        }
        if let Some(last) = &self.last {
            add("last.gradient".to_owned(), &last.gradient)?;
            add("last.step".to_owned(), &last.step)?;
        }
        Ok(state)
    }

    /// Goes on from what [`Lbfgs::state`] told of a row; this optimiser has one row.
    pub(super) fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<(), TchError> {
        let get = |name: &str| state.get(name).map(Tensor::f_contiguous).transpose();
        for (name, tensor) in [
            ("scale", &mut self.scale),
            ("fresh", &mut self.fresh),
            ("damping", &mut self.damping),
        ] {
            if let Some(saved) = get(name)? {
                *tensor = saved;
            }
        }
        let mut number = 0;
        while let (Some(step), Some(change), Some(rho)) = (
            get(&format!("pair{number}.step"))?,
            get(&format!("pair{number}.change"))?,
            get(&format!("pair{number}.rho"))?,
        ) {
            self.remember(step, change, rho, Vec::new());
            number += 1;
        }
        self.multiply_anew()?;
        if let (Some(gradient), Some(step)) = (get("last.gradient")?, get("last.step")?) {
            self.last = Some(Last { gradient, step });
        }
        Ok(())
    }

    /// Adds the pair of the last step to the history.
    fn learn(&mut self, gradient: &Tensor) -> Result<(), TchError> {
        let Some(Last {
            gradient: before,
            step,
        }) = self.last.take()
        else {
            return Ok(());
        };
        let change = gradient.f_sub(&before)?;
        let curvature = dot(&change, &step)?;
        let teaches = curvature.f_gt(CURVATURE_MIN)?;
        let taught = teaches.f_sum(Kind::Int64)?.f_int64_value(&[])?;
        if taught == 0 {
            return Ok(());
        }
        let zeros = curvature.f_zeros_like()?;
        let rho = curvature.f_reciprocal()?.f_where_self(&teaches, &zeros)?;
        let scale = curvature.f_div(&dot(&change, &change)?)?;
        self.scale = scale.f_where_self(&teaches, &self.scale)?;
        let (step, change) = if taught == teaches.size()[0] {
            (step, change)
        } else {
            only_where(&teaches, &step, &change)?
        };
        self.remember(step, change, rho, Vec::new());
        Ok(())
    }

    /// Adds a pair; the oldest one leaves when there is no more room.
    fn remember(
        &mut self,
        step: Tensor,
        change: Tensor,
        rho: Tensor,
        products: Vec<VecDeque<Products>>,
    ) {
        self.pairs.push_back(Pair {
            step,
            change,
            rho,
            products,
        });
        while self.pairs.len() > self.pairs_max {
            self.pairs.pop_front();
            for row in self.pairs.iter_mut().flat_map(|pair| &mut pair.products) {
                row.pop_front();
            }
        }
    }

    /// The two-loop recursion: along minus the inverse Hessian times the gradient.
    fn aim(&self, gradient: &Tensor) -> Result<Aimed, TchError> {
        let mut direction = gradient.f_neg()?;
        let mut alphas = Vec::with_capacity(self.pairs.len());
        for pair in self.pairs.iter().rev() {
            let alpha = dot(&pair.step, &direction)?.f_mul(&pair.rho)?;
            direction = direction.f_addcmul_(&pair.change, &alpha.f_neg()?)?;
            alphas.push(alpha);
        }
        direction = direction.f_mul_(&self.scale)?;
        for (pair, alpha) in self.pairs.iter().zip(alphas.into_iter().rev()) {
            let beta = dot(&pair.change, &direction)?.f_mul(&pair.rho)?;
            direction = direction.f_addcmul_(&pair.step, &alpha.f_sub(&beta)?)?;
        }
        let is_steepest = dot(gradient, &direction)?.f_gt(0.0)?;
        let direction = gradient.f_neg()?.f_where_self(&is_steepest, &direction)?;
        Ok(Aimed {
            square: dot(&direction, &direction)?,
            direction,
            is_steepest,
        })
    }
}

/// A row that learns nothing takes nothing in: what is not finite there would spoil every later direction.
fn only_where(
    teaches: &Tensor,
    step: &Tensor,
    change: &Tensor,
) -> Result<(Tensor, Tensor), TchError> {
    let nothing = step.f_zeros_like()?;
    Ok((
        step.f_where_self(teaches, &nothing)?,
        change.f_where_self(teaches, &nothing)?,
    ))
}

/// The length `[batch, 1]` of a step along a direction of `values` values whose product with itself is `square`, or less
/// where the root mean square of the step would be above `step_max`.
fn shortened(
    square: &Tensor,
    values: i64,
    length: &Tensor,
    step_max: f64,
) -> Result<Tensor, TchError> {
    let root_mean_square = square
        .f_div_scalar(values as f64)?
        .f_sqrt()?
        .f_mul(length)?;
    let share = root_mean_square.f_reciprocal()?.f_mul_scalar(step_max)?;
    length.f_mul(&share.f_clamp_max(1.0)?)
}

/// Products within rows: `[batch, values]` twice → `[batch, 1]`.
///
/// On the processors a row's sum is taken in the order in which `torch.optim.LBFGS` takes it, so a picture alone goes
/// the same way to the last bit; on a GPU one call for all rows is worth more than that.
fn dot(left: &Tensor, right: &Tensor) -> Result<Tensor, TchError> {
    if left.device().is_cuda() {
        // A product and a sum: a matrix product of one row by one column takes eight times as long.
        return left.f_mul(right)?.f_sum_dim_intlist(1, true, None);
    }
    let rows = (0..left.size()[0]).map(|row| left.f_get(row)?.f_dot(&right.f_get(row)?));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    Tensor::f_stack(&rows, 0)?.f_unsqueeze(1)
}
