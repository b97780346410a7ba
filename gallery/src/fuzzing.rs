//! What readers of others' files hold, for `fuzz/` and for tests over its corpora: each takes any bytes and panics where its
//! property does not hold. No other build has them.

pub use crate::manifest::fuzzing::manifest;
pub use crate::picture::fuzzing::{colour_profile, picture};

#[cfg(test)]
mod tests {
    use atelier_tests::corpus::{hold, write_seeds};

    use crate::{manifest, picture};

    #[test]
    fn manifests() {
        hold("manifest", 5_000, super::manifest);
    }

    #[test]
    fn pictures() {
        hold("picture", 1_000, super::picture);
    }

    #[test]
    fn colour_profiles() {
        hold("colour_profile", 100, super::colour_profile);
    }

    #[test]
    #[ignore = "writes seeds into fuzz/corpus/: make corpus"]
    fn seeds_are_written() {
        write_seeds("manifest", manifest::tests::seeds());
        write_seeds("picture", picture::tests::seeds::pictures());
        write_seeds("colour_profile", picture::tests::seeds::profiles());
    }
}
