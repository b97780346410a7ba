//! `atelier-node run --renderer simulated`: many nodes in one process, none of which renders.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use super::{Node, tell_ready};
use crate::cli::SimulatedArgs;
use crate::commands::CommandError;
use crate::executor::Executor;
use crate::flat::{self, FlatFiles};
use crate::inputs::Inputs;
use crate::session::{self, Equipment, SessionConfig, SessionError};

/// Nodes that share a connection. Each waits for work in a call that takes long, and servers bound how many calls a
/// connection has at once.
const NODES_PER_CONNECTION: u32 = 32;
/// Between the starts of two nodes, so that they do not all renew at the same time ever after.
const START_INTERVAL: Duration = Duration::from_millis(1);

/// Starts the nodes one after the other, and ends when the last one has left.
pub(super) async fn simulate(args: SimulatedArgs, node: Node) -> Result<(), CommandError> {
    let identifying = node
        .departure
        .at_once()
        .run_until_cancelled(node.identify());
    if identifying.await.transpose()?.is_none() {
        return Ok(());
    }
    let node_config = node.config()?;
    let nodes = args.nodes();
    let simulation = args.simulation();
    tracing::warn!("{}", flat::NOTICE);
    tracing::info!(name = node.config.name, nodes, ?simulation, "ready");
    tell_ready(&json!({
        "name": node.config.name,
        "nodes": nodes,
        "network": flat::NETWORK,
        "device": flat::NETWORK,
        "notice": flat::NOTICE,
        "metrics": node.metrics_url,
    }));
    node.metrics.readiness().weights_are_loaded();
    node.metrics.readiness().device_is_usable(true);
    let files = FlatFiles::default();
    let mut link = node.link;
    let mut sessions = JoinSet::new();
    for number in 1..=nodes {
        if number > 1 && (number - 1).is_multiple_of(NODES_PER_CONNECTION) {
            link = link.with_own_connection()?;
        }
        let config = SessionConfig {
            name: format!("{}-{number:04}", node.config.name),
            ..node_config.clone()
        };
        let metrics = if number == 1 {
            node.metrics.clone()
        } else {
            node.metrics.of_another_node()
        };
        let equipment = Equipment {
            executor: Executor::simulated(
                simulation,
                number.into(),
                files.clone(),
                metrics.clone(),
            ),
            inputs: Inputs::simulated(),
            metrics,
            logs: node.logs.clone(),
            start_up: node.start_up.clone(),
        };
        let (link, departure) = (link.clone(), node.departure.clone());
        sessions.spawn(async move {
            let ended = session::run(&config, &link, equipment, departure).await;
            ended.inspect_err(|error| tracing::error!(name = config.name, %error, "a node ended"))
        });
        let pause = tokio::time::sleep(START_INTERVAL);
        if node
            .departure
            .at_once()
            .run_until_cancelled(pause)
            .await
            .is_none()
        {
            break;
        }
    }
    first_error(sessions).await
}

/// Waits for all; what is told is why the first one to fail did.
async fn first_error(mut sessions: JoinSet<Result<(), SessionError>>) -> Result<(), CommandError> {
    let mut first = Ok(());
    while let Some(ended) = sessions.join_next().await {
        let ended = match ended {
            Ok(ended) => ended.map_err(CommandError::from),
            Err(error) => Err(std::io::Error::other(error).into()),
        };
        first = first.and(ended);
    }
    first
}
