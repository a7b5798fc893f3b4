//! What the store knows of one image: a small file. Data, and how names move between images; no files here.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use crate::image::name::Reference;

/// How an image came here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// From an archive: nobody can bring it again.
    Loaded,
    /// From its registry.
    Pulled,
}

/// One image of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The digest of its config.
    pub id: Digest,
    /// Whole names with tags, sorted; none when a newer image has taken them all.
    pub names: Vec<String>,
    /// Whole names with digests, those that names were last found under first: of the index, then of the manifest.
    pub digests: Vec<String>,
    /// Its layers, lowest first, each by the digest that names it together with those below.
    pub layers: Vec<Digest>,
    /// Bytes of config and layers as they were packed.
    pub size: u64,
    /// How it came.
    pub origin: Origin,
    /// When it came.
    pub added: Timestamp,
}

impl Record {
    /// Whether a reference means this image. A digest counts more than a tag.
    pub(super) fn is(&self, reference: &Reference) -> bool {
        match &reference.digest {
            Some(digest) => self.digests.contains(&format!("{}@{digest}", reference.place())),
            None => self.names.contains(&reference.to_string()),
        }
    }

    /// The name that a status gives to it where it was asked for by this reference.
    pub(super) fn status_id(&self, reference: &Reference) -> String {
        let place = format!("{}@", reference.place());
        match self.digests.iter().find(|digest| digest.starts_with(&place)) {
            Some(digest) if self.origin == Origin::Pulled => digest.clone(),
            _ => self.id.to_string(),
        }
    }

    /// The image that was known before and has come again: nothing that is known of it is lost.
    fn join(&mut self, other: &Self) {
        self.names.extend(other.names.iter().cloned());
        self.digests.extend(other.digests.iter().cloned());
        // Once it can be pulled, it can be pulled again.
        if other.origin == Origin::Pulled {
            self.origin = Origin::Pulled;
        }
        self.tidy();
    }

    fn tidy(&mut self) {
        self.names.sort();
        self.names.dedup();
        let mut seen = BTreeSet::new();
        self.digests.retain(|digest| seen.insert(digest.clone()));
    }
}

/// What the records become when an image comes: those that changed. A name belongs to one image, the newest.
pub(super) fn add(known: &BTreeMap<Digest, Record>, mut new: Record) -> Vec<Record> {
    new.tidy();
    let mut changed: Vec<Record> = known
        .values()
        .filter(|record| record.id != new.id && record.names.iter().any(|name| new.names.contains(name)))
        .cloned()
        .collect();
    for record in &mut changed {
        record.names.retain(|name| !new.names.contains(name));
    }
    if let Some(old) = known.get(&new.id) {
        new.join(old);
        new.added = old.added;
    }
    changed.push(new);
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn record(id: &str, names: &[&str], origin: Origin) -> Record {
        Record {
            id: Digest::of(id.as_bytes()),
            names: names.iter().map(|&name| name.to_owned()).collect(),
            digests: vec![format!("docker.io/library/{id}@{}", Digest::of(id.as_bytes()))],
            layers: vec![Digest::of(b"layer")],
            size: 1,
            origin,
            added: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_name_belongs_to_the_newest_image() {
        let old = record("a", &["x:1", "y:1"], Origin::Pulled);
        let known = BTreeMap::from([(old.id.clone(), old)]);
        let changed = add(&known, record("b", &["x:1"], Origin::Loaded));
        let names: Vec<_> = changed.iter().map(|record| record.names.join(" ")).collect();
        assert_eq!(names, ["y:1", "x:1"]);
        let again = add(&known, record("a", &["z:1"], Origin::Loaded));
        assert_eq!(again.len(), 1);
        assert_eq!((again[0].names.join(" ").as_str(), again[0].origin), ("x:1 y:1 z:1", Origin::Pulled));
    }

    #[test]
    fn references_find_it_by_tag_or_digest() {
        let image = record("a", &["docker.io/library/a:1"], Origin::Pulled);
        let by_digest = format!("a@{}", Digest::of(b"a"));
        for (text, found) in [
            ("a:1", true),
            ("docker.io/library/a:1", true),
            ("a:2", false),
            (by_digest.as_str(), true),
            (&format!("a:9@{}", Digest::of(b"a")), true),
            (&format!("b@{}", Digest::of(b"a")), false),
        ] {
            let reference = Reference::parse(text).expect(text);
            assert_eq!(image.is(&reference), found, "{text}");
        }
        let reference = Reference::parse("a:1").expect("a name");
        assert_eq!(image.status_id(&reference), format!("docker.io/library/{by_digest}"));
        let elsewhere = Reference::parse("quay.io/a:1").expect("a name");
        assert_eq!(image.status_id(&elsewhere), Digest::of(b"a").to_string());
        assert_eq!(record("a", &[], Origin::Loaded).status_id(&reference), Digest::of(b"a").to_string());
    }
}
