//! L-BFGS by numbers: the two-loop recursion in terms of inner products, for when passes over vectors are what costs.
//!
//! A direction is a sum of the gradient and the vectors of the history. Which, follows from their inner products alone (Chen,
//! Wang and Zhou 2014, Large-scale L-BFGS using `MapReduce`, <https://papers.nips.cc/paper/5333>). So each vector is read
//! twice for a step, once for its products with what is new and once for the sum, where the recursion as it is written
//! reads it ten times. Products are of one row; a batch has as many histories as rows.

use std::collections::VecDeque;

/// Inner products of one pair with another one.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Products {
    pub(super) step_step: f64,
    /// Own step · the other's change.
    pub(super) step_change: f64,
    /// Own change · the other's step.
    pub(super) change_step: f64,
    pub(super) change_change: f64,
}

/// Inner products of the gradient with one pair.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct OfGradient {
    pub(super) step: f64,
    pub(super) change: f64,
}

/// What a row knows of one pair.
#[derive(Debug)]
pub(super) struct Known<'a> {
    /// Products with all pairs up to itself, oldest first.
    pub(super) products: &'a VecDeque<Products>,
    /// 1 / (step · change); 0 where the pair says nothing about the row.
    pub(super) rho: f64,
    pub(super) gradient: OfGradient,
}

/// A direction as a sum of vectors.
#[derive(Debug, PartialEq)]
pub(super) struct Combined {
    /// What the gradient, and then step and change of each pair count in it.
    pub(super) factors: Vec<f64>,
    /// Its product with itself.
    pub(super) square: f64,
    /// Whether it is the gradient turned round, because the history, worn, pointed uphill.
    pub(super) is_steepest: bool,
}

/// Minus the inverse Hessian times the gradient, whose product with itself is `square`. `pairs` are oldest first; `scale`
/// is that of the first guess of the inverse Hessian.
pub(super) fn direction(pairs: &[Known<'_>], scale: f64, square: f64) -> Combined {
    let mut direction = Direction::steepest(pairs.len());
    let mut alphas = vec![0.0; pairs.len()];
    for (at, pair) in pairs.iter().enumerate().rev() {
        let alpha = pair.rho * direction.with_step(pairs, at);
        direction.changes[at] -= alpha;
        alphas[at] = alpha;
    }
    direction.multiply(scale);
    for (at, pair) in pairs.iter().enumerate() {
        let beta = pair.rho * direction.with_change(pairs, at);
        direction.steps[at] += alphas[at] - beta;
    }
    let with_gradient = direction.with_gradient(pairs, square);
    if with_gradient > 0.0 {
        return Combined {
            factors: Direction::steepest(pairs.len()).factors(),
            square,
            is_steepest: true,
        };
    }
    let of_pairs = (0..pairs.len()).map(|at| {
        direction.steps[at] * direction.with_step(pairs, at)
            + direction.changes[at] * direction.with_change(pairs, at)
    });
    Combined {
        square: direction.gradient * with_gradient + of_pairs.sum::<f64>(),
        factors: direction.factors(),
        is_steepest: false,
    }
}

/// A direction as what each vector counts in it.
struct Direction {
    gradient: f64,
    steps: Vec<f64>,
    changes: Vec<f64>,
}

impl Direction {
    /// Down the gradient.
    fn steepest(pairs: usize) -> Self {
        Self {
            gradient: -1.0,
            steps: vec![0.0; pairs],
            changes: vec![0.0; pairs],
        }
    }

    fn factors(&self) -> Vec<f64> {
        let of_pairs = self.steps.iter().zip(&self.changes);
        std::iter::once(self.gradient)
            .chain(of_pairs.flat_map(|(step, change)| [*step, *change]))
            .collect()
    }

    fn multiply(&mut self, scale: f64) {
        self.gradient *= scale;
        for factor in self.steps.iter_mut().chain(&mut self.changes) {
            *factor *= scale;
        }
    }

    /// Its product with the gradient, whose product with itself is `square`.
    fn with_gradient(&self, pairs: &[Known<'_>], square: f64) -> f64 {
        let of_pairs = pairs.iter().zip(self.steps.iter().zip(&self.changes));
        let of_pairs = of_pairs.map(|(pair, (step, change))| {
            step * pair.gradient.step + change * pair.gradient.change
        });
        self.gradient * square + of_pairs.sum::<f64>()
    }

    /// Its product with a pair's step.
    fn with_step(&self, pairs: &[Known<'_>], at: usize) -> f64 {
        let of_pairs = (0..pairs.len()).map(|other| {
            let products = between(pairs, at, other);
            self.steps[other] * products.step_step + self.changes[other] * products.step_change
        });
        self.gradient * pairs[at].gradient.step + of_pairs.sum::<f64>()
    }

    /// Its product with a pair's change.
    fn with_change(&self, pairs: &[Known<'_>], at: usize) -> f64 {
        let of_pairs = (0..pairs.len()).map(|other| {
            let products = between(pairs, at, other);
            self.steps[other] * products.change_step + self.changes[other] * products.change_change
        });
        self.gradient * pairs[at].gradient.change + of_pairs.sum::<f64>()
    }
}

/// Products of pair `at` with pair `other`.
fn between(pairs: &[Known<'_>], at: usize, other: usize) -> Products {
    if other <= at {
        return pairs[at].products[other];
    }
    let turned = pairs[other].products[at];
    Products {
        step_change: turned.change_step,
        change_step: turned.step_change,
        ..turned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: usize = 7;

    /// Numbers that look like noise, -0.5..=0.5.
    fn vector(number: usize) -> Vec<f64> {
        (0..VALUES)
            .map(|at| ((number * VALUES + at) as f64 * 12.9898).sin().fract() - 0.1)
            .collect()
    }

    fn dot(left: &[f64], right: &[f64]) -> f64 {
        left.iter()
            .zip(right)
            .map(|(left, right)| left * right)
            .sum()
    }

    fn add(sum: &mut [f64], factor: f64, vector: &[f64]) {
        for (sum, value) in sum.iter_mut().zip(vector) {
            *sum += factor * value;
        }
    }

    /// Nocedal and Wright, algorithm 7.4, as it is written.
    fn two_loops(pairs: &[(Vec<f64>, Vec<f64>, f64)], scale: f64, gradient: &[f64]) -> Vec<f64> {
        let mut direction: Vec<f64> = gradient.iter().map(|value| -value).collect();
        let mut alphas = Vec::new();
        for (step, change, rho) in pairs.iter().rev() {
            let alpha = rho * dot(step, &direction);
            add(&mut direction, -alpha, change);
            alphas.push(alpha);
        }
        for value in &mut direction {
            *value *= scale;
        }
        for ((step, change, rho), alpha) in pairs.iter().zip(alphas.iter().rev()) {
            let beta = rho * dot(change, &direction);
            add(&mut direction, alpha - beta, step);
        }
        direction
    }

    #[test]
    fn it_is_the_two_loop_recursion() {
        for count in 0..5 {
            let gradient = vector(0);
            let pairs: Vec<(Vec<f64>, Vec<f64>, f64)> = (0..count)
                .map(|pair| {
                    let (step, change) = (vector(2 * pair + 1), vector(2 * pair + 2));
                    // One pair says nothing about this row.
                    let rho = if pair == 1 {
                        0.0
                    } else {
                        1.0 / dot(&step, &change)
                    };
                    (step, change, rho)
                })
                .collect();
            let products: Vec<VecDeque<Products>> = (0..count)
                .map(|at| {
                    let (step, change, _) = &pairs[at];
                    let with =
                        |(other_step, other_change, _): &(Vec<f64>, Vec<f64>, f64)| Products {
                            step_step: dot(step, other_step),
                            step_change: dot(step, other_change),
                            change_step: dot(change, other_step),
                            change_change: dot(change, other_change),
                        };
                    pairs[..=at].iter().map(with).collect()
                })
                .collect();
            let known: Vec<Known<'_>> = pairs
                .iter()
                .zip(&products)
                .map(|((step, change, rho), products)| Known {
                    products,
                    rho: *rho,
                    gradient: OfGradient {
                        step: dot(&gradient, step),
                        change: dot(&gradient, change),
                    },
                })
                .collect();

            let combined = direction(&known, 0.7, dot(&gradient, &gradient));
            let expected = two_loops(&pairs, 0.7, &gradient);
            if dot(&expected, &gradient) > 0.0 {
                assert!(combined.is_steepest, "with {count} pairs");
                continue;
            }
            let factors = &combined.factors;
            let mut found = vec![0.0; VALUES];
            add(&mut found, factors[0], &gradient);
            for ((step, change, _), factors) in pairs.iter().zip(factors[1..].chunks(2)) {
                add(&mut found, factors[0], step);
                add(&mut found, factors[1], change);
            }

            let square = dot(&expected, &expected);
            assert!((combined.square - square).abs() < 1e-9 * (1.0 + square));
            assert!(!combined.is_steepest);
            for (found, expected) in found.iter().zip(&expected) {
                assert!(
                    (found - expected).abs() < 1e-9 * (1.0 + expected.abs()),
                    "{found}, not {expected}, with {count} pairs"
                );
            }
        }
    }
}
