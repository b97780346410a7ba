//! What earlier versions left behind: one grid with a cell in each kind of state.

use super::*;

const GRID: &str = "0197a3c4-5f00-7000-8000-000000000001";
const REQUEST: &str = "0197a3c4-5f00-7000-8000-000000000002";
const NODE: &str = "0197a3c4-5f00-7000-8000-000000000003";
const CELL: &str = "0197a3c4-5f00-7000-8000-00000000001";

fn quoted(json: &impl serde::Serialize) -> String {
    serde_json::to_string(json).unwrap().replace('\'', "''")
}

/// Of versions whose cells have ids, before grids shared the nodes.
pub(super) fn rows_without_shares(spec: &GridSpec) -> String {
    format!(
        "INSERT INTO grids (grid_id, request_id, request_sha256, name, spec, state, submitted_at_ms, sequence)
         VALUES ('{GRID}', '{REQUEST}', '{sha256}', 'Afternoon', '{spec}', 'active', 1800000000000, 7);
         INSERT INTO nodes (node_id, name, device, memory_bytes, batch_capacity, version, instance_id, labels,
                            registered_at_ms, last_seen_at_ms)
         VALUES ('{NODE}', 'node-0', 'cpu', 0, 1, '0.1.0', '', '{{}}', 0, 0);
         INSERT INTO cells (cell_id, grid_id, place, photo, artist, variant, state, attempt, released, node_id,
                            failure, not_before_ms, lease_expires_at_ms, evaluations, evaluations_planned, loss,
                            result, changed_sequence)
         VALUES ('{CELL}1', '{GRID}', 0, 0, 0, 0, 'done', 2, 1, '{NODE}', 'no memory', NULL, NULL, 60, 60, 0.25,
                 '{result}', 7),
                ('{CELL}2', '{GRID}', 1, 1, 0, 0, 'rendering', 1, 0, '{NODE}', NULL, NULL, 1800000030000, 5, 60, 2.5,
                 NULL, 6),
                ('{CELL}3', '{GRID}', 2, 0, 1, 0, 'queued', 0, 0, NULL, NULL, 1800000000000, NULL, 0, 0, NULL, NULL, 1),
                ('{CELL}4', '{GRID}', 3, 1, 1, 0, 'failed', 3, 0, NULL, 'no such layer', NULL, NULL, 0, 0, NULL,
                 NULL, 5);",
        sha256 = "0".repeat(64),
        spec = quoted(spec),
        result = quoted(&result()),
    )
}

/// Of versions whose grids hold their specs.
pub(super) fn rows_with_shares(spec: &GridSpec) -> String {
    rows_of_shares("spec, ", &format!("'{}', ", quoted(spec)))
}

/// Of versions that keep specs apart, with an attempt that failed.
pub(super) fn rows_with_specs(spec: &GridSpec) -> String {
    format!(
        "{}
         INSERT INTO specs (grid_id, spec) VALUES ('{GRID}', '{}');
         INSERT INTO attempts (grid_id, place, attempt, node_id, ended_at_ms, outcome, reason, log)
         VALUES ('{GRID}', 3, 1, '{NODE}', 1800000002000, 'refused', 'no such layer', 'the end');",
        rows_of_shares("", ""),
        quoted(spec)
    )
}

fn rows_of_shares(spec_column: &str, spec: &str) -> String {
    format!(
        "INSERT INTO submitters (submitter, pass) VALUES ('ann', 4.5);
         INSERT INTO grids (grid_id, request_id, request_sha256, name, submitter, {spec_column}state, pass, submitted_at_ms,
                            sequence, queued, rendering, done, failed, work_open)
         VALUES ('{GRID}', '{REQUEST}', '{sha256}', 'Afternoon', 'ann', {spec}'active', 3.5, 1800000000000,
                 7, 1, 1, 1, 1, 2);
         INSERT INTO nodes (node_id, name, device, memory_bytes, batch_capacity, version, instance_id, labels,
                            registered_at_ms, last_seen_at_ms)
         VALUES ('{NODE}', 'node-0', 'cpu', 0, 1, '0.1.0', '', '{{}}', 0, 0);
         INSERT INTO cells (grid_id, place, work, state, attempt, released, node_id, failure, not_before_ms,
                            lease_expires_at_ms, begun_at_ms, evaluations, evaluations_planned, loss, result,
                            changed_sequence)
         VALUES ('{GRID}', 0, 1, 'done', 2, 1, '{NODE}', 'no memory', NULL, NULL, NULL, 60, 60, 0.25, '{result}', 7),
                ('{GRID}', 1, 1, 'rendering', 1, 0, '{NODE}', NULL, NULL, 1800000030000, 1800000001000, 5, 60, 2.5,
                 NULL, 6),
                ('{GRID}', 2, 1, 'queued', 0, 0, NULL, NULL, 1800000000000, NULL, NULL, 0, 0, NULL, NULL, 1),
                ('{GRID}', 3, 1, 'failed', 3, 0, NULL, 'no such layer', NULL, NULL, NULL, 0, 0, NULL, NULL, 5);",
        sha256 = "0".repeat(64),
        result = quoted(&result()),
    )
}

/// Everything is there, and what held a lease before still holds it.
pub(super) async fn is_taken_over(store: &Store, spec: &GridSpec, attempts: usize) {
    let grid: GridId = GRID.parse().unwrap();
    assert_eq!(*store.spec(grid).await.unwrap(), *spec);
    let changes = store.changes(grid, 0).await.unwrap();
    let counts = changes.summary.counts;
    assert_eq!((counts.done, counts.rendering, counts.queued), (1, 1, 1));
    assert_eq!(counts.failed, 1);
    let mut cells = changes.cells;
    cells.sort_by_key(|record| record.id);
    let states: Vec<_> = cells.iter().map(|record| record.cell.state()).collect();
    assert_eq!(states, ["done", "rendering", "queued", "failed"]);
    assert!(matches!(&cells[0].cell, Cell::Done { result: kept, .. } if *kept == result()));
    assert_eq!(cells[0].cell.history().charged(), 1);
    assert_eq!(cells[1].cell.lease_expires_at(), Some(at(30)));
    assert_eq!(cells[1].node_name.as_deref(), Some("node-0"));

    let kept = store.failed_attempts(grid, 9).await.unwrap();
    assert_eq!(kept.len(), attempts);
    assert!(kept.iter().all(|kept| kept.end.log == "the end"));
    assert_eq!(store.trace_parent(grid).await.unwrap(), "");

    let node = NODE.parse().unwrap();
    let cell = cells[1].id;
    let applied = apply(store, cell, complete(node, 1), 20).await.unwrap();
    assert_eq!(applied.cell.state(), "done");
    assert_eq!(store.cancel_grid(grid, at(20)).await.unwrap(), 1);
}
