//! A node's right to a cell until a time, and the rules by which it is given and lost.

use std::time::Duration;

use atelier_proto::ids::NodeId;
use jiff::Timestamp;

/// Who holds a cell: the node, and the attempt that fences out whoever held it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The node.
    pub node: NodeId,
    /// Number of the attempt, from 1; it grows with every lease of the cell.
    pub attempt: u32,
}

/// The rules of leases and attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseRules {
    /// A lease that is not renewed for so long expires.
    pub lease_duration: Duration,
    /// Attempts that may fail or be lost before the cell fails; 1 or more.
    pub attempts_max: u32,
    /// Nodes on which a cell may fail or be lost before it fails: what fails everywhere is at fault itself. 1 or more.
    pub failed_nodes_max: u32,
    /// A node that makes no evaluation of a cell for so long, and for [`STALL_FACTOR`] times as long as its evaluations
    /// take, is stuck with it.
    pub stall_duration: Duration,
}

/// How many times as long as usual an evaluation may take.
const STALL_FACTOR: u32 = 50;

/// How long a cell waits after its first failed attempt; each further one waits four times as long.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// The longest such wait.
const RETRY_DELAY_MAX: Duration = Duration::from_mins(1);

impl LeaseRules {
    /// When a lease that is given or renewed now ends.
    pub fn expires_at(&self, now: Timestamp) -> Timestamp {
        later(now, self.lease_duration)
    }

    /// Whether a lease that ends at `expires_at` need not yet be renewed to `renewed`: less than half
    /// of it would be won. Nodes tell of each cell three times in a lease, and at once again when that failed.
    pub fn is_fresh(&self, expires_at: Timestamp, renewed: Timestamp) -> bool {
        renewed >= expires_at && renewed < later(expires_at, self.lease_duration / 2)
    }

    /// When a node is taken to be stuck that made its latest evaluation now, and needed `pace` for each before, as far as
    /// that is known.
    pub fn stalls_at(&self, pace: Option<Duration>, now: Timestamp) -> Timestamp {
        let usual = pace.unwrap_or_default().saturating_mul(STALL_FACTOR);
        later(now, usual.max(self.stall_duration))
    }

    /// A node that was last heard of before this is taken to be lost: what it holds expires.
    pub fn lost_before(&self, now: Timestamp) -> Timestamp {
        now.checked_sub(self.lease_duration)
            .unwrap_or(Timestamp::MIN)
    }

    /// How often nodes renew: often enough that two renewals may get lost, and that people see progress.
    pub fn renew_interval(&self) -> Duration {
        (self.lease_duration / 6).clamp(Duration::from_millis(100), Duration::from_secs(2))
    }

    /// When a cell may be leased again after `failed` failed attempts: what made one fail (a bucket that is down,
    /// a full disk) often lasts a while.
    pub fn retry_at(&self, failed: u32, now: Timestamp) -> Timestamp {
        let factor = 4_u32.saturating_pow(failed.saturating_sub(1));
        later(now, RETRY_DELAY.saturating_mul(factor).min(RETRY_DELAY_MAX))
    }
}

impl Default for LeaseRules {
    fn default() -> Self {
        Self {
            lease_duration: Duration::from_secs(30),
            attempts_max: 5,
            failed_nodes_max: 3,
            stall_duration: Duration::from_mins(5),
        }
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}
