//! NODE on the command line: an id, the beginning of one, or a name.

use atelier_proto::ids::NodeId;

use crate::coordinator::Coordinator;
use crate::coordinator::view::{NodeState, NodeView};
use crate::error::Error;
use crate::exit::Exit;
use crate::meant::meant;
use crate::text::{self, printable, shortened};

/// Nodes that are named when several are meant.
const CANDIDATES_MAX: usize = 5;

/// Why NODE names no node.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// There is none.
    #[error(
        "no node has the id or name `{}`\nhint: `atelier nodes` shows the nodes there are",
        printable(&shortened(wanted, 300))
    )]
    None {
        /// As it was given.
        wanted: String,
    },
    /// There are several.
    #[error(
        "{} nodes answer to `{}`:\n{}\nhint: say which by its id",
        candidates.len(),
        printable(&shortened(wanted, 300)),
        listed(candidates)
    )]
    Several {
        /// As it was given.
        wanted: String,
        /// Those that are meant, newest first.
        candidates: Vec<NodeView>,
    },
}

impl NodeError {
    /// The exit code that tells scripts of it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::None { .. } => Exit::NotFound,
            Self::Several { .. } => Exit::BadInput,
        }
    }
}

fn listed(candidates: &[NodeView]) -> String {
    text::listed(candidates, CANDIDATES_MAX, |node| {
        let name = printable(&shortened(&node.name, 60));
        format!("{}  {name} ({})", node.node_id, node.state)
    })
}

/// The node that is meant. A whole id is taken at its word; whether it exists, the next call tells.
pub async fn resolve(coordinator: &Coordinator, wanted: &str) -> Result<NodeId, Error> {
    if let Ok(id) = wanted.parse() {
        return Ok(id);
    }
    // What was lost and holds nothing is left out: a node that was started again has its name.
    let nodes = coordinator.nodes(false).await?;
    Ok(pick(wanted, &nodes)?)
}

/// The one node of this name or, failing that, with an id that begins so. One that lives comes before those that were
/// lost.
fn pick(wanted: &str, nodes: &[NodeView]) -> Result<NodeId, NodeError> {
    let mut candidates = meant(wanted, nodes, |it| &it.name, |it| it.node_id.to_string());
    let lives = |node: &&NodeView| node.state != NodeState::Lost;
    if candidates.iter().any(lives) {
        candidates.retain(lives);
    }
    match candidates.as_slice() {
        [node] => Ok(node.node_id),
        [] => Err(NodeError::None {
            wanted: wanted.to_owned(),
        }),
        several => Err(NodeError::Several {
            wanted: wanted.to_owned(),
            candidates: several.iter().map(|node| (*node).clone()).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::tests::node;

    #[test]
    fn a_node_is_meant_by_name_or_by_the_beginning_of_its_id() {
        let mut nodes = [
            node("01890a5d-ac96-774b-bcce-b302099a8057", "studio-1"),
            node("01890a5d-ac96-774b-bcce-b302099a8058", "studio-2"),
            node("02890a5d-ac96-774b-bcce-b302099a8059", "studio-2"),
            node("02990a5d-ac96-774b-bcce-b302099a8059", "beef"),
        ];
        assert_eq!(pick("studio-1", &nodes).unwrap(), nodes[0].node_id);
        assert_eq!(pick("0289", &nodes).unwrap(), nodes[2].node_id);
        assert_eq!(pick("beef", &nodes).unwrap(), nodes[3].node_id);
        for nothing in ["", "029", "studio", "Studio-1"] {
            let error = pick(nothing, &nodes).unwrap_err();
            assert_eq!(error.exit(), Exit::NotFound, "{nothing}");
        }
        for several in ["studio-2", "01890a5d"] {
            let error = pick(several, &nodes).unwrap_err();
            assert_eq!(error.exit(), Exit::BadInput);
            assert!(error.to_string().contains("bcce-b302099a8058"), "{error}");
        }
        // Of two of a name, the one that lives is meant.
        nodes[1].state = NodeState::Lost;
        assert_eq!(pick("studio-2", &nodes).unwrap(), nodes[2].node_id);
        nodes[2].state = NodeState::Lost;
        assert!(pick("studio-2", &nodes).is_err());
    }
}
