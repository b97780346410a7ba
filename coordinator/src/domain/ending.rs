//! How a grid ended: what there is to tell of it, fixed at that moment.

use std::collections::BTreeMap;

use atelier_proto::ids::{EndingId, GridId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::summary::{GridState, GridSummary};

/// In what way a grid ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EndKind {
    /// No cell of it failed.
    #[serde(rename = "grid.done")]
    Done,
    /// Some cells failed.
    #[serde(rename = "grid.failed")]
    Failed,
    /// It was cancelled.
    #[serde(rename = "grid.cancelled")]
    Cancelled,
}

impl EndKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Done, Self::Failed, Self::Cancelled];

    /// The kind as receivers see it, in a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "grid.done",
            Self::Failed => "grid.failed",
            Self::Cancelled => "grid.cancelled",
        }
    }
}

/// How many cells of an ended grid ended in which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedCells {
    /// With a picture.
    pub done: u32,
    /// Without one, for a reason.
    pub failed: u32,
    /// Not wanted any more.
    pub cancelled: u32,
}

/// A grid as it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ending {
    /// The grid.
    pub grid: GridId,
    /// The name that its owner gave it.
    pub name: String,
    /// Who submitted it; may be empty.
    pub submitter: String,
    /// In what way it ended.
    pub kind: EndKind,
    /// How its cells ended.
    pub cells: EndedCells,
    /// Seconds of optimisation of the cells that are done.
    pub seconds: f64,
    /// What they cost, US dollars, if a node that rendered them says what it costs.
    pub dollars: Option<f64>,
    /// When it was submitted.
    pub submitted_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
}

impl Ending {
    /// The end of a grid that stands so; `None` if it has not ended, or is being forgotten.
    pub fn of(summary: &GridSummary) -> Option<Self> {
        let kind = match summary.state {
            GridState::Active | GridState::Paused | GridState::Deleted => return None,
            GridState::Cancelled => EndKind::Cancelled,
            GridState::Finished if summary.counts.failed > 0 => EndKind::Failed,
            GridState::Finished => EndKind::Done,
        };
        Some(Self {
            grid: summary.grid,
            name: summary.name.clone(),
            submitter: summary.submitter.clone(),
            kind,
            cells: EndedCells {
                done: summary.counts.done,
                failed: summary.counts.failed,
                cancelled: summary.counts.cancelled,
            },
            seconds: summary.seconds_spent,
            dollars: (summary.dollars_spent > 0.0).then_some(summary.dollars_spent),
            submitted_at: summary.submitted_at,
            ended_at: summary.finished_at?,
        })
    }
}

/// An end that is to be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Untold {
    /// Tells this end from every other.
    pub id: EndingId,
    /// The grid as it ended.
    pub ending: Ending,
    /// The grid's labels.
    pub labels: BTreeMap<String, String>,
    /// Whether the gallery in the bucket shows the grid as it ended.
    pub gallery_complete: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::summary::Counts;

    fn summary(state: GridState, failed: u32) -> GridSummary {
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        GridSummary {
            grid: GridId::generate(),
            name: "ride".to_owned(),
            state,
            counts: Counts {
                done: 3,
                failed,
                ..Counts::default()
            },
            submitted_at: at,
            finished_at: state.has_ended().then_some(at),
            sequence: 9,
            gallery_complete: false,
            priority: 0,
            submitter: "ann".to_owned(),
            work_open: 0.0,
            seconds_spent: 4.5,
            dollars_spent: 0.0,
        }
    }

    #[test]
    fn a_grid_ends_in_one_of_three_ways() {
        let kind = |state, failed| Ending::of(&summary(state, failed)).map(|ending| ending.kind);
        assert_eq!(kind(GridState::Active, 0), None);
        assert_eq!(kind(GridState::Paused, 1), None);
        assert_eq!(kind(GridState::Deleted, 0), None);
        assert_eq!(kind(GridState::Finished, 0), Some(EndKind::Done));
        assert_eq!(kind(GridState::Finished, 2), Some(EndKind::Failed));
        assert_eq!(kind(GridState::Cancelled, 0), Some(EndKind::Cancelled));
        assert_eq!(kind(GridState::Cancelled, 2), Some(EndKind::Cancelled));
    }

    #[test]
    fn what_nobody_knows_the_cost_of_costs_nothing_that_is_told() {
        let mut grid = summary(GridState::Finished, 0);
        assert_eq!(Ending::of(&grid).unwrap().dollars, None);
        grid.dollars_spent = 0.25;
        assert_eq!(Ending::of(&grid).unwrap().dollars, Some(0.25));
    }

    #[test]
    fn the_words_are_those_of_the_wire() {
        for kind in EndKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.word());
        }
    }
}
