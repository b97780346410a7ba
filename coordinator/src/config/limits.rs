//! What a coordinator is told of what others may have of it.

use clap::Args;
use clap::builder::TypedValueParser;

use crate::limits::CallerLimits;

/// Connections at once, of each listener.
pub const CONNECTIONS_MAX: u32 = 4_000;
/// Cells of a grid.
pub const CELLS_MAX: u32 = 10_000;
/// Calls a second of a client.
pub const CLIENT_CALLS_PER_SECOND: u32 = 200;
/// Calls a second of a node. One token may be that of a whole fleet.
pub const NODE_CALLS_PER_SECOND: u32 = 10_000;
/// Streams that follow something.
pub const WATCHERS_MAX: u32 = 10_000;
/// The same of one caller.
pub const CALLER_WATCHERS_MAX: u32 = 2_000;
/// Nodes that wait for cells.
pub const WAITING_LEASES_MAX: u32 = 20_000;

/// Reads how many there may be, where none would be no service.
fn count() -> impl TypedValueParser<Value = u32> {
    clap::value_parser!(u32).range(1..=1_000_000)
}

/// What others may have. All limits, also those that are not set here, are in docs/limits.md.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Cells that one grid may have
    #[arg(long, env = "ATELIER_CELLS_MAX", default_value_t = CELLS_MAX, value_name = "COUNT",
          value_parser = count())]
    pub cells_max: u32,
    /// Most cells of one submitter that have not ended; a grid that brings more is refused [default: no limit]
    #[arg(long, env = "ATELIER_SUBMITTER_OPEN_MAX", value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub submitter_open_max: Option<u32>,
    /// Most cells of one submitter that nodes hold at once [default: no limit]
    #[arg(long, env = "ATELIER_SUBMITTER_RUNNING_MAX", value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub submitter_running_max: Option<u32>,
    /// Calls that one client may make in a second; one that carries many cells counts for more. Whoever is above that is told
    /// when to come again
    #[arg(long, env = "ATELIER_CLIENT_CALLS_PER_SECOND", default_value_t = CLIENT_CALLS_PER_SECOND, value_name = "COUNT",
          value_parser = count())]
    pub client_calls_per_second: u32,
    /// Calls that one node may make in a second, or all nodes that share a token
    #[arg(long, env = "ATELIER_NODE_CALLS_PER_SECOND", default_value_t = NODE_CALLS_PER_SECOND, value_name = "COUNT",
          value_parser = count())]
    pub node_calls_per_second: u32,
    /// Streams that follow a grid and pages of the board, of all callers
    #[arg(long, env = "ATELIER_WATCHERS_MAX", default_value_t = WATCHERS_MAX, value_name = "COUNT",
          value_parser = count())]
    pub watchers_max: u32,
    /// The same of one caller
    #[arg(long, env = "ATELIER_CALLER_WATCHERS_MAX", default_value_t = CALLER_WATCHERS_MAX, value_name = "COUNT",
          value_parser = count())]
    pub caller_watchers_max: u32,
    /// Nodes that may wait for cells at once
    #[arg(long, env = "ATELIER_WAITING_LEASES_MAX", default_value_t = WAITING_LEASES_MAX, value_name = "COUNT",
          value_parser = count())]
    pub waiting_leases_max: u32,
    /// Most connections at once, of each of gRPC, board, S3 endpoint and metrics; further ones wait until one ends
    #[arg(long, env = "ATELIER_CONNECTIONS_MAX", default_value_t = CONNECTIONS_MAX, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(8..=1_000_000))]
    pub connections_max: u32,
    /// Most of them that come from one address; further ones are closed [default: half of --connections-max]
    #[arg(long, env = "ATELIER_ADDRESS_CONNECTIONS_MAX", value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(4..=1_000_000))]
    pub address_connections_max: Option<u32>,
}

/// Everything of it that is no rule of shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most cells of one grid.
    pub cells_max: u32,
    /// What each caller may have.
    pub callers: CallerLimits,
    /// Most nodes that wait for cells.
    pub waiting_leases_max: usize,
    /// Most connections of each listener.
    pub connections_max: usize,
    /// Most of them from one address.
    pub address_connections_max: usize,
}

impl From<&LimitArgs> for Limits {
    fn from(args: &LimitArgs) -> Self {
        let of_address = args.address_connections_max;
        Self {
            cells_max: args.cells_max,
            callers: CallerLimits {
                client_calls_per_second: args.client_calls_per_second,
                node_calls_per_second: args.node_calls_per_second,
                watchers_max: args.watchers_max,
                caller_watchers_max: args.caller_watchers_max,
            },
            waiting_leases_max: args.waiting_leases_max as usize,
            connections_max: args.connections_max as usize,
            address_connections_max: of_address.unwrap_or(args.connections_max / 2) as usize,
        }
    }
}
