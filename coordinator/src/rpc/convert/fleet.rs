//! What is told of the fleet, and what is wanted of it and of its nodes.

use std::time::Duration;

use atelier_proto::v1;

use super::fields::{Parsed, in_range, out_of_range};
use super::to_wire::{timestamp, wire_duration};
use crate::domain::field::check_text;
use crate::domain::fleet::{Bounds, Machines, Mode, NODES_MAX, Overview};
use crate::domain::node::{NodeState, TEXT_CHARS_MAX};
use crate::scaler::Scaling;

/// What an operator wants of the fleet.
pub(crate) fn bounds(request: &v1::ScaleRequest) -> Parsed<Bounds> {
    let mode = match request.mode() {
        v1::ScaleMode::Automatic => Mode::Automatic,
        v1::ScaleMode::Off => Mode::Off,
        v1::ScaleMode::Unspecified => {
            let range = "SCALE_MODE_AUTOMATIC or SCALE_MODE_OFF";
            return Err(out_of_range("mode", request.mode, range));
        }
    };
    let (nodes_min, nodes_max) = (request.nodes_min, request.nodes_max);
    let allowed = nodes_max <= NODES_MAX;
    in_range("nodes_max", allowed, nodes_max, "from 0 to 10000")?;
    let allowed = nodes_min <= nodes_max;
    in_range("nodes_min", allowed, nodes_min, "at most nodes_max")?;
    Ok(Bounds {
        mode,
        nodes_min,
        nodes_max,
    })
}

/// What an operator says of a node, as its state.
pub(crate) fn quarantine(request: v1::QuarantineRequest) -> Parsed<NodeState> {
    if request.lift {
        return Ok(NodeState::Active);
    }
    check_text("reason", &request.reason, 1, TEXT_CHARS_MAX)?;
    Ok(NodeState::Quarantined {
        reason: request.reason,
    })
}

/// Why an operator drains a node.
pub(crate) fn drain(request: v1::DrainRequest) -> Parsed<NodeState> {
    check_text("reason", &request.reason, 0, TEXT_CHARS_MAX)?;
    Ok(NodeState::Draining {
        reason: request.reason,
    })
}

/// How the fleet stands.
pub(crate) fn fleet(overview: Overview, scaling: &Scaling) -> v1::DescribeResponse {
    let mode = match overview.bounds.mode {
        Mode::Automatic => v1::ScaleMode::Automatic,
        Mode::Off => v1::ScaleMode::Off,
    };
    let mut response = v1::DescribeResponse {
        cells_queued: overview.cells_queued,
        cells_running: overview.cells_running,
        nodes_active: overview.nodes.active,
        nodes_draining: overview.nodes.draining,
        nodes_quarantined: overview.nodes.quarantined,
        dollars_per_hour: overview.dollars_per_hour,
        mode: mode.into(),
        nodes_min: overview.bounds.nodes_min,
        nodes_max: overview.bounds.nodes_max,
        reasons: overview.reasons(),
        driver: scaling.driver.word().to_owned(),
        dollars_per_hour_max: scaling.policy.dollars_per_hour_max,
        grid_dollars_max: scaling.policy.grid_dollars_max,
        ..v1::DescribeResponse::default()
    };
    if let Some(standing) = overview.standing {
        let drain_time = standing.drain_seconds.map(Duration::try_from_secs_f64);
        response.drain_time = drain_time.and_then(Result::ok).map(wire_duration);
        response.nodes_wanted = standing.wanted;
        response.machines = standing.machines.map(machines);
        response.trouble = standing.trouble.unwrap_or_default();
        response.looked_at = Some(timestamp(standing.at));
        response.boot_seconds = standing.memory.boot_seconds;
        response.machines_taken_back = standing.memory.taken_back;
    }
    response
}

fn machines(machines: Machines) -> v1::Machines {
    v1::Machines {
        desired: machines.desired,
        starting: machines.starting,
        busy: machines.busy,
        idle: machines.idle,
        leaving: machines.leaving,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_a_least_and_a_most_or_the_field_is_named() {
        let asked = |mode: v1::ScaleMode, nodes_min, nodes_max| {
            bounds(&v1::ScaleRequest {
                mode: mode.into(),
                nodes_min,
                nodes_max,
            })
        };
        let both = asked(v1::ScaleMode::Automatic, 2, 8).unwrap();
        assert_eq!((both.nodes_min, both.nodes_max), (2, 8));
        assert_eq!(asked(v1::ScaleMode::Off, 0, 0).unwrap().mode, Mode::Off);
        let field = |mode, least, most| asked(mode, least, most).unwrap_err().field;
        assert_eq!(field(v1::ScaleMode::Unspecified, 0, 1), "mode");
        assert_eq!(field(v1::ScaleMode::Automatic, 3, 2), "nodes_min");
        assert_eq!(field(v1::ScaleMode::Automatic, 0, 10_001), "nodes_max");
    }
}
