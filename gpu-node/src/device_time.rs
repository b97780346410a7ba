//! What the device does with its time: renders, or waits although there are cells to be had.
//!
//! The device has nothing to wait for while no cell is at hand: that time is nobody's fault and counts as neither. A cell
//! is at hand from the answer to its lease until its batch has been rendered or it has left its block.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atelier_proto::clock::Stopwatch;
use tokio::sync::watch;

/// A lease that is answered within this time was answered for cells that had been waiting; a later one waited for them.
const ANSWERED_AT_ONCE: Duration = Duration::from_secs(1);

/// The account. Times are those since any one moment; the caller passes in `now`, which never falls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeviceTime {
    /// From the start of each batch to its end.
    pub rendering: Duration,
    /// Between batches while cells were at hand, or could be had for the asking.
    pub idle: Duration,
    is_rendering: bool,
    cells_at_hand: usize,
    /// When it was last written down what the device did.
    settled_at: Duration,
}

impl DeviceTime {
    /// Share of the idle seconds in all that count; 0 before the first.
    pub fn idle_share(&self) -> f64 {
        let counted = (self.rendering + self.idle).as_secs_f64();
        if counted > 0.0 {
            self.idle.as_secs_f64() / counted
        } else {
            0.0
        }
    }

    /// Writes down what the device did until `now`.
    fn settle(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.settled_at);
        if self.is_rendering {
            self.rendering += passed;
        } else if self.cells_at_hand > 0 {
            self.idle += passed;
        }
        self.settled_at = self.settled_at.max(now);
    }

    fn begin_batch(&mut self, now: Duration) {
        self.settle(now);
        self.is_rendering = true;
    }

    fn end_batch(&mut self, now: Duration) {
        self.settle(now);
        self.is_rendering = false;
    }

    /// A lease that was asked for at `asked` brings `cells` at `now`.
    fn take_cells(&mut self, cells: usize, asked: Duration, now: Duration) {
        let had_none = !self.is_rendering && self.cells_at_hand == 0;
        if had_none && cells > 0 && now.saturating_sub(asked) <= ANSWERED_AT_ONCE {
            self.idle += now.saturating_sub(asked.max(self.settled_at));
        }
        self.settle(now);
        self.cells_at_hand += cells;
    }

    fn leave_cell(&mut self, now: Duration) {
        self.settle(now);
        self.cells_at_hand = self.cells_at_hand.saturating_sub(1);
    }
}

/// The account of this process' device; clones share it.
#[derive(Debug, Clone)]
pub struct DeviceMeter(Arc<Meter>);

#[derive(Debug)]
struct Meter {
    since_start: Stopwatch,
    time: Mutex<DeviceTime>,
    /// As the account has it.
    cells_at_hand: watch::Sender<usize>,
}

/// When a lease was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked(Duration);

/// A cell that is at hand for the device, until this is dropped.
#[derive(Debug)]
pub struct AtHand(DeviceMeter);

impl Default for DeviceMeter {
    fn default() -> Self {
        Self(Arc::new(Meter {
            since_start: Stopwatch::start(),
            time: Mutex::default(),
            cells_at_hand: watch::Sender::default(),
        }))
    }
}

impl DeviceMeter {
    /// The account until now.
    pub fn read(&self) -> DeviceTime {
        let (mut time, now) = self.now();
        time.settle(now);
        *time
    }

    /// The device begins with a batch.
    pub fn begin_batch(&self) {
        let (mut time, now) = self.now();
        time.begin_batch(now);
    }

    /// The device has ended it.
    pub fn end_batch(&self) {
        let (mut time, now) = self.now();
        time.end_batch(now);
    }

    /// Notes that a lease is asked for.
    pub fn ask(&self) -> Asked {
        Asked(self.0.since_start.elapsed())
    }

    /// The lease that was asked for brings so many cells.
    pub fn take_cells(&self, cells: usize, asked: Asked) -> Vec<AtHand> {
        let (mut time, now) = self.now();
        time.take_cells(cells, asked.0, now);
        self.0.cells_at_hand.send_replace(time.cells_at_hand);
        (0..cells).map(|_| AtHand(self.clone())).collect()
    }

    /// Waits until no more than so many cells are at hand.
    pub async fn until_at_hand(&self, cells_max: usize) {
        let mut at_hand = self.0.cells_at_hand.subscribe();
        // The sender lives as long as this.
        let _ = at_hand.wait_for(|cells| *cells <= cells_max).await;
    }

    /// The account, locked before the time is read, so that the time never falls from one entry to the next.
    fn now(&self) -> (MutexGuard<'_, DeviceTime>, Duration) {
        // Every change is a sum, so a panic elsewhere leaves the account whole.
        let time = self.0.time.lock().unwrap_or_else(PoisonError::into_inner);
        (time, self.0.since_start.elapsed())
    }
}

impl Drop for AtHand {
    fn drop(&mut self) {
        let (mut time, now) = self.0.now();
        time.leave_cell(now);
        let at_hand = &self.0.0.cells_at_hand;
        at_hand.send_replace(time.cells_at_hand);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn slow_inputs_are_idle_time_and_a_prepared_block_hides_them() {
        let mut time = DeviceTime::default();
        // Waiting for the first grid counts as nothing; fetching the first inputs counts.
        time.take_cells(1, at(0), at(5_000));
        time.begin_batch(at(5_100));
        // Twenty blocks of 200 ms. Inputs take 300 ms: 100 ms more than there is to hide them behind.
        for block in 0..20 {
            let begun = 5_100 + 300 * block;
            time.take_cells(1, at(begun), at(begun));
            time.end_batch(at(begun + 200));
            time.leave_cell(at(begun + 200));
            time.begin_batch(at(begun + 300));
        }
        time.end_batch(at(11_300));
        time.leave_cell(at(11_300));
        assert_eq!(time.rendering, at(21 * 200));
        assert_eq!(time.idle, at(100 + 20 * 100));
        // Nothing is left to do: time passes uncounted.
        time.settle(at(60_000));
        assert_eq!(time.idle, at(2_100));
        assert!((time.idle_share() - 2_100.0 / 6_300.0).abs() < 1e-12);
    }

    #[test]
    fn asking_is_idle_time_when_the_cells_were_there() {
        let mut time = DeviceTime::default();
        time.take_cells(1, at(0), at(0));
        time.begin_batch(at(0));
        time.end_batch(at(100));
        time.leave_cell(at(100));
        // Asked for during the block and answered 40 ms after its end: 40 ms without work although there was some.
        time.take_cells(1, at(60), at(140));
        assert_eq!(time.idle, at(40));
        time.begin_batch(at(150));
        assert_eq!(time.idle, at(50));
        time.end_batch(at(250));
        time.leave_cell(at(250));
        // This one had to wait until somebody submitted a grid.
        time.take_cells(1, at(250), at(9_000));
        assert_eq!(time.idle, at(50));
    }

    #[tokio::test]
    async fn whoever_waits_for_few_cells_hears_of_each_that_leaves() {
        let meter = DeviceMeter::default();
        let mut cells = meter.take_cells(3, meter.ask());
        let is_reached = async |cells_max| {
            let waiting = meter.until_at_hand(cells_max);
            tokio::time::timeout(at(20), waiting).await.is_ok()
        };
        assert!(is_reached(3).await && !is_reached(2).await);
        let leaving = async { drop(cells.pop()) };
        tokio::join!(meter.until_at_hand(2), leaving);
        assert!(!is_reached(1).await);
    }

    #[test]
    fn a_cell_that_leaves_early_takes_its_waiting_with_it() {
        let meter = DeviceMeter::default();
        let cells = meter.take_cells(2, meter.ask());
        drop(cells);
        let idle = meter.read().idle;
        assert_eq!(meter.read().idle, idle, "nothing is at hand any more");
    }
}
