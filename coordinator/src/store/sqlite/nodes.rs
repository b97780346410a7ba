//! Statements about nodes.

use atelier_proto::ids::NodeId;
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::super::StoreError;
use super::rows::{damaged, milliseconds};
use crate::domain::node::Node;

/// Keeps what a node says of itself.
pub(super) async fn register(
    connection: &mut SqliteConnection,
    node: &Node,
    now: Timestamp,
) -> Result<(), StoreError> {
    let labels =
        serde_json::to_string(&node.labels).map_err(|error| damaged("node", node.id, &error))?;
    sqlx::query(
        "INSERT INTO nodes (node_id, name, device, memory_bytes, batch_capacity, version, instance_id, labels,
                            registered_at_ms, last_seen_at_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)
         ON CONFLICT (node_id) DO UPDATE SET
             name = ?2, device = ?3, memory_bytes = ?4, batch_capacity = ?5, version = ?6, instance_id = ?7,
             labels = ?8, last_seen_at_ms = ?9",
    )
    .bind(node.id.to_string())
    .bind(&node.name)
    .bind(&node.device)
    .bind(i64::try_from(node.memory_bytes).unwrap_or(i64::MAX))
    .bind(node.batch_capacity)
    .bind(&node.version)
    .bind(&node.instance_id)
    .bind(labels)
    .bind(milliseconds(now))
    .execute(connection)
    .await?;
    Ok(())
}

/// When a node was last heard of, as far as that is kept.
pub(super) async fn last_seen_ms(
    connection: &mut SqliteConnection,
    node: NodeId,
) -> Result<i64, StoreError> {
    let seen = sqlx::query_scalar("SELECT last_seen_at_ms FROM nodes WHERE node_id = ?")
        .bind(node.to_string())
        .fetch_optional(connection)
        .await?;
    seen.ok_or(StoreError::UnknownNode(node))
}

/// Keeps that a node was heard of.
pub(super) async fn seen(
    connection: &mut SqliteConnection,
    node: NodeId,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE nodes SET last_seen_at_ms = ? WHERE node_id = ?")
        .bind(milliseconds(now))
        .bind(node.to_string())
        .execute(connection)
        .await?;
    Ok(())
}
