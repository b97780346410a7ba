//! The thread's work with a renderer that does as it is told.

use std::collections::VecDeque;
use std::sync::Arc;

use atelier_gallery::picture::Picture;
use atelier_proto::ids::GridId;
use atelier_proto::settings::RenderSettings;
use image::RgbImage;

use super::device::{Block, RenderAll, work};
use super::*;
use crate::render::{DeviceChoice, Evaluation, Input, PaintingInput, Watch};

/// What becomes of each batch.
#[derive(Debug, Clone, Copy)]
enum Told {
    Render { evaluations: u32 },
    Panic,
}

struct Puppet {
    told: VecDeque<Told>,
    /// Seeds of the jobs of each batch.
    seen: Vec<Vec<u64>>,
}

impl RenderAll for Puppet {
    fn batch_wanted(&self) -> u32 {
        // As if it had learnt something of every batch.
        4 << self.seen.len()
    }

    fn render_all(
        &mut self,
        jobs: &[RenderJob],
        watch: &mut dyn Watch,
    ) -> Vec<Result<Rendered, RenderError>> {
        self.seen
            .push(jobs.iter().map(|job| job.settings.seed).collect());
        let Some(Told::Render { evaluations }) = self.told.pop_front() else {
            panic!("the device is on fire");
        };
        let render = |(number, _)| {
            for evaluation in 1..=evaluations {
                let evaluation = Evaluation {
                    scale: 1,
                    width: 4,
                    height: 4,
                    number: evaluation,
                    planned: evaluations,
                    total: 0.5,
                    content: 0.2,
                    style: 0.3,
                    seconds: 1.0,
                };
                if watch.evaluated(number, &evaluation).is_break() {
                    return Err(RenderError::Cancelled);
                }
            }
            Ok(Rendered {
                picture: Picture::from(RgbImage::new(4, 4)),
                seconds: 1.0,
                evaluations,
                loss: 0.5,
            })
        };
        jobs.iter().enumerate().map(render).collect()
    }
}

/// A renderer asks for none: it takes the size from the inputs.
fn canvas() -> Canvas {
    Canvas {
        cell: CellId {
            grid: GridId::generate(),
            place: 0,
        },
        width: 24,
        height: 24,
    }
}

/// A job of a few evaluations for the real renderer.
fn small_job(seed: u64) -> RenderJob {
    let input = |number: u8| Input {
        picture: Arc::new(
            RgbImage::from_fn(24, 24, |x, y| {
                image::Rgb([x as u8 * 10, y as u8 * 10, number * 100])
            })
            .into(),
        ),
        digest: Digest::of(&[number]),
    };
    RenderJob {
        photo: Some(input(0)),
        paintings: vec![PaintingInput {
            input: input(1),
            weight: 1.0,
            mask: None,
        }],
        start: None,
        settings: RenderSettings {
            size: 24,
            scales: 1,
            iterations: 6,
            seed,
            ..RenderSettings::default()
        },
        checkpoint: None,
    }
}

struct Bench {
    puppet: Puppet,
    metrics: Metrics,
    wanted: latest::Sender<u32>,
}

impl Bench {
    fn new(told: impl IntoIterator<Item = Told>) -> Self {
        Self {
            puppet: Puppet {
                told: told.into_iter().collect(),
                seen: Vec::new(),
            },
            metrics: Metrics::default(),
            wanted: latest::Sender::new(1),
        }
    }

    fn order(&self, seed: u64) -> (Order, Answer, CancellationToken, latest::Receiver<Progress>) {
        let job = RenderJob {
            photo: None,
            paintings: Vec::new(),
            start: None,
            settings: RenderSettings {
                seed,
                ..RenderSettings::default()
            },
            checkpoint: None,
        };
        let device = self.metrics.device();
        let at_hand = device.take_cells(1, device.ask()).pop().unwrap();
        let cancel = CancellationToken::new();
        let (sender, progress) = latest::channel(Progress::default());
        let (order, answer) = Order::new(
            job,
            canvas(),
            cancel.clone(),
            sender,
            OnTheWay::default(),
            at_hand,
        );
        (order, answer, cancel, progress)
    }

    /// Does the work of the thread with these blocks.
    fn work(&mut self, blocks: Vec<Vec<Order>>) {
        let (sender, inbox) = mpsc::channel(blocks.len());
        for orders in blocks {
            let (ended, _) = oneshot::channel();
            sender.try_send(Block { orders, ended }).ok().unwrap();
        }
        drop(sender);
        work(&mut self.puppet, inbox, &self.wanted, &self.metrics);
    }
}

#[test]
fn a_cancelled_cell_leaves_its_block_and_the_others_go_on() {
    let mut bench = Bench::new([Told::Render { evaluations: 3 }]);
    let (first, first_answer, _, first_progress) = bench.order(1);
    let (second, second_answer, cancel_second, _) = bench.order(2);
    let (third, third_answer, _, _) = bench.order(3);
    cancel_second.cancel();
    bench.work(vec![vec![first, second, third]]);
    assert_eq!(bench.puppet.seen, [[1, 3]], "the device never saw it");
    assert!(matches!(
        second_answer.blocking_recv().unwrap(),
        Err(ExecutorError::Render(RenderError::Cancelled))
    ));
    assert_eq!(
        first_answer.blocking_recv().unwrap().unwrap().evaluations,
        3
    );
    assert!(third_answer.blocking_recv().unwrap().is_ok());
    let progress = *first_progress.borrow();
    assert_eq!((progress.rendering, progress.evaluations), (true, 3));
    let text = bench.metrics.text();
    assert!(
        text.contains("atelier_node_evaluations_total 6\n"),
        "{text}"
    );
    assert_eq!(
        *bench.wanted.borrow(),
        8,
        "what the renderer learnt is told"
    );
}

#[test]
fn a_long_block_is_rendered_in_batches_and_each_is_answered_at_its_end() {
    let mut bench = Bench::new([Told::Render { evaluations: 1 }, Told::Panic]);
    let (orders, answers): (Vec<_>, Vec<_>) = (0..14)
        .map(|seed| {
            let (order, answer, _, progress) = bench.order(seed);
            (order, (answer, progress))
        })
        .unzip();
    bench.work(vec![orders]);
    // What the first batch taught counts for the second.
    let sizes: Vec<_> = bench.puppet.seen.iter().map(Vec::len).collect();
    assert_eq!(sizes, [4, 8, 2]);
    assert_eq!(bench.puppet.seen.concat(), (0..14).collect::<Vec<u64>>());
    let answers = answers
        .into_iter()
        .map(|(answer, _)| answer.blocking_recv());
    let done: Vec<_> = answers.map(|answer| answer.unwrap().is_ok()).collect();
    assert!(done[..4].iter().all(|is_done| *is_done));
    assert!(done[4..].iter().all(|is_done| !is_done), "a panic each");
}

#[test]
fn a_panic_takes_its_batch_and_no_other() {
    let mut bench = Bench::new([Told::Panic, Told::Render { evaluations: 1 }]);
    let (first, first_answer, _, _) = bench.order(1);
    let (second, second_answer, _, _) = bench.order(2);
    let (third, third_answer, _, _) = bench.order(3);
    bench.work(vec![vec![first, second], vec![third]]);
    for answer in [first_answer, second_answer] {
        let error = answer.blocking_recv().unwrap().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the renderer panicked: the device is on fire"
        );
    }
    assert!(third_answer.blocking_recv().unwrap().is_ok());
    // Nothing is at hand any more, so no time counts.
    let idle = bench.metrics.device().read().idle;
    assert_eq!(bench.metrics.device().read().idle, idle);
}

/// A checkpoint whose images are 32 pixels wide and high, whatever they were.
fn enlarged(bytes: &[u8]) -> Checkpoint {
    use safetensors::tensor::{Dtype, SafeTensors, TensorView};
    let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
    let zeros = vec![0_u8; 3 * 32 * 32 * 4];
    let names = SafeTensors::deserialize(bytes).unwrap();
    let names: Vec<String> = names.names().into_iter().map(ToString::to_string).collect();
    let views = names.iter().map(|name| {
        let view = TensorView::new(Dtype::F32, vec![1, 3, 32, 32], &zeros).unwrap();
        (name, view)
    });
    let bytes = safetensors::serialize(views, header.metadata().clone()).unwrap();
    Checkpoint::from_bytes(&bytes).unwrap()
}

#[tokio::test]
async fn a_cancelled_cell_leaves_a_checkpoint_and_one_of_no_use_costs_no_picture() {
    let options = RendererOptions {
        device: DeviceChoice::Cpu,
        ..RendererOptions::default()
    };
    let metrics = Metrics::default();
    let network = Network::Untrained { seed: 1 };
    let executor = Executor::start(network, options, metrics.clone())
        .await
        .unwrap();
    let order = |job, cancel: CancellationToken, interval| {
        let at_hand = metrics.device().take_cells(1, metrics.device().ask()).pop();
        let (progress, _) = latest::channel(Progress::default());
        let (checkpoints, made) = CheckpointOrder::new(interval);
        let (order, answer) = Order::new(
            job,
            canvas(),
            cancel,
            progress,
            OnTheWay {
                checkpoints: Some(checkpoints),
                previews: None,
            },
            at_hand.unwrap(),
        );
        (order, answer, made)
    };
    // Cancelled when its first checkpoint is there, which nobody has asked for again.
    let cancel = CancellationToken::new();
    let long = RenderJob {
        settings: RenderSettings {
            iterations: 10_000,
            ..small_job(1).settings
        },
        ..small_job(1)
    };
    let (first, answer, mut made) = order(long.clone(), cancel.clone(), Duration::ZERO);
    let rendering = executor.render_block(vec![first]);
    let watching = async {
        let early = made.recv().await.unwrap();
        cancel.cancel();
        let mut last = early.clone();
        while let Some(later) = made.recv().await {
            last = later;
        }
        (early, last)
    };
    let (rendered, (early, last)) = tokio::join!(rendering, watching);
    rendered.unwrap();
    assert!(matches!(
        answer.await.unwrap(),
        Err(ExecutorError::Render(RenderError::Cancelled))
    ));
    assert!(last.evaluations() > early.evaluations());

    // With the same inputs and settings, but as no version of this renderer leaves it: the tensors are those of a larger
    // picture.
    let bytes = last.to_bytes().unwrap();
    let misshapen = RenderJob {
        checkpoint: Some(enlarged(&bytes)),
        ..long
    };
    let never = Duration::from_hours(1);
    let cancel = CancellationToken::new();
    let at_hand = metrics.device().take_cells(1, metrics.device().ask()).pop();
    let (sender, mut progress) = latest::channel(Progress::default());
    let (misshapen, answer) = Order::new(
        misshapen,
        canvas(),
        cancel.clone(),
        sender,
        OnTheWay::default(),
        at_hand.unwrap(),
    );
    let rendering = executor.render_block(vec![misshapen]);
    let watching = async {
        let begun = progress.wait_for(|progress| progress.rendering).await;
        cancel.cancel();
        begun.unwrap().evaluations
    };
    let (rendered, begun_at) = tokio::join!(rendering, watching);
    rendered.unwrap();
    assert!(begun_at < last.evaluations(), "it went on from something");
    let ended = answer.await.unwrap().unwrap_err();
    assert!(
        matches!(ended, ExecutorError::Render(RenderError::Cancelled)),
        "{ended}"
    );

    // That checkpoint belongs to neither of these.
    let foreign = RenderJob {
        checkpoint: Some(last),
        ..small_job(2)
    };
    let (foreign, foreign_answer, _made) = order(foreign, CancellationToken::new(), never);
    let (plain, plain_answer, _made_too) = order(small_job(3), CancellationToken::new(), never);
    executor.render_block(vec![foreign, plain]).await.unwrap();
    for answer in [foreign_answer, plain_answer] {
        assert_eq!(answer.await.unwrap().unwrap().evaluations, 6);
    }
}
