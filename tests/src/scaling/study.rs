//! What is compared with what, over several seeds.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use atelier_coordinator::domain::fleet::Policy;

use super::arrivals::Day;
use super::outcome::Outcome;
use super::strategies::{NODES_MAX, Plan, Rule};
use super::world::live;

/// Cells that a node does in a minute on the days of the study, whose cells take it 10.8 s on average. Whoever builds a rule
/// by the length of the queue has to know it beforehand.
const CELLS_PER_MINUTE: f64 = 5.6;

/// What plans have in common that are drawn as one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// The coordinator's decision.
    Ours,
    /// The rule by the length of the queue, with nodes protected that work.
    Protected,
    /// The rule by the length of the queue.
    Queue,
    /// Ours with a promise broken.
    Broken,
    /// Ours with another rule; told, but not drawn.
    Varied,
    /// Fixed fleets.
    Fixed,
    /// What is paid for by the list.
    OnDemand,
}

/// A plan's place in the study.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Of what it is one.
    pub family: Family,
    /// What tells it from the others of its family, in a word.
    pub point: String,
    /// How it scales.
    pub plan: Plan,
    /// What became of it, seed by seed.
    pub outcomes: Vec<Outcome>,
}

/// A study.
#[derive(Debug, Clone)]
pub struct Study {
    /// The days, seed by seed.
    pub days: Vec<Day>,
    /// Every way to scale on those.
    pub entries: Vec<Entry>,
    /// Some of them on the same days with larger pictures.
    pub larger: Vec<Entry>,
}

/// By default, and with another target.
pub fn policy(drain_minutes: u64) -> Policy {
    Policy {
        drain_time: Duration::from_mins(drain_minutes),
        ..Policy::default()
    }
}

/// The rule by the length of the queue that would have it done in so many minutes.
pub fn by_queue(minutes: f64, is_protected: bool) -> Rule {
    let cells = (CELLS_PER_MINUTE * minutes).round();
    Rule::QueueLength {
        cells,
        is_protected,
    }
}

fn entry(family: Family, name: String, point: &str, rule: Rule) -> Entry {
    let is_spot = family != Family::OnDemand;
    Entry {
        family,
        point: point.to_owned(),
        plan: Plan {
            name,
            rule,
            is_spot,
        },
        outcomes: Vec::new(),
    }
}

fn of_ours(minutes: u64) -> Entry {
    let name = if minutes == 15 {
        "**ours, 15 min** (the default)".to_owned()
    } else {
        format!("ours, {minutes} min")
    };
    let point = format!("{minutes} min");
    entry(Family::Ours, name, &point, Rule::Ours(policy(minutes)))
}

fn of_queue(minutes: u32, is_protected: bool) -> Entry {
    let rule = by_queue(f64::from(minutes), is_protected);
    let cells = (CELLS_PER_MINUTE * f64::from(minutes)).round();
    let (family, further) = if is_protected {
        (Family::Protected, ", working nodes protected")
    } else {
        (Family::Queue, "")
    };
    let name = format!("a node per {cells} cells ({minutes} min){further}");
    entry(family, name, &format!("{minutes} min"), rule)
}

fn of_fixed(nodes: u32) -> Entry {
    let name = format!("fixed, {nodes}");
    entry(Family::Fixed, name, &nodes.to_string(), Rule::Fixed(nodes))
}

impl Study {
    /// Lives through every day with everything that is compared, on all processors.
    pub fn run(seeds: u64) -> Self {
        let days: Vec<Day> = (1..=seeds).map(Day::working).collect();
        let mut entries: Vec<Entry> = [5, 15, 30].map(of_ours).into();
        let broken = [
            (
                "ours, followed down, drained",
                "drained",
                Rule::Drained(policy(15)),
            ),
            (
                "ours, followed down, the group chooses",
                "the group chooses",
                Rule::Unprotected(policy(15)),
            ),
        ];
        entries.extend(
            broken.map(|(name, point, rule)| entry(Family::Broken, name.to_owned(), point, rule)),
        );
        let in_one_step = Policy {
            step_max: NODES_MAX,
            ..policy(15)
        };
        let idle_less = Policy {
            idle_time: Duration::from_mins(2),
            ..policy(15)
        };
        let varied = [
            ("ours, grows in one step", in_one_step),
            ("ours, idle for 2 min", idle_less),
        ];
        entries.extend(varied.map(|(name, policy)| {
            entry(Family::Varied, name.to_owned(), name, Rule::Ours(policy))
        }));
        for is_protected in [true, false] {
            entries.extend([5, 15, 30].map(|minutes| of_queue(minutes, is_protected)));
        }
        entries.extend([25, 50, 100, 200, 400].map(of_fixed));
        let by_list = [
            ("ours, 15 min, on demand", "ours", Rule::Ours(policy(15))),
            ("fixed, 50, on demand", "50", Rule::Fixed(50)),
        ];
        entries.extend(
            by_list
                .map(|(name, point, rule)| entry(Family::OnDemand, name.to_owned(), point, rule)),
        );
        let mut larger = vec![of_ours(15), of_queue(15, true), of_queue(15, false)];
        for entry in &mut larger {
            entry.plan.name = entry.plan.name.replace(" (15 min)", "");
        }
        let days_larger: Vec<Day> = days.iter().cloned().map(Day::of_larger_pictures).collect();
        live_all(&days, &mut entries);
        live_all(&days_larger, &mut larger);
        Self {
            days,
            entries,
            larger,
        }
    }

    /// The first of a family with this word.
    pub fn entry(&self, family: Family, point: &str) -> Option<&Entry> {
        let mut entries = self.entries.iter();
        entries.find(|entry| entry.family == family && entry.point == point)
    }
}

fn live_all(days: &[Day], entries: &mut [Entry]) {
    let pairs: Vec<(usize, usize)> = (0..entries.len())
        .flat_map(|entry| (0..days.len()).map(move |day| (entry, day)))
        .collect();
    let plans: Vec<Plan> = entries.iter().map(|entry| entry.plan.clone()).collect();
    let next = AtomicUsize::new(0);
    let lived = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                while let Some(&(entry, day)) = pairs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = live(&days[day], &plans[entry]);
                    let mut lived = lived.lock().unwrap_or_else(PoisonError::into_inner);
                    lived.push((entry, day, outcome));
                }
            });
        }
    });
    let mut lived = lived.into_inner().unwrap_or_else(PoisonError::into_inner);
    lived.sort_by_key(|(entry, day, _)| (*entry, *day));
    for (entry, _, outcome) in lived {
        entries[entry].outcomes.push(outcome);
    }
}
