//! The fleet.

use std::time::Duration;

use atelier_proto::v1;

use super::{ConvertError, time};
use crate::coordinator::view::{FleetBounds, FleetView, MachineCounts, ScaleMode};

impl TryFrom<v1::DescribeResponse> for FleetView {
    type Error = ConvertError;

    fn try_from(wire: v1::DescribeResponse) -> Result<Self, ConvertError> {
        let mode = match wire.mode() {
            v1::ScaleMode::Automatic => ScaleMode::Automatic,
            v1::ScaleMode::Off => ScaleMode::Off,
            v1::ScaleMode::Unspecified => {
                return Err(ConvertError::UnknownState {
                    what: "fleet",
                    value: wire.mode,
                });
            }
        };
        Ok(Self {
            cells_queued: wire.cells_queued,
            cells_running: wire.cells_running,
            nodes_active: wire.nodes_active,
            nodes_draining: wire.nodes_draining,
            nodes_quarantined: wire.nodes_quarantined,
            drain_time: wire
                .drain_time
                .and_then(|time| Duration::try_from(time).ok()),
            dollars_per_hour: wire.dollars_per_hour,
            dollars_per_hour_max: wire.dollars_per_hour_max,
            grid_dollars_max: wire.grid_dollars_max,
            bounds: FleetBounds {
                mode,
                nodes_min: wire.nodes_min,
                nodes_max: wire.nodes_max,
            },
            driver: wire.driver,
            nodes_wanted: wire.nodes_wanted,
            machines: wire.machines.map(|machines| MachineCounts {
                desired: machines.desired,
                starting: machines.starting,
                busy: machines.busy,
                idle: machines.idle,
                leaving: machines.leaving,
            }),
            machines_taken_back: wire.machines_taken_back,
            boot_time: wire
                .boot_seconds
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            reasons: wire.reasons,
            trouble: wire.trouble,
            version: wire.version,
            now: time(wire.now.map(|at| (at.seconds, at.nanos)))?,
        })
    }
}

impl From<FleetBounds> for v1::ScaleRequest {
    fn from(bounds: FleetBounds) -> Self {
        let mode = match bounds.mode {
            ScaleMode::Automatic => v1::ScaleMode::Automatic,
            ScaleMode::Off => v1::ScaleMode::Off,
        };
        Self {
            mode: mode.into(),
            nodes_min: bounds.nodes_min,
            nodes_max: bounds.nodes_max,
        }
    }
}
