//! A node: works through the cells that it holds, and gives them back when it has to go.

use std::collections::VecDeque;

use atelier_coordinator::domain::fleet::NodePhase;

use super::arrivals::{Millis, SECOND};
use super::backlog::Cell;

/// A node is heard of within so long, and what it holds is taken from it after so long.
pub const LEASE: Millis = 30 * SECOND;
/// What a picture has become is kept so often.
const CHECKPOINT: Millis = 20 * SECOND;
/// The next block is leased when so much is left of the one before, milliseconds.
const AHEAD: f64 = 15_000.0;

/// A node.
#[derive(Debug, Clone)]
pub struct Node {
    /// Whether it takes work.
    pub phase: NodePhase,
    /// Since when nothing was heard of it.
    pub silent: Option<Millis>,
    /// Grows when what it does is broken off, so that an end that was expected counts no more.
    pub epoch: u32,
    /// How long it has worked, milliseconds.
    pub worked: Millis,
    pace: f64,
    held: VecDeque<Cell>,
    /// When it began with the first of these.
    began: Option<Millis>,
}

impl Node {
    /// One that has just registered.
    pub fn new(pace: f64) -> Self {
        Self {
            phase: NodePhase::Active,
            silent: None,
            epoch: 0,
            worked: 0,
            pace,
            held: VecDeque::new(),
            began: None,
        }
    }

    /// Whether it takes work.
    pub fn is_active(&self) -> bool {
        self.phase == NodePhase::Active && self.silent.is_none()
    }

    /// When it was last heard of.
    pub fn seen_at(&self, now: Millis) -> Millis {
        self.silent.unwrap_or(now)
    }

    /// How many cells it holds.
    pub fn held(&self) -> u32 {
        self.held.len() as u32
    }

    /// Whether it asks for the next block.
    pub fn wants_more(&self) -> bool {
        let left: f64 = self.held.iter().map(|cell| cell.left).sum();
        self.is_active() && left * self.pace <= AHEAD
    }

    /// Takes a block.
    pub fn take(&mut self, cells: Vec<Cell>) {
        self.held.extend(cells);
    }

    /// Begins with the next cell if it does nothing; when that will be done.
    pub fn begin(&mut self, now: Millis) -> Option<Millis> {
        if self.began.is_some() || self.silent.is_some() {
            return None;
        }
        let cell = self.held.front()?;
        self.began = Some(now);
        Some(now + ((cell.left * self.pace) as Millis).max(1))
    }

    /// Ends the cell that it works on; that, and for how many seconds it did.
    pub fn end(&mut self, now: Millis) -> Option<(Cell, f64)> {
        let worked = now - self.began.take()?;
        self.worked += worked;
        let cell = self.held.pop_front()?;
        Some((cell, worked as f64 / 1000.0))
    }

    /// Breaks off what it does; how much of that is lost, because it came after the last checkpoint, milliseconds.
    pub fn stop(&mut self, now: Millis) -> Millis {
        self.epoch += 1;
        let Some(began) = self.began.take() else {
            return 0;
        };
        let worked = now - began;
        self.worked += worked;
        let kept = worked / CHECKPOINT * CHECKPOINT;
        if let Some(cell) = self.held.front_mut() {
            cell.left = (cell.left - kept as f64 / self.pace).max(1.0);
        }
        worked - kept
    }

    /// Gives back all that it holds.
    pub fn give_back(&mut self) -> VecDeque<Cell> {
        std::mem::take(&mut self.held)
    }
}
