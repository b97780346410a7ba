//! `atelier tokens list`: tokens, newest first, without their secrets.

use atelier_proto::clock::Clock;
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::context::Context;
use crate::coordinator::view::TokenView;
use crate::error::Error;
use crate::exit::Exit;
use crate::table::plain_table;
use crate::text::{ago, local_time, printable, shortened};

/// `atelier tokens list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier tokens list
  atelier tokens list --all --json | jq '.[] | select(.role == \"node\")'")]
pub struct ListArgs {
    /// Also tokens that have expired or were revoked
    #[arg(short, long)]
    pub all: bool,
}

/// Lists tokens.
pub async fn run(context: &Context, args: ListArgs) -> Result<Exit, Error> {
    let printer = &context.printer;
    let now = Clock::system().now();
    let mut tokens = context.coordinator.tokens().await?;
    tokens.retain(|token| args.all || token.is_good(now));
    if printer.json_wanted() {
        printer.json(&tokens)?;
    } else if tokens.is_empty() {
        printer.say("there is no token; make one with: atelier tokens create NAME --role ROLE");
    } else {
        printer.data(&table(&tokens, now, &TimeZone::system()))?;
    }
    Ok(Exit::Ok)
}

fn table(tokens: &[TokenView], now: Timestamp, zone: &TimeZone) -> String {
    let headings = ["ID", "NAME", "ROLE", "MADE BY", "EXPIRES", "LAST USED"];
    let mut table = plain_table(&headings);
    for token in tokens {
        let ends = match (token.revoked_at, token.expires_at) {
            (Some(at), _) => format!("revoked {}", local_time(at, zone)),
            (None, Some(at)) if at <= now => format!("expired {}", local_time(at, zone)),
            (None, Some(at)) => local_time(at, zone),
            (None, None) => "never".to_owned(),
        };
        // Clocks differ: what was used in our future was used now.
        let since = |used| now.duration_since(used).try_into().unwrap_or_default();
        table.add_row([
            token.token_id.to_string(),
            printable(&shortened(&token.name, 64)),
            token.role.to_string(),
            printable(&shortened(&token.created_by, 40)),
            ends,
            token.last_used_at.map(since).map(ago).unwrap_or_default(),
        ]);
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::view::Role;

    #[test]
    fn tokens_are_told_in_a_line_each_with_how_they_end() {
        let time = |text: &str| Some(text.parse().unwrap());
        let now: Timestamp = "2026-06-01T10:00:00Z".parse().unwrap();
        let token = |last: &str, name: &str| TokenView {
            token_id: format!("01890a5d-ac96-774b-bcce-b302099a80{last}")
                .parse()
                .unwrap(),
            name: name.to_owned(),
            role: Role::Client,
            created_at: time("2026-05-01T10:00:00Z"),
            created_by: "operator".to_owned(),
            expires_at: time("2026-07-30T10:00:00Z"),
            revoked_at: None,
            last_used_at: None,
        };
        let mut used = token("57", "ann");
        used.last_used_at = time("2026-06-01T09:58:00Z");
        let mut never = token("58", "studio-1");
        (never.role, never.expires_at) = (Role::Node, None);
        let mut expired = token("59", "old");
        expired.expires_at = time("2026-05-30T10:00:00Z");
        let mut revoked = token("60", "lost\n");
        revoked.revoked_at = time("2026-05-20T10:00:00Z");
        let tokens = [used, never, expired, revoked];
        let good: Vec<bool> = tokens.iter().map(|token| token.is_good(now)).collect();
        assert_eq!(good, [true, true, false, false]);
        insta::assert_snapshot!("tokens", table(&tokens, now, &TimeZone::UTC));
    }
}
