//! What never changes of a grid once it was submitted, made once and kept for whoever asks next.

use std::sync::Arc;

use atelier_proto::ids::GridId;
use atelier_proto::settings::RenderSettings;

use super::grid::{GridSpec, Position};
use super::keys::{CellKeys, GridNames};

/// A grid, its cells by their places, and the keys of their pictures.
#[derive(Debug)]
pub struct GridFacts {
    /// The grid.
    pub grid: GridId,
    /// What was submitted.
    pub spec: Arc<GridSpec>,
    /// Its names, as parts of keys.
    pub names: GridNames,
    positions: Vec<Position>,
}

impl GridFacts {
    /// Of what was submitted.
    pub fn new(grid: GridId, spec: Arc<GridSpec>) -> Self {
        Self {
            grid,
            names: GridNames::new(grid, &spec),
            positions: spec.positions().collect(),
            spec,
        }
    }

    /// How many cells it has.
    pub fn cells(&self) -> u32 {
        self.positions.len() as u32
    }

    /// What the cell at a place is of; `None` beyond the last.
    pub fn position(&self, place: u32) -> Option<Position> {
        self.positions.get(place as usize).copied()
    }

    /// The settings of the cell at a place.
    pub fn settings(&self, place: u32) -> Option<RenderSettings> {
        self.spec.cell_settings(self.position(place)?)
    }

    /// The keys of the cell at a place.
    pub fn keys(&self, place: u32) -> Option<CellKeys> {
        let extension = self.settings(place)?.format.extension();
        self.names.cell(self.position(place)?, extension)
    }
}
