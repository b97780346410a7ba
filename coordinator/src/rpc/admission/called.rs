//! What is known of a call by its path alone.

use crate::domain::access::{self, Who};

/// What the paths of our own calls begin with.
const PACKAGE: &str = "/atelier.v1.";
/// Of which each call is for everybody: what watches coordinators has no identity.
const HEALTH: &str = "/grpc.health.v1.";
/// Of ours, the one whose answer lasts for as long as somebody wants.
const WATCHING: &str = "Grids.Watch";
/// The one that brings long messages.
const SUBMITTING: &str = "Grids.Submit";
/// Of other packages, the one whose answer does not last.
const HEALTH_ONCE: &str = "/grpc.health.v1.Health/Check";

/// A call, before anything of it was looked at but its path.
#[derive(Debug)]
pub(super) struct Called {
    /// `Grids.Submit` of `/atelier.v1.Grids/Submit`. It is somebody else's text until it is in the table.
    pub(super) name: String,
    /// Who may make it.
    pub(super) who: Who,
    /// Whether its answer lasts for as long as somebody wants.
    pub(super) lasts: bool,
}

impl Called {
    /// The call at a path.
    pub(super) fn at(path: &str) -> Self {
        let name = path.strip_prefix(PACKAGE).unwrap_or(path);
        let name = name.trim_start_matches('/').replacen('/', ".", 1);
        let name: String = name.chars().take(100).collect();
        let who = if path.starts_with(HEALTH) {
            Who::Everybody
        } else {
            // Of calls that there are not, and of those of the reflection service, whoever is known may learn what becomes of them.
            access::rule(&name).map_or(access::REFLECTION, |rule| rule.who)
        };
        let lasts = name == WATCHING || !(path.starts_with(PACKAGE) || path == HEALTH_ONCE);
        Self { name, who, lasts }
    }

    /// Whether it brings a grid.
    pub(super) fn is_submission(&self) -> bool {
        self.name == SUBMITTING
    }

    /// Whether its request lasts as its answer does: whoever asks for reflection goes on asking for as long as they like.
    pub(super) fn is_talk(&self) -> bool {
        self.lasts && self.name != WATCHING
    }

    /// Whether it goes into the audit log although it succeeds.
    pub(super) fn is_audited(&self) -> bool {
        access::rule(&self.name).is_some_and(|rule| rule.is_audited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_by_its_path() {
        assert_eq!(Called::at("/atelier.v1.Grids/Submit").name, "Grids.Submit");
        let other = Called::at("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
        assert_eq!(
            other.name,
            "grpc.reflection.v1.ServerReflection.ServerReflectionInfo"
        );
        assert_eq!(Called::at(&"/x".repeat(200)).name.len(), 100);
        let health = Called::at("/grpc.health.v1.Health/Check");
        assert_eq!(health.who, Who::Everybody);
        let own = Called::at("/atelier.v1.Health/Check");
        assert_eq!(own.who, Who::Identified);
        for (path, lasts, is_talk) in [
            ("/atelier.v1.Grids/Watch", true, false),
            ("/atelier.v1.Grids/Get", false, false),
            ("/grpc.health.v1.Health/Check", false, false),
            ("/grpc.health.v1.Health/Watch", true, true),
            (
                "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                true,
                true,
            ),
        ] {
            let called = Called::at(path);
            assert_eq!((called.lasts, called.is_talk()), (lasts, is_talk), "{path}");
        }
    }
}
