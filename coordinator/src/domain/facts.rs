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
    /// The trace in which it was submitted, as W3C has it; empty: in none.
    pub trace_parent: String,
    /// Cells of a photo or an artist alone. Those of both are many, and follow from their places.
    reconstructions: Vec<Position>,
}

impl GridFacts {
    /// Of what was submitted.
    pub fn new(grid: GridId, spec: Arc<GridSpec>) -> Self {
        Self {
            grid,
            names: GridNames::new(grid, &spec),
            reconstructions: spec.reconstructions().collect(),
            trace_parent: String::new(),
            spec,
        }
    }

    /// The same, submitted in a trace.
    #[must_use]
    pub fn in_trace(self, trace_parent: String) -> Self {
        Self {
            trace_parent,
            ..self
        }
    }

    /// How many cells it has.
    pub fn cells(&self) -> u32 {
        (self.spec.transfers() + self.reconstructions.len()) as u32
    }

    /// How many things it lists, each with some hundred bytes.
    pub fn parts(&self) -> usize {
        let spec = &self.spec;
        spec.photos().len()
            + spec.artists().len()
            + spec.variants().len()
            + self.reconstructions.len()
    }

    /// What the cell at a place is of; `None` beyond the last.
    pub fn position(&self, place: u32) -> Option<Position> {
        let place = place as usize;
        self.spec.transfer(place).or_else(|| {
            let after = place.checked_sub(self.spec.transfers())?;
            self.reconstructions.get(after).copied()
        })
    }

    /// The settings of the cell at a place.
    pub fn settings(&self, place: u32) -> Option<RenderSettings> {
        self.spec.cell_settings(self.position(place)?)
    }

    /// The kind of its first cell, as [`Effort::kind`](super::effort::Effort::kind) has it: cells of one grid are mostly of one kind.
    pub fn kind(&self) -> Option<String> {
        let effort = self.spec.effort(self.position(0)?)?;
        Some(effort.kind)
    }

    /// The keys of the cell at a place.
    pub fn keys(&self, place: u32) -> Option<CellKeys> {
        let extension = self.settings(place)?.format.extension();
        self.names.cell(self.position(place)?, extension)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::grid::tests::draft;

    #[test]
    fn every_place_has_the_cell_that_the_order_of_service_has_there() {
        let mut draft = draft(3, 2);
        draft.reconstructions = true;
        let spec = Arc::new(GridSpec::accept(draft, 100).unwrap());
        let facts = GridFacts::new(GridId::generate(), spec.clone());
        let positions: Vec<Position> = spec.positions().collect();
        assert_eq!(positions.len(), facts.cells() as usize);
        assert_eq!(positions.len(), 6 + 3 + 2);
        for (place, position) in positions.iter().enumerate() {
            assert_eq!(facts.position(place as u32), Some(*position));
        }
        assert_eq!(facts.position(facts.cells()), None);
    }
}
