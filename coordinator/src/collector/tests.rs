//! Goal: what is of no more use goes, however much of it there is.

use tokio::net::TcpListener;

use super::*;
use crate::data_folder::DataFolder;
use crate::ledger::tests::House;
use crate::listen::{Bounds, Listener, Purpose};
use crate::storage::open_embedded;

/// A bucket of this house, served until the test is over.
async fn bucket(house: &House) -> Bucket {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let data = DataFolder::open(&house.folder().join("data")).unwrap();
    // Signatures are of now, whatever time the house has.
    let clock = atelier_proto::clock::Clock::system();
    let opening = open_embedded(&data, address, format!("http://{address}"), clock);
    let embedded = opening.await.unwrap();
    let bounds = Bounds {
        connections_max: 64,
        address_connections_max: 64,
        metrics: Arc::default(),
    };
    let listener = Listener::new(listener, Purpose::S3, None, bounds);
    let serving = embedded
        .endpoint
        .serve(vec![listener], CancellationToken::new());
    tokio::spawn(serving);
    Bucket::connect(&embedded.local).await.unwrap()
}

#[tokio::test]
async fn however_many_grids_are_deleted_all_of_each_goes_at_once() {
    let house = House::open().await;
    let bucket = bucket(&house).await;
    let ledger = &house.ledger;
    let grace_period = Duration::from_mins(15);
    let mut collector = Collector {
        ledger,
        bucket: &bucket,
        keeping: Keeping {
            history: None,
            unused_inputs: None,
            grace_period,
        },
        removed_once: HashSet::new(),
        looked_at: None,
        inputs_looked_at: None,
    };
    for number in 0..=GRIDS_MAX {
        let grid = house.submit("ann", 1).await;
        let key = format!("grids/{grid}/pictures/{number}.jpg");
        let put = bucket.put(&key, "picture".into(), "image/jpeg", None);
        put.await.unwrap();
        ledger.cancel_grid(grid).await.unwrap();
        ledger.delete_grid(grid).await.unwrap();
        house.clock.advance(Duration::from_secs(1));
    }
    for _ in 0..2 {
        collector.deleted_grids().await.unwrap();
    }
    assert_eq!(bucket.list("grids/").await.unwrap(), []);
    let waiting = ledger.store().deleted(99).await.unwrap().len();
    assert_eq!(waiting, GRIDS_MAX as usize + 1, "for the grace period");

    house.clock.advance(grace_period);
    collector.deleted_grids().await.unwrap();
    assert_eq!(ledger.store().deleted(99).await.unwrap(), []);
    assert!(collector.removed_once.is_empty());
}
