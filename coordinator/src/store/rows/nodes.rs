//! Rows of `nodes`.

use serde::Deserialize;

use super::Row;
use crate::domain::node::{Health, Node, NodeRecord, NodeState};
use crate::store::StoreError;
use crate::store::dialect::Column;
use crate::store::fetch::{Fetched, some_real};

/// `nodes`; its fields are in the order of its columns.
#[derive(Debug, Deserialize)]
pub(in crate::store) struct NodeRow {
    node_id: String,
    name: String,
    device: String,
    memory_bytes: i64,
    batch_capacity: i64,
    version: String,
    instance_id: String,
    labels: String,
    registered_at_ms: i64,
    last_seen_at_ms: i64,
    state: String,
    reason: String,
    failing_grids: String,
    cells_done: i64,
    #[serde(deserialize_with = "some_real")]
    dollars_per_hour: Option<f64>,
    identity: String,
}

row_by_names!(NodeRow {
    node_id,
    name,
    device,
    memory_bytes,
    batch_capacity,
    version,
    instance_id,
    labels,
    registered_at_ms,
    last_seen_at_ms,
    state,
    reason,
    failing_grids,
    cells_done,
    dollars_per_hour,
    identity,
});

impl Fetched for NodeRow {
    const TABLE: &str = "node";
    const COLUMNS: &[Column] = &[
        Column::Text("node_id"),
        Column::Text("name"),
        Column::Text("device"),
        Column::Integer("memory_bytes"),
        Column::Integer("batch_capacity"),
        Column::Text("version"),
        Column::Text("instance_id"),
        Column::Text("labels"),
        Column::Integer("registered_at_ms"),
        Column::Integer("last_seen_at_ms"),
        Column::Text("state"),
        Column::Text("reason"),
        Column::Text("failing_grids"),
        Column::Integer("cells_done"),
        Column::Real("dollars_per_hour"),
        Column::Text("identity"),
    ];
}

impl NodeRow {
    pub(in crate::store) fn record(self) -> Result<NodeRecord, StoreError> {
        let row = Row {
            table: "node",
            id: &self.node_id,
        };
        let state = NodeState::of(&self.state, self.reason)
            .ok_or_else(|| row.wrong(&format!("its state is {:?}", self.state)))?;
        Ok(NodeRecord {
            node: Node {
                id: row.parsed(&self.node_id)?,
                memory_bytes: self.memory_bytes.unsigned_abs(),
                batch_capacity: row.count(self.batch_capacity)?,
                labels: row.json(&self.labels)?,
                name: self.name,
                device: self.device,
                version: self.version,
                instance_id: self.instance_id,
                dollars_per_hour: self.dollars_per_hour,
            },
            health: Health {
                state,
                failing_grids: row.json(&self.failing_grids)?,
            },
            registered_at: row.time(self.registered_at_ms)?,
            last_seen_at: row.time(self.last_seen_at_ms)?,
            cells_done: self.cells_done.unsigned_abs(),
            identity: self.identity,
        })
    }
}
