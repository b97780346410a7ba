//! Adam for many images at once, each with moments and a step count of its own, and the average of its iterates.
//!
//! Kingma and Ba 2014, <https://arxiv.org/abs/1412.6980>, algorithm 1 and, for the average, section 7.2. Adam's iterates
//! jitter by about a learning rate to the end; their average does not. Rows never mix.

use std::collections::BTreeMap;

use tch::{Kind, TchError, Tensor};

/// Decays of the two moments, as <https://github.com/crowsonkb/style-transfer-pytorch> has them: the paper's 0.999 for
/// the second one is slow to forget the large gradients of the first steps.
const FIRST_DECAY: f64 = 0.9;
const SECOND_DECAY: f64 = 0.99;
/// Keeps a value without a gradient where it is (the paper's ε).
const EPSILON: f64 = 1e-8;

/// The optimiser of a batch of images; call it without gradient tracking.
#[derive(Debug)]
pub(super) struct Adam {
    /// In colours of 0..=1.
    learning_rate: f64,
    averaging: f64,
    /// Decaying sums of gradients and of their squares, not yet corrected for their start at 0, `[batch, values]`.
    first: Tensor,
    second: Tensor,
    /// The same of the iterates; not kept where the last iterate is the result.
    average: Option<Tensor>,
    /// Steps since each row began or began anew, `[batch, 1]`.
    steps: Tensor,
    /// How much of each step is taken, `[batch, 1]`.
    damping: Tensor,
}

impl Adam {
    /// An optimiser without a past for images like `like`, `[batch, values]`.
    ///
    /// `learning_rate` bounds what one step changes a colour of 0..=1 by; `averaging` is the decay of the average of
    /// the iterates, below 1, and 0 stands for the last iterate.
    pub(super) fn new(like: &Tensor, learning_rate: f64, averaging: f64) -> Result<Self, TchError> {
        let zeros = like.f_detach()?.f_zeros_like()?;
        let (batch, _) = like.size2()?;
        let steps = Tensor::f_zeros([batch, 1], (like.kind(), like.device()))?;
        Ok(Self {
            learning_rate,
            averaging,
            average: (averaging > 0.0).then(|| zeros.shallow_clone()),
            second: zeros.shallow_clone(),
            first: zeros,
            damping: steps.f_ones_like()?,
            steps,
        })
    }

    /// The images after one step, given the gradient at them; all are `[batch, values]`.
    pub(super) fn step(&mut self, images: &Tensor, gradient: &Tensor) -> Result<Tensor, TchError> {
        // Nothing here changes in place: a checkpoint may still be writing what `state` handed out.
        self.steps = self.steps.f_add_scalar(1.0)?;
        self.first = self.first.f_lerp(gradient, 1.0 - FIRST_DECAY)?;
        self.second = self
            .second
            .f_lerp(&gradient.f_square()?, 1.0 - SECOND_DECAY)?;
        let length = self
            .damping
            .f_div(&self.filled(FIRST_DECAY)?)?
            .f_mul_scalar(-self.learning_rate)?;
        let deviation = self
            .second
            .f_div(&self.filled(SECOND_DECAY)?)?
            .f_sqrt()?
            .f_add_scalar(EPSILON)?;
        let images = images.f_addcdiv(&self.first.f_mul(&length)?, &deviation)?;
        if let Some(average) = &mut self.average {
            *average = average.f_lerp(&images, 1.0 - self.averaging)?;
        }
        Ok(images)
    }

    /// The average of each row's iterates since it began, later ones counting more; `images`, the last iterates, where
    /// there is no average or no step yet.
    pub(super) fn averaged(&self, images: &Tensor) -> Result<Tensor, TchError> {
        let Some(average) = &self.average else {
            return Ok(images.shallow_clone());
        };
        average
            .f_div(&self.filled(self.averaging)?)?
            .f_where_self(&self.steps.f_gt(0.0)?, images)
    }

    /// Rows where `rows` (`[batch, 1]`, boolean) holds forget moments and average, and take half as long steps from now
    /// on: they have stepped too far.
    pub(super) fn begin_anew(&mut self, rows: &Tensor) -> Result<(), TchError> {
        // Chosen, not multiplied: what is forgotten may not be finite.
        let forget = |kept: &Tensor| kept.f_zeros_like()?.f_where_self(rows, kept);
        self.first = forget(&self.first)?;
        self.second = forget(&self.second)?;
        self.steps = forget(&self.steps)?;
        self.average = self.average.as_ref().map(forget).transpose()?;
        self.damping = self
            .damping
            .f_mul_scalar(0.5)?
            .f_where_self(rows, &self.damping)?;
        Ok(())
    }

    /// Goes on with these rows alone, in this order: the others' pictures are finished.
    pub(super) fn keep(&mut self, rows: &[i64]) -> Result<(), TchError> {
        let rows = Tensor::f_from_slice(rows)?.f_to_device(self.first.device())?;
        for (_, tensor) in self.tensors_mut() {
            *tensor = tensor.f_index_select(0, &rows)?;
        }
        Ok(())
    }

    /// All that a later run needs to go on, by name; the tensors do not change under later steps.
    pub(super) fn state(&self) -> Vec<(String, Tensor)> {
        let average = self.average.iter().map(|average| ("average", average));
        [
            ("first_moment", &self.first),
            ("second_moment", &self.second),
            ("steps", &self.steps),
            ("damping", &self.damping),
        ]
        .into_iter()
        .chain(average)
        .map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()))
        .collect()
    }

    /// Goes on where [`Adam::state`] was taken; names it does not know are passed over.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape than the images at hand; then nothing has changed.
    pub(super) fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<(), TchError> {
        let mut found = Vec::new();
        for (name, own) in self.tensors_mut() {
            let Some(tensor) = state.get(name) else {
                let place = "the checkpoint of Adam".to_owned();
                return Err(TchError::TensorNameNotFound(name.to_owned(), place));
            };
            if tensor.size() != own.size() {
                return Err(TchError::Shape(format!(
                    "`{name}` of the checkpoint of Adam is {:?}, but the images need {:?}",
                    tensor.size(),
                    own.size()
                )));
            }
            found.push(tensor.f_to_device(own.device())?.f_to_kind(own.kind())?);
        }
        for ((_, own), tensor) in self.tensors_mut().zip(found) {
            *own = tensor;
        }
        Ok(())
    }

    fn tensors_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut Tensor)> {
        let average = self.average.iter_mut().map(|average| ("average", average));
        [
            ("first_moment", &mut self.first),
            ("second_moment", &mut self.second),
            ("steps", &mut self.steps),
            ("damping", &mut self.damping),
        ]
        .into_iter()
        .chain(average)
    }

    /// How much of its final weight a decaying sum has after each row's steps, `1 − decay^steps`, `[batch, 1]`.
    fn filled(&self, decay: f64) -> Result<Tensor, TchError> {
        // By expm1 in float64: in float32 the difference from 1 would lose half its digits in the first steps.
        self.steps
            .f_to_kind(Kind::Double)?
            .f_mul_scalar(decay.ln())?
            .f_expm1()?
            .f_neg()?
            .f_to_kind(self.steps.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: f64 = 0.1;

    fn rows(values: &[[f32; 2]]) -> Tensor {
        Tensor::from_slice(values.as_flattened()).view([-1, 2])
    }

    fn numbers(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.reshape([-1])).unwrap()
    }

    fn assert_near(found: &Tensor, wanted: &[f32]) {
        let found = numbers(found);
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(wanted) {
            // A few roundings of float32 at 1.
            assert!((found - wanted).abs() < 1e-6, "{found} is not {wanted}");
        }
    }

    /// Gradients of a bowl around (0.3, -0.2), different in strength.
    fn slope(images: &Tensor) -> Tensor {
        (images - rows(&[[0.3, -0.2]])) * rows(&[[2.0, 20.0]])
    }

    #[test]
    fn two_steps_and_their_average_are_as_computed_by_hand() {
        let images = rows(&[[1.0, 1.0]]);
        let mut adam = Adam::new(&images, RATE, 0.5).unwrap();
        assert_near(&adam.averaged(&images).unwrap(), &[1.0, 1.0]);
        // The first step is a learning rate against the sign, however small the gradient.
        let images = adam.step(&images, &rows(&[[1.0, -1e-3]])).unwrap();
        assert_near(&images, &[0.9, 1.099_999]);
        assert_near(&adam.averaged(&images).unwrap(), &[0.9, 1.099_999]);
        // m = 0.9·0.1 + 0.1·3 = 0.39, over 1 − 0.9²: 2.052632; v = 0.99·0.01 + 0.01·9 = 0.0999, over 1 − 0.99²:
        // 5.020101; a step of 0.1 · 2.052632 / √5.020101 = 0.091612. The average: (0.9/4 + x/2) / (1 − 1/4).
        // Right: m = −0.00009, over 0.19; v = 9.9e-9, over 0.0199: 0.1 · −0.000473684 / 0.000705332 = −0.067158.
        let images = adam.step(&images, &rows(&[[3.0, 0.0]])).unwrap();
        assert_near(&images, &[0.808_388, 1.167_156]);
        assert_near(&adam.averaged(&images).unwrap(), &[0.838_925, 1.144_77]);
    }

    #[test]
    fn a_row_goes_the_same_way_alone_and_among_others() {
        let mut together = rows(&[[1.0, -1.0], [0.5, 0.25]]);
        let mut alone = together.narrow(0, 1, 1);
        let mut adam = Adam::new(&together, RATE, 0.9).unwrap();
        let mut single = Adam::new(&alone, RATE, 0.9).unwrap();
        for step in 0..12 {
            if step == 5 {
                // The neighbour breaks down and begins anew.
                together = adam
                    .step(&together, &rows(&[[f32::NAN, 1.0], [0.0, 0.0]]))
                    .unwrap();
                alone = single.step(&alone, &rows(&[[0.0, 0.0]])).unwrap();
                adam.begin_anew(&Tensor::from_slice(&[true, false]).view([2, 1]))
                    .unwrap();
                let _ = together.get(0).fill_(0.0);
            }
            together = adam.step(&together, &slope(&together)).unwrap();
            alone = single.step(&alone, &slope(&alone)).unwrap();
        }
        assert_eq!(numbers(&together.narrow(0, 1, 1)), numbers(&alone));
        let averaged = adam.averaged(&together).unwrap();
        assert!(numbers(&averaged).iter().all(|value| value.is_finite()));

        adam.keep(&[1]).unwrap();
        let rest = together.narrow(0, 1, 1);
        let rest = adam.step(&rest, &slope(&rest)).unwrap();
        alone = single.step(&alone, &slope(&alone)).unwrap();
        assert_eq!(numbers(&rest), numbers(&alone));
    }

    #[test]
    fn a_row_that_begins_anew_takes_half_the_first_step_of_a_new_one() {
        let images = rows(&[[0.0, 0.0], [0.0, 0.0]]);
        let gradient = rows(&[[1.0, -5.0], [1.0, -5.0]]);
        let mut adam = Adam::new(&images, RATE, 0.9).unwrap();
        for _ in 0..3 {
            let _ = adam.step(&images, &gradient).unwrap();
        }
        adam.begin_anew(&Tensor::from_slice(&[false, true]).view([2, 1]))
            .unwrap();
        let moved = adam.step(&images, &gradient).unwrap();
        assert_near(&moved, &[-0.1, 0.1, -0.05, 0.05]);
        assert_near(
            &adam.averaged(&moved).unwrap().narrow(0, 1, 1),
            &[-0.05, 0.05],
        );
    }

    #[test]
    fn the_average_of_what_does_not_move_is_itself() {
        let images = rows(&[[0.25, 0.75]]);
        for averaging in [0.0, 0.9, 0.9999] {
            let mut adam = Adam::new(&images, RATE, averaging).unwrap();
            for _ in 0..20 {
                let same = adam.step(&images, &images.zeros_like()).unwrap();
                assert_near(&same, &[0.25, 0.75]);
                assert_near(&adam.averaged(&same).unwrap(), &[0.25, 0.75]);
            }
        }
    }

    #[test]
    fn restored_it_goes_on_as_if_never_stopped() {
        let start = rows(&[[1.0, -1.0], [0.5, 0.25]]);
        let mut images = start.shallow_clone();
        let mut adam = Adam::new(&images, RATE, 0.9).unwrap();
        for _ in 0..4 {
            images = adam.step(&images, &slope(&images)).unwrap();
        }
        adam.begin_anew(&Tensor::from_slice(&[true, false]).view([2, 1]))
            .unwrap();
        let mut state: BTreeMap<_, _> = adam.state().into_iter().collect();
        let mut resumed_images = images.copy();
        for _ in 0..4 {
            images = adam.step(&images, &slope(&images)).unwrap();
        }
        let mut resumed = Adam::new(&start, RATE, 0.9).unwrap();
        resumed.restore(&state).unwrap();
        for _ in 0..4 {
            resumed_images = resumed
                .step(&resumed_images, &slope(&resumed_images))
                .unwrap();
        }
        assert_eq!(numbers(&images), numbers(&resumed_images));
        assert_eq!(
            numbers(&adam.averaged(&images).unwrap()),
            numbers(&resumed.averaged(&images).unwrap())
        );

        let mut other = Adam::new(&rows(&[[0.0, 0.0]]), RATE, 0.9).unwrap();
        assert!(matches!(other.restore(&state), Err(TchError::Shape(_))));
        state.remove("steps");
        assert!(matches!(
            resumed.restore(&state),
            Err(TchError::TensorNameNotFound(..))
        ));
    }
}
