//! Multipart uploads in the index.

use jiff::Timestamp;
use sqlx::{Sqlite, Transaction};

use super::super::conditions::WriteConditions;
use super::super::file_name::FileName;
use super::{Index, IndexError, Object, Part, Upload, Written, checksum_json, put_in, rows};

/// What putting a part came to.
#[derive(Debug)]
pub(in super::super) enum PartOutcome {
    /// It is there; the file of the part that it replaced belongs to nobody now.
    Done { replaced: Option<FileName> },
    /// There is no such upload.
    NoUpload,
}

/// What completing an upload came to.
#[derive(Debug)]
pub(in super::super) enum Completion {
    /// The object is visible, the upload is gone, and these files belong to nobody now.
    Done { freed: Vec<FileName> },
    /// The conditions did not hold; the upload is still there.
    Refused(super::super::conditions::WriteRefusal),
    /// Somebody else has completed or aborted it.
    NoUpload,
}

impl Index {
    /// Begins an upload.
    pub(in super::super) async fn add_upload(&self, upload: &Upload) -> Result<(), IndexError> {
        let checksum = upload
            .checksum
            .map(|checksum| rows::to_json("the checksum", &checksum));
        sqlx::query(
            "INSERT INTO uploads (id, key, initiated_ms, properties, checksum) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(&upload.id)
        .bind(upload.key.as_bytes())
        .bind(upload.initiated.as_millisecond())
        .bind(rows::to_json("the properties", &upload.properties)?)
        .bind(checksum.transpose()?)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// The upload of this id, if it is for this key.
    pub(in super::super) async fn upload(
        &self,
        id: &str,
        key: &str,
    ) -> Result<Option<Upload>, IndexError> {
        let row = sqlx::query(
            "SELECT id, key, initiated_ms, properties, checksum FROM uploads WHERE id = ? AND key = ?",
        )
        .bind(id)
        .bind(key.as_bytes())
        .fetch_optional(&self.readers)
        .await?;
        row.as_ref().map(Upload::from_row).transpose()
    }

    /// Uploads whose `(key, id)` is greater than `after` and whose key is below `before`, ascending.
    pub(in super::super) async fn uploads(
        &self,
        after: (&[u8], &str),
        before: Option<&[u8]>,
        rows_max: u32,
    ) -> Result<Vec<Upload>, IndexError> {
        let rows = sqlx::query(
            "SELECT id, key, initiated_ms, properties, checksum FROM uploads \
             WHERE (key, id) > (?, ?) AND (?3 IS NULL OR key < ?3) ORDER BY key, id LIMIT ?4",
        )
        .bind(after.0)
        .bind(after.1)
        .bind(before)
        .bind(rows_max)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(Upload::from_row).collect()
    }

    /// Adds a part to an upload, or replaces the one of its number.
    pub(in super::super) async fn put_part(
        &self,
        upload: &str,
        part: &Part,
    ) -> Result<PartOutcome, IndexError> {
        let mut tx = self.begin().await?;
        if !is_there(&mut tx, upload).await? {
            return Ok(PartOutcome::NoUpload);
        }
        let row = sqlx::query("SELECT file FROM parts WHERE upload = ? AND number = ?")
            .bind(upload)
            .bind(part.number)
            .fetch_optional(&mut *tx)
            .await?;
        let replaced = row.as_ref().map(rows::file).transpose()?;
        sqlx::query(
            "INSERT OR REPLACE INTO parts (upload, number, file, bytes, etag, modified_ms, checksum) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(upload)
        .bind(part.number)
        .bind(part.file.as_str())
        .bind(part.bytes as i64)
        .bind(&part.etag)
        .bind(part.modified.as_millisecond())
        .bind(part.checksum.as_ref().map(checksum_json).transpose()?)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(PartOutcome::Done { replaced })
    }

    /// Parts with a number greater than `after`, ascending.
    pub(in super::super) async fn parts(
        &self,
        upload: &str,
        after: i32,
        rows_max: u32,
    ) -> Result<Vec<Part>, IndexError> {
        let rows = sqlx::query(
            "SELECT number, file, bytes, etag, modified_ms, checksum FROM parts \
             WHERE upload = ? AND number > ? ORDER BY number LIMIT ?",
        )
        .bind(upload)
        .bind(after)
        .bind(rows_max)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(Part::from_row).collect()
    }

    /// Turns an upload into an object, if the conditions hold.
    pub(in super::super) async fn complete(
        &self,
        upload: &str,
        object: &Object,
        conditions: &WriteConditions,
    ) -> Result<Completion, IndexError> {
        let mut tx = self.begin().await?;
        if !is_there(&mut tx, upload).await? {
            return Ok(Completion::NoUpload);
        }
        let replaced = match put_in(&mut tx, object, conditions).await? {
            Written::Done { replaced } => replaced,
            Written::Refused(refusal) => return Ok(Completion::Refused(refusal)),
        };
        let mut freed = forget(&mut tx, upload).await?;
        freed.extend(replaced);
        tx.commit().await?;
        Ok(Completion::Done { freed })
    }

    /// Ends an upload without an object; `None` when there is no such upload for this key.
    pub(in super::super) async fn abort(
        &self,
        upload: &str,
        key: &str,
    ) -> Result<Option<Vec<FileName>>, IndexError> {
        let mut tx = self.begin().await?;
        let there: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM uploads WHERE id = ? AND key = ?)")
                .bind(upload)
                .bind(key.as_bytes())
                .fetch_one(&mut *tx)
                .await?;
        if !there {
            return Ok(None);
        }
        let freed = forget(&mut tx, upload).await?;
        tx.commit().await?;
        Ok(Some(freed))
    }

    /// Ends all uploads that began before a time.
    pub(in super::super) async fn forget_uploads_before(
        &self,
        oldest: Timestamp,
    ) -> Result<Vec<FileName>, IndexError> {
        let mut tx = self.begin().await?;
        let stale: Vec<String> =
            sqlx::query_scalar("SELECT id FROM uploads WHERE initiated_ms < ?")
                .bind(oldest.as_millisecond())
                .fetch_all(&mut *tx)
                .await?;
        let mut freed = Vec::new();
        for upload in &stale {
            freed.extend(forget(&mut tx, upload).await?);
        }
        tx.commit().await?;
        Ok(freed)
    }
}

async fn is_there(tx: &mut Transaction<'static, Sqlite>, upload: &str) -> Result<bool, IndexError> {
    let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM uploads WHERE id = ?)")
        .bind(upload)
        .fetch_one(&mut **tx)
        .await?;
    Ok(there)
}

/// Takes an upload and its parts away, and names the files of the parts.
async fn forget(
    tx: &mut Transaction<'static, Sqlite>,
    upload: &str,
) -> Result<Vec<FileName>, IndexError> {
    let parts = sqlx::query("DELETE FROM parts WHERE upload = ? RETURNING file")
        .bind(upload)
        .fetch_all(&mut **tx)
        .await?;
    sqlx::query("DELETE FROM uploads WHERE id = ?")
        .bind(upload)
        .execute(&mut **tx)
        .await?;
    parts.iter().map(rows::file).collect()
}
