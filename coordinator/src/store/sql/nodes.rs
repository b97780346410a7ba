//! Statements about nodes and what was measured of them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use atelier_proto::ids::NodeId;
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe};

use super::super::{Measurement, StoreError};
use super::Tables;
use super::dialect::Column;
use super::fetch::{self, fetch};
use super::rows::{NodeRow, damaged, milliseconds};
use crate::domain::effort::{Speed, Speeds};
use crate::domain::node::{Health, Node, NodeRecord};

/// Keeps what a node says of itself, and whose it is.
pub(super) async fn register(
    connection: &mut AnyConnection,
    node: &Node,
    identity: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let labels =
        serde_json::to_string(&node.labels).map_err(|error| damaged("node", node.id, &error))?;
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
    .execute(connection)
    .await?;
    if kept.rows_affected() == 0 {
        return Err(StoreError::ForeignNode(node.id));
    }
    Ok(())
}

/// A node as it stands.
pub(super) async fn one(
    connection: &mut AnyConnection,
    node: NodeId,
) -> Result<NodeRecord, StoreError> {
    let row: Option<NodeRow> = sqlx::query_as("SELECT * FROM nodes WHERE node_id = $1")
        .bind(node.to_string())
        .fetch_optional(connection)
        .await?;
    row.ok_or(StoreError::UnknownNode(node))?.record()
}

/// Nodes as they stand, newest first.
pub(super) async fn list(
    connection: &mut AnyConnection,
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
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(NodeRow::record).collect()
}

/// Keeps when nodes were heard of.
pub(super) async fn seen(
    tables: &mut Tables<'_>,
    nodes: &[(NodeId, Timestamp)],
) -> Result<(), StoreError> {
    lock(tables, &nodes.iter().map(|(node, _)| *node).collect()).await?;
    let given = [Column::Text("node_id"), Column::Integer("seen_at_ms")];
    let statement = format!(
        "UPDATE nodes SET last_seen_at_ms = given.seen_at_ms
         FROM {} WHERE nodes.node_id = given.node_id AND nodes.last_seen_at_ms < given.seen_at_ms",
        tables.dialect.given(1, &given)
    );
    let rows = nodes
        .iter()
        .map(|(node, at)| json!([node, milliseconds(*at)]));
    sqlx::query(AssertSqlSafe(statement))
        .bind(Value::from(rows.collect::<Vec<_>>()).to_string())
        .execute(&mut *tables.connection)
        .await?;
    Ok(())
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

/// Some nodes as they stand.
pub(super) async fn some(
    tables: &mut Tables<'_>,
    ids: &BTreeSet<NodeId>,
) -> Result<BTreeMap<NodeId, NodeRecord>, StoreError> {
    select(tables, ids, "").await
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
    let rows: Vec<NodeRow> = fetch(
        tables.connection,
        tables.dialect,
        "node",
        NodeRow::COLUMNS,
        &select,
        vec![fetch::Value::Text(as_rows(ids))],
    )
    .await?;
    let records = rows.into_iter().map(NodeRow::record);
    records
        .map(|record| record.map(|record| (record.node.id, record)))
        .collect()
}

/// The nodes that are to leave.
pub(super) async fn draining(
    connection: &mut AnyConnection,
) -> Result<HashSet<NodeId>, StoreError> {
    let ids: Vec<String> = sqlx::query_scalar("SELECT node_id FROM nodes WHERE state = 'draining'")
        .fetch_all(connection)
        .await?;
    ids.iter()
        .map(|id| id.parse().map_err(|error| damaged("node", id, &error)))
        .collect()
}

/// Keeps how a node gets on.
pub(super) async fn set_health(
    connection: &mut AnyConnection,
    node: NodeId,
    health: &Health,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE nodes SET state = $2, reason = $3, failing_grids = $4 WHERE node_id = $1")
        .bind(node.to_string())
        .bind(health.state.word().to_owned())
        .bind(health.state.reason().to_owned())
        .bind(json!(health.failing_grids).to_string())
        .execute(connection)
        .await?;
    Ok(())
}

fn as_rows(ids: &BTreeSet<NodeId>) -> String {
    let rows: Vec<Value> = ids.iter().map(|id| json!([id])).collect();
    Value::from(rows).to_string()
}

/// Removes nodes that were last heard of before a time and hold nothing; how many they were.
pub(super) async fn forget_before(
    connection: &mut AnyConnection,
    time: Timestamp,
) -> Result<u64, StoreError> {
    let removed = sqlx::query(
        "DELETE FROM nodes WHERE last_seen_at_ms < $1 AND node_id NOT IN (
             SELECT node_id FROM cells WHERE lease_expires_at_ms IS NOT NULL AND node_id IS NOT NULL)",
    )
    .bind(milliseconds(time))
    .execute(connection)
    .await?;
    Ok(removed.rows_affected())
}

/// Every speed that was measured.
pub(super) async fn speeds(connection: &mut AnyConnection) -> Result<Speeds, StoreError> {
    let rows: Vec<(String, String, f64, i64)> =
        sqlx::query_as("SELECT device, kind, seconds_per_work, cells FROM speeds")
            .fetch_all(connection)
            .await?;
    let mut speeds = Speeds::default();
    for (device, kind, seconds_per_work, cells) in rows {
        let cells = u32::try_from(cells).map_err(|error| damaged("speed", &device, &error))?;
        let speed = Speed {
            seconds_per_work,
            cells,
        };
        speeds.0.entry(device).or_default().insert(kind, speed);
    }
    Ok(speeds)
}

/// Keeps what was measured of cells, in their order.
pub(super) async fn measured(
    tables: &mut Tables<'_>,
    cells: &[Measurement],
) -> Result<(), StoreError> {
    let mut by_kind: BTreeMap<(&str, &str), Vec<(f64, f64)>> = BTreeMap::new();
    for cell in cells {
        let measurements = by_kind.entry((&cell.device, &cell.kind)).or_default();
        measurements.push((cell.seconds, cell.work));
    }
    for ((device, kind), measurements) in by_kind {
        let statement = format!(
            "SELECT seconds_per_work, cells FROM speeds WHERE device = $1 AND kind = $2 {}",
            tables.dialect.for_update()
        );
        let before: Option<(f64, i64)> = sqlx::query_as(AssertSqlSafe(statement))
            .bind(device.to_owned())
            .bind(kind.to_owned())
            .fetch_optional(&mut *tables.connection)
            .await?;
        let mut speed = before.map(|(seconds_per_work, cells)| Speed {
            seconds_per_work,
            cells: u32::try_from(cells).unwrap_or(0),
        });
        for (seconds, work) in measurements {
            speed = Speed::measured(speed, seconds, work).or(speed);
        }
        let Some(speed) = speed else {
            continue;
        };
        sqlx::query(
            "INSERT INTO speeds (device, kind, seconds_per_work, cells) VALUES ($1, $2, $3, $4)
             ON CONFLICT (device, kind) DO UPDATE SET seconds_per_work = $3, cells = $4",
        )
        .bind(device.to_owned())
        .bind(kind.to_owned())
        .bind(speed.seconds_per_work)
        .bind(i64::from(speed.cells))
        .execute(&mut *tables.connection)
        .await?;
    }
    Ok(())
}
