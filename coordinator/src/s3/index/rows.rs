//! What the rows of the index mean.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::super::checksum::{Algorithm, Checksum, Kind};
use super::super::file_name::FileName;
use super::{IndexError, timestamp};

/// What a client said of an object besides its bytes, and gets back with them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in super::super) struct Properties {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) cache_control: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) content_language: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in super::super) metadata: BTreeMap<String, String>,
}

/// An object.
#[derive(Debug, Clone)]
pub(in super::super) struct Object {
    pub(in super::super) key: String,
    pub(in super::super) file: FileName,
    pub(in super::super) bytes: u64,
    /// Without quotes.
    pub(in super::super) etag: String,
    pub(in super::super) modified: Timestamp,
    pub(in super::super) properties: Properties,
    pub(in super::super) checksum: Option<Checksum>,
}

/// An object as listings show it.
#[derive(Debug, Clone)]
pub(in super::super) struct Listed {
    pub(in super::super) key: String,
    pub(in super::super) bytes: u64,
    pub(in super::super) etag: String,
    pub(in super::super) modified: Timestamp,
}

/// A multipart upload under way.
#[derive(Debug, Clone)]
pub(in super::super) struct Upload {
    pub(in super::super) id: String,
    pub(in super::super) key: String,
    pub(in super::super) initiated: Timestamp,
    pub(in super::super) properties: Properties,
    /// The checksum that the object is to have.
    pub(in super::super) checksum: Option<(Algorithm, Kind)>,
}

/// A part of a multipart upload.
#[derive(Debug, Clone)]
pub(in super::super) struct Part {
    /// From 1 to 10 000.
    pub(in super::super) number: i32,
    pub(in super::super) file: FileName,
    pub(in super::super) bytes: u64,
    /// The MD5 of the part, in hexadecimal, without quotes.
    pub(in super::super) etag: String,
    pub(in super::super) modified: Timestamp,
    pub(in super::super) checksum: Option<Checksum>,
}

impl Object {
    pub(super) fn from_row(row: &SqliteRow) -> Result<Self, IndexError> {
        Ok(Self {
            key: key(row)?,
            file: file(row)?,
            bytes: bytes(row)?,
            etag: row.try_get("etag")?,
            modified: timestamp(row.try_get("modified_ms")?)?,
            properties: from_json("the properties", row.try_get("properties")?)?,
            checksum: checksum(row)?,
        })
    }
}

impl Listed {
    pub(super) fn from_row(row: &SqliteRow) -> Result<Self, IndexError> {
        Ok(Self {
            key: key(row)?,
            bytes: bytes(row)?,
            etag: row.try_get("etag")?,
            modified: timestamp(row.try_get("modified_ms")?)?,
        })
    }
}

impl Upload {
    pub(super) fn from_row(row: &SqliteRow) -> Result<Self, IndexError> {
        Ok(Self {
            id: row.try_get("id")?,
            key: key(row)?,
            initiated: timestamp(row.try_get("initiated_ms")?)?,
            properties: from_json("the properties", row.try_get("properties")?)?,
            checksum: checksum(row)?,
        })
    }
}

impl Part {
    pub(super) fn from_row(row: &SqliteRow) -> Result<Self, IndexError> {
        Ok(Self {
            number: row.try_get("number")?,
            file: file(row)?,
            bytes: bytes(row)?,
            etag: row.try_get("etag")?,
            modified: timestamp(row.try_get("modified_ms")?)?,
            checksum: checksum(row)?,
        })
    }
}

pub(super) fn file(row: &SqliteRow) -> Result<FileName, IndexError> {
    let name: &str = row.try_get("file")?;
    FileName::parse(name).ok_or(IndexError::Unreadable {
        what: "a file name",
    })
}

fn key(row: &SqliteRow) -> Result<String, IndexError> {
    let key: Vec<u8> = row.try_get("key")?;
    String::from_utf8(key).map_err(|_| IndexError::Unreadable { what: "a key" })
}

fn bytes(row: &SqliteRow) -> Result<u64, IndexError> {
    let bytes: i64 = row.try_get("bytes")?;
    u64::try_from(bytes).map_err(|_| IndexError::Unreadable { what: "a size" })
}

fn checksum<T: DeserializeOwned>(row: &SqliteRow) -> Result<Option<T>, IndexError> {
    let json: Option<&str> = row.try_get("checksum")?;
    json.map(|json| from_json("the checksum", json)).transpose()
}

fn from_json<T: DeserializeOwned>(what: &'static str, json: &str) -> Result<T, IndexError> {
    serde_json::from_str(json).map_err(|_| IndexError::Unreadable { what })
}

pub(super) fn to_json<T: Serialize>(what: &'static str, value: &T) -> Result<String, IndexError> {
    serde_json::to_string(value).map_err(|source| IndexError::Json { what, source })
}
