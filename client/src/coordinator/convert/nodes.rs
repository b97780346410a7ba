//! Nodes.

use atelier_proto::v1;

use super::{ConvertError, time};
use crate::coordinator::view::{NodeState, NodeView};

impl TryFrom<v1::Node> for NodeView {
    type Error = ConvertError;

    fn try_from(wire: v1::Node) -> Result<Self, ConvertError> {
        let state = match wire.state() {
            v1::NodeState::Active => NodeState::Active,
            v1::NodeState::Draining => NodeState::Draining,
            v1::NodeState::Quarantined => NodeState::Quarantined,
            v1::NodeState::Lost => NodeState::Lost,
            v1::NodeState::Unspecified => {
                return Err(ConvertError::UnknownState {
                    what: "node",
                    value: wire.state,
                });
            }
        };
        Ok(Self {
            node_id: wire.node_id.parse()?,
            name: wire.name,
            state,
            reason: wire.reason,
            device: wire.device,
            memory_bytes: wire.memory_bytes,
            version: wire.version,
            instance_id: wire.instance_id,
            labels: wire.labels.into_iter().collect(),
            cells_held: wire.cells_held,
            cells_done: wire.cells_done,
            dollars_per_hour: wire.dollars_per_hour,
            identity: wire.identity,
            registered_at: time(wire.registered_at.map(|it| (it.seconds, it.nanos)))?,
            last_seen_at: time(wire.last_seen_at.map(|it| (it.seconds, it.nanos)))?,
        })
    }
}
