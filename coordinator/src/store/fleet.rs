//! What is kept of the fleet: one row, of JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::AssertSqlSafe;

use super::error::damaged;
use super::{Store, StoreError};
use crate::domain::fleet::{Bounds, Standing};

const BOUNDS: &str = "bounds";
const STANDING: &str = "standing";

impl Store {
    /// What an operator wants of the fleet, if one has said so.
    pub async fn fleet_bounds(&self) -> Result<Option<Bounds>, StoreError> {
        self.fleet_column(BOUNDS).await
    }

    /// Keeps what an operator wants of the fleet.
    pub async fn set_fleet_bounds(&self, bounds: &Bounds) -> Result<(), StoreError> {
        self.set_fleet_column(BOUNDS, bounds).await
    }

    /// How the fleet stood when a coordinator last looked at it.
    pub async fn fleet_standing(&self) -> Result<Option<Standing>, StoreError> {
        self.fleet_column(STANDING).await
    }

    /// Keeps how the fleet stands.
    pub async fn set_fleet_standing(&self, standing: &Standing) -> Result<(), StoreError> {
        self.set_fleet_column(STANDING, standing).await
    }

    /// What a column holds, if it was ever kept.
    async fn fleet_column<T: DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let statement = format!("SELECT {column} FROM fleet");
        let text: Option<String> = sqlx::query_scalar(AssertSqlSafe(statement))
            .fetch_one(&mut *self.read_once().await?)
            .await?;
        text.map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|error| damaged("fleet", column, &error))
    }

    async fn set_fleet_column<T: Serialize>(
        &self,
        column: &'static str,
        value: &T,
    ) -> Result<(), StoreError> {
        let text =
            serde_json::to_string(value).map_err(|error| damaged("fleet", column, &error))?;
        let mut transaction = self.write().await?;
        let statement = format!("UPDATE fleet SET {column} = $1");
        sqlx::query(AssertSqlSafe(statement))
            .bind(text)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }
}
