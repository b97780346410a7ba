//! How many cells are rendered at once: found by measuring the work itself. Knows seconds and sizes, no device.
//!
//! For each shape of picture a climb: from one cell, or where it is told to begin, the batch is doubled while that makes a
//! cell cheaper by at least [`GAIN_MIN`], then it stays with the cheapest. A batch of one is always among what is measured,
//! so no batch is stayed with in which a cell costs more than alone. One recording is enough to go on, so that small grids
//! gain too; later those that decided are taken once more, because a disturbed one would otherwise hold for ever.

use std::collections::{BTreeMap, VecDeque};

/// Width and height of a picture, pixels.
type Shape = (u32, u32);

/// The share of a cell's cost that doubling the batch must save to be tried once more.
const GAIN_MIN: f64 = 0.03;
/// Recordings of the best size before what it was compared with is taken once more.
const RECORDINGS_TO_DOUBT: usize = 3;
/// Recordings of the sizes that it was compared with: of three, one is undisturbed.
const RECORDINGS_TO_BELIEVE: usize = 3;
/// Recordings that a size is judged by; older ones are dropped, so that a device that slows down is noticed.
const RECORDINGS_MAX: usize = 9;
/// A new shape starts with at most so many times the best batch of its neighbour: one scale of coarse-to-fine apart.
const START_GROWTH_MAX: u64 = 4;
/// Shapes that are remembered; the one that was not used for longest goes first.
const SHAPES_MAX: usize = 64;

/// Chooses batch sizes from the seconds that earlier batches took.
#[derive(Debug)]
pub(super) struct BatchTuner {
    /// 1, 2, 4, … and the largest batch allowed.
    sizes: Vec<u32>,
    /// Where a climb begins while nothing is known.
    first: u32,
    /// The one used last stands last.
    climbs: Vec<(Shape, Climb)>,
}

/// What is known of one shape.
#[derive(Debug)]
struct Climb {
    start: u32,
    /// Seconds of one evaluation of one cell, latest last, by batch size.
    seconds: BTreeMap<u32, VecDeque<f64>>,
}

impl BatchTuner {
    /// A tuner that has measured nothing, for batches of at most `batch_max` cells (at least 1); the very first has `first`
    /// where there are as many.
    pub(super) fn new(batch_max: u32, first: u32) -> Self {
        let batch_max = batch_max.max(1);
        let doubled = (0..u32::BITS).map(|power| 1_u32 << power);
        Self {
            sizes: doubled
                .take_while(|size| *size < batch_max)
                .chain([batch_max])
                .collect(),
            first,
            climbs: Vec::new(),
        }
    }

    /// Takes down what one evaluation of one cell cost in a batch: seconds of the batch's evaluation divided by `batch`.
    ///
    /// Infinity says that the batch did not fit the device: that size and larger ones are not tried again at this shape.
    /// Leave out a shape's first evaluation, in which a device prepares itself.
    pub(super) fn record(&mut self, shape: Shape, batch: u32, seconds_per_cell_evaluation: f64) {
        if batch == 0 || seconds_per_cell_evaluation.is_nan() || seconds_per_cell_evaluation <= 0.0
        {
            return;
        }
        let climb = self.climb(shape);
        let seconds = climb.seconds.entry(batch).or_default();
        if seconds.len() == RECORDINGS_MAX {
            seconds.pop_front();
        }
        seconds.push_back(seconds_per_cell_evaluation);
    }

    /// How many of the `waiting` cells of a shape to render at once; at least 1.
    pub(super) fn next(&mut self, shape: Shape, waiting: usize) -> u32 {
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX).max(1);
        self.climb(shape);
        let Some((_, climb)) = self.climbs.last() else {
            return 1;
        };
        let aim = climb.aim(&self.sizes);
        if aim <= waiting {
            aim
        } else {
            climb.at_most(waiting)
        }
    }

    /// How many cells of the last shape are worth having at hand: the batch that is rendered now or, while the climb goes
    /// on, the one that may be tried after it.
    pub(super) fn wanted(&self) -> u32 {
        let (aim, settled) = match self.climbs.last() {
            Some((_, climb)) => {
                let aim = climb.aim(&self.sizes);
                (aim, climb.cost(aim).is_some())
            }
            None => (self.first, false),
        };
        let larger = self.sizes.iter().copied().find(|size| *size > aim);
        match larger {
            Some(larger) if !settled => larger,
            _ => aim,
        }
    }

    /// The climb of a shape, begun if need be, now the last one.
    fn climb(&mut self, shape: Shape) -> &mut Climb {
        let (shape, climb) = match self.climbs.iter().position(|(other, _)| *other == shape) {
            Some(index) => self.climbs.remove(index),
            None => (
                shape,
                Climb {
                    start: self.start(shape),
                    seconds: BTreeMap::new(),
                },
            ),
        };
        if self.climbs.len() == SHAPES_MAX {
            self.climbs.remove(0);
        }
        &mut self.climbs.push_mut((shape, climb)).1
    }

    /// Where an unmeasured shape begins: at the best batch of the measured shape that is nearest in pixels, grown or
    /// shrunk by the ratio of pixels.
    fn start(&self, shape: Shape) -> u32 {
        let pixels = pixels(shape);
        let measured = self.climbs.iter().filter_map(|(other, climb)| {
            let (best, _) = climb.best(&self.sizes)?;
            Some((self::pixels(*other), best))
        });
        let distance = |other: u64| (other as f64 / pixels as f64).ln().abs();
        let nearest =
            measured.min_by(|(left, _), (right, _)| distance(*left).total_cmp(&distance(*right)));
        let scaled = match nearest {
            None => u64::from(self.first),
            Some((near_pixels, best)) => {
                let best = u64::from(best);
                (best.saturating_mul(near_pixels) / pixels).min(best * START_GROWTH_MAX)
            }
        };
        let fitting = |size: &&u32| u64::from(**size) <= scaled;
        self.sizes.iter().rev().find(fitting).copied().unwrap_or(1)
    }
}

impl Climb {
    /// The batch size to render with, if there are cells enough: one that is to be measured, else the best.
    fn aim(&self, sizes: &[u32]) -> u32 {
        let Some((best, cost)) = self.best(sizes) else {
            return self.start;
        };
        if self.cost(1).is_none() {
            return 1;
        }
        let smaller = sizes.iter().rev().find(|size| **size < best);
        let smaller_cost = match smaller {
            Some(smaller) => match self.cost(*smaller) {
                Some(cost) => Some(cost),
                // A start above 1 was right so far; perhaps less is better still.
                None => return *smaller,
            },
            None => None,
        };
        let falls = smaller_cost.is_none_or(|before| cost <= before * (1.0 - GAIN_MIN));
        let larger = sizes.iter().copied().find(|size| *size > best);
        match larger {
            Some(larger) if falls && self.cost(larger).is_none() => larger,
            _ if self.recordings(best) < RECORDINGS_TO_DOUBT => best,
            _ => [larger, smaller.copied(), Some(1)]
                .into_iter()
                .flatten()
                .find(|size| self.is_doubtful(*size))
                .unwrap_or(best),
        }
    }

    /// Whether a size is known by a recording that may have been disturbed.
    fn is_doubtful(&self, size: u32) -> bool {
        self.recordings(size) < RECORDINGS_TO_BELIEVE && self.cost(size).is_some_and(f64::is_finite)
    }

    fn recordings(&self, size: u32) -> usize {
        self.seconds.get(&size).map_or(0, VecDeque::len)
    }

    /// The batch for fewer cells than it would take: all of them, unless they are known to cost more than fewer.
    fn at_most(&self, waiting: u32) -> u32 {
        if self.cost(waiting).is_none() {
            return waiting;
        }
        let sizes: Vec<u32> = self
            .seconds
            .range(..=waiting)
            .map(|(size, _)| *size)
            .collect();
        self.best(&sizes).map_or(1, |(size, _)| size)
    }

    /// The cheapest of these sizes and its cost, the smaller one of equals; none while none is measured.
    fn best(&self, sizes: &[u32]) -> Option<(u32, f64)> {
        sizes
            .iter()
            .filter_map(|size| Some((*size, self.cost(*size)?)))
            .min_by(|(_, left), (_, right)| left.total_cmp(right))
    }

    /// Seconds of one evaluation of one cell in a batch of this size, the lower quartile of what is recorded, because
    /// disturbances only ever take longer; infinity where such a batch or a smaller one did not fit.
    fn cost(&self, batch: u32) -> Option<f64> {
        let mut fitting = self.seconds.range(..=batch).map(|(_, seconds)| seconds);
        if fitting.any(|seconds| seconds.contains(&f64::INFINITY)) {
            return Some(f64::INFINITY);
        }
        let seconds = self.seconds.get(&batch)?;
        let mut sorted: Vec<f64> = seconds.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len().checked_sub(1)? / 4).copied()
    }
}

fn pixels((width, height): Shape) -> u64 {
    (u64::from(width) * u64::from(height)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = (256, 256);

    /// Renders with what the tuner says, each batch costing what `cost` says; returns the sizes in the order in which
    /// they were first tried, and the one that it stays with.
    fn climb(
        tuner: &mut BatchTuner,
        shape: Shape,
        waiting: usize,
        mut cost: impl FnMut(u32) -> f64,
    ) -> (Vec<u32>, u32) {
        let mut tried = Vec::new();
        let mut last = VecDeque::from([0; 20]);
        for _ in 0..60 {
            let batch = tuner.next(shape, waiting);
            assert!(batch >= 1 && batch as usize <= waiting);
            tuner.record(shape, batch, cost(batch));
            if !tried.contains(&batch) {
                tried.push(batch);
            }
            last.pop_front();
            last.push_back(batch);
        }
        assert!(last.iter().all(|batch| *batch == last[0]), "{last:?}");
        (tried, last[0])
    }

    /// Cost per cell at 1, 2, 4, …; batches between cost what the next larger power of two does.
    fn table(costs: &'static [f64]) -> impl Fn(u32) -> f64 {
        |batch| costs[batch.next_power_of_two().ilog2() as usize]
    }

    #[test]
    fn it_climbs_while_a_cell_becomes_cheaper_and_stays_with_the_best() {
        type Case = (u32, usize, &'static [f64], &'static [u32], u32);
        let cases: [Case; 10] = [
            // A device that gains for long: up to the largest batch allowed, a power of two or not.
            (8, 100, &[1.0, 0.6, 0.4, 0.3], &[1, 2, 4, 8], 8),
            (6, 100, &[1.0, 0.6, 0.4, 0.3], &[1, 2, 4, 6], 6),
            // One past the best, and back.
            (64, 100, &[1.0, 0.8, 0.7, 0.9], &[1, 2, 4, 8], 4),
            // Two per cent are not worth another doubling, but are taken.
            (64, 100, &[1.0, 0.98], &[1, 2], 2),
            // Batches that only cost: never more than alone.
            (64, 100, &[1.0, 1.2], &[1, 2], 1),
            (64, 100, &[1.0, 1.0], &[1, 2], 1),
            // What does not fit is not tried again.
            (64, 100, &[1.0, 0.5, f64::INFINITY], &[1, 2, 4], 2),
            // No more than there are, and all of them if that is no worse.
            (64, 3, &[1.0, 0.5, 0.4], &[1, 2, 3], 3),
            (64, 3, &[1.0, 0.5, 0.6], &[1, 2, 3], 2),
            (1, 100, &[1.0], &[1], 1),
        ];
        for (batch_max, waiting, costs, tried, stays) in cases {
            let mut tuner = BatchTuner::new(batch_max, 1);
            let found = climb(&mut tuner, SHAPE, waiting, table(costs));
            let wanted = (tried.to_vec(), stays);
            assert_eq!(found, wanted, "{batch_max} {waiting} {costs:?}");
        }
    }

    #[test]
    fn one_recording_of_each_size_is_enough_to_climb() {
        let mut tuner = BatchTuner::new(64, 1);
        let costs = table(&[1.0, 0.8, 0.7, 0.9]);
        for batch in [1, 2, 4, 8, 4, 4, 8, 8, 2, 2, 1, 1, 4, 4] {
            assert_eq!(tuner.next(SHAPE, 100), batch);
            tuner.record(SHAPE, batch, costs(batch));
        }
    }

    #[test]
    fn a_disturbed_recording_in_three_leads_to_the_same_batch() {
        let costs = table(&[1.0, 0.8, 0.7, 0.9]);
        for disturbed in 0..3 {
            let mut count = 0;
            let mut tuner = BatchTuner::new(64, 1);
            let (_, stays) = climb(&mut tuner, SHAPE, 100, |batch| {
                count += 1;
                let noise = if count % 3 == disturbed { 5.0 } else { 1.0 };
                costs(batch) * noise * (1.0 + 0.002 * f64::from(count % 4))
            });
            assert_eq!(stays, 4);
        }
    }

    #[test]
    fn a_batch_that_grows_dearer_than_one_alone_is_left() {
        let mut tuner = BatchTuner::new(4, 1);
        climb(&mut tuner, SHAPE, 4, table(&[1.0, 0.9, 0.8]));
        assert_eq!(tuner.next(SHAPE, 4), 4);
        for _ in 0..RECORDINGS_MAX {
            tuner.record(SHAPE, 4, 1.5);
        }
        assert_eq!(tuner.next(SHAPE, 4), 2);
    }

    #[test]
    fn a_new_shape_starts_near_and_is_compared_with_one_alone() {
        let cases = [
            // A quarter of the pixels: four times the batch, and no more beyond that.
            ((128, 128), 16),
            ((64, 64), 16),
            ((256, 128), 8),
            ((200, 200), 4),
            ((512, 512), 1),
            ((2048, 2048), 1),
        ];
        for (shape, start) in cases {
            let mut tuner = BatchTuner::new(64, 1);
            climb(&mut tuner, SHAPE, 100, table(&[1.0, 0.8, 0.7, 0.9]));
            assert_eq!(tuner.next(shape, 100), start, "{shape:?}");
        }
        // The neighbour's batch is wrong here: the promise still holds after it was measured.
        let mut tuner = BatchTuner::new(64, 1);
        climb(&mut tuner, SHAPE, 100, table(&[1.0, 0.8, 0.7, 0.9]));
        let dearer = table(&[1.0, 1.1, 1.2, 1.3, 1.4]);
        let found = climb(&mut tuner, (128, 128), 100, dearer);
        assert_eq!(found, (vec![16, 1, 2], 1));
        // And here it is right or nearly so: its neighbours are tried too.
        for (costs, stays) in [(&[1.0, 0.9, 0.8, 0.9], 4), (&[1.0, 0.9, 0.8, 0.7], 8)] {
            let mut tuner = BatchTuner::new(8, 1);
            climb(&mut tuner, SHAPE, 100, table(&[1.0, 0.8, 0.7, 0.9]));
            let found = climb(&mut tuner, (256, 255), 100, table(costs));
            assert_eq!(found, (vec![4, 1, 2, 8], stays));
        }
    }

    #[test]
    fn it_begins_where_it_is_told_and_compares_that_with_one_alone() {
        let mut tuner = BatchTuner::new(64, 16);
        assert_eq!(tuner.wanted(), 32);
        let costs = table(&[4.0, 2.0, 1.3, 1.1, 1.0, 1.2, 1.3]);
        let found = climb(&mut tuner, SHAPE, 100, costs);
        assert_eq!(found, (vec![16, 1, 8, 32], 16));
        // Fewer than that are rendered at once, not one by one.
        let mut tuner = BatchTuner::new(64, 16);
        assert_eq!(tuner.next(SHAPE, 6), 6);
        assert_eq!(BatchTuner::new(4, 16).next(SHAPE, 100), 4);
    }

    #[test]
    fn it_asks_for_what_it_may_try_next() {
        let mut tuner = BatchTuner::new(8, 1);
        assert_eq!(tuner.wanted(), 2);
        let costs = table(&[1.0, 0.5, 0.4, 0.6]);
        for (batch, wanted) in [(1, 4), (2, 8), (4, 8)] {
            assert_eq!(tuner.next(SHAPE, 8), batch);
            tuner.record(SHAPE, batch, costs(batch));
            assert_eq!(tuner.wanted(), wanted);
        }
        climb(&mut tuner, SHAPE, 8, costs);
        assert_eq!(tuner.wanted(), 4);
    }

    #[test]
    fn nonsense_is_not_recorded_and_shapes_are_bounded() {
        let mut tuner = BatchTuner::new(8, 1);
        for seconds in [f64::NAN, 0.0, -1.0] {
            tuner.record(SHAPE, 1, seconds);
        }
        tuner.record(SHAPE, 0, 1.0);
        assert_eq!(tuner.next(SHAPE, 8), 1);
        for side in 1..200 {
            climb(&mut tuner, (side, side), 8, |_| 1.0);
        }
        assert_eq!(tuner.climbs.len(), SHAPES_MAX);
    }
}
