//! Names of interfaces, and which versions of one stand in for each other.

use semver::Version;
use std::fmt;

/// An interface such as `acme:search/api@1.0.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    /// Without its version.
    pub(super) name: String,
    /// Its version, if it has one.
    pub(super) version: Option<Version>,
}

impl Interface {
    /// What follows an `@` and is no version is part of the name, so that it equals nothing but itself.
    pub(super) fn parse(text: &str) -> Self {
        let parts = text.split_once('@');
        match parts.and_then(|(name, version)| Some((name, Version::parse(version).ok()?))) {
            Some((name, version)) => Self {
                name: name.to_owned(),
                version: Some(version),
            },
            None => Self {
                name: text.to_owned(),
                version: None,
            },
        }
    }

    /// Whether both are on one semver track: the leftmost number that is not zero is the same, and none is a version before a release,
    /// which stands in for nothing but itself (<https://semver.org>, as component linkers have it).
    pub(super) fn is_on_track_of(&self, other: &Self) -> bool {
        self.name == other.name
            && match (&self.version, &other.version) {
                (Some(a), Some(b)) => a == b || track(a).is_some_and(|track_of_a| Some(track_of_a) == track(b)),
                (a, b) => a == b,
            }
    }
}

/// What versions of one track have in common.
fn track(version: &Version) -> Option<(u64, u64, u64)> {
    match (version.major, version.minor, version.patch) {
        _ if !version.pre.is_empty() => None,
        (0, 0, patch) => Some((0, 0, patch)),
        (0, minor, _) => Some((0, minor, 0)),
        (major, ..) => Some((major, 0, 0)),
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}@{version}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_one_track_stand_in_for_each_other() {
        let fits = |a: &str, b: &str| Interface::parse(a).is_on_track_of(&Interface::parse(b));
        for (a, b) in [
            ("a:b/c@1.0.0", "a:b/c@1.9.3"),
            ("a:b/c@0.2.0", "a:b/c@0.2.7"),
            ("a:b/c@0.0.3", "a:b/c@0.0.3"),
            ("a:b/c@1.0.0-rc.1", "a:b/c@1.0.0-rc.1"),
            ("a:b/c", "a:b/c"),
        ] {
            assert!(fits(a, b) && fits(b, a), "{a} {b}");
        }
        for (a, b) in [
            ("a:b/c@1.0.0", "a:b/c@2.0.0"),
            ("a:b/c@0.2.0", "a:b/c@0.3.0"),
            ("a:b/c@0.0.3", "a:b/c@0.0.4"),
            ("a:b/c@1.0.0-rc.1", "a:b/c@1.0.0"),
            ("a:b/c@1.0.0-rc.1", "a:b/c@1.0.0-rc.2"),
            ("a:b/c", "a:b/c@1.0.0"),
            ("a:b/c@1.0.0", "a:b/d@1.0.0"),
            ("a:b/c@x", "a:b/c"),
        ] {
            assert!(!fits(a, b) && !fits(b, a), "{a} {b}");
        }
        assert_eq!(Interface::parse("a:b/c@1.2.3").to_string(), "a:b/c@1.2.3");
    }
}
