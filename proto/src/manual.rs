//! What packages of every program bring along: completions for shells, and man pages. Both are made of its command line, so
//! that they say what it does.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Command, Subcommand};
use clap_complete::Shell;
use clap_mangen::Man;

/// The commands that every program has for that.
#[derive(Debug, Clone, Subcommand)]
pub enum ManualCommand {
    /// Print a script that has a shell complete this program's commands and options
    #[command(after_help = "\
Examples:
  atelier completions bash > ~/.local/share/bash-completion/completions/atelier
  atelier completions zsh > ~/.zfunc/_atelier    # a folder of your fpath
  atelier completions fish > ~/.config/fish/completions/atelier.fish

Of atelier-coordinator and atelier-node: the same command of theirs.")]
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
    /// Write man pages into a folder, one for each command
    #[command(
        hide = true,
        after_help = "Examples:\n  atelier man /usr/local/share/man/man1"
    )]
    Man {
        /// The folder, made if it is not there
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

/// Why there are no man pages.
#[derive(Debug, thiserror::Error)]
#[error("cannot write man pages into {}: {source}\nhint: name a folder that you may write to", folder.display())]
pub struct ManualError {
    /// Where they were to go.
    pub folder: PathBuf,
    /// Why they did not.
    #[source]
    pub source: io::Error,
}

impl ManualCommand {
    /// Does it for a program with this command line; what is to be printed, without the end of its last line.
    ///
    /// # Errors
    /// When pages cannot be written.
    pub fn run(self, program: Command) -> Result<String, ManualError> {
        match self {
            Self::Completions { shell } => Ok(completions(shell, program)),
            Self::Man { folder } => match write_pages(program, &folder) {
                Ok(()) => Ok(folder.display().to_string()),
                Err(source) => Err(ManualError { folder, source }),
            },
        }
    }
}

fn completions(shell: Shell, mut program: Command) -> String {
    let name = program.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut program, name, &mut script);
    String::from_utf8_lossy(&script).trim_end().to_owned()
}

/// Writes a page for the program, and one for each of its commands that is not hidden: `atelier-fleet-status.1`. Each
/// says of which version of the program it is.
fn write_pages(program: Command, folder: &Path) -> io::Result<()> {
    fn write(command: &Command, source: &str, folder: &Path) -> io::Result<()> {
        for below in command
            .get_subcommands()
            .filter(|below| !below.is_hide_set())
        {
            write(below, source, folder)?;
        }
        Man::new(command.clone())
            .source(source)
            .generate_to(folder)?;
        Ok(())
    }

    std::fs::create_dir_all(folder)?;
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let source = program.render_version();
    write(&program, source.trim_end(), folder)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::process::{Command as Process, Stdio};

    use clap::{CommandFactory as _, Parser, ValueEnum as _};

    use super::*;

    /// Paints
    ///
    /// With a brush.
    #[derive(Debug, Parser)]
    #[command(name = "painter", version)]
    struct Cli {
        /// How thick
        #[arg(long, global = true, default_value_t = 3)]
        brush: u32,
        #[command(subcommand)]
        command: Painting,
    }

    #[derive(Debug, Subcommand)]
    enum Painting {
        /// Paint a wall
        #[command(subcommand)]
        Wall(Wall),
        #[command(flatten)]
        Manual(ManualCommand),
    }

    #[derive(Debug, Subcommand)]
    enum Wall {
        /// In white
        White,
    }

    fn asked(arguments: &[&str]) -> String {
        let cli = Cli::try_parse_from([&["painter"], arguments].concat()).unwrap();
        match cli.command {
            Painting::Manual(manual) => manual.run(Cli::command()).unwrap(),
            Painting::Wall(wall) => panic!("{wall:?}"),
        }
    }

    #[test]
    fn every_shell_has_completions_and_bash_understands_its_own() {
        for shell in Shell::value_variants() {
            let script = asked(&["completions", &shell.to_string()]);
            assert!(
                script.contains("wall") && script.contains("brush"),
                "{shell}: {script}"
            );
        }
        let mut bash = Process::new("bash");
        let bash = bash.arg("-n").stdin(Stdio::piped()).spawn();
        let Ok(mut bash) = bash else {
            return;
        };
        let script = asked(&["completions", "bash"]);
        io::Write::write_all(bash.stdin.as_mut().unwrap(), script.as_bytes()).unwrap();
        assert!(bash.wait_with_output().unwrap().status.success());
    }

    #[test]
    fn every_command_that_is_shown_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        let pages = folder.path().join("man").join("man1");
        asked(&["man", &pages.display().to_string()]);
        let names = std::fs::read_dir(&pages).unwrap();
        let names: BTreeSet<String> = names
            .map(|page| page.unwrap().file_name().into_string().unwrap())
            .collect();
        let expected = [
            "painter-completions.1",
            "painter-wall-white.1",
            "painter-wall.1",
            "painter.1",
        ];
        assert!(names.iter().eq(&expected), "{names:?}");
        let page = std::fs::read_to_string(pages.join("painter-wall-white.1")).unwrap();
        assert!(
            page.contains("In white") && page.contains("brush"),
            "{page}"
        );
        let of_the_program = concat!("\"painter ", env!("CARGO_PKG_VERSION"), "\"");
        assert!(page.contains(of_the_program), "{page}");
    }

    #[test]
    fn a_folder_that_cannot_be_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let folder = file.path().join("man");
        let error = ManualCommand::Man {
            folder: folder.clone(),
        };
        let error = error.run(Cli::command()).unwrap_err().to_string();
        assert!(error.contains(&folder.display().to_string()), "{error}");
    }
}
