//! Nodes: what they say of themselves, when they were heard of and how they get on.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use atelier_proto::ids::NodeId;
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe};

use super::dialect::Column;
use super::error::damaged;
use super::rows::{NodeRow, Row, milliseconds};
use super::{Store, StoreError, Tables, fetch};
use crate::domain::node::{Health, Node, NodeRecord};

impl Store {
    /// Keeps what a node says of itself, anew if it has said so before. It belongs to the identity of this name from then on;
    /// `None`: nobody was asked, and whose it is stays as it was.
    ///
    /// # Errors
    /// [`StoreError::ForeignNode`] if it belongs to another one.
    pub async fn register_node(
        &self,
        node: &Node,
        identity: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let labels = serde_json::to_string(&node.labels)
            .map_err(|error| damaged("node", node.id, &error))?;
        let mut transaction = self.write().await?;
        let kept = sqlx::query(
            "INSERT INTO nodes (node_id, name, device, memory_bytes, batch_capacity, version, instance_id, labels,
                                dollars_per_hour, registered_at_ms, last_seen_at_ms, identity)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11)
             ON CONFLICT (node_id) DO UPDATE SET
                 name = $2, device = $3, memory_bytes = $4, batch_capacity = $5, version = $6, instance_id = $7,
                 labels = $8, dollars_per_hour = $9, last_seen_at_ms = $10,
                 identity = CASE WHEN $11 = '' THEN nodes.identity ELSE $11 END
             WHERE $11 = '' OR nodes.identity IN ('', $11)",
        )
        .bind(node.id.to_string())
        .bind(node.name.clone())
        .bind(node.device.clone())
        .bind(i64::try_from(node.memory_bytes).unwrap_or(i64::MAX))
        .bind(i64::from(node.batch_capacity))
        .bind(node.version.clone())
        .bind(node.instance_id.clone())
        .bind(labels)
        .bind(node.dollars_per_hour)
        .bind(milliseconds(now))
        .bind(identity.unwrap_or_default().to_owned())
        .execute(&mut *transaction)
        .await?;
        if kept.rows_affected() == 0 {
            return Err(StoreError::ForeignNode(node.id));
        }
        Ok(transaction.commit().await?)
    }

    /// A node as it stands.
    pub async fn node(&self, node: NodeId) -> Result<NodeRecord, StoreError> {
        one(&mut *self.read_once().await?, node).await
    }

    /// Those of some nodes that have registered.
    pub async fn nodes_of(
        &self,
        nodes: &BTreeSet<NodeId>,
    ) -> Result<BTreeMap<NodeId, NodeRecord>, StoreError> {
        let mut connection = self.read_once().await?;
        select(&mut self.tables(&mut connection), nodes, "").await
    }

    /// Nodes that were heard of since a time, newest first, older than `before`.
    pub async fn nodes(
        &self,
        before: Option<NodeId>,
        seen_since: Timestamp,
        nodes_max: u32,
    ) -> Result<Vec<NodeRecord>, StoreError> {
        let rows: Vec<NodeRow> = sqlx::query_as(
            "SELECT * FROM nodes WHERE last_seen_at_ms >= $1 AND node_id < $2 ORDER BY node_id DESC LIMIT $3",
        )
        .bind(milliseconds(seen_since))
        // Above every id.
        .bind(before.map_or_else(|| "g".to_owned(), |before| before.to_string()))
        .bind(i64::from(nodes_max))
        .fetch_all(&mut *self.read_once().await?)
        .await?;
        rows.into_iter().map(NodeRow::record).collect()
    }

    /// Keeps when nodes were heard of.
    pub async fn nodes_seen(&self, nodes: &[(NodeId, Timestamp)]) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        let mut tables = self.tables(&mut transaction);
        lock(&mut tables, &nodes.iter().map(|(node, _)| *node).collect()).await?;
        let given = [Column::Text("node_id"), Column::Integer("seen_at_ms")];
        let statement = format!(
            "UPDATE nodes SET last_seen_at_ms = given.seen_at_ms
             FROM {} WHERE nodes.node_id = given.node_id AND nodes.last_seen_at_ms < given.seen_at_ms",
            self.dialect.given(1, &given)
        );
        let rows = nodes
            .iter()
            .map(|(node, at)| json!([node, milliseconds(*at)]));
        let rows: Value = rows.collect();
        sqlx::query(AssertSqlSafe(statement))
            .bind(rows.to_string())
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// How many nodes were heard of since a time.
    pub async fn nodes_since(&self, time: Timestamp) -> Result<usize, StoreError> {
        let count: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM nodes WHERE last_seen_at_ms >= $1")
                .bind(milliseconds(time))
                .fetch_one(&mut *self.read_once().await?)
                .await?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// The nodes that are to leave.
    pub async fn nodes_draining(&self) -> Result<HashSet<NodeId>, StoreError> {
        let ids: Vec<String> =
            sqlx::query_scalar("SELECT node_id FROM nodes WHERE state = 'draining'")
                .fetch_all(&mut *self.read_once().await?)
                .await?;
        let draining = ids.iter().map(|id| {
            let row = Row { table: "node", id };
            row.parsed(id)
        });
        draining.collect()
    }

    /// Keeps how a node gets on.
    pub async fn set_health(&self, node: NodeId, health: &Health) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        one(&mut transaction, node).await?;
        sqlx::query(
            "UPDATE nodes SET state = $2, reason = $3, failing_grids = $4 WHERE node_id = $1",
        )
        .bind(node.to_string())
        .bind(health.state.word().to_owned())
        .bind(health.state.reason().to_owned())
        .bind(json!(health.failing_grids).to_string())
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// Removes nodes that were last heard of before a time and hold nothing; how many they were.
    pub async fn forget_nodes(&self, seen_before: Timestamp) -> Result<u64, StoreError> {
        let mut transaction = self.write().await?;
        let removed = sqlx::query(
            "DELETE FROM nodes WHERE last_seen_at_ms < $1 AND node_id NOT IN (
                 SELECT node_id FROM cells WHERE lease_expires_at_ms IS NOT NULL AND node_id IS NOT NULL)",
        )
        .bind(milliseconds(seen_before))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(removed.rows_affected())
    }
}

async fn one(connection: &mut AnyConnection, node: NodeId) -> Result<NodeRecord, StoreError> {
    let row: Option<NodeRow> = sqlx::query_as("SELECT * FROM nodes WHERE node_id = $1")
        .bind(node.to_string())
        .fetch_optional(connection)
        .await?;
    row.ok_or(StoreError::UnknownNode(node))?.record()
}

/// Some nodes as they stand, which nobody else changes until the transaction has ended.
pub(super) async fn lock(
    tables: &mut Tables<'_>,
    ids: &BTreeSet<NodeId>,
) -> Result<BTreeMap<NodeId, NodeRecord>, StoreError> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let for_update = tables.dialect.for_update();
    select(tables, ids, for_update).await
}

async fn select(
    tables: &mut Tables<'_>,
    ids: &BTreeSet<NodeId>,
    for_update: &str,
) -> Result<BTreeMap<NodeId, NodeRecord>, StoreError> {
    let select = format!(
        "SELECT * FROM nodes WHERE node_id IN (SELECT given.node_id FROM {given}) ORDER BY node_id {for_update}",
        given = tables.dialect.given(1, &[Column::Text("node_id")]),
    );
    let ids: Value = ids.iter().map(|id| json!([id])).collect();
    let ids = [fetch::Value::Text(ids.to_string())];
    let records = tables.fetch(&select, ids, NodeRow::record).await?;
    let records = records.into_iter();
    Ok(records.map(|record| (record.node.id, record)).collect())
}
