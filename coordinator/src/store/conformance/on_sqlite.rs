//! `SQLite` keeps every promise, in a new file and in one that an earlier version left.

use sqlx::migrate::Migrate as _;
use sqlx::{Connection as _, SqliteConnection};

use super::*;
use crate::domain::grid::Subject;
use crate::store::sqlite::SqliteStore;

#[tokio::test]
async fn sqlite_keeps_every_promise() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("test.db"))
        .await
        .unwrap();
    all(&store).await;
}

#[tokio::test]
async fn what_was_kept_is_there_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let node = register(&store).await;
    let grid = submit(&store, draft(2, 2), 0).await;
    let cells = store.changes(grid, 0).await.unwrap().cells;
    let events = vec![
        (cells[0].id, Event::Lease { node }),
        (cells[1].id, Event::Lease { node }),
        (
            cells[0].id,
            Event::Complete {
                holder: Holder { node, attempt: 1 },
                result: result(),
            },
        ),
    ];
    store.apply(events, at(1), &RULES).await.unwrap();
    let before = store.changes(grid, 0).await.unwrap();
    // Dropped and not closed, as when the process is killed.
    drop(store);
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(store.changes(grid, 0).await.unwrap(), before);
    assert_eq!(before.summary.counts.done, 1);
}

/// A database that the first version left, with a cell in each kind of state.
async fn first_version(path: &std::path::Path, spec: &GridSpec) {
    let url = format!("sqlite://{}?mode=rwc", path.display());
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    let migrations = sqlx::migrate!("migrations/sqlite");
    database
        .ensure_migrations_table("_sqlx_migrations")
        .await
        .unwrap();
    let first = migrations.iter().next().unwrap();
    assert_eq!(first.version, 1);
    database.apply("_sqlx_migrations", first).await.unwrap();
    let result = serde_json::to_string(&result()).unwrap();
    let rows = format!(
        "INSERT INTO grids (grid_id, request_id, request_sha256, name, spec, state, submitted_at_ms, sequence)
         VALUES ('{GRID}', '0197a3c4-5f00-7000-8000-000000000002', '{sha256}', 'Afternoon', '{spec}', 'active',
                 1800000000000, 7);
         INSERT INTO nodes VALUES ('{NODE}', 'node-0', 'cpu', 0, 1, '0.1.0', '', '{{}}', 0, 0);
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
async fn a_database_of_the_first_version_is_taken_over_with_every_cell() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let spec = GridSpec::accept(draft(2, 2), 10).unwrap();
    first_version(&path, &spec).await;
    let store = SqliteStore::open(&path).await.unwrap();
    let grid = GRID.parse().unwrap();
    assert_eq!(*store.spec(grid).await.unwrap(), spec);
    let mut cells = store.changes(grid, 0).await.unwrap().cells;
    cells.sort_by_key(|record| record.id);
    let states: Vec<_> = cells.iter().map(|record| record.cell.state()).collect();
    assert_eq!(states, ["done", "rendering", "queued", "failed"]);
    let subject = |photo, artist| Subject::Transfer { photo, artist };
    let subjects: Vec<_> = cells.iter().map(|record| record.position.subject).collect();
    assert_eq!(
        subjects,
        [subject(0, 0), subject(1, 0), subject(0, 1), subject(1, 1)]
    );
    assert!(matches!(&cells[0].cell, Cell::Done { result: kept, .. } if *kept == result()));
    assert_eq!(cells[0].cell.history().charged(), 1);
    assert_eq!(cells[1].cell.lease_expires_at(), Some(at(30)));
    assert_eq!(cells[1].node_name.as_deref(), Some("node-0"));

    // What held a lease before still holds it.
    let holder = Holder {
        node: NODE.parse().unwrap(),
        attempt: 1,
    };
    let complete = Event::Complete {
        holder,
        result: result(),
    };
    let applied = apply(&store, cells[1].id, complete, 20).await.unwrap();
    assert_eq!(applied.cell.state(), "done");
    assert_eq!(store.cancel_grid(grid, at(20), &RULES).await.unwrap(), 1);
    all(&store).await;
}

#[tokio::test]
async fn no_two_cells_of_a_grid_are_of_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let mut draft = draft(1, 1);
    draft.reconstructions = true;
    submit(&store, draft, 0).await;
    store.close().await;
    let mut database = SqliteConnection::connect(&format!("sqlite://{}", path.display()))
        .await
        .unwrap();
    let cases = [
        ("0", "0", false),
        ("0", "NULL", false),
        ("NULL", "0", false),
        ("NULL", "NULL", false),
        ("1", "0", true),
    ];
    for (photo, artist, is_new) in cases {
        let another = format!(
            "INSERT INTO cells (cell_id, grid_id, place, photo, artist, variant, state, attempt, released,
                                not_before_ms, changed_sequence)
             SELECT 'another', grid_id, 99, {photo}, {artist}, 0, 'queued', 0, 0, 0, 1 FROM grids"
        );
        let another = sqlx::raw_sql(sqlx::AssertSqlSafe(another));
        let inserted = another.execute(&mut database).await;
        assert_eq!(inserted.is_ok(), is_new, "{photo} {artist}: {inserted:?}");
    }
}
