//! What the coordinator of a stack says, where it can be reached.

use atelier_proto::connect::Access;
use serde::Serialize;

use super::stack::Stack;
use crate::coordinator::view::{FleetView, GridState};
use crate::coordinator::{Coordinator, GridFilter};
use crate::error::Error;
use crate::profiles::Profile;
use crate::text::counted;

/// Grids that are counted at most.
const GRIDS_MAX: usize = 1000;

/// What a coordinator says of its work.
#[derive(Debug, Clone, Serialize)]
pub struct Work {
    /// Who says so.
    pub coordinator: String,
    /// Grids that have not ended.
    pub grids: usize,
    /// The fleet.
    #[serde(flatten)]
    pub fleet: FleetView,
}

impl Work {
    /// Grids that have not ended, in words.
    pub fn grids_words(&self) -> String {
        let has = if self.grids == 1 { "has" } else { "have" };
        format!("{} {has}", counted(self.grids, "grid"))
    }

    /// What they lack, in words.
    pub fn cells_words(&self) -> String {
        let (queued, running) = (self.fleet.cells_queued, self.fleet.cells_running);
        format!(
            "{} queued, {running} running",
            counted(queued as usize, "cell")
        )
    }
}

/// Where the coordinators of a stack are for who asks here: as the profile says, which may lead through a tunnel, or else as
/// the stack says.
pub fn coordinators(stack: &Stack, profile: Option<&Profile>) -> Vec<String> {
    match profile {
        Some(profile) => profile.coordinators.clone(),
        None => stack
            .output("Endpoint")
            .map(str::to_owned)
            .into_iter()
            .collect(),
    }
}

/// Asks them.
pub async fn work(urls: &[String], access: Access) -> Result<Work, Error> {
    let coordinator = Coordinator::with_access(urls, access)?;
    let fleet = coordinator.fleet().await?;
    let filter = GridFilter {
        // Those of a grid that is paused are lost just as well.
        states: vec![GridState::Active, GridState::Paused],
        ..GridFilter::default()
    };
    let (grids, _) = coordinator.list(&filter, GRIDS_MAX).await?;
    Ok(Work {
        coordinator: coordinator.url().to_owned(),
        grids: grids.len(),
        fleet,
    })
}
