//! `atelier tokens create`: makes a token, which is told once and never again.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::context::Context;
use crate::coordinator::view::{Role, TokenView};
use crate::error::Error;
use crate::exit::Exit;
use crate::text::printable;

/// `atelier tokens create`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier tokens create ann --role client --out ann.token
  atelier tokens create studio-1 --role node --expires never > studio-1.token

Whoever has a token is who it names. It is shown now and never again; only its hash is kept. Operators make tokens; the \
first one is in the file operator-token of the coordinator's data folder.")]
pub struct CreateArgs {
    /// Whom it stands for: up to 64 letters, digits and `._-@+`. Tokens of one name and role are one identity
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What it lets its holder do
    #[arg(long, value_name = "ROLE")]
    pub role: WantedRole,
    /// How long it is good, as in 30d or 12h, or `never` for no end
    #[arg(long, value_name = "DURATION|never", default_value = "90d", value_parser = expiry)]
    pub expires: Expiry,
    /// Write it into a new file that you alone can read, rather than printing it
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// A role that a token can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WantedRole {
    /// Submits grids, and sees and touches its own
    Client,
    /// Renders
    Node,
    /// Sees and touches everything
    Operator,
    /// Sees everything and touches nothing
    ReadOnly,
}

impl From<WantedRole> for Role {
    fn from(wanted: WantedRole) -> Self {
        match wanted {
            WantedRole::Client => Self::Client,
            WantedRole::Node => Self::Node,
            WantedRole::Operator => Self::Operator,
            WantedRole::ReadOnly => Self::ReadOnly,
        }
    }
}

/// How long a token is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// For ever.
    Never,
    /// For so long.
    After(Duration),
}

fn expiry(text: &str) -> Result<Expiry, String> {
    if text == "never" {
        return Ok(Expiry::Never);
    }
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    Ok(Expiry::After(duration))
}

/// A token as `--json` has it.
#[derive(Serialize)]
struct Made<'a> {
    /// Left out where it went into a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(flatten)]
    description: &'a TokenView,
}

/// Makes the token.
pub async fn run(context: &Context, args: CreateArgs) -> Result<Exit, Error> {
    let printer = &context.printer;
    // First, so that no token is made that nobody has.
    let file = args.out.as_deref().map(new_file).transpose()?;
    let valid_for = match args.expires {
        Expiry::Never => None,
        Expiry::After(duration) => Some(duration),
    };
    let made = context
        .coordinator
        .create_token(&args.name, args.role.into(), valid_for)
        .await;
    let (token, description) = match (made, &args.out) {
        (Ok(made), _) => made,
        (Err(error), Some(path)) => {
            // It is empty, and of no use to anybody.
            let _ = std::fs::remove_file(path);
            return Err(error);
        }
        (Err(error), None) => return Err(error),
    };
    if let (Some(mut file), Some(path)) = (file, &args.out) {
        let written = file
            .write_all(format!("{token}\n").as_bytes())
            .and_then(|()| file.sync_all());
        written.map_err(|cause| cannot_write(path, cause))?;
        if printer.json_wanted() {
            let made = Made {
                token: None,
                description: &description,
            };
            printer.json(&made)?;
        }
        printer.say(&format!(
            "wrote the token to {}",
            printable(&path.display().to_string())
        ));
    } else if printer.json_wanted() {
        let made = Made {
            token: Some(&token),
            description: &description,
        };
        printer.json(&made)?;
    } else {
        printer.data(&token)?;
        printer.say("this is shown once; keep it secret");
    }
    let id = description.token_id;
    printer.say(&format!("end it with: atelier tokens revoke {id}"));
    Ok(Exit::Ok)
}

fn new_file(path: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|cause| cannot_write(path, cause))
}

fn cannot_write(path: &Path, cause: io::Error) -> Error {
    Error::TokenFile {
        path: path.to_owned(),
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_ends_after_a_while_or_never() {
        assert_eq!(expiry("never"), Ok(Expiry::Never));
        let days = Duration::from_hours(24 * 90);
        assert_eq!(expiry("90d"), Ok(Expiry::After(days)));
        assert!(expiry("soon").is_err());
    }

    #[test]
    fn a_file_that_is_there_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ann.token");
        new_file(&path).unwrap();
        let refused = new_file(&path).unwrap_err();
        assert_eq!(refused.exit(), Exit::CannotWrite);
        assert!(refused.to_string().contains("ann.token"), "{refused}");
    }
}
