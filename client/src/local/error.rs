//! Why there is no atelier on this machine.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::exit::Exit;

/// Why there is no atelier on this machine, or none any more.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A program that is nowhere.
    #[error(
        "cannot find {name}: it is neither beside this program nor on the PATH\n\
         hint: put it there; `cargo build --release` builds all programs into target/release"
    )]
    NoProgram {
        /// The program.
        name: &'static str,
    },
    /// A program that the system does not start.
    #[error("cannot start {}: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The data folder, or a log in it.
    #[error("cannot write {}: {source}\nhint: name another folder with --data, or free some space", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No folder by default.
    #[error("this user has no folder for data\nhint: name one with --data")]
    NoDataFolder,
    /// The coordinator ended instead of serving.
    #[error("the coordinator did not start: {0}")]
    NotStarted(LastWords),
    /// The coordinator neither ends nor serves.
    #[error("the coordinator is not ready after a long while: {0}")]
    NotReady(LastWords),
    /// The coordinator said something else than that it serves.
    #[error(
        "the coordinator said {line:?} instead of where it serves\nhint: are all programs of one version?"
    )]
    StrangeAnswer {
        /// What it said.
        line: String,
    },
    /// The coordinator ended by itself.
    #[error("the coordinator died: {0}")]
    CoordinatorDied(LastWords),
    /// A node that ends whenever it is started.
    #[error("a node does not stay alive: {0}")]
    NodeDied(LastWords),
}

impl LocalError {
    /// Whether its text sends the reader to a log in the data folder.
    pub fn names_log(&self) -> bool {
        match self {
            Self::NotStarted(_)
            | Self::NotReady(_)
            | Self::CoordinatorDied(_)
            | Self::NodeDied(_) => true,
            Self::NoProgram { .. }
            | Self::Start { .. }
            | Self::Folder { .. }
            | Self::NoDataFolder
            | Self::StrangeAnswer { .. } => false,
        }
    }

    /// The exit code that tells scripts of it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoProgram { .. }
            | Self::Start { .. }
            | Self::StrangeAnswer { .. }
            | Self::CoordinatorDied(_) => Exit::Unexpected,
            Self::Folder { .. } | Self::NoDataFolder => Exit::CannotWrite,
            Self::NotReady(_) => Exit::CoordinatorUnavailable,
            Self::NotStarted(words) => words.exit().unwrap_or(Exit::CoordinatorUnavailable),
            Self::NodeDied(words) => words.exit().unwrap_or(Exit::Unexpected),
        }
    }
}

/// How a program ended, and the end of what it logged.
#[derive(Debug, Clone)]
pub struct LastWords {
    /// `exit status: 2`, `signal: 9 (SIGKILL)`.
    pub ended: String,
    /// Its exit code, if it ended with one.
    pub code: Option<i32>,
    /// Its log.
    pub log: PathBuf,
    /// The last lines of the log.
    pub tail: Vec<String>,
}

impl LastWords {
    /// Whether to start it again cannot help: its arguments are wrong.
    pub fn is_for_good(&self) -> bool {
        self.code == Some(i32::from(Exit::BadInput.code()))
    }

    /// The exit code of ours that means what its own does.
    fn exit(&self) -> Option<Exit> {
        [Exit::BadInput, Exit::CannotWrite]
            .into_iter()
            .find(|exit| self.code == Some(i32::from(exit.code())))
    }
}

impl fmt::Display for LastWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ended)?;
        for line in &self.tail {
            write!(f, "\n  | {line}")?;
        }
        write!(f, "\nhint: its log is {}", self.log.display())
    }
}
