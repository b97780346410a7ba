//! What a coordinator lets others have, and what somebody is told who is beyond a limit.
//!
//! [`callers`] keeps what each caller uses. `table`, which only tests have, names every limit that a caller can meet, wherever it
//! is kept: `docs/limits.md` is written from it.

pub mod callers;
#[cfg(test)]
mod table;

use std::time::Duration;

/// Limits at which something is refused that its sender did nothing wrong by; metrics tell them apart. What is wrong in itself,
/// as a name that is too long, is told with the field's path and counted among the calls, by its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Calls of a caller, in a second.
    Requests,
    /// Calls of a caller that have not ended.
    CallsInHand,
    /// Submissions that are taken in.
    Submissions,
    /// Connections of a listener, which wait.
    Connections,
    /// Connections of one address, which are closed.
    AddressConnections,
    /// Streams that follow something.
    Watchers,
    /// Nodes that wait for cells.
    WaitingLeases,
    /// Cells of a submitter that have not ended.
    OpenCells,
    /// Pages of the board.
    BoardPages,
}

impl Limit {
    #[cfg(test)]
    const ALL: [Self; 9] = [
        Self::Requests,
        Self::CallsInHand,
        Self::Submissions,
        Self::Connections,
        Self::AddressConnections,
        Self::Watchers,
        Self::WaitingLeases,
        Self::OpenCells,
        Self::BoardPages,
    ];

    /// As metrics have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::CallsInHand => "calls_in_hand",
            Self::Submissions => "submissions",
            Self::Connections => "connections",
            Self::AddressConnections => "address_connections",
            Self::Watchers => "watchers",
            Self::WaitingLeases => "waiting_leases",
            Self::OpenCells => "open_cells",
            Self::BoardPages => "board_pages",
        }
    }
}

/// What somebody is told who is beyond a limit, and when they may come again.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Exceeded {
    /// The limit.
    pub limit: Limit,
    /// What was too much, how much would do, and what to do.
    pub message: String,
    /// When it may be tried again.
    pub after: Duration,
    /// The caller is refused again and again, and goes on.
    pub is_flood: bool,
}

/// What each caller may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallerLimits {
    /// Calls a second of one client.
    pub client_calls_per_second: u32,
    /// The same of one node.
    pub node_calls_per_second: u32,
    /// Streams that follow something, of all callers.
    pub watchers_max: u32,
    /// The same of one caller.
    pub caller_watchers_max: u32,
}
