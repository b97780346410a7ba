//! What receivers read: JSON of the form that the Standard Webhooks specification recommends.

use std::collections::BTreeMap;

use atelier_gallery::keys::GridKeys;
use atelier_proto::ids::GridId;
use jiff::Timestamp;
use serde::Serialize;

use crate::domain::ending::{EndKind, EndedCells, Untold};

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: EndKind,
    /// When it happened.
    timestamp: Timestamp,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    grid_id: GridId,
    name: &'a str,
    submitter: &'a str,
    labels: &'a BTreeMap<String, String>,
    state: &'static str,
    cells: EndedCells,
    submitted_at: Timestamp,
    ended_at: Timestamp,
    /// Of optimisation, by all nodes.
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dollars: Option<f64>,
    /// Key of `gallery.json` in the bucket.
    gallery: String,
    gallery_complete: bool,
}

/// The body that tells of an end, the same for every receiver.
pub(super) fn of(untold: &Untold) -> String {
    let ending = &untold.ending;
    let body = Body {
        kind: ending.kind,
        timestamp: ending.ended_at,
        data: Data {
            grid_id: ending.grid,
            name: &ending.name,
            submitter: &ending.submitter,
            labels: &untold.labels,
            state: match ending.kind {
                EndKind::Done | EndKind::Failed => "finished",
                EndKind::Cancelled => "cancelled",
            },
            cells: ending.cells,
            submitted_at: ending.submitted_at,
            ended_at: ending.ended_at,
            seconds: ending.seconds,
            dollars: ending.dollars,
            gallery: GridKeys::new(ending.grid).manifest(),
            gallery_complete: untold.gallery_complete,
        },
    };
    // Texts, numbers and times can always be written.
    serde_json::to_string(&body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use atelier_proto::ids::EndingId;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::ending::Ending;

    #[test]
    fn a_receiver_reads_all_there_is_to_know_and_no_cost_that_nobody_knows() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
        let grid: GridId = "01930c5e-8f0a-7a43-a1d2-5a5d1f0c3b7e".parse().unwrap();
        let mut untold = Untold {
            id: EndingId::generate(),
            ending: Ending {
                grid,
                name: "Sunday \"ride\"".to_owned(),
                submitter: "ann".to_owned(),
                kind: EndKind::Failed,
                cells: EndedCells {
                    done: 5,
                    failed: 1,
                    cancelled: 0,
                },
                seconds: 12.5,
                dollars: Some(0.25),
                submitted_at: at(0),
                ended_at: at(60),
            },
            labels: [("gpu".to_owned(), "h100".to_owned())].into(),
            gallery_complete: true,
        };
        let read = |untold: &Untold| serde_json::from_str::<Value>(&of(untold)).unwrap();
        let expected = json!({
            "type": "grid.failed",
            "timestamp": "2027-01-15T08:01:00Z",
            "data": {
                "grid_id": grid,
                "name": "Sunday \"ride\"",
                "submitter": "ann",
                "labels": { "gpu": "h100" },
                "state": "finished",
                "cells": { "done": 5, "failed": 1, "cancelled": 0 },
                "submitted_at": "2027-01-15T08:00:00Z",
                "ended_at": "2027-01-15T08:01:00Z",
                "seconds": 12.5,
                "dollars": 0.25,
                "gallery": format!("grids/{grid}/gallery.json"),
                "gallery_complete": true,
            },
        });
        assert_eq!(read(&untold), expected);
        untold.ending.dollars = None;
        assert_eq!(read(&untold)["data"].get("dollars"), None);
    }
}
