//! Schedules that once failed, as they were printed, each with what it found.

use super::operation::Fault::*;
use super::operation::Moved::*;
use super::operation::Op::*;
use super::operation::Say;
use super::operation::What::*;
use super::{Worker, files, folder};

fn play(ops: &[super::operation::Op]) {
    let folder = folder();
    if let Err(error) = Worker::new(&files(&folder)).play(ops) {
        panic!("{error}");
    }
}

/// It was told as a change with every renewal: a loss that is no number is not equal to itself.
#[test]
fn a_node_without_a_loss_yet_that_stands_still_shows_nothing_new() {
    play(&[
        Submit {
            at: 0,
            request: 0,
            content: 0,
            fault: Arrives,
        },
        Lease {
            at: 0,
            node: 2,
            cells: 1,
            fault: Arrives,
            noticed: false,
        },
        Renew {
            at: 0,
            node: 2,
            progress: Stands,
            fault: Arrives,
        },
        Renew {
            at: 0,
            node: 2,
            progress: Stands,
            fault: Arrives,
        },
    ]);
}

/// Its lease was not renewed up to the time at which it would be stuck, so it was taken to be lost before.
#[test]
fn a_node_that_stands_still_and_renews_keeps_its_cell_until_it_is_stuck() {
    play(&[
        Submit {
            at: 0,
            request: 0,
            content: 0,
            fault: Arrives,
        },
        Lease {
            at: 0,
            node: 0,
            cells: 1,
            fault: Arrives,
            noticed: false,
        },
        Renew {
            at: 0,
            node: 0,
            progress: By(1),
            fault: Arrives,
        },
        Advance { seconds: 20 },
        Renew {
            at: 0,
            node: 0,
            progress: Stands,
            fault: Arrives,
        },
        Advance { seconds: 12 },
        Expire { at: 0 },
    ]);
}

/// Its cells were removed although somebody had been told that they would be tried again.
#[test]
fn an_old_grid_that_is_tried_again_before_it_is_forgotten_stays() {
    play(&[
        Submit {
            at: 0,
            request: 0,
            content: 0,
            fault: Arrives,
        },
        Lease {
            at: 0,
            node: 0,
            cells: 1,
            fault: Arrives,
            noticed: false,
        },
        Tell {
            at: 0,
            say: Say {
                node: 0,
                cell: 0,
                is_late: false,
                what: Refused,
            },
            fault: Arrives,
        },
        Publish {
            at: 0,
            grid: 1,
            is_old: false,
        },
        Advance { seconds: 41 },
        LookBack { at: 0 },
        Retry {
            at: 0,
            grid: 1,
            places: 0,
            fault: Arrives,
        },
        Forget { at: 0 },
    ]);
}

/// Its rows were removed, and with them what told that its objects were to be removed.
#[test]
fn an_old_grid_that_is_deleted_before_it_is_forgotten_leaves_nothing() {
    play(&[
        Submit {
            at: 0,
            request: 2,
            content: 0,
            fault: Arrives,
        },
        Lease {
            at: 0,
            node: 0,
            cells: 1,
            fault: Arrives,
            noticed: false,
        },
        Tell {
            at: 0,
            say: Say {
                node: 0,
                cell: 0,
                is_late: false,
                what: Done,
            },
            fault: Arrives,
        },
        Advance { seconds: 41 },
        Publish {
            at: 0,
            grid: 1,
            is_old: false,
        },
        LookBack { at: 0 },
        Delete {
            at: 0,
            grid: 1,
            fault: Arrives,
        },
        Forget { at: 0 },
    ]);
}

/// A failure and a picture in one commit counted as if the picture had come first.
#[test]
fn what_is_committed_together_counts_in_its_order_for_a_node() {
    let tell = |what| Tell {
        at: 0,
        say: Say {
            node: 0,
            cell: 0,
            is_late: false,
            what,
        },
        fault: Arrives,
    };
    let say = |what| Say {
        node: 0,
        cell: 0,
        is_late: false,
        what,
    };
    let lease = Lease {
        at: 0,
        node: 0,
        cells: 1,
        fault: Arrives,
        noticed: false,
    };
    play(&[
        Submit {
            at: 0,
            request: 0,
            content: 0,
            fault: Arrives,
        },
        Submit {
            at: 0,
            request: 1,
            content: 0,
            fault: Arrives,
        },
        Submit {
            at: 0,
            request: 2,
            content: 0,
            fault: Arrives,
        },
        Submit {
            at: 0,
            request: 3,
            content: 0,
            fault: Arrives,
        },
        lease,
        tell(Failed),
        lease,
        tell(Failed),
        lease,
        lease,
        Together {
            at: 0,
            says: [
                say(Failed),
                Say {
                    cell: 1,
                    ..say(Done)
                },
                say(Alive),
            ],
        },
    ]);
}
