//! How the loss of a cell went: enough points for a curve, however many evaluations there are.

use atelier_proto::v1;
use tokio::sync::watch;

use crate::executor::Progress;

/// Most points that the coordinator takes.
const POINTS_MAX: usize = 64;

/// What becomes of a cell whose progress is told here, and how its loss went. Evaluations that come faster than they are
/// looked at are passed over, and those that a simulation makes have no loss.
pub(super) async fn until<T>(
    painted: impl Future<Output = T>,
    mut progress: watch::Receiver<Progress>,
) -> (T, Vec<v1::LossPoint>) {
    let mut painted = std::pin::pin!(painted);
    let mut curve = Curve::default();
    loop {
        let ended = tokio::select! {
            // What was told before the picture is noted before it.
            biased;
            told = progress.changed() => match told {
                Ok(()) => None,
                // Nothing more will be told.
                Err(_) => Some(painted.as_mut().await),
            },
            painted = &mut painted => Some(painted),
        };
        let now = *progress.borrow_and_update();
        if now.evaluations > 0 && now.loss.is_finite() && now.loss != 0.0 {
            curve.note(now.evaluations, now.loss);
        }
        if let Some(painted) = ended {
            return (painted, curve.points());
        }
    }
}

/// Every so many of the points that were noted, and the last.
#[derive(Debug)]
struct Curve {
    kept: Vec<v1::LossPoint>,
    last: Option<v1::LossPoint>,
    noted: usize,
    /// One of so many is kept; it doubles whenever there are too many.
    stride: usize,
}

impl Default for Curve {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            last: None,
            noted: 0,
            stride: 1,
        }
    }
}

impl Curve {
    fn note(&mut self, evaluations: u32, loss: f64) {
        let point = v1::LossPoint { evaluations, loss };
        if self.last == Some(point) {
            return;
        }
        if self.noted.is_multiple_of(self.stride) {
            // With room for the last one.
            if self.kept.len() == POINTS_MAX - 1 {
                let mut number = 0;
                self.kept.retain(|_| {
                    number += 1;
                    number % 2 == 1
                });
                self.stride *= 2;
            }
            if self.noted.is_multiple_of(self.stride) {
                self.kept.push(point);
            }
        }
        self.noted += 1;
        self.last = Some(point);
    }

    fn points(self) -> Vec<v1::LossPoint> {
        let mut points = self.kept;
        if let Some(last) = self.last
            && points.last() != Some(&last)
        {
            points.push(last);
        }
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(evaluations: u32) -> Vec<u32> {
        let mut curve = Curve::default();
        for number in 1..=evaluations {
            curve.note(number, 1.0 / f64::from(number));
        }
        let points = curve.points().into_iter();
        points.map(|point| point.evaluations).collect()
    }

    #[test]
    fn a_short_curve_is_whole_and_a_long_one_has_its_ends_and_even_steps() {
        assert_eq!(curve(0), Vec::<u32>::new());
        assert_eq!(curve(3), [1, 2, 3]);
        for evaluations in [63, 64, 65, 200, 1000, 4321] {
            let points = curve(evaluations);
            assert!(points.len() <= POINTS_MAX && points.len() > POINTS_MAX / 4);
            assert_eq!((points[0], points.last()), (1, Some(&evaluations)));
            let steps: Vec<u32> = points.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let (_, even) = steps.split_last().unwrap();
            assert!(even.iter().all(|step| *step == even[0]), "{steps:?}");
        }
    }

    #[tokio::test]
    async fn what_is_told_is_noted_until_the_picture_is_there() {
        let (sender, receiver) = watch::channel(Progress::default());
        let painting = async {
            for (evaluations, loss) in [(1, 8.0), (2, f64::NAN), (3, 2.0)] {
                sender.send_modify(|progress| {
                    progress.evaluations = evaluations;
                    progress.loss = loss;
                });
                tokio::task::yield_now().await;
            }
            "painted"
        };
        // The sender is still there, as that of a block that is not done.
        let (painted, points) = until(painting, receiver).await;
        let points = points.iter().map(|point| (point.evaluations, point.loss));
        let points: Vec<(u32, f64)> = points.collect();
        assert_eq!(painted, "painted");
        assert_eq!(points, [(1, 8.0), (3, 2.0)]);
    }
}
