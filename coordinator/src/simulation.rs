//! Lives of grids with nodes that die, calls that get lost and clocks that are wrong: a list of operations is done to real
//! ledgers over a real store, and a model says what must come of each.
//!
//! - [`operation`]: what can happen; every list of it is a schedule
//! - [`model`]: what must come of it
//! - [`world`]: coordinators, nodes, clients and a bucket, and the comparison of both after each operation and at the end
//! - [`cases`]: schedules that once failed
//!
//! A schedule that fails is made as short as it can be made and printed as Rust. `ATELIER_SIMULATION_SCHEDULES` says how many
//! there are, and with `_ON_POSTGRES` how many there, `ATELIER_SIMULATION_SEED` which one is the first. Made after the simulation of divviup/janus.

mod cases;
mod model;
mod operation;
mod world;

use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atelier_tests::postgres::Postgres;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestError, TestRng, TestRunner};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use self::model::{Reached, TO_BE_REACHED};
use self::operation::{Op, schedules};
use self::world::{Database, Stores, play};
use crate::domain::lease::LeaseRules;

/// Few attempts and nodes, so that sixty operations reach the end of a cell in each way.
const LEASES: LeaseRules = LeaseRules {
    lease_duration: Duration::from_secs(30),
    attempts_max: 3,
    failed_nodes_max: 2,
    stall_duration: Duration::from_secs(35),
};
const SUBMITTER_RUNNING_MAX: u32 = 5;
const SUBMITTER_OPEN_MAX: u32 = 9;
/// How long grids are known after they have ended.
const FORGET_AFTER: Duration = Duration::from_secs(40);
/// How long after its end a grid's objects are looked through.
const GRACE_PERIOD: Duration = Duration::from_secs(15);

/// Schedules of one test with `SQLite`.
const SCHEDULES: u64 = 1000;
/// Schedules of one test with PostgreSQL.
const SCHEDULES_ON_POSTGRES: u64 = 50;
/// Shorter schedules that are tried after one that fails.
const SHRINKS_MAX: u32 = 20_000;
/// How long a schedule that fails is made shorter, milliseconds.
const SHRINKING_MS_MAX: u32 = 120_000;

/// Does schedules one after the other in one database, and in a new one after a failure.
struct Worker<'a> {
    runtime: Runtime,
    new_database: &'a (dyn Fn() -> Database + Sync),
    open: RefCell<Option<(Database, Stores)>>,
    reached: RefCell<Reached>,
}

impl<'a> Worker<'a> {
    fn new(new_database: &'a (dyn Fn() -> Database + Sync)) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            runtime,
            new_database,
            open: RefCell::new(None),
            reached: RefCell::default(),
        }
    }

    fn play(&self, ops: &[Op]) -> TestCaseResult {
        let open = self.open.borrow_mut().take();
        self.runtime.block_on(async {
            let (database, stores) = if let Some(open) = open {
                open
            } else {
                let database = (self.new_database)();
                let stores = database.open().await?;
                (database, stores)
            };
            let (stores, reached) = play(database.clone(), stores, ops).await?;
            for (what, times) in reached {
                *self.reached.borrow_mut().entry(what).or_default() += times;
            }
            *self.open.borrow_mut() = Some((database, stores));
            Ok(())
        })
    }

    /// Does the schedule of a seed; what went wrong, with the shortest schedule that does.
    fn play_seed(&self, seed: u64) -> Result<(), String> {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let config = Config {
            cases: 1,
            failure_persistence: None,
            max_shrink_time: SHRINKING_MS_MAX,
            max_shrink_iters: SHRINKS_MAX,
            ..Config::default()
        };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(config, rng);
        match runner.run(&schedules(), |ops| self.play(&ops)) {
            Ok(()) => Ok(()),
            Err(TestError::Abort(reason)) => Err(format!("seed {seed}: {reason}")),
            Err(TestError::Fail(reason, ops)) => {
                let mut told = format!("seed {seed}: {reason}\nkeep it in cases.rs:\n[\n");
                for op in ops {
                    // Writing into a string does not fail.
                    let _ = writeln!(told, "    {op:?},");
                }
                Err(told + "]")
            }
        }
    }
}

/// Does so many schedules, as many at once as there are processors; what was reached by them.
fn play_seeds(schedules: u64, new_database: &(dyn Fn() -> Database + Sync)) -> Reached {
    let first = number("ATELIER_SIMULATION_SEED").unwrap_or(0);
    let end = first + schedules;
    let next = AtomicU64::new(first);
    let failures = Mutex::new(Vec::new());
    let reached = Mutex::new(Reached::new());
    let workers = std::thread::available_parallelism().map_or(1, Into::into);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let worker = Worker::new(new_database);
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || !failures.lock().unwrap().is_empty() {
                        let mut all = reached.lock().unwrap();
                        for (what, times) in worker.reached.take() {
                            *all.entry(what).or_default() += times;
                        }
                        return;
                    }
                    if let Err(failure) = worker.play_seed(seed) {
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    reached.into_inner().unwrap()
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap())
}

/// A folder in memory where there is one: what a power cut would leave is not looked at.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// New files in a folder.
fn files(folder: &TempDir) -> impl Fn() -> Database + Sync {
    let made = AtomicU64::new(0);
    let path = folder.path().to_owned();
    move || {
        let number = made.fetch_add(1, Ordering::Relaxed);
        Database::Sqlite(path.join(format!("{number}.db")))
    }
}

#[test]
fn whatever_happens_becomes_of_every_cell_what_must() {
    let folder = folder();
    let schedules = number("ATELIER_SIMULATION_SCHEDULES").unwrap_or(SCHEDULES);
    let reached = play_seeds(schedules, &files(&folder));
    println!("{reached:#?}");
    let missed = TO_BE_REACHED
        .iter()
        .find(|what| !reached.contains_key(*what));
    assert!(
        missed.is_none() || schedules < SCHEDULES,
        "never has it happened that {missed:?}"
    );
}

#[test]
fn whatever_happens_becomes_of_every_cell_what_must_on_postgres_too() {
    let Some(postgres) = Postgres::start().unwrap() else {
        return;
    };
    let schedules = number("ATELIER_SIMULATION_SCHEDULES_ON_POSTGRES");
    play_seeds(schedules.unwrap_or(SCHEDULES_ON_POSTGRES), &|| {
        Database::Postgres(postgres.database().unwrap())
    });
}
