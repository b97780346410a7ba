//! What can happen, as data: a schedule is a list of operations.
//!
//! Numbers choose among what there is when the operation comes: a grid, a node, a cell that it holds. So every list is a
//! schedule, also what is left of one when operations are taken out. Printed, an operation is Rust, to be kept in
//! [`super::cases`].

use proptest::collection::vec;
use proptest::prelude::*;

/// Coordinators at one store.
pub(super) const COORDINATORS: usize = 2;
/// Node programs, each of which may die and be started again.
pub(super) const NODES: usize = 3;
/// Ids that clients use for submissions.
pub(super) const REQUESTS: usize = 6;
/// What they submit.
pub(super) const CONTENTS: usize = 4;

/// One thing that happens. `at` is the coordinator at which it does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Op {
    /// A client submits a content with a request id, which may have been used.
    Submit {
        at: usize,
        request: usize,
        content: usize,
        fault: Fault,
    },
    /// A client pauses or resumes a grid, or gives it another priority.
    Steer {
        at: usize,
        grid: usize,
        how: How,
        fault: Fault,
    },
    /// A client cancels a grid.
    Cancel {
        at: usize,
        grid: usize,
        fault: Fault,
    },
    /// A client has cells tried again: those whose bits are set, or every failed one if none is.
    Retry {
        at: usize,
        grid: usize,
        places: u8,
        fault: Fault,
    },
    /// A client deletes a grid.
    Delete {
        at: usize,
        grid: usize,
        fault: Fault,
    },
    /// Somebody who follows a grid asks what has changed.
    Watch {
        at: usize,
        grid: usize,
        fault: Fault,
    },
    /// A node says again who it is, under another name.
    Register { at: usize, node: usize },
    /// A node asks for at most so many cells. If the answer is lost and that is `noticed`, the coordinator takes them back.
    Lease {
        at: usize,
        node: usize,
        cells: usize,
        fault: Fault,
        noticed: bool,
    },
    /// Two nodes ask for cells at the same time, each at a coordinator of its own.
    Race {
        first: usize,
        second: usize,
        cells: usize,
    },
    /// A node renews all that it believes to hold.
    Renew {
        at: usize,
        node: usize,
        progress: Moved,
        fault: Fault,
    },
    /// A node puts a picture and does not say so.
    Put { node: usize, cell: usize },
    /// A node says one thing of one cell. Which node is chosen among those that have something to say.
    Tell { at: usize, say: Say, fault: Fault },
    /// Nodes say things at the same moment, which are committed together.
    Together { at: usize, says: [Say; 3] },
    /// A node's program dies without a word and is started again; what it held haunts the others.
    Die { node: usize },
    /// A node's device breaks: until its program is started again, it fails whatever it would have delivered.
    Break { node: usize },
    /// Leases that are over are ended.
    Expire { at: usize },
    /// An operator says what a node is to do.
    Order {
        at: usize,
        node: usize,
        order: Order,
    },
    /// Time passes everywhere.
    Advance { seconds: u32 },
    /// The clock of one coordinator is set back.
    SetBack { at: usize, seconds: u32 },
    /// A coordinator is killed and started again.
    Restart { at: usize },
    /// The gallery of a grid was written as the grid is now, or as it was one change ago.
    Publish {
        at: usize,
        grid: usize,
        is_old: bool,
    },
    /// Objects of deleted grids are removed, and the rows of those that were deleted long ago.
    Collect { at: usize },
    /// Objects that ended grids do not refer to are removed.
    Sweep { at: usize },
    /// Somebody looks for grids that ended long ago.
    LookBack { at: usize },
    /// Those that were found by whoever looked are forgotten.
    Forget { at: usize },
}

/// What becomes of a call on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It arrives, and so does its answer.
    Arrives,
    /// It never arrives.
    RequestLost,
    /// It is done, and whoever called does not hear of it.
    ResponseLost,
    /// As before, and it is sent once more to another coordinator.
    Repeated,
}

/// What a client does with a grid.
#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    Pause,
    Resume,
    Priority(i32),
}

/// What a node has done since its last renewal, of each cell.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moved {
    /// So many evaluations.
    By(u32),
    /// None, but it works on it.
    Stands,
    /// It began anew.
    Restarted,
    /// The device does not work on it, or no longer.
    Waits,
}

/// What a node says of a cell, which it believes to hold or held once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Say {
    pub(super) node: usize,
    pub(super) cell: usize,
    /// It is about a lease that the node knows, or could know, to be over.
    pub(super) is_late: bool,
    pub(super) what: What,
}

/// What can be said of a cell.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    Alive,
    Done,
    Failed,
    Refused,
    Released,
}

/// What an operator can say to a node.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    Drain,
    Quarantine,
    Lift,
}

impl Fault {
    /// Coordinators at which a call arrives that is made at one.
    pub(super) fn arrives_at(self, at: usize) -> impl Iterator<Item = usize> {
        let other = (at + 1) % COORDINATORS;
        let (first, second) = match self {
            Self::RequestLost => (None, None),
            Self::Arrives | Self::ResponseLost => (Some(at), None),
            Self::Repeated => (Some(at), Some(other)),
        };
        first.into_iter().chain(second)
    }

    /// Whether the caller hears the last answer.
    pub(super) fn is_answered(self) -> bool {
        match self {
            Self::Arrives | Self::Repeated => true,
            Self::RequestLost | Self::ResponseLost => false,
        }
    }
}

/// Schedules of sixty operations in the mean, and few where few are enough to fail.
pub(super) fn schedules() -> impl Strategy<Value = Vec<Op>> {
    (vec(submission(), 2..=5), vec(op(), 1..=113)).prop_map(|(mut ops, rest)| {
        ops.extend(rest);
        ops
    })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => of_client(),
        55 => of_node(),
        25 => of_house(),
    ]
}

fn at() -> std::ops::Range<usize> {
    0..COORDINATORS
}

fn node() -> std::ops::Range<usize> {
    0..NODES
}

/// By which a grid is chosen.
fn grid() -> std::ops::Range<usize> {
    0..12
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        7 => Just(Fault::Arrives),
        1 => Just(Fault::RequestLost),
        1 => Just(Fault::ResponseLost),
        1 => Just(Fault::Repeated),
    ]
}

fn of_client() -> impl Strategy<Value = Op> {
    let how = prop_oneof![
        2 => Just(How::Pause),
        3 => Just(How::Resume),
        1 => (-1..=1).prop_map(|step| How::Priority(20 * step)),
    ];
    prop_oneof![
        4 => submission(),
        4 => (at(), grid(), how, fault())
            .prop_map(|(at, grid, how, fault)| Op::Steer { at, grid, how, fault }),
        3 => (at(), grid(), fault()).prop_map(|(at, grid, fault)| Op::Cancel { at, grid, fault }),
        5 => (at(), grid(), prop_oneof![Just(0), 1_u8..32], fault())
            .prop_map(|(at, grid, places, fault)| Op::Retry { at, grid, places, fault }),
        2 => (at(), grid(), fault()).prop_map(|(at, grid, fault)| Op::Delete { at, grid, fault }),
        6 => (at(), grid(), fault()).prop_map(|(at, grid, fault)| Op::Watch { at, grid, fault }),
    ]
}

fn submission() -> impl Strategy<Value = Op> {
    (at(), 0..REQUESTS, 0..CONTENTS, fault()).prop_map(|(at, request, content, fault)| Op::Submit {
        at,
        request,
        content,
        fault,
    })
}

fn of_node() -> impl Strategy<Value = Op> {
    let progress = prop_oneof![
        4 => (1_u32..60).prop_map(Moved::By),
        3 => Just(Moved::Stands),
        1 => Just(Moved::Restarted),
        2 => Just(Moved::Waits),
    ];
    prop_oneof![
        1 => (at(), node()).prop_map(|(at, node)| Op::Register { at, node }),
        16 => (at(), node(), 1_usize..5, fault(), any::<bool>())
            .prop_map(|(at, node, cells, fault, noticed)| Op::Lease { at, node, cells, fault, noticed }),
        2 => (node(), node(), 1_usize..4)
            .prop_map(|(first, second, cells)| Op::Race { first, second, cells }),
        12 => (at(), node(), progress, fault())
            .prop_map(|(at, node, progress, fault)| Op::Renew { at, node, progress, fault }),
        2 => (node(), 0_usize..5).prop_map(|(node, cell)| Op::Put { node, cell }),
        22 => (at(), say(), fault()).prop_map(|(at, say, fault)| Op::Tell { at, say, fault }),
        4 => (at(), [say(), say(), say()]).prop_map(|(at, says)| Op::Together { at, says }),
        3 => node().prop_map(|node| Op::Die { node }),
        3 => node().prop_map(|node| Op::Break { node }),
    ]
}

fn say() -> impl Strategy<Value = Say> {
    let what = prop_oneof![
        1 => Just(What::Alive),
        6 => Just(What::Done),
        5 => Just(What::Failed),
        1 => Just(What::Refused),
        3 => Just(What::Released),
    ];
    (node(), 0_usize..5, prop::bool::weighted(0.25), what).prop_map(
        |(node, cell, is_late, what)| Say {
            node,
            cell,
            is_late,
            what,
        },
    )
}

fn of_house() -> impl Strategy<Value = Op> {
    let order = prop_oneof![
        1 => Just(Order::Drain),
        1 => Just(Order::Quarantine),
        3 => Just(Order::Lift),
    ];
    let seconds = prop_oneof![4 => 1_u32..8, 6 => 8_u32..40, 2 => 40_u32..400];
    prop_oneof![
        9 => at().prop_map(|at| Op::Expire { at }),
        14 => seconds.prop_map(|seconds| Op::Advance { seconds }),
        2 => (at(), 1_u32..6).prop_map(|(at, seconds)| Op::SetBack { at, seconds }),
        3 => (at(), node(), order).prop_map(|(at, node, order)| Op::Order { at, node, order }),
        1 => at().prop_map(|at| Op::Restart { at }),
        6 => (at(), grid(), prop::bool::weighted(0.2))
            .prop_map(|(at, grid, is_old)| Op::Publish { at, grid, is_old }),
        2 => at().prop_map(|at| Op::Collect { at }),
        2 => at().prop_map(|at| Op::Sweep { at }),
        3 => at().prop_map(|at| Op::LookBack { at }),
        3 => at().prop_map(|at| Op::Forget { at }),
    ]
}
