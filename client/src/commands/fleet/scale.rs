//! `atelier fleet scale`: between what bounds the fleet follows the backlog.

use clap::Args;

use crate::context::Context;
use crate::coordinator::view::{FleetBounds, ScaleMode};
use crate::error::Error;
use crate::exit::Exit;
use crate::text::counted;

/// Most nodes that a fleet may have.
const NODES_MAX: i64 = 10_000;

/// `atelier fleet scale`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier fleet scale --min 0 --max 20
  atelier fleet scale --max 0  # no new machine; those that work go once they are idle
  atelier fleet scale --off    # people say how many there are
  atelier fleet scale --on

What is not said stays as it is. Nodes that have work are never taken away by this.")]
pub struct ScaleArgs {
    /// Nodes that are there without work, too
    #[arg(long, value_name = "NODES", value_parser = clap::value_parser!(u32).range(0..=NODES_MAX),
          required_unless_present_any = ["max", "off", "on"])]
    pub min: Option<u32>,
    /// Most nodes
    #[arg(long, value_name = "NODES", value_parser = clap::value_parser!(u32).range(0..=NODES_MAX))]
    pub max: Option<u32>,
    /// Leave the size of the fleet alone
    #[arg(long, conflicts_with = "on")]
    pub off: bool,
    /// Have it follow the backlog again
    #[arg(long)]
    pub on: bool,
}

/// Sets the bounds.
pub async fn run(context: &Context, args: ScaleArgs) -> Result<Exit, Error> {
    let before = context.coordinator.fleet().await?;
    let bounds = wanted(&args, before.bounds);
    context.coordinator.scale(bounds).await?;
    let printer = &context.printer;
    if printer.json_wanted() {
        printer.json(&bounds)?;
    }
    printer.say(&match bounds.mode {
        ScaleMode::Off => "the size of the fleet is left alone".to_owned(),
        ScaleMode::Automatic => format!(
            "the fleet follows the backlog, from {} to {}",
            bounds.nodes_min,
            counted(bounds.nodes_max as usize, "node")
        ),
    });
    if before.driver == "none" && bounds.mode == ScaleMode::Automatic {
        printer.warn(
            "this coordinator starts no machines: it only tells how many nodes are wanted (see --fleet-driver of atelier-coordinator)",
        );
    }
    Ok(Exit::Ok)
}

/// What is said, and for the rest what is so.
fn wanted(args: &ScaleArgs, before: FleetBounds) -> FleetBounds {
    FleetBounds {
        mode: match (args.off, args.on) {
            (true, _) => ScaleMode::Off,
            (_, true) => ScaleMode::Automatic,
            (false, false) => before.mode,
        },
        nodes_min: args.min.unwrap_or(before.nodes_min),
        nodes_max: args.max.unwrap_or(before.nodes_max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_stays_as_it_is() {
        let before = FleetBounds {
            mode: ScaleMode::Off,
            nodes_min: 1,
            nodes_max: 8,
        };
        let said = |min, max, off, on| ScaleArgs { min, max, off, on };
        let after = wanted(&said(None, Some(20), false, false), before);
        assert_eq!(
            after,
            FleetBounds {
                nodes_max: 20,
                ..before
            }
        );
        let after = wanted(&said(Some(0), None, false, true), before);
        let mode = ScaleMode::Automatic;
        assert_eq!(
            after,
            FleetBounds {
                mode,
                nodes_min: 0,
                nodes_max: 8
            }
        );
        let after = wanted(&said(None, None, true, false), after);
        assert_eq!(after.mode, ScaleMode::Off);
    }
}
