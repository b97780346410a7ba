//! `SQLite` keeps every promise, in a new file and in one that an earlier version left.

use sqlx::migrate::Migrate as _;
use sqlx::{Connection as _, SqliteConnection};

use super::*;
use crate::store::sql::SqlStore;

#[tokio::test]
async fn sqlite_keeps_every_promise() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqlStore::sqlite(&folder.path().join("a test?.db"))
        .await
        .unwrap();
    all(&store).await;
}

#[tokio::test]
async fn what_was_kept_is_there_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let store = SqlStore::sqlite(&path).await.unwrap();
    let node = register(&store).await;
    let grid = submit(&store, draft(2, 2), 0).await;
    let cell = |place| CellId { grid, place };
    let events = vec![
        (cell(0), Event::Lease { node }),
        (cell(1), Event::Lease { node }),
        (cell(0), complete(node, 1)),
    ];
    store.apply(events, at(1), &RULES, &EVEN).await.unwrap();
    let before = store.changes(grid, 0).await.unwrap();
    // Dropped and not closed, as when the process is killed.
    drop(store);
    let store = SqlStore::sqlite(&path).await.unwrap();
    assert_eq!(store.changes(grid, 0).await.unwrap(), before);
    assert_eq!(before.summary.counts.done, 1);
}

/// A database that an earlier version left, with a cell in each kind of state.
async fn of_version(version: i64, path: &std::path::Path, spec: &GridSpec) {
    let url = format!("sqlite://{}?mode=rwc", path.display());
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    let migrations = sqlx::migrate!("migrations/sqlite");
    database
        .ensure_migrations_table("_sqlx_migrations")
        .await
        .unwrap();
    for migration in migrations.iter().filter(|it| it.version <= version) {
        database.apply("_sqlx_migrations", migration).await.unwrap();
    }
    let result = serde_json::to_string(&result()).unwrap();
    let rows = format!(
        "INSERT INTO grids (grid_id, request_id, request_sha256, name, spec, state, submitted_at_ms, sequence)
         VALUES ('{GRID}', '0197a3c4-5f00-7000-8000-000000000002', '{sha256}', 'Afternoon', '{spec}', 'active',
                 1800000000000, 7);
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
        spec = serde_json::to_string(spec).unwrap().replace('\'', "''"),
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(rows))
        .execute(&mut database)
        .await
        .unwrap();
    database.close().await.unwrap();
}

const GRID: &str = "0197a3c4-5f00-7000-8000-000000000001";
const NODE: &str = "0197a3c4-5f00-7000-8000-000000000003";
const CELL: &str = "0197a3c4-5f00-7000-8000-00000000001";

#[tokio::test]
async fn a_database_of_any_earlier_version_is_taken_over_with_every_cell() {
    for version in [1, 2] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let spec = GridSpec::accept(draft(2, 2), 10).unwrap();
        of_version(version, &path, &spec).await;
        let store = SqlStore::sqlite(&path).await.unwrap();
        let grid: GridId = GRID.parse().unwrap();
        assert_eq!(*store.spec(grid).await.unwrap(), spec);
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

        // What held a lease before still holds it.
        let node = NODE.parse().unwrap();
        let cell = cells[1].id;
        let applied = apply(&store, cell, complete(node, 1), 20).await.unwrap();
        assert_eq!(applied.cell.state(), "done");
        assert_eq!(store.cancel_grid(grid, at(20)).await.unwrap(), 1);
        all(&store).await;
    }
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let store = SqlStore::sqlite(&path).await.unwrap();
    store.close().await;
    let url = format!("sqlite://{}", path.display());
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    let newer =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (999, 'newer', 1, x'00', 0)";
    sqlx::raw_sql(newer).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    let refused = SqlStore::sqlite(&path).await.unwrap_err();
    assert!(matches!(refused, StoreError::Migrate { .. }), "{refused}");
    assert!(refused.to_string().contains("newer atelier-coordinator"));
}
