//! What a node says of itself.

use std::collections::BTreeMap;

use atelier_proto::ids::NodeId;

use super::field::{InvalidField, Problem, check_count, check_text};

/// Longest text that a node says of itself.
pub const TEXT_CHARS_MAX: usize = 300;
/// Most labels.
pub const LABELS_MAX: usize = 32;
/// Longest name or value of a label.
pub const LABEL_CHARS_MAX: usize = 100;

/// One run of a node program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The id that it made when it started.
    pub id: NodeId,
    /// What people call it.
    pub name: String,
    /// What it renders on.
    pub device: String,
    /// Bytes that the device can give to a render.
    pub memory_bytes: u64,
    /// Cells that it optimises in one batch.
    pub batch_capacity: u32,
    /// Version of its program.
    pub version: String,
    /// Cloud instance; empty elsewhere.
    pub instance_id: String,
    /// What its operator says of it.
    pub labels: BTreeMap<String, String>,
}

impl Node {
    /// Checks that it keeps to the limits.
    ///
    /// # Errors
    /// Names the first field that does not.
    pub fn check(&self) -> Result<(), InvalidField> {
        check_text("name", &self.name, 1, TEXT_CHARS_MAX)?;
        check_text("device", &self.device, 1, TEXT_CHARS_MAX)?;
        check_text("version", &self.version, 0, TEXT_CHARS_MAX)?;
        check_text("instance_id", &self.instance_id, 0, TEXT_CHARS_MAX)?;
        if self.batch_capacity == 0 {
            let problem = Problem::OutOfRange {
                value: "0".to_owned(),
                range: "1 or more",
            };
            return Err(InvalidField::new("batch_capacity", problem));
        }
        check_count("labels", self.labels.len(), 0, LABELS_MAX)?;
        for (name, value) in &self.labels {
            check_text("labels", name, 1, LABEL_CHARS_MAX)?;
            check_text("labels", value, 0, LABEL_CHARS_MAX)?;
        }
        Ok(())
    }
}
