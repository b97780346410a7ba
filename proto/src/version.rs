//! What a program is a build of, and which versions of Atelier's programs work together.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use tonic::metadata::{MetadataMap, MetadataValue};

/// The version of all programs of this workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The key under which programs tell one another their versions, in the metadata of calls and of answers.
pub const METADATA_KEY: &str = "atelier-version";

/// Kept apart from the programs' libraries, so that a commit makes cargo link them anew and compile nothing else.
static COMMIT: OnceLock<String> = OnceLock::new();

/// Says from which commit this program was built, as in `abc1234def 2026-11-25`: the first thing that `main` does, with
/// `option_env!("ATELIER_COMMIT")`, which the makefile and the images' builds set. The first call counts.
pub fn built_from(commit: Option<&str>) {
    let commit = commit.map(str::trim).filter(|commit| !commit.is_empty());
    COMMIT.get_or_init(|| commit.unwrap_or("unknown").to_owned());
}

/// From which commit this program was built, and when that was made: `abc1234def 2026-11-25`, with `modified` behind it
/// where files differed from it, or `unknown`.
pub fn commit() -> &'static str {
    COMMIT.get().map_or("unknown", String::as_str)
}

/// What `-V` says behind a program's name: `0.1.0 (abc1234def 2026-11-25)`.
pub fn short() -> String {
    format!("{VERSION} ({})", commit())
}

/// What `--version` says behind a program's name: the same, for what it was built and by which compiler, and `more`, pairs
/// of a name and what it is.
pub fn long(more: &[(&str, &str)]) -> String {
    let own = [
        ("target", env!("ATELIER_TARGET")),
        ("rustc", env!("ATELIER_RUSTC")),
    ];
    let lines = own.iter().chain(more);
    lines.fold(short(), |told, (name, what)| {
        format!("{told}\n{name} {what}")
    })
}

/// A version of Atelier, without what may stand behind the patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// Another one speaks another protocol.
    pub major: u32,
    /// Later ones add to it.
    pub minor: u32,
    /// Nothing that another program sees.
    pub patch: u32,
}

/// A text that is no version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no version as in 0.1.0")]
pub struct NoRelease;

impl Release {
    /// That of this program.
    pub fn own() -> Self {
        let own = VERSION.parse();
        // Cargo takes nothing else for a version.
        own.unwrap_or(Self {
            major: 0,
            minor: 0,
            patch: 0,
        })
    }
}

impl FromStr for Release {
    type Err = NoRelease;

    fn from_str(text: &str) -> Result<Self, NoRelease> {
        let core = text.split(['-', '+']).next().unwrap_or_default();
        let mut numbers = core.split('.').map(|number| {
            let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            if digits { number.parse().ok() } else { None }
        });
        let mut next = || numbers.next().flatten().ok_or(NoRelease);
        let (major, minor, patch) = (next()?, next()?, next()?);
        match numbers.next() {
            None => Ok(Self {
                major,
                minor,
                patch,
            }),
            Some(_) => Err(NoRelease),
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// What two programs may expect of one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peering {
    /// They work together: that is promised.
    Promised,
    /// They may work together, and nobody has promised it: a warning.
    Unpromised,
    /// They do not work together: a clear refusal now is better than odd errors later.
    Refused,
}

/// Whether programs of these versions work together: with the same major version, and at most one minor version apart.
/// Further apart they are warned from 1.0 on, and refused before, when a minor version may remove what the one before it
/// had declared obsolete. It is the same for both of them.
pub fn peering(one: Release, other: Release) -> Peering {
    let (same_major, apart) = (one.major == other.major, one.minor.abs_diff(other.minor));
    match (same_major, apart) {
        (true, 0 | 1) => Peering::Promised,
        (true, _) if one.major > 0 => Peering::Unpromised,
        (true | false, _) => Peering::Refused,
    }
}

/// The same of a version as another program tells it. One that tells none, such as a tool for any gRPC, is let in: it knows
/// what it does. So is one whose version nobody can read, with a warning.
pub fn peering_with(told: Option<&str>) -> Peering {
    match told.map(str::trim) {
        None | Some("") => Peering::Promised,
        Some(text) => match text.parse() {
            Ok(theirs) => peering(Release::own(), theirs),
            Err(NoRelease) => Peering::Unpromised,
        },
    }
}

/// Tells this program's version with a call.
pub fn tell(metadata: &mut MetadataMap) {
    metadata.insert(METADATA_KEY, MetadataValue::from_static(VERSION));
}

/// The warning that an answer gives cause for, by the version that came with it.
pub fn doubt(answer: &MetadataMap) -> Option<String> {
    let told = answer.get(METADATA_KEY)?.to_str().ok()?;
    match peering_with(Some(told)) {
        Peering::Promised => None,
        Peering::Unpromised | Peering::Refused => Some(difference("the coordinator", told)),
    }
}

/// In words, how far `who`, who told this version, is from this program.
pub fn difference(who: &str, told: &str) -> String {
    // It is a stranger's text.
    let told: String = told.chars().take(40).collect();
    format!(
        "this is Atelier {VERSION} and {who} is {told:?}; programs that are more than one minor version apart are not \
         promised to work together"
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn release(text: &str) -> Release {
        text.parse().unwrap()
    }

    #[test]
    fn one_minor_version_apart_is_promised_and_another_major_one_refused() {
        for (one, other, expected) in [
            ("0.1.0", "0.1.9", Peering::Promised),
            ("0.1.0", "0.2.0", Peering::Promised),
            ("0.1.0", "0.3.0", Peering::Refused),
            ("1.4.0", "1.5.2", Peering::Promised),
            ("1.4.0", "1.6.0", Peering::Unpromised),
            ("1.0.0", "2.0.0", Peering::Refused),
            ("0.9.0", "1.0.0", Peering::Refused),
            ("0.1.0", "1.1.0", Peering::Refused),
        ] {
            assert_eq!(
                peering(release(one), release(other)),
                expected,
                "{one} {other}"
            );
        }
    }

    #[test]
    fn who_tells_no_version_or_an_odd_one_is_not_turned_away() {
        assert_eq!(peering_with(None), Peering::Promised);
        assert_eq!(peering_with(Some(" ")), Peering::Promised);
        assert_eq!(peering_with(Some(VERSION)), Peering::Promised);
        assert_eq!(peering_with(Some("main")), Peering::Unpromised);
        assert_eq!(peering_with(Some("4294967295.0.0")), Peering::Refused);
    }

    #[test]
    fn versions_are_read_as_cargo_writes_them() {
        assert_eq!(release("1.20.3-rc.1+build.7").to_string(), "1.20.3");
        assert_eq!(Release::own().to_string(), VERSION);
        for wrong in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "1.2.x",
            "+1.2.3",
            "1.+2.3",
            "1.2.4294967296",
            "v1.2.3",
        ] {
            assert_eq!(wrong.parse::<Release>(), Err(NoRelease), "{wrong}");
        }
    }

    #[test]
    fn a_program_tells_its_commit_compiler_and_what_else_it_has() {
        // Nobody says from what tests are built.
        assert_eq!(short(), format!("{VERSION} (unknown)"));
        let long = long(&[("libtorch", "2.11.0")]);
        let lines: Vec<&str> = long.lines().collect();
        assert_eq!(lines[0], short());
        assert!(
            lines[1].starts_with("target ") && lines[1].contains('-'),
            "{long}"
        );
        assert!(lines[2].starts_with("rustc 1."), "{long}");
        assert_eq!(lines[3..], ["libtorch 2.11.0"]);
    }

    #[test]
    fn an_answer_of_another_version_gives_cause_for_doubt() {
        let mut metadata = MetadataMap::new();
        assert_eq!(doubt(&metadata), None);
        tell(&mut metadata);
        assert_eq!(doubt(&metadata), None);
        metadata.insert(METADATA_KEY, MetadataValue::from_static("99.0.0"));
        let words = doubt(&metadata).unwrap();
        assert!(words.contains("the coordinator is \"99.0.0\""), "{words}");
        let vast = "9".repeat(1000);
        assert!(difference("a client", &vast).len() < 250);
    }

    proptest! {
        #[test]
        fn both_come_to_the_same_verdict(one in any::<(u32, u32, u32)>(), other in any::<(u32, u32, u32)>()) {
            let of = |(major, minor, patch): (u32, u32, u32)| Release { major: major % 3, minor: minor % 6, patch };
            let (one, other) = (of(one), of(other));
            prop_assert_eq!(peering(one, other), peering(other, one));
            prop_assert_eq!(peering(one, one), Peering::Promised);
        }

        #[test]
        fn no_text_that_a_stranger_sends_is_too_much(text in ".*") {
            let _ = peering_with(Some(&text));
        }
    }
}
