//! Ends the leases whose time is over, so that no cell stays with a node that is not heard of again.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::cell::Event;
use crate::ledger::Ledger;
use crate::store::StoreError;

/// How often leases are looked at; a shorter lease is looked at more often.
const INTERVAL_MAX: Duration = Duration::from_secs(1);
/// Leases ended in one transaction.
const CELLS_MAX: u32 = 500;

/// Ends leases until `shutdown`.
pub async fn run(ledger: Arc<Ledger>, shutdown: CancellationToken) {
    let lease_duration = ledger.rules().lease_duration;
    // No node could renew while the coordinator was away; each gets the time of one lease to do so.
    let mut wait = lease_duration;
    while shutdown
        .run_until_cancelled(tokio::time::sleep(wait))
        .await
        .is_some()
    {
        wait = (lease_duration / 4).min(INTERVAL_MAX);
        if let Err(error) = expire(&ledger).await {
            tracing::warn!(%error, "leases that are over cannot be ended; trying again");
        }
    }
}

/// Ends every lease that is over now.
pub async fn expire(ledger: &Ledger) -> Result<(), StoreError> {
    loop {
        let cells = ledger.store().expired(ledger.now(), CELLS_MAX).await?;
        let events = cells.iter().map(|cell| (*cell, Event::Expire)).collect();
        let verdicts = ledger.apply(events).await?;
        for (cell, verdict) in cells.iter().zip(&verdicts) {
            // A refusal is a lease that was renewed in the meantime.
            if let Ok(applied) = verdict {
                let history = applied.cell.history();
                tracing::warn!(
                    grid = %applied.grid,
                    %cell,
                    node = history.node.map(tracing::field::display),
                    attempt = history.started,
                    state = applied.cell.state(),
                    "the lease ran out"
                );
            }
        }
        if verdicts.len() < CELLS_MAX as usize {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::{Answer, Ask, give};
    use crate::domain::block::Wanted;
    use crate::ledger::tests::House;

    #[tokio::test]
    async fn the_cell_of_a_node_that_falls_silent_goes_to_another_one_and_the_waiting_are_told() {
        let house = House::open().await;
        let ledger = &house.ledger;
        house.submit("", 1).await;
        let [silent, other] = [house.register().await, house.register().await];
        let attempts_of = async |node| -> Vec<u32> {
            let wanted = Wanted {
                cells_max: 2,
                ..Wanted::default()
            };
            match &give(ledger, &[Ask { node, wanted }]).await.unwrap()[..] {
                [Answer::Cells(given)] => given.iter().map(|cell| cell.attempt).collect(),
                [Answer::Nothing] => Vec::new(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(attempts_of(silent).await, [1]);
        assert!(attempts_of(other).await.is_empty());

        house.clock.advance(Duration::from_secs(29));
        expire(ledger).await.unwrap();
        assert!(attempts_of(other).await.is_empty());

        let bell = ledger.queued_bell();
        house.clock.advance(Duration::from_secs(1));
        expire(ledger).await.unwrap();
        assert!(bell.has_changed().unwrap());
        assert_eq!(attempts_of(other).await, [2]);
    }
}
