//! The supply of blocks: cells are leased many at once, while the block before is rendered.
//!
//! The cells of a block are leased and prepared together, rendered in batches one after the other, and stored and answered
//! for one by one. A cell that fails, is cancelled or taken back leaves its block and changes nothing for the others.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use atelier_gallery::signed::Wanted;
use atelier_proto::ids::Digest;
use atelier_proto::{fault, retry, v1};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::FutureExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Code, Status};
use tracing::Instrument as _;

use super::leased::LeasedCell;
use super::outage::waits;
use super::{CALL_TIMEOUT, Session, timed};
use crate::device_time::AtHand;
use crate::executor::{Answer, Canvas, OnTheWay, Order, Progress};
use crate::render::RenderJob;

/// How much work a block is to have, by what the coordinator has measured: enough that leasing costs nothing beside it,
/// and little enough that the last blocks of a grid keep no other node from work for long.
const BLOCK_WORK_SECONDS: f64 = 45.0;
/// Between two tries to lease that were refused or found nobody.
const LEASE_WAIT_MIN: Duration = Duration::from_millis(500);
const LEASE_WAIT_MAX: Duration = Duration::from_secs(8);
/// Most cells of a block. Each holds its decoded inputs in memory.
const BLOCK_CELLS_MAX: u32 = 64;
/// Blocks that are not rendered yet: one on the device and one whose inputs are fetched and decoded before it ends, so
/// that the device never waits for the network. More would keep other nodes from them.
const BLOCKS_BEFORE_STORING_MAX: usize = 2;
/// The next block is leased when this part of the one before is left, or one batch: early enough for its inputs, and late
/// enough that other nodes, and grids that come meanwhile, are not kept from their turn.
const BLOCK_LEFT: usize = 3;
/// Blocks in hand, with those that are being stored: a bucket that is slower than the renderer stops the supply before
/// pictures fill the memory.
const BLOCKS_HELD_MAX: usize = 4;
/// How long a lease call waits for work, seconds.
const LEASE_WAIT_SECONDS: u32 = 20;

/// Room for blocks.
struct Room {
    before_storing: Arc<Semaphore>,
    held: Arc<Semaphore>,
}

/// A block's place in the room; each half is given back when it is dropped.
struct Place {
    before_storing: OwnedSemaphorePermit,
    held: OwnedSemaphorePermit,
}

impl Room {
    fn new() -> Self {
        Self {
            before_storing: Arc::new(Semaphore::new(BLOCKS_BEFORE_STORING_MAX)),
            held: Arc::new(Semaphore::new(BLOCKS_HELD_MAX)),
        }
    }

    /// Waits for a place; none when the room is closed, which it never is.
    async fn place(&self) -> Option<Place> {
        Some(Place {
            held: self.held.clone().acquire_owned().await.ok()?,
            before_storing: self.before_storing.clone().acquire_owned().await.ok()?,
        })
    }
}

/// One cell's seat in a block. The block is rendered when every seat is taken or given up, which is to drop it.
pub(super) struct Seat {
    /// Position in the block.
    number: usize,
    orders: mpsc::Sender<(usize, Order)>,
    at_hand: AtHand,
}

impl Seat {
    /// Takes the seat: the cell is ready to be rendered.
    pub(super) fn take(
        self,
        job: RenderJob,
        canvas: Canvas,
        cancel: CancellationToken,
        progress: watch::Sender<Progress>,
        on_the_way: OnTheWay,
    ) -> Answer {
        let (order, answer) = Order::new(job, canvas, cancel, progress, on_the_way, self.at_hand);
        // There is room for an order of each seat. When nobody gathers them the answer says so.
        let _ = self.orders.try_send((self.number, order));
        answer
    }
}

/// Orders of a block as their cells take their seats; gives the orders in the order of their seats, so that the same
/// lease makes the same batches.
async fn gather(mut orders: mpsc::Receiver<(usize, Order)>) -> Vec<Order> {
    let mut gathered = Vec::new();
    while let Some(order) = orders.recv().await {
        gathered.push(order);
    }
    gathered.sort_by_key(|(number, _)| *number);
    gathered.into_iter().map(|(_, order)| order).collect()
}

/// A seat for each cell that is at hand, and where their orders arrive.
fn seats(at_hand: Vec<AtHand>) -> (Vec<Seat>, mpsc::Receiver<(usize, Order)>) {
    let (orders, arriving) = mpsc::channel(at_hand.len().max(1));
    let seats = at_hand
        .into_iter()
        .enumerate()
        .map(|(number, at_hand)| Seat {
            number,
            orders: orders.clone(),
            at_hand,
        });
    (seats.collect(), arriving)
}

/// The waits after leases that failed, one after the other.
fn lease_waits() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(LEASE_WAIT_MIN)
        .with_max_delay(LEASE_WAIT_MAX)
        .without_max_times()
}

impl Session {
    /// Takes blocks whenever there is room for them, until drained.
    pub(super) async fn keep_leasing(
        self: Arc<Self>,
        tasks: &TaskTracker,
        drain: CancellationToken,
    ) {
        let room = Room::new();
        let mut lease_waits = lease_waits().build();
        let mut cells_before = 0;
        let mut bucket_waits = waits().build();
        loop {
            let Some(Some(place)) = drain.run_until_cancelled(room.place()).await else {
                return;
            };
            let left = (cells_before / BLOCK_LEFT).max(self.executor.batch_wanted() as usize);
            let few_left = self.metrics.device().until_at_hand(left);
            if drain.run_until_cancelled(few_left).await.is_none() {
                return;
            }
            if self.outage.is_over() {
                bucket_waits = waits().build();
            }
            let bucket_is_there = self.bucket_is_there(&mut bucket_waits);
            if drain.run_until_cancelled(bucket_is_there).await.is_none() {
                return;
            }
            let asked = self.metrics.device().ask();
            let cached = self.inputs.digests().await;
            let Some(leased) = drain.run_until_cancelled(self.lease(&cached)).await else {
                return;
            };
            match leased {
                Ok(response) => {
                    lease_waits = self::lease_waits().build();
                    let cells: Vec<LeasedCell> = understood(response.cells);
                    if !cells.is_empty() {
                        fault::LEASED.pass();
                        self.start_up.leased();
                        cells_before = cells.len();
                        let at_hand = self.metrics.device().take_cells(cells.len(), asked);
                        let wanted = self.first_requests(&cells, &cached.into_iter().collect());
                        let block = (cells, at_hand);
                        self.clone().begin_block(block, wanted, place, tasks);
                    }
                    if response.drain {
                        return;
                    }
                }
                Err(status) => {
                    tracing::warn!(code = ?status.code(), error = status.message(), "no lease");
                    self.headers.forget();
                    if status.code() == Code::NotFound {
                        self.register_again().await;
                    }
                    let wait = retry::hinted(&status, lease_waits.next()).unwrap_or(LEASE_WAIT_MAX);
                    drain.run_until_cancelled(tokio::time::sleep(wait)).await;
                }
            }
        }
    }

    async fn lease(&self, cached: &[Digest]) -> Result<v1::LeaseResponse, Status> {
        let request = v1::LeaseRequest {
            node_id: self.node.to_string(),
            cells_max: self.cells_wanted(),
            wait: Some(prost_types::Duration {
                seconds: LEASE_WAIT_SECONDS.into(),
                nanos: 0,
            }),
            cached_inputs: cached.iter().map(ToString::to_string).collect(),
            seconds_wanted: Some(BLOCK_WORK_SECONDS),
        };
        let timeout = Duration::from_secs(LEASE_WAIT_SECONDS.into()) + CALL_TIMEOUT;
        let response = self.nodes.clone().lease(timed(request, timeout)).await?;
        Ok(response.into_inner())
    }

    /// Most cells of the next block. Before the coordinator knows how long they take here, it is one batch: a block that
    /// only its cells bound may be work for hours.
    fn cells_wanted(&self) -> u32 {
        let batch = self.executor.batch_wanted().min(BLOCK_CELLS_MAX);
        if self.is_measured.load(Ordering::Relaxed) {
            BLOCK_CELLS_MAX
        } else {
            batch
        }
    }

    /// Sets every cell of a block going, and the block with them.
    fn begin_block(
        self: Arc<Self>,
        (cells, at_hand): (Vec<LeasedCell>, Vec<AtHand>),
        wanted: Vec<Wanted>,
        place: Place,
        tasks: &TaskTracker,
    ) {
        let (seats, orders) = seats(at_hand);
        let Place {
            before_storing,
            held,
        } = place;
        let held = Arc::new(held);
        let signed = {
            let session = self.clone();
            // One call for cells of whatever grids, and so of no trace of theirs.
            let span = tracing::info_span!(parent: None, "sign", node = %self.node);
            async move { session.sign_ahead(&wanted).await }
                .instrument(span)
                .boxed()
                .shared()
        };
        for (cell, seat) in cells.into_iter().zip(seats) {
            let (session, held, signed) = (self.clone(), held.clone(), signed.clone());
            tasks.spawn(async move {
                Box::pin(session.carry_out(cell, seat, signed)).await;
                drop(held);
            });
        }
        tasks.spawn(async move {
            let orders = gather(orders).await;
            if !orders.is_empty()
                && let Err(error) = self.executor.render_block(orders).await
            {
                tracing::error!(%error, "a block was not rendered");
                self.metrics.readiness().device_is_usable(false);
            }
            let memory_bytes = self.executor.about().memory_bytes;
            let batch = self.executor.batch_wanted();
            self.metrics.device_is(memory_bytes, batch);
            drop(before_storing);
        });
    }
}

/// The cells that can be parsed. One that was not understood cannot be answered for; its lease expires.
fn understood(cells: Vec<v1::LeasedCell>) -> Vec<LeasedCell> {
    let parsed = cells.into_iter().map(LeasedCell::parse);
    parsed
        .filter_map(|cell| {
            cell.inspect_err(
                |error| tracing::error!(%error, "the coordinator leased a malformed cell"),
            )
            .ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use atelier_proto::ids::{CellId, GridId};
    use atelier_proto::settings::RenderSettings;

    use super::*;
    use crate::device_time::DeviceMeter;

    fn job(seed: u64) -> RenderJob {
        RenderJob {
            photo: None,
            paintings: Vec::new(),
            start: None,
            settings: RenderSettings {
                seed,
                ..RenderSettings::default()
            },
            checkpoint: None,
        }
    }

    #[tokio::test]
    async fn a_block_waits_for_every_seat_and_goes_on_without_those_given_up() {
        let meter = DeviceMeter::default();
        let (seats, orders) = seats(meter.take_cells(3, meter.ask()));
        let gathering = tokio::spawn(gather(orders));
        let [first, second, third] = <[Seat; 3]>::try_from(seats).ok().unwrap();
        let take = |seat: Seat, seed| {
            let (progress, _) = watch::channel(Progress::default());
            let cell = CellId {
                grid: GridId::generate(),
                place: 0,
            };
            let canvas = Canvas {
                cell,
                width: 8,
                height: 8,
            };
            let nothing = OnTheWay::default();
            seat.take(
                job(seed),
                canvas,
                CancellationToken::new(),
                progress,
                nothing,
            )
        };
        // The last one is ready before the first, and the second one fails while it is prepared.
        let _third = take(third, 3);
        tokio::task::yield_now().await;
        assert!(!gathering.is_finished());
        drop(second);
        let _first = take(first, 1);
        let orders = gathering.await.unwrap();
        let seeds: Vec<u64> = orders.iter().map(|order| order.job.settings.seed).collect();
        assert_eq!(seeds, [1, 3]);
    }

    #[tokio::test]
    async fn a_slow_bucket_stops_the_supply_and_a_busy_device_too() {
        let room = Room::new();
        let mut storing = Vec::new();
        for _ in 0..BLOCKS_HELD_MAX {
            let place = room.place().await.unwrap();
            // Rendered at once, stored never.
            drop(place.before_storing);
            storing.push(place.held);
        }
        let next = tokio::time::timeout(Duration::from_millis(20), room.place());
        assert!(next.await.is_err());
        storing.clear();
        let on_device = room.place().await.unwrap();
        let prepared = room.place().await.unwrap();
        let next = tokio::time::timeout(Duration::from_millis(20), room.place());
        assert!(next.await.is_err());
        drop((on_device, prepared));
        assert!(room.place().await.is_some());
    }
}
