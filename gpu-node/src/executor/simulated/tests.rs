use atelier_proto::ids::{CellId, GridId};
use atelier_proto::settings::{PictureFormat, RenderSettings};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::super::{Answer, Canvas, Executor, Leaves, OnTheWay};
use super::*;
use crate::render::RenderJob;

const CELL_TIME: Duration = Duration::from_millis(40);

struct Bench {
    executor: Executor,
    metrics: Metrics,
    grid: GridId,
}

struct Placed {
    answer: Answer,
    cancel: CancellationToken,
    progress: watch::Receiver<Progress>,
}

impl Bench {
    fn new(simulation: Simulation) -> Self {
        let (metrics, files) = (Metrics::default(), FlatFiles::default());
        Self {
            executor: Executor::simulated(simulation, 7, files, metrics.clone()),
            metrics,
            grid: GridId::generate(),
        }
    }

    fn order(&self, place: u32) -> (Order, Placed) {
        let settings = RenderSettings {
            iterations: 50,
            scales: 1,
            format: PictureFormat::Png,
            ..RenderSettings::default()
        };
        let job = RenderJob {
            photo: None,
            paintings: Vec::new(),
            start: None,
            settings,
            checkpoint: None,
        };
        let cell = CellId {
            grid: self.grid,
            place,
        };
        let canvas = Canvas {
            cell,
            width: 30,
            height: 20,
        };
        let device = self.metrics.device();
        let at_hand = device.take_cells(1, device.ask()).pop().unwrap();
        let cancel = CancellationToken::new();
        let (sender, progress) = watch::channel(Progress::default());
        let (order, answer) = Order::new(
            job,
            canvas,
            cancel.clone(),
            sender,
            OnTheWay::default(),
            at_hand,
        );
        let placed = Placed {
            answer,
            cancel,
            progress,
        };
        (order, placed)
    }

    fn orders(&self, count: u32) -> (Vec<Order>, Vec<Placed>) {
        (0..count).map(|place| self.order(place)).unzip()
    }
}

fn simulation() -> Simulation {
    Simulation {
        cell_time: CELL_TIME,
        spread: 0.0,
        failure_share: 0.0,
        leaves_pictures: true,
        batch: 2,
    }
}

#[test]
fn nodes_differ_as_far_as_they_are_told() {
    let simulation = Simulation {
        spread: 0.5,
        ..simulation()
    };
    let time = |seed| {
        let files = FlatFiles::default();
        Simulated::new(simulation, seed, files, Metrics::default()).cell_time
    };
    let times: Vec<Duration> = (0..100).map(time).collect();
    let (slowest, fastest) = (times.iter().max().unwrap(), times.iter().min().unwrap());
    assert!(*slowest <= CELL_TIME * 2 && *slowest > CELL_TIME * 3 / 2);
    assert!(*fastest >= CELL_TIME * 2 / 3 && *fastest < CELL_TIME * 4 / 5);
    assert_eq!(time(7), time(7));
}

#[tokio::test]
async fn cells_take_their_time_batch_by_batch_and_make_all_their_evaluations() {
    let bench = Bench::new(simulation());
    let (orders, placed) = bench.orders(3);
    let stopwatch = Stopwatch::start();
    bench.executor.render_block(orders).await.unwrap();
    assert!(stopwatch.elapsed() >= CELL_TIME * 3, "one after the other");
    for placed in placed {
        let painted = placed.answer.await.unwrap().unwrap();
        assert_eq!((painted.evaluations, painted.loss), (50, 0.0));
        assert!(painted.seconds >= CELL_TIME.as_secs_f64(), "its share");
        let Image::Flat(flat, files) = painted.image else {
            panic!("{:?}", painted.image)
        };
        assert_eq!((flat.width, flat.height), (30, 20));
        assert_eq!(flat.format, PictureFormat::Png);
        assert!(!files.file(flat, 320).await.unwrap().bytes.is_empty());
        let progress = *placed.progress.borrow();
        assert!(progress.rendering);
        assert_eq!((progress.evaluations, progress.planned), (50, 50));
    }
    let text = bench.metrics.text();
    for line in [
        "atelier_node_evaluations_total 150\n",
        "atelier_node_batch_cells_count 2\n",
    ] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
}

#[tokio::test]
async fn a_device_works_on_one_block_at_a_time() {
    let bench = Bench::new(simulation());
    let (first, _first) = bench.orders(2);
    let (second, placed) = bench.orders(2);
    let stopwatch = Stopwatch::start();
    let other = bench.executor.clone();
    let blocks = tokio::join!(
        bench.executor.render_block(first),
        other.render_block(second)
    );
    assert!(blocks.0.is_ok() && blocks.1.is_ok());
    assert!(stopwatch.elapsed() >= CELL_TIME * 4);
    assert!(
        placed
            .into_iter()
            .all(|mut placed| placed.answer.try_recv().is_ok())
    );
}

#[tokio::test]
async fn a_cancelled_cell_ends_and_the_others_go_on() {
    let long = Simulation {
        cell_time: Duration::from_millis(600),
        ..simulation()
    };
    let bench = Bench::new(long);
    let (orders, mut placed) = bench.orders(3);
    let last = placed.pop().unwrap();
    let second = placed.pop().unwrap();
    let first = placed.pop().unwrap();
    // One that waits for its batch, and one that is being worked on.
    last.cancel.cancel();
    let watching = async {
        let mut progress = second.progress.clone();
        let begun = progress.wait_for(|progress| progress.evaluations > 0).await;
        let evaluations = begun.unwrap().evaluations;
        second.cancel.cancel();
        evaluations
    };
    let (rendered, evaluations) = tokio::join!(bench.executor.render_block(orders), watching);
    rendered.unwrap();
    assert!((1..50).contains(&evaluations), "{evaluations}");
    for placed in [second, last] {
        let error = placed.answer.await.unwrap().unwrap_err();
        assert!(matches!(
            error,
            ExecutorError::Render(RenderError::Cancelled)
        ));
    }
    assert!(first.answer.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_share_of_the_cells_fails_and_always_the_same() {
    let fails = async |failure_share| {
        let bench = Bench::new(Simulation {
            spread: 0.0,
            cell_time: Duration::from_millis(1),
            failure_share,
            leaves_pictures: false,
            batch: 50,
        });
        let leaves = Leaves {
            pictures: false,
            checkpoints: false,
            previews: false,
        };
        assert_eq!(bench.executor.leaves(), leaves);
        let (orders, placed) = bench.orders(200);
        bench.executor.render_block(orders).await.unwrap();
        let mut failed = Vec::new();
        for placed in placed {
            match placed.answer.await.unwrap() {
                Ok(painted) => {
                    assert!(matches!(
                        painted.image,
                        Image::Absent {
                            width: 30,
                            height: 20,
                            ..
                        }
                    ));
                    failed.push(false);
                }
                Err(error) => {
                    assert!(matches!(error, ExecutorError::Simulated), "{error}");
                    failed.push(true);
                }
            }
        }
        failed
    };
    let count = |failed: &[bool]| failed.iter().filter(|failed| **failed).count();
    let some = fails(0.25).await;
    assert!((25..80).contains(&count(&some)), "{}", count(&some));
    assert_eq!(some, fails(0.25).await);
    assert_eq!(count(&fails(0.0).await), 0);
    assert_eq!(count(&fails(1.0).await), 200);
}
