//! What of a study is drawn: cost against waiting, and a day and its largest burst from minute to minute.

use super::arrivals::{HOUR, Millis};
use super::outcome::{Outcome, Sample};
use super::plot::{Axis, Panel, Scale, Svg};
use super::report::{mean, slowest};
use super::study::{Family, Study};

fn class(family: Family) -> &'static str {
    match family {
        Family::Ours => "a",
        Family::Protected => "d",
        Family::Queue => "b",
        Family::Broken | Family::Varied => "f",
        Family::Fixed => "c",
        Family::OnDemand => "e",
    }
}

fn called(family: Family) -> &'static str {
    match family {
        Family::Ours => "ours, by its target",
        Family::Protected => "a node per 28, 84 or 168 cells, working nodes protected",
        Family::Queue => "a node per 28, 84 or 168 cells",
        Family::Broken => "ours, the wanted number followed down",
        Family::Varied => "ours, with another rule",
        Family::Fixed => "fixed fleets, by their size",
        Family::OnDemand => "the same, paid for by the list",
    }
}

const FAMILIES: [Family; 6] = [
    Family::Ours,
    Family::Protected,
    Family::Queue,
    Family::Broken,
    Family::Fixed,
    Family::OnDemand,
];

/// How long grids of a day wait, minutes.
type Waiting = fn(&Outcome) -> f64;

/// What a day costs against how long grids wait, on average and at most.
pub fn cost_against_waiting(study: &Study) -> String {
    let dollars = [150.0, 200.0, 300.0, 500.0, 1000.0, 2000.0, 4000.0];
    let x = Axis::new("dollars a day", Scale::Log, (120.0, 4200.0), &dollars);
    let minutes = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0];
    let of_mean = Axis::new(
        "a grid waits on average, minutes",
        Scale::Log,
        (1.0, 50.0),
        &minutes,
    );
    let minutes = [20.0, 50.0, 100.0, 200.0, 500.0];
    let of_slowest = Axis::new(
        "the slowest grid waits, minutes",
        Scale::Log,
        (15.0, 1000.0),
        &minutes,
    );
    let mut svg = Svg::new(900.0, 580.0);
    let sides = [(50.0, of_mean), (500.0, of_slowest)];
    let measures: [Waiting; 2] = [Outcome::mean_wait, slowest];
    for ((left, y), waiting) in sides.into_iter().zip(measures) {
        let panel = Panel {
            place: (left, 36.0, 385.0, 400.0),
            x: x.clone(),
            y,
        };
        svg.axes(&panel);
        for family in FAMILIES {
            draw_family(&mut svg, &panel, study, family, waiting);
        }
    }
    for (index, family) in FAMILIES.into_iter().enumerate() {
        let (column, row) = (index / 3, index % 3);
        let place = (50.0 + 450.0 * column as f64, 498.0 + 20.0 * row as f64);
        svg.legend(place, class(family), called(family));
    }
    let how =
        "Rings: the mean of the seeds; dots: each of them. Further to the lower left is better.";
    svg.text((50.0, 568.0), "start", "small", how);
    svg.finish("What a day costs against how long grids wait")
}

fn draw_family(svg: &mut Svg, panel: &Panel, study: &Study, family: Family, waiting: Waiting) {
    let entries = study.entries.iter().filter(|entry| entry.family == family);
    let dollars = |outcome: &Outcome| outcome.dollars;
    let means = entries
        .clone()
        .map(|entry| (mean(entry, dollars), mean(entry, waiting)));
    let means: Vec<(f64, f64)> = means.collect();
    if !matches!(family, Family::Broken | Family::OnDemand) {
        svg.line(panel, class(family), &means);
    }
    // The targets of the rules are those of ours, and they lie close together.
    let is_named = matches!(family, Family::Ours | Family::Fixed | Family::OnDemand);
    // What is paid for by the list may cost as much as a fixed fleet, whose name stands above.
    let down = if family == Family::OnDemand {
        16.0
    } else {
        -6.0
    };
    for (entry, point) in entries.zip(means) {
        svg.ring(panel, class(family), 4.0, point);
        for outcome in &entry.outcomes {
            svg.ring(
                panel,
                class(family),
                1.0,
                (outcome.dollars, waiting(outcome)),
            );
        }
        if is_named {
            let (x, y) = panel.at(point);
            let class = format!("small {}", class(family));
            svg.text((x + 6.0, y + down), "start", &class, &entry.point);
        }
    }
}

/// A time of the first day: what was left to do, and how many machines there were for it.
#[derive(Debug, Clone, Copy)]
struct Shown {
    from: Millis,
    to: Millis,
    tick: Millis,
    scale: Scale,
    hours: (f64, &'static [f64]),
    machines: (f64, &'static [f64]),
    families: &'static [(Family, &'static str, &'static str)],
}

/// The first day from minute to minute.
pub fn day(study: &Study) -> String {
    let shown = Shown {
        from: 0,
        to: 24 * HOUR,
        tick: 2 * HOUR,
        scale: Scale::LogFromZero,
        hours: (300.0, &[0.0, 1.0, 10.0, 100.0]),
        machines: (1500.0, &[0.0, 1.0, 10.0, 100.0, 1000.0]),
        families: &[
            (Family::Fixed, "50", "a fixed fleet of 50"),
            (Family::Queue, "15 min", "a node per 84 cells"),
            (Family::Ours, "15 min", "ours, 15 min"),
        ],
    };
    drawn(
        study,
        &shown,
        "The fleet and the backlog over a day (logarithmic from 0)",
    )
}

/// The same, around the largest burst.
pub fn burst(study: &Study) -> String {
    let shown = Shown {
        from: 16 * HOUR - HOUR / 12,
        to: 17 * HOUR + HOUR / 6,
        tick: HOUR / 6,
        scale: Scale::Linear,
        hours: (260.0, &[0.0, 50.0, 100.0, 150.0, 200.0, 250.0]),
        machines: (1050.0, &[0.0, 250.0, 500.0, 750.0, 1000.0]),
        families: &[
            (Family::Queue, "15 min", "a node per 84 cells"),
            (
                Family::Broken,
                "drained",
                "ours, the wanted number followed down",
            ),
            (Family::Ours, "15 min", "ours, 15 min"),
        ],
    };
    drawn(
        study,
        &shown,
        "The fleet and the backlog around a burst that asks for 1,000 nodes",
    )
}

fn drawn(study: &Study, shown: &Shown, title: &str) -> String {
    let hour = |at: Millis| at as f64 / HOUR as f64;
    let ticks = (0..).map(|step| shown.from.div_ceil(shown.tick) * shown.tick + step * shown.tick);
    let ticks = ticks.take_while(|tick| *tick <= shown.to).map(|tick| {
        let minutes = tick / (HOUR / 60);
        (
            hour(tick),
            format!("{:02}:{:02}", minutes / 60, minutes % 60),
        )
    });
    let x = Axis {
        label: String::new(),
        scale: Scale::Linear,
        ends: (hour(shown.from), hour(shown.to)),
        ticks: ticks.collect(),
    };
    let mut svg = Svg::new(900.0, 520.0);
    let (most, ticks) = shown.hours;
    let left = Axis::new("left to do, node hours", shown.scale, (0.0, most), ticks);
    let (most, ticks) = shown.machines;
    let there = Axis::new("machines", shown.scale, (0.0, most), ticks);
    let panels = [
        (
            left,
            56.0,
            150.0,
            (|sample| sample.node_hours) as fn(&Sample) -> f64,
        ),
        (there, 256.0, 190.0, |sample| f64::from(sample.machines)),
    ];
    svg.text((46.0, 18.0), "start", "title", title);
    for (y, top, height, of) in panels {
        let panel = Panel {
            place: (46.0, top, 825.0, height),
            x: x.clone(),
            y,
        };
        if let Some(day) = study.days.first() {
            for (time, what) in [
                (&day.refused, "no capacity"),
                (&day.throttled, "calls refused"),
            ] {
                if time.start >= shown.from && time.end <= shown.to {
                    svg.shade(&panel, hour(time.start), hour(time.end), what);
                }
            }
        }
        svg.axes(&panel);
        for (family, point, _) in shown.families {
            let entry = study.entry(*family, point);
            let samples = entry
                .and_then(|entry| entry.outcomes.first())
                .map(|outcome| &outcome.samples);
            let samples = samples.into_iter().flatten();
            let samples = samples.filter(|sample| (shown.from..=shown.to).contains(&sample.at));
            let points: Vec<(f64, f64)> = samples
                .map(|sample| (hour(sample.at), of(sample)))
                .collect();
            svg.line(&panel, class(*family), &points);
        }
    }
    for (index, (family, _, words)) in shown.families.iter().enumerate() {
        svg.legend((46.0 + 280.0 * index as f64, 492.0), class(*family), words);
    }
    svg.finish(title)
}
