//! `imagePullPolicy`, and how an image came. Data only.

use std::time::Duration;

use super::name::Reference;

/// When an image is fetched from its registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Each time a container starts, so that a moved tag is noticed.
    Always,
    /// When it is not here.
    IfNotPresent,
    /// Not at all.
    Never,
}

impl Policy {
    /// The policy of a container; where it sets none, the one that its image's tag stands for.
    /// Upstream rule: k8s.io/kubernetes `pkg/apis/core/v1/defaults.go`, `SetDefaults_Container`.
    pub(crate) fn of(set: Option<&str>, image: &str) -> Self {
        match set {
            Some("Always") => Self::Always,
            Some("Never") => Self::Never,
            Some("IfNotPresent") => Self::IfNotPresent,
            _ => match Reference::parse(image) {
                Ok(Reference { tag: Some(tag), .. }) if tag == "latest" => Self::Always,
                _ => Self::IfNotPresent,
            },
        }
    }
}

/// How an image came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It was here.
    Present,
    /// It was fetched or made.
    Brought(Brought),
}

/// What fetching took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Brought {
    /// The time of the work itself.
    pub(crate) took: Duration,
    /// The time until it was there, with the wait for its turn.
    pub(crate) waited: Duration,
    /// Bytes as it is packed; unknown of a native image.
    pub(crate) size: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_decides_where_nothing_is_set() {
        let digest = format!("x@sha256:{}", "0".repeat(64));
        for (set, image, policy) in [
            (None, "x", Policy::Always),
            (Some(""), "x:latest", Policy::Always),
            (None, "x:1", Policy::IfNotPresent),
            (None, digest.as_str(), Policy::IfNotPresent),
            (None, "Not A Name", Policy::IfNotPresent),
            (Some("Never"), "x", Policy::Never),
            (Some("Always"), "x:1", Policy::Always),
            (Some("IfNotPresent"), "x", Policy::IfNotPresent),
        ] {
            assert_eq!(Policy::of(set, image), policy, "{set:?} {image}");
        }
    }
}
