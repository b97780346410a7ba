//! Who waits to be served, and with which cells; see [`crate::domain::share`] and [`crate::domain::block`].

use atelier_proto::ids::GridId;
use jiff::Timestamp;
use sqlx::AnyConnection;

use super::fetch::Value;
use super::rows::{LineRow, QueuedRow, milliseconds};
use super::{Store, StoreError};
use crate::domain::block::QueuedCell;
use crate::domain::share::Line;

impl Store {
    /// Every grid with cells that have not ended, oldest first, and the passes of their submitters.
    pub async fn line(&self) -> Result<Line, StoreError> {
        let mut connection = self.read_once().await?;
        let mut tables = self.tables(&mut connection);
        let rows: Vec<LineRow> = tables
            .fetch(
                "SELECT g.grid_id, g.submitter, coalesce(s.pass, 0) AS submitter_pass, g.priority, g.labels, g.pass,
                        g.state, g.queued, g.leased + g.rendering AS held
                 FROM grids g LEFT JOIN submitters s ON s.submitter = g.submitter
                 WHERE g.state IN ('active', 'paused') ORDER BY g.grid_id",
                [],
                Ok,
            )
            .await?;
        let mut line = Line::default();
        for row in rows {
            let (submitter, pass) = (row.submitter.clone(), row.submitter_pass);
            line.submitter_passes.insert(submitter, pass);
            line.grids.push(row.grid_in_line()?);
        }
        Ok(line)
    }

    /// At most so many cells of a grid that may be leased now, in the order of service.
    pub async fn queued(
        &self,
        grid: GridId,
        now: Timestamp,
        cells_max: u32,
    ) -> Result<Vec<QueuedCell>, StoreError> {
        let mut connection = self.read_once().await?;
        let mut tables = self.tables(&mut connection);
        let rows: Vec<QueuedRow> = tables
            .fetch(
                "SELECT place, work, failed_on FROM cells
                 WHERE grid_id = $1 AND state = 'queued' AND not_before_ms <= $2 ORDER BY place LIMIT $3",
                [
                    Value::Text(grid.to_string()),
                    Value::Integer(milliseconds(now)),
                    Value::Integer(i64::from(cells_max)),
                ],
                Ok,
            )
            .await?;
        rows.into_iter().map(|row| row.queued_cell(grid)).collect()
    }
}

/// Has a submitter's pass, which is made if it has none yet, level with the lowest of those who wait, if it has waited for
/// nothing itself: who comes anew is not served for the time before.
pub(super) async fn level_submitter(
    connection: &mut AnyConnection,
    submitter: &str,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO submitters (submitter, pass) VALUES ($1, 0) ON CONFLICT (submitter) DO NOTHING")
        .bind(submitter.to_owned())
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "UPDATE submitters SET pass = coalesce(
             (SELECT max(level.pass) FROM (
                 SELECT submitters.pass AS pass
                 UNION ALL
                 SELECT min(others.pass) FROM submitters others WHERE others.submitter IN (
                     SELECT grids.submitter FROM grids WHERE grids.state = 'active' AND grids.queued > 0)
             ) AS level), pass)
         WHERE submitter = $1 AND NOT EXISTS (
             SELECT 1 FROM grids WHERE grids.submitter = $1 AND grids.state = 'active' AND grids.queued > 0)",
    )
    .bind(submitter.to_owned())
    .execute(connection)
    .await?;
    Ok(())
}
