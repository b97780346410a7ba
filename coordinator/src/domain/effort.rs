//! How much there is to do, how long that takes and what it costs.

use std::collections::HashMap;
use std::time::Duration;

use atelier_proto::settings::{RenderSettings, fit};

/// Cells that a running mean remembers: a few batches, so that a node that grows slower shows.
pub const CELLS_REMEMBERED: u32 = 64;

/// How much a cell takes of whoever renders it.
#[derive(Debug, Clone, PartialEq)]
pub struct Effort {
    /// Millions of pixels times evaluations, over all scales.
    pub work: f64,
    /// What cells that take equally long for equal work have in common: their shape, how deep the network is looked into
    /// and what optimises them.
    pub kind: String,
}

impl Effort {
    /// Of a cell whose picture has this width and height, pixels.
    pub fn of(settings: &RenderSettings, (width, height): (u32, u32)) -> Self {
        let scales = settings.scale_sides().into_iter();
        let at_scale = scales.zip(settings.evaluations_per_scale());
        let pixels = at_scale.map(|(side, evaluations)| {
            let (width, height) = fit(width, height, side);
            f64::from(width) * f64::from(height) * f64::from(evaluations)
        });
        let layers = settings
            .content_layers
            .iter()
            .chain(settings.style_layers.iter());
        let deepest = layers.map(|(layer, _)| layer).max();
        let deepest = deepest.map_or_else(String::new, |layer| layer.to_string());
        Self {
            work: pixels.sum::<f64>() / 1e6,
            kind: format!("{width}x{height} {} {deepest}", settings.optimiser),
        }
    }
}

/// How long a kind of cells takes on a device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed {
    /// Seconds for a unit of [`Effort::work`].
    pub seconds_per_work: f64,
    /// How many cells were measured, up to [`CELLS_REMEMBERED`].
    pub cells: u32,
}

impl Speed {
    /// After one more cell, which took `seconds` for `work`; `None` if that measures nothing.
    pub fn measured(before: Option<Self>, seconds: f64, work: f64) -> Option<Self> {
        let latest = seconds / work;
        if !(latest.is_finite() && latest > 0.0) {
            return None;
        }
        let cells = before.map_or(0, |before| before.cells);
        let mean = before.map_or(0.0, |before| before.seconds_per_work);
        let counted = cells.saturating_add(1).min(CELLS_REMEMBERED);
        Some(Self {
            seconds_per_work: mean + (latest - mean) / f64::from(counted),
            cells: counted,
        })
    }
}

/// Every speed that was measured, by device and kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Speeds(pub HashMap<String, HashMap<String, Speed>>);

impl Speeds {
    /// How many units of work a device does in a second, over all kinds of cells that were measured there.
    pub fn work_per_second(&self, device: &str) -> Option<f64> {
        // No cell is of this kind, so it is the mean of all.
        self.seconds_per_work(device, "").map(f64::recip)
    }

    /// Seconds for a unit of work of a kind on a device: as measured of such cells, or else of any cells there.
    pub fn seconds_per_work(&self, device: &str, kind: &str) -> Option<f64> {
        let kinds = self.0.get(device)?;
        if let Some(speed) = kinds.get(kind) {
            return Some(speed.seconds_per_work);
        }
        let cells: f64 = kinds.values().map(|speed| f64::from(speed.cells)).sum();
        let sum = |speed: &Speed| speed.seconds_per_work * f64::from(speed.cells);
        (cells > 0.0).then(|| kinds.values().map(sum).sum::<f64>() / cells)
    }
}

/// A node that works on a grid now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worker {
    /// Seconds that it needs for a unit of work of the grid's cells.
    pub seconds_per_work: f64,
    /// What an hour of it costs, US dollars.
    pub dollars_per_hour: Option<f64>,
}

/// What is to be expected of a grid.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Estimate {
    /// Until its last cell has ended.
    pub time_left: Option<Duration>,
    /// What that costs, US dollars.
    pub dollars_left: Option<f64>,
}

impl Estimate {
    /// Of so much work that is left, at the speed of the nodes that work on it now.
    pub fn of(work_left: f64, workers: &[Worker]) -> Self {
        let speeds = workers.iter().map(|worker| 1.0 / worker.seconds_per_work);
        let seconds = work_left / speeds.sum::<f64>();
        let prices = workers.iter().map(|worker| worker.dollars_per_hour);
        let dollars_per_hour: Option<f64> = prices.sum();
        Self {
            time_left: Duration::try_from_secs_f64(seconds).ok(),
            dollars_left: dollars_per_hour
                .filter(|_| seconds.is_finite())
                .map(|dollars| dollars * seconds / 3600.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_pixels_times_evaluations_over_all_scales() {
        let settings = RenderSettings {
            size: 512,
            scales: 2,
            iterations: 40,
            ..RenderSettings::default()
        };
        let effort = Effort::of(&settings, (512, 256));
        // 60 evaluations of 256 x 128 and 40 of 512 x 256.
        let expected = (60.0 * 256.0 * 128.0 + 40.0 * 512.0 * 256.0) / 1e6;
        assert!((effort.work - expected).abs() < 1e-9);
        assert!(effort.kind.starts_with("512x256 "), "{}", effort.kind);
    }

    #[test]
    fn a_speed_is_a_mean_that_forgets() {
        let first = Speed::measured(None, 4.0, 2.0).unwrap();
        assert_eq!((first.seconds_per_work, first.cells), (2.0, 1));
        let second = Speed::measured(Some(first), 8.0, 2.0).unwrap();
        assert_eq!((second.seconds_per_work, second.cells), (3.0, 2));
        let mut speed = second;
        for _ in 0..1000 {
            speed = Speed::measured(Some(speed), 1.0, 1.0).unwrap();
        }
        assert!((speed.seconds_per_work - 1.0).abs() < 1e-3);
        assert_eq!(speed.cells, CELLS_REMEMBERED);
        assert_eq!(Speed::measured(None, 0.0, 2.0), None);
        assert_eq!(Speed::measured(None, 1.0, 0.0), None);
    }

    #[test]
    fn what_was_not_measured_is_taken_from_what_comes_closest() {
        let speed = |seconds_per_work, cells| Speed {
            seconds_per_work,
            cells,
        };
        let kinds = [
            ("small".to_owned(), speed(1.0, 3)),
            ("large".to_owned(), speed(2.0, 1)),
        ];
        let speeds = Speeds([("cpu".to_owned(), kinds.into())].into());
        assert_eq!(speeds.seconds_per_work("cpu", "large"), Some(2.0));
        assert_eq!(speeds.seconds_per_work("cpu", "huge"), Some(1.25));
        assert_eq!(speeds.seconds_per_work("cuda:0", "large"), None);
    }

    #[test]
    fn nodes_share_what_is_left() {
        let worker = |seconds_per_work, dollars_per_hour| Worker {
            seconds_per_work,
            dollars_per_hour,
        };
        let both = [worker(1.0, Some(3.6)), worker(1.0, Some(7.2))];
        let estimate = Estimate::of(100.0, &both);
        assert_eq!(estimate.time_left, Some(Duration::from_secs(50)));
        assert_eq!(estimate.dollars_left, Some(0.15));
        let unpriced = [worker(1.0, Some(3.6)), worker(1.0, None)];
        assert_eq!(Estimate::of(100.0, &unpriced).dollars_left, None);
        assert_eq!(Estimate::of(100.0, &[]), Estimate::default());
    }
}
