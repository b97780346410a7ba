//! `SQLite` keeps every promise, in a new file and in one that an earlier version left.

use sqlx::migrate::Migrate as _;
use sqlx::{Connection as _, SqliteConnection};

use super::*;
use crate::store::migrations::SQLITE;

#[tokio::test]
async fn sqlite_keeps_every_promise() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::sqlite(&folder.path().join("a test?.db"))
        .await
        .unwrap();
    all(&store).await;
}

#[tokio::test]
async fn what_was_kept_is_there_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let store = Store::sqlite(&path).await.unwrap();
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
    let store = Store::sqlite(&path).await.unwrap();
    assert_eq!(store.changes(grid, 0).await.unwrap(), before);
    assert_eq!(before.summary.counts.done, 1);
}

/// A database that an earlier version left, with a cell in each kind of state.
async fn of_version(version: i64, path: &std::path::Path, spec: &GridSpec) {
    let url = format!("sqlite://{}?mode=rwc", path.display());
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    database
        .ensure_migrations_table("_sqlx_migrations")
        .await
        .unwrap();
    for migration in SQLITE.iter().filter(|it| it.version <= version) {
        database.apply("_sqlx_migrations", migration).await.unwrap();
    }
    let rows = match version {
        1 | 2 => earlier::rows_without_shares(spec),
        3 => earlier::rows_with_shares(spec),
        _ => earlier::rows_with_specs(spec),
    };
    sqlx::raw_sql(sqlx::AssertSqlSafe(rows))
        .execute(&mut database)
        .await
        .unwrap();
    database.close().await.unwrap();
}

#[tokio::test]
async fn a_database_of_any_earlier_version_is_taken_over_with_every_cell() {
    for version in 1..=7 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let spec = GridSpec::accept(draft(2, 2), 10).unwrap();
        of_version(version, &path, &spec).await;
        let store = Store::sqlite(&path).await.unwrap();
        let attempts = usize::from(version > 3);
        earlier::is_taken_over(&store, &spec, attempts).await;
        all(&store).await;
    }
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let store = Store::sqlite(&path).await.unwrap();
    store.close().await;
    let url = format!("sqlite://{}", path.display());
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    let newer =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (999, 'newer', 1, x'00', 0)";
    sqlx::raw_sql(newer).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    let refused = Store::sqlite(&path).await.unwrap_err();
    assert!(matches!(refused, StoreError::Migrate { .. }), "{refused}");
    assert!(refused.to_string().contains("newer atelier-coordinator"));
}
