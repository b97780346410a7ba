//! `atelier nodes`: the nodes of a coordinator, newest first.

use atelier_proto::clock::Clock;
use clap::Args;
use jiff::Timestamp;

use crate::context::Context;
use crate::coordinator::view::NodeView;
use crate::error::Error;
use crate::exit::Exit;
use crate::table::plain_table;
use crate::text::{ago, dollars, printable, shortened};

/// As much of an id as tells apart nodes that began in different milliseconds.
const ID_CHARACTERS: usize = 13;

/// `atelier nodes`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier nodes
  atelier nodes --all --json | jq -r '.[] | select(.state == \"lost\") | .name'

HELD is how many cells a node holds now, DONE how many it has completed.")]
pub struct NodesArgs {
    /// Also nodes that were lost and hold nothing
    #[arg(short, long)]
    pub all: bool,
}

/// Lists nodes.
pub async fn run(context: &Context, args: NodesArgs) -> Result<Exit, Error> {
    let printer = &context.printer;
    let nodes = context.coordinator.nodes(args.all).await?;
    if printer.json_wanted() {
        printer.json(&nodes)?;
    } else if nodes.is_empty() {
        printer.say(&format!(
            "there is no node; start one with: atelier-node run --coordinator {}",
            context.coordinator.url()
        ));
    } else {
        printer.data(&table(&nodes, Clock::system().now()))?;
    }
    Ok(Exit::Ok)
}

fn table(nodes: &[NodeView], now: Timestamp) -> String {
    let has_prices = nodes.iter().any(|node| node.dollars_per_hour.is_some());
    let mut headings = vec!["NAME", "ID", "STATE", "DEVICE", "HELD", "DONE"];
    if has_prices {
        headings.push("$/H");
    }
    // A node may be called what it likes; whose it is matters where that is somebody else.
    let has_identities = nodes
        .iter()
        .any(|node| !node.identity.is_empty() && node.identity != node.name);
    if has_identities {
        headings.push("IDENTITY");
    }
    headings.extend(["LAST SEEN", "REASON"]);
    let mut table = plain_table(&headings);
    for node in nodes {
        let mut row = vec![
            printable(&shortened(&node.name, 40)),
            node.node_id
                .to_string()
                .chars()
                .take(ID_CHARACTERS)
                .collect(),
            node.state.to_string(),
            printable(&shortened(&node.device, 40)),
            node.cells_held.to_string(),
            node.cells_done.to_string(),
        ];
        if has_prices {
            row.push(node.dollars_per_hour.map(dollars).unwrap_or_default());
        }
        if has_identities {
            row.push(printable(&shortened(&node.identity, 64)));
        }
        // Clocks differ: what was seen in our future was seen now.
        let since = |seen| now.duration_since(seen).try_into().unwrap_or_default();
        row.push(node.last_seen_at.map(since).map(ago).unwrap_or_default());
        row.push(printable(&shortened(&node.reason, 200)));
        table.add_row(row);
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::tests::node;
    use crate::coordinator::view::NodeState;

    #[test]
    fn nodes_are_told_in_a_line_each_and_prices_only_where_there_are_some() {
        let now: Timestamp = "2026-06-01T10:00:00Z".parse().unwrap();
        let mut first = node("01890a5d-ac96-774b-bcce-b302099a8057", "studio-1");
        first.last_seen_at = Some("2026-06-01T09:59:57Z".parse().unwrap());
        (first.cells_held, first.cells_done) = (4, 123);
        let mut second = node("01890a5d-ac97-774b-bcce-b302099a8058", "studio\n2");
        second.state = NodeState::Quarantined;
        second.reason = "cells of 3 grids failed there in a row".to_owned();
        // Its clock is ahead of ours.
        second.last_seen_at = Some("2026-06-01T10:00:09Z".parse().unwrap());
        let mut nodes = [first, second];
        let plain = table(&nodes, now);
        nodes[1].dollars_per_hour = Some(2.5);
        nodes[0].identity = "studio".to_owned();
        insta::assert_snapshot!("nodes", format!("{plain}\n\n{}", table(&nodes, now)));
    }
}
