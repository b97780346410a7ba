//! What readers of others' files and messages hold, for `fuzz/` and for tests over its corpora: each takes any bytes and panics
//! where its property does not hold. No other build has them.

pub use crate::ec2::fuzzing::notices;
pub use crate::render::fuzzing::checkpoint;
pub use crate::session::fuzzing::leased_cell;
pub use crate::weights::fuzzing::weights;

#[cfg(test)]
mod tests {
    use atelier_tests::corpus::{hold, write_seeds};

    use crate::{ec2, render, session, weights};

    #[test]
    fn files_of_weights() {
        hold("weights", 2_000, super::weights);
    }

    #[test]
    fn checkpoints() {
        hold("checkpoint", 10_000, super::checkpoint);
    }

    #[test]
    fn leased_cells() {
        hold("leased_cell", 10_000, super::leased_cell);
    }

    #[test]
    fn notices_of_the_cloud() {
        hold("notices", 5_000, super::notices);
    }

    #[test]
    #[ignore = "writes seeds into fuzz/corpus/: make corpus"]
    fn seeds_are_written() {
        write_seeds("weights", weights::tests::seeds());
        write_seeds("checkpoint", render::fuzzing::seeds());
        write_seeds("leased_cell", session::fuzzing::seeds());
        write_seeds("notices", ec2::fuzzing::seeds());
    }
}
