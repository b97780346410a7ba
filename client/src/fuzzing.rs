//! What readers of others' files hold, for `fuzz/` and for tests over its corpora: each takes any bytes and panics where its
//! property does not hold. No other build has them.

pub use crate::fetch::fuzzing::{fetched, selection};
pub use crate::grid_file::fuzzing::{grid_file, settings};
pub use crate::profiles::fuzzing::profiles;

use crate::error::Error;
use crate::printer::full_text;

/// What is told of an error leaves a terminal as it is.
pub(crate) fn assert_printable(error: impl Into<Error>) {
    let told = full_text(&error.into());
    let moves = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    assert!(!told.chars().any(moves), "{told:?}");
}

#[cfg(test)]
mod tests {
    use atelier_tests::corpus::{hold, write_seeds};

    use crate::{fetch, grid_file, profiles};

    #[test]
    fn grid_files() {
        hold("grid_file", 3_000, super::grid_file);
    }

    #[test]
    fn settings_that_people_write() {
        hold("settings", 3_000, super::settings);
    }

    #[test]
    fn files_of_a_gallery() {
        hold("fetched", 10_000, super::fetched);
    }

    #[test]
    fn selections() {
        hold("selection", 2_000, super::selection);
    }

    #[test]
    fn files_of_profiles() {
        hold("profiles", 100, super::profiles);
    }

    #[test]
    #[ignore = "writes seeds into fuzz/corpus/: make corpus"]
    fn seeds_are_written() {
        write_seeds("grid_file", grid_file::tests::seeds());
        write_seeds("settings", grid_file::fuzzing::seeds_of_settings());
        write_seeds("fetched", fetch::fuzzing::seeds::fetched());
        write_seeds("selection", fetch::fuzzing::seeds::selection());
        write_seeds("profiles", profiles::tests::seeds());
    }
}
