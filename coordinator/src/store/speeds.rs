//! How long cells take: what was measured of them.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;

use super::error::damaged;
use super::{Store, StoreError};
use crate::domain::effort::{Speed, Speeds};

/// One cell that was done, for what is known of how long cells take.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// What it ran on.
    pub device: String,
    /// See [`crate::domain::effort::Effort::kind`].
    pub kind: String,
    /// Seconds of optimisation.
    pub seconds: f64,
    /// See [`crate::domain::effort::Effort::work`].
    pub work: f64,
}

impl Store {
    /// Every speed that was measured.
    pub async fn speeds(&self) -> Result<Speeds, StoreError> {
        let rows: Vec<(String, String, f64, i64)> =
            sqlx::query_as("SELECT device, kind, seconds_per_work, cells FROM speeds")
                .fetch_all(&mut *self.read_once().await?)
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
    pub async fn measured(&self, cells: &[Measurement]) -> Result<(), StoreError> {
        let mut by_kind: BTreeMap<(&str, &str), Vec<(f64, f64)>> = BTreeMap::new();
        for cell in cells {
            let measurements = by_kind.entry((&cell.device, &cell.kind)).or_default();
            measurements.push((cell.seconds, cell.work));
        }
        let mut transaction = self.write().await?;
        for ((device, kind), measurements) in by_kind {
            let statement = format!(
                "SELECT seconds_per_work, cells FROM speeds WHERE device = $1 AND kind = $2 {}",
                self.dialect.for_update()
            );
            let before: Option<(f64, i64)> = sqlx::query_as(AssertSqlSafe(statement))
                .bind(device.to_owned())
                .bind(kind.to_owned())
                .fetch_optional(&mut *transaction)
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
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }
}
