//! Every limit of a coordinator that a caller can meet: what the page for those who use it is written from, and held to.

mod rows;

use std::fmt::Write as _;
use std::time::Duration;

use self::rows::table;
use super::Limit;

/// How much there may be.
#[derive(Debug, Clone, PartialEq)]
enum Amount {
    /// Of things.
    Count(u64),
    /// Of things, in a second.
    PerSecond(u64),
    /// Of bytes.
    Bytes(u64),
    /// Of time.
    Time(Duration),
    /// As much as somebody likes, unless the operator sets a limit.
    Unlimited,
    /// As much as follows from another limit.
    Words(String),
}

/// One limit.
#[derive(Debug, Clone)]
struct Row {
    /// What is limited.
    what: String,
    /// To how much.
    amount: Amount,
    /// The flag by which an operator changes that.
    setting: Option<&'static str>,
    /// What becomes of what is beyond.
    beyond: String,
    /// Where that is counted.
    limit: Option<Limit>,
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => f.write_str(&grouped(*count)),
            Self::PerSecond(count) => write!(f, "{} a second", grouped(*count)),
            Self::Bytes(bytes) if *bytes >= 1 << 30 && bytes.is_multiple_of(1 << 30) => {
                write!(f, "{} GiB", bytes >> 30)
            }
            Self::Bytes(bytes) if *bytes >= 1 << 20 => write!(f, "{} MiB", bytes >> 20),
            Self::Bytes(bytes) => write!(f, "{} KiB", bytes >> 10),
            Self::Time(time) => write!(f, "{}", humantime::format_duration(*time)),
            Self::Unlimited => f.write_str("no limit"),
            Self::Words(words) => f.write_str(words),
        }
    }
}

/// A number as people read it.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn row(what: impl Into<String>, amount: Amount, beyond: impl Into<String>) -> Row {
    Row {
        what: what.into(),
        amount,
        setting: None,
        beyond: beyond.into(),
        limit: None,
    }
}

impl Row {
    fn set_by(mut self, setting: &'static str) -> Self {
        self.setting = Some(setting);
        self
    }

    fn counted(mut self, limit: Limit) -> Self {
        self.limit = Some(limit);
        self
    }
}

/// What docs/limits.md holds.
fn document() -> String {
    let mut text = String::from(HEAD);
    for (heading, rows) in table() {
        let _ = write!(
            text,
            "\n## {heading}\n\n| what | limit | setting | beyond it | `limit` |\n|---|---|---|---|---|\n"
        );
        for row in rows {
            let setting = row.setting.map(|it| format!("`{it}`")).unwrap_or_default();
            let limit = row.limit.map(|it| format!("`{}`", it.word()));
            let _ = writeln!(
                text,
                "| {} | {} | {setting} | {} | {} |",
                row.what,
                row.amount,
                row.beyond,
                limit.unwrap_or_default()
            );
        }
    }
    text
}

const HEAD: &str = "\
# Limits

Every limit of a coordinator that a caller can meet, with its default. This page is written from
`coordinator/src/limits/table.rs` by its test (`INSTA_UPDATE=always cargo test --workspace --lib -- limits`).

A refusal says what was too much, how much would do, and what to do. Where the same call may be made again later, its status is
`RESOURCE_EXHAUSTED` and has a `google.rpc.RetryInfo` among its details; client and nodes wait for so long, and some more, so
that those who were refused together do not come back together. The board answers such requests with 429 and `Retry-After`.

Refusals are counted in `atelier_coordinator_refusals_total`, by the word in the last column. Those without one are the fault of
whoever sent what was refused: they are counted among the calls (`atelier_coordinator_rpcs_total`), by their code.

A caller is an identity: a name in a role, whether shown by a token, a certificate or a login. Where nobody is asked who they are,
or nobody said so, it is an address (of IPv6, its first half).
";

mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use clap::CommandFactory as _;

    use super::*;
    use crate::config::Cli;

    fn rows() -> impl Iterator<Item = Row> {
        table().into_iter().flat_map(|(_, rows)| rows)
    }

    #[test]
    fn the_page_says_what_the_table_does() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/limits.md");
        let expected = document();
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            std::fs::write(&path, &expected).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(written, expected, "write it anew with INSTA_UPDATE=always");
    }

    #[test]
    fn every_setting_is_one_and_has_the_default_of_the_table() {
        let command = Cli::command();
        for row in rows() {
            let Some(setting) = row.setting else {
                continue;
            };
            let of_it = |argument: &&clap::Arg| {
                Some(setting) == argument.get_long().map(|it| format!("--{it}")).as_deref()
            };
            let argument = command.get_arguments().find(of_it);
            let argument = argument.unwrap_or_else(|| panic!("there is no {setting}"));
            let defaults = argument.get_default_values();
            let default = defaults.first().map(|it| it.to_string_lossy().into_owned());
            let expected = match row.amount {
                Amount::Count(count) | Amount::PerSecond(count) => Some(count.to_string()),
                Amount::Time(time) => Some(humantime::format_duration(time).to_string()),
                Amount::Unlimited | Amount::Words(_) => None,
                Amount::Bytes(_) => panic!("{setting} is no size"),
            };
            assert_eq!(default, expected, "{setting}");
        }
    }

    #[test]
    fn every_limit_is_in_the_table_and_told_apart() {
        let told: BTreeSet<&str> = rows()
            .filter_map(|row| row.limit)
            .map(Limit::word)
            .collect();
        let all: BTreeSet<&str> = Limit::ALL.into_iter().map(Limit::word).collect();
        assert_eq!(told, all);
        assert_eq!(all.len(), Limit::ALL.len());
    }

    #[test]
    fn amounts_are_told_as_people_read_them() {
        for (amount, text) in [
            (Amount::Count(7), "7"),
            (Amount::Count(1_234_567), "1,234,567"),
            (Amount::PerSecond(200), "200 a second"),
            (Amount::Bytes(64 << 10), "64 KiB"),
            (Amount::Bytes(512 << 20), "512 MiB"),
            (Amount::Bytes(5 << 30), "5 GiB"),
            (Amount::Time(Duration::from_secs(90)), "1m 30s"),
            (Amount::Unlimited, "no limit"),
        ] {
            assert_eq!(amount.to_string(), text);
        }
    }
}
