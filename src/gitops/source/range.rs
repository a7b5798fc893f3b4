//! Ranges of versions as revisions: the newest tag that fits.
//! Upstream rule: `MaxVersion` in `util/versions/tags.go` of argoproj/argo-cd, and `constraints.go` of Masterminds/semver, whose
//! ranges are not those of Cargo: parts may be missing, spaces mean "and", `||` means "or", and `1.2 - 1.4` is a range.

use std::cmp::Ordering;

use regex::Regex;
use semver::{Prerelease, Version};

/// A range of versions: one of these groups, and all of a group.
#[derive(Debug)]
pub(super) struct Range(Vec<Vec<Bound>>);

#[derive(Debug)]
struct Bound {
    operator: String,
    version: Version,
    /// Parts that are said: none, the major one, the minor one too, or all three.
    said: usize,
}

/// A version whose parts may be missing, and what may stand before and behind it.
const VERSION: &str =
    r"v?([0-9]+|[xX*])(\.(?:[0-9]+|[xX*]))?(\.(?:[0-9]+|[xX*]))?(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?";
const OPERATOR: &str = r"=<|<=|=>|>=|!=|~>|=|>|<|~|\^|";

impl Range {
    /// Reads a range; nothing for what is a version, or neither.
    pub(super) fn read(text: &str) -> Option<Self> {
        if version(text).is_some() {
            return None;
        }
        let hyphen = Regex::new(&format!(r"({VERSION})\s+-\s+({VERSION})")).ok()?;
        let text = hyphen.replace_all(text, |found: &regex::Captures<'_>| format!(">={} <={}", &found[1], &found[6]));
        let one = Regex::new(&format!(r"^[\s,]*({OPERATOR})\s*{VERSION}")).ok()?;
        text.split("||").map(|group| bounds(&one, group)).collect::<Option<_>>().map(Self)
    }

    /// The newest of these tags that fits, as it is written.
    pub(super) fn newest<'a>(&self, tags: impl Iterator<Item = &'a str>) -> Option<&'a str> {
        let fitting = tags.filter_map(|tag| Some((version(tag)?, tag))).filter(|(version, _)| self.fits(version));
        // Of equal ones the first counts.
        fitting.reduce(|best, next| if order(&next.0, &best.0).is_gt() { next } else { best }).map(|(_, tag)| tag)
    }

    fn fits(&self, version: &Version) -> bool {
        self.0.iter().any(|group| {
            let takes_early = group.iter().any(|bound| !bound.version.pre.is_empty());
            (version.pre.is_empty() || takes_early) && group.iter().all(|bound| bound.fits(version))
        })
    }
}

fn bounds(one: &Regex, group: &str) -> Option<Vec<Bound>> {
    let mut rest = group.trim();
    let mut all = Vec::new();
    while !rest.is_empty() || all.is_empty() {
        let found = one.captures(rest)?;
        let mut parts: Vec<u64> = Vec::new();
        for index in 2..=4 {
            match found.get(index).map(|part| part.as_str().trim_start_matches('.')) {
                None | Some("x" | "X" | "*") => break,
                Some(number) => parts.push(number.parse().ok()?),
            }
        }
        let part = |index: usize| parts.get(index).copied().unwrap_or_default();
        let mut version = Version::new(part(0), part(1), part(2));
        if let Some(pre) = found.get(5) {
            version.pre = Prerelease::new(&pre.as_str()[1..]).ok()?;
        }
        all.push(Bound { operator: found[1].to_owned(), version, said: parts.len() });
        rest = &rest[found[0].len()..];
        // Two bounds have something between them.
        if !rest.is_empty() && !rest.starts_with([' ', ',', '\t']) {
            return None;
        }
        rest = rest.trim();
    }
    Some(all)
}

impl Bound {
    fn fits(&self, version: &Version) -> bool {
        let order = order(version, &self.version);
        let parts = |version: &Version| [version.major, version.minor, version.patch];
        let (have, bound) = (parts(version), parts(&self.version));
        // What is said of both is the same, up to this many parts.
        let same = |count: usize| have[..count] == bound[..count];
        match self.operator.as_str() {
            "" | "=" if self.said == 3 => order.is_eq(),
            "" | "=" | "~" | "~>" => order.is_ge() && same(self.said.min(2)) || self.said == 3 && bound == [0; 3],
            "!=" if self.said == 3 => order.is_ne(),
            "!=" => !same(self.said),
            ">" if self.said == 3 => order.is_gt(),
            ">" => order.is_gt() && !same(self.said),
            "<" => order.is_lt(),
            ">=" | "=>" => order.is_ge(),
            "<=" | "=<" if self.said == 3 => order.is_le(),
            "<=" | "=<" => order.is_le() || same(self.said),
            // A caret lets everything through that the first part that is not nought stands for.
            _ => order.is_ge() && same((0..self.said).find(|at| bound[*at] > 0).map_or(self.said, |at| at + 1)),
        }
    }
}

/// A version, as loosely as tags are written: `v1`, `1.2`, `01.2.3`.
fn version(text: &str) -> Option<Version> {
    let loose =
        Regex::new(r"^v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$").ok()?;
    let found = loose.captures(text)?;
    let part = |index: usize| found.get(index).map_or(Some(0), |part| part.as_str().parse().ok());
    let mut version = Version::new(part(1)?, part(2)?, part(3)?);
    if let Some(pre) = found.get(4) {
        version.pre = Prerelease::new(pre.as_str()).ok()?;
    }
    Some(version)
}

/// What is behind a `+` makes no difference.
fn order(one: &Version, other: &Version) -> Ordering {
    one.cmp_precedence(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAGS: [&str; 12] = [
        "v0.2.3",
        "v0.2.9",
        "0.3.0",
        "1.0.0",
        "v1.2.0",
        "v1.2.7",
        "1.4.5",
        "v2.0.0",
        "v2.1.0-rc.1",
        "3",
        "nightly",
        "v1.2.7+b",
    ];

    fn newest(range: &str) -> Option<&'static str> {
        Range::read(range)?.newest(TAGS.into_iter())
    }

    #[test]
    fn the_newest_tag_that_fits() {
        for (range, expected) in [
            ("1.2.*", Some("v1.2.7")),
            ("1.2.x", Some("v1.2.7")),
            ("v1.x", Some("1.4.5")),
            ("*", Some("3")),
            (">=1.2.0 <2", Some("1.4.5")),
            (">=1.2.0, <2.0.0", Some("1.4.5")),
            (">= 1.2.0,<1.3", Some("v1.2.7")),
            ("^1.0", Some("1.4.5")),
            ("^0.2.3", Some("v0.2.9")),
            ("^0.2", Some("v0.2.9")),
            ("^0", Some("0.3.0")),
            ("^0.0", None),
            ("~1.2.3", Some("v1.2.7")),
            ("~1", Some("1.4.5")),
            ("~> 1.2", Some("v1.2.7")),
            ("1.2 - 1.4.5", Some("1.4.5")),
            ("1.0.0 - 1.2", Some("v1.2.7")),
            (">1", Some("3")),
            (">1.2 <2", Some("1.4.5")),
            ("<=1.2", Some("v1.2.7")),
            ("<1", Some("0.3.0")),
            ("!=3 >=2", Some("v2.0.0")),
            ("=1.2", Some("v1.2.7")),
            ("=1.2.0", Some("v1.2.0")),
            ("<0.3 || 1.4.x", Some("1.4.5")),
            ("2.x", Some("v2.0.0")),
            (">=2.1.0-0 <2.2.0", Some("v2.1.0-rc.1")),
            (">=4", None),
        ] {
            assert_eq!(newest(range), expected, "{range}");
        }
    }

    #[test]
    fn versions_and_names_are_no_ranges() {
        for revision in [
            "1.2.3",
            "v1.2",
            "1",
            "main",
            "HEAD",
            "release-1.2",
            "feature/x",
            "",
            "1.2.3.4",
            ">=",
            "^1.0^2",
            "0123456789012345678901234567890123456789",
        ] {
            assert!(Range::read(revision).is_none(), "{revision}");
        }
    }
}
