use std::collections::HashSet;

use super::*;

/// Registers what is left.
fn rest(registrar: &mut Registrar) {
    for listed in registrar.left.clone().into_values() {
        let labels = listed.labels.len();
        match (listed.kind, labels) {
            (Kind::Counter, 0) => drop(registrar.counter(&listed.name)),
            (Kind::Counter, _) => drop(registrar.counters(&listed.name, labels)),
            (Kind::Gauge, 0) => drop(registrar.gauge(&listed.name)),
            (Kind::Gauge, _) => drop(registrar.gauges(&listed.name, labels)),
            (Kind::Histogram, 0) => drop(registrar.histogram(&listed.name)),
            (Kind::Histogram, _) => drop(registrar.histograms(&listed.name, labels)),
        }
    }
}

#[test]
fn the_list_follows_the_conventions_of_prometheus() {
    let mut names = HashSet::new();
    for program in [Program::Coordinator, Program::Node] {
        for listed in list(program) {
            let Listed {
                name, kind, unit, ..
            } = listed;
            let is_word = |text: &str| text.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
            assert!(names.insert(name), "{name} is listed twice");
            assert!(is_word(name) && name.starts_with("atelier_"), "{name}");
            assert!(!name.ends_with("_total"), "{name}: it is added");
            if let Some(unit) = unit {
                assert!(name.ends_with(&format!("_{unit}")), "{name}: {unit}");
            }
            assert!(listed.labels.iter().all(|label| is_word(label)), "{name}");
            assert_eq!(
                *kind == Kind::Histogram,
                !listed.buckets.is_empty(),
                "{name}"
            );
            assert!(
                listed.buckets.is_sorted_by(|one, next| one < next),
                "{name}"
            );
            assert!(
                !listed.help.is_empty() && !listed.help.ends_with('.'),
                "{name}"
            );
            assert_eq!(listed.panel.matches(" / ").count(), 1, "{name}");
            let query = listed.query.as_deref();
            assert!(
                query.is_none_or(|query| query.contains(name.as_str())),
                "{name}"
            );
        }
    }
}

#[test]
fn what_is_registered_is_told_under_the_name_of_the_list() {
    let mut registrar = Registrar::of(Program::Node);
    let cells = registrar.counters("atelier_node_cells", 1);
    let busy = registrar.seconds("atelier_node_device_seconds", 1);
    let batches = registrar.histogram("atelier_node_batch_cells");
    let memory = registrar.gauge("atelier_node_device_memory_bytes");
    let up = registrar.gauge("atelier_node_bucket_up");
    rest(&mut registrar);
    let registry = registrar.finish();
    cells.of(["done"]).inc();
    busy.of(["idle"]).inc_by(0.5);
    batches.observe(3.0);
    up.set_whether(true);
    memory.set(8.0);
    memory.set_known(None);
    let text = text(&registry);
    for line in [
        "atelier_node_cells_total{outcome=\"done\"} 1\n",
        "# UNIT atelier_node_device_seconds seconds\n",
        "atelier_node_device_seconds_total{state=\"idle\"} 0.5\n",
        "atelier_node_batch_cells_bucket{le=\"4.0\"} 1\n",
        "atelier_node_bucket_up 1\n",
    ] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
    assert!(
        !text.contains("device_memory"),
        "what is unknown is not told: {text}"
    );
}

#[test]
#[should_panic(expected = "lists no further Counter atelier_node_guesses")]
fn what_is_not_in_the_list_cannot_be_registered() {
    Registrar::of(Program::Node).counter("atelier_node_guesses");
}

#[test]
#[should_panic(expected = "with 2 labels")]
fn nor_with_other_labels() {
    Registrar::of(Program::Node).counters("atelier_node_cells", 2);
}

#[test]
#[should_panic(expected = "lists what the program does not register: [\"atelier_node_cells\"]")]
fn what_the_list_has_must_be_registered() {
    let mut registrar = Registrar::of(Program::Node);
    registrar
        .left
        .retain(|name, _| *name == "atelier_node_cells");
    registrar.finish();
}

#[test]
fn a_gauge_counts_up_and_down_from_nothing() {
    let gauge = Gauge::default();
    assert_eq!(gauge.get(), None);
    gauge.add(1.0);
    gauge.add(1.0);
    gauge.add(-1.0);
    assert_eq!(gauge.get(), Some(1.0));
}
