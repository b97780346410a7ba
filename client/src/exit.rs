//! How a command ends, told to scripts by a number. The table here is the one that `--help` prints.

use std::process::ExitCode;

/// The exit code of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The command did what it says.
    Ok = 0,
    /// Something that is nobody's fault but the program's.
    Unexpected = 1,
    /// The command line, a grid file or a picture is wrong; nothing was submitted.
    BadInput = 2,
    /// No grid, cell, node, profile or stack has this id or name.
    NotFound = 3,
    /// The coordinator cannot be reached, is too busy or refuses this client.
    CoordinatorUnavailable = 4,
    /// The S3 endpoint cannot be reached or refuses the credentials.
    StorageUnavailable = 5,
    /// The grid ended, and some of its cells failed.
    CellsFailed = 6,
    /// The grid was cancelled.
    GridCancelled = 7,
    /// A file or folder on this machine cannot be written.
    CannotWrite = 8,
    /// The grid, cell, node or stack is in a state in which this cannot be done.
    NotNow = 9,
    /// An audit found differences.
    Differs = 10,
    /// AWS cannot be reached, refuses a call, or could not make or remove a stack.
    CloudFailed = 11,
    /// The doctor found something broken.
    Unhealthy = 12,
    /// Ctrl-C, another signal to end, or a no to what was asked.
    Interrupted = 130,
}

impl Exit {
    /// Every code, in ascending order.
    pub const ALL: [Self; 14] = [
        Self::Ok,
        Self::Unexpected,
        Self::BadInput,
        Self::NotFound,
        Self::CoordinatorUnavailable,
        Self::StorageUnavailable,
        Self::CellsFailed,
        Self::GridCancelled,
        Self::CannotWrite,
        Self::NotNow,
        Self::Differs,
        Self::CloudFailed,
        Self::Unhealthy,
        Self::Interrupted,
    ];

    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What the code means, as `--help` has it.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done",
            Self::Unexpected => "unexpected: please report it",
            Self::BadInput => "wrong usage, grid file or picture; nothing was submitted",
            Self::NotFound => {
                "no such grid, cell, node, profile or stack, or no such file in the bucket"
            }
            Self::CoordinatorUnavailable => {
                "the coordinator cannot be reached, is too busy or refuses this client"
            }
            Self::StorageUnavailable => "S3 cannot be reached or refuses the credentials",
            Self::CellsFailed => "the grid ended with failed cells",
            Self::GridCancelled => "the grid was cancelled",
            Self::CannotWrite => "cannot write here: no space or no permission",
            Self::NotNow => {
                "not as things stand: the grid, cell, node or stack is in another state"
            }
            Self::Differs => "the audit found something that is not as it is told",
            Self::CloudFailed => {
                "AWS cannot be reached or refuses, or a stack could not be made or removed"
            }
            Self::Unhealthy => "the doctor found something broken",
            Self::Interrupted => "interrupted (Ctrl-C), or answered with no",
        }
    }

    /// The table of all codes, one a line.
    pub fn table() -> String {
        let lines = Self::ALL.map(|exit| format!("  {:>3}  {}", exit.code(), exit.meaning()));
        lines.join("\n")
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
