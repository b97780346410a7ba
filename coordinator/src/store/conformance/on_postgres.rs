//! PostgreSQL keeps every promise, also with several at it.

use atelier_tests::postgres::Postgres;
use sqlx::migrate::Migrate as _;
use sqlx::{Connection as _, PgConnection};

use super::*;
use crate::store::migrations::POSTGRES;

/// Connections of one store.
const CONNECTIONS_MAX: u32 = 8;

async fn open(url: &str) -> Store {
    Store::postgres(url, CONNECTIONS_MAX).await.unwrap()
}

#[tokio::test]
async fn postgres_keeps_every_promise() {
    let Some(postgres) = Postgres::start().unwrap() else {
        return;
    };
    let store = open(&postgres.database().unwrap()).await;
    all(&store).await;
}

#[tokio::test]
async fn a_database_of_any_earlier_version_is_taken_over_with_every_cell() {
    let Some(postgres) = Postgres::start().unwrap() else {
        return;
    };
    for version in 1..=5 {
        let url = postgres.database().unwrap();
        let spec = GridSpec::accept(draft(2, 2), 10).unwrap();
        let mut database = PgConnection::connect(&url).await.unwrap();
        database
            .ensure_migrations_table("_sqlx_migrations")
            .await
            .unwrap();
        for migration in POSTGRES.iter().filter(|it| it.version <= version) {
            database.apply("_sqlx_migrations", migration).await.unwrap();
        }
        let rows = match version {
            1 => earlier::rows_with_shares(&spec),
            _ => earlier::rows_with_specs(&spec),
        };
        sqlx::raw_sql(sqlx::AssertSqlSafe(rows))
            .execute(&mut database)
            .await
            .unwrap();
        database.close().await.unwrap();
        let store = open(&url).await;
        let attempts = usize::from(version > 1);
        earlier::is_taken_over(&store, &spec, attempts).await;
        all(&store).await;
    }
}

#[tokio::test]
async fn coordinators_start_together_and_one_of_them_leads() {
    let Some(postgres) = Postgres::start().unwrap() else {
        return;
    };
    let url = postgres.database().unwrap();
    let stores = futures::future::join_all((0..4).map(|_| open(&url))).await;
    let leads = futures::future::join_all(stores.iter().map(Store::lead)).await;
    let mut leads: Vec<_> = leads.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(leads.len(), 1);
    assert!(leads[0].is_held().await);
    assert!(stores[0].lead().await.unwrap().is_none());

    postgres.cut_connections().unwrap();
    assert!(!leads[0].is_held().await);
    drop(leads);
    assert!(stores[1].lead().await.unwrap().is_some());
}

#[tokio::test]
async fn what_one_queues_the_others_hear_of() {
    let Some(postgres) = Postgres::start().unwrap() else {
        return;
    };
    let url = postgres.database().unwrap();
    let (here, there) = (open(&url).await, open(&url).await);
    let (sender, mut rung) = tokio::sync::mpsc::unbounded_channel();
    let listening = tokio::spawn(async move {
        let rung = move || sender.send(()).unwrap();
        there.listen(&rung).await
    });
    // Once when it begins to listen.
    rung.recv().await.unwrap();
    here.ring().await.unwrap();
    rung.recv().await.unwrap();
    listening.abort();
}

/// What is written by several at the same time is written by one after the other.
#[tokio::test]
async fn two_coordinators_never_lease_a_cell_twice() {
    let Some(postgres) = Postgres::start().unwrap() else {
        return;
    };
    let url = postgres.database().unwrap();
    let stores = [open(&url).await, open(&url).await];
    let grid = submit(&stores[0], draft(50, 2), 0).await;
    let nodes = [register(&stores[0]).await, register(&stores[1]).await];
    let lease = |number: usize| {
        let (store, node) = (&stores[number], nodes[number]);
        async move {
            let mut got = 0;
            for place in 0..100 {
                let place = if number == 0 { place } else { 99 - place };
                let cell = CellId { grid, place };
                match apply(store, cell, Event::Lease { node }, 1).await {
                    Ok(_) => got += 1,
                    Err(rejection) => assert_eq!(rejection, Refusal::Held.into()),
                }
            }
            got
        }
    };
    let (first, second) = tokio::join!(lease(0), lease(1));
    assert_eq!(first + second, 100);
    let summary = stores[0].summary(grid).await.unwrap();
    assert_eq!((summary.counts.leased, summary.sequence), (100, 101));
}
