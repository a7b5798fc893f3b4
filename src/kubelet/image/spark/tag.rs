//! The tags of Spark's images (`4.0.1`, `4.0.1-scala2.13-java21-python3-ubuntu`) and what each version stands on.

use std::ops::RangeInclusive;

/// A tag that can be made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::image) struct Tag {
    /// Spark's version.
    pub(super) version: String,
    numbers: (u32, u32),
    java: Option<u32>,
}

impl Tag {
    /// Reads a tag; `None` for one that means no version, or something that is not in the package (R).
    pub(in crate::image) fn parse(tag: &str) -> Option<Self> {
        let mut parts = tag.split('-');
        let version = parts.next()?.to_owned();
        let numbers: Vec<u32> = version.split('.').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        let [major, minor, _] = numbers[..] else { return None };
        let mut java = None;
        for part in parts {
            if let Some(number) = part.strip_prefix("java") {
                java = Some(number.parse().ok()?);
            } else if !(part.starts_with("scala2.") || part == "python3" || part == "ubuntu") {
                return None;
            }
        }
        Some(Self { version, numbers: (major, minor), java })
    }

    /// The Java releases that will do, the best first.
    pub(super) fn javas(&self) -> Vec<u32> {
        match (self.java, self.numbers.0) {
            (Some(java), _) => vec![java],
            (None, 0..=3) => vec![17, 11, 8],
            (None, _) => vec![17, 21],
        }
    }

    /// The Python minor versions that will do.
    pub(super) fn python_minors(&self) -> RangeInclusive<u32> {
        match self.numbers {
            (0..=3, _) => 8..=11,
            (4, 0) => 9..=13,
            _ => 10..=14,
        }
    }

    /// Spark 4 adds `jdk.incubator.vector` to the module graph; Spark 3 does too where Java has it.
    pub(super) fn needs_vector(&self) -> bool {
        self.numbers.0 >= 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_say_what_they_stand_on() {
        let plain = Tag::parse("4.0.1").expect("a tag");
        assert_eq!((plain.version.as_str(), plain.javas(), plain.python_minors()), ("4.0.1", vec![17, 21], 9..=13));
        let long = Tag::parse("4.0.1-scala2.13-java21-python3-ubuntu").expect("a tag");
        assert_eq!((long.version.as_str(), long.javas()), ("4.0.1", vec![21]));
        assert_eq!(Tag::parse("3.5.8").expect("a tag").python_minors(), 8..=11);
        for tag in ["latest", "4.0", "4.0.1-r", "4.0.1-java", "4.0.x"] {
            assert_eq!(Tag::parse(tag), None, "{tag}");
        }
    }
}
