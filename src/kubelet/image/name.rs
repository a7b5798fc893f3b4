//! Image names as Docker reads them: `busybox` is `docker.io/library/busybox:latest`.

use std::fmt;

/// A whole image name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Host of the registry, with its port.
    pub registry: String,
    /// Path in it, as in `library/busybox`.
    pub repository: String,
    /// The tag; `latest` unless one or a digest is given.
    pub tag: Option<String>,
    /// The digest, as in `sha256:…`.
    pub digest: Option<String>,
}

const DEFAULT_REGISTRY: &str = "docker.io";

impl Reference {
    /// Reads a name as it stands in a pod.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("it is empty");
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) if is_digest(digest) => (rest, Some(digest.to_owned())),
            Some(_) => return Err("its digest is not of the form sha256:<64 hex digits>"),
            None => (text, None),
        };
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
            _ => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err("its tag may hold letters, digits, '_', '.' and '-', at most 128");
        }
        let (registry, repository) = match path.split_once('/') {
            Some((first, repository)) if first.contains(['.', ':']) || first == "localhost" => (first, repository),
            _ => (DEFAULT_REGISTRY, path),
        };
        if !repository.split('/').all(is_component) {
            return Err(
                "its repository may hold lower-case letters, digits and separators ('.', '_', '-', '/') between them",
            );
        }
        let registry = if registry == "index.docker.io" { DEFAULT_REGISTRY } else { registry };
        let official = registry == DEFAULT_REGISTRY && !repository.contains('/');
        Ok(Self {
            registry: registry.to_owned(),
            repository: if official { format!("library/{repository}") } else { repository.to_owned() },
            tag: tag.or(if digest.is_none() { Some("latest") } else { None }).map(str::to_owned),
            digest,
        })
    }

    /// Registry and repository, without tag and digest.
    pub(crate) fn place(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The name within Docker's own registry: `busybox` for an official image, `apache/spark` for another one.
    pub(crate) fn short(&self) -> Option<&str> {
        let own = self.registry == DEFAULT_REGISTRY;
        own.then(|| self.repository.strip_prefix("library/").unwrap_or(&self.repository))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_tag(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=128).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with(['.', '-'])
}

fn is_component(text: &str) -> bool {
    let alphanumeric = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let bytes = text.as_bytes();
    alphanumeric(bytes.first()) && alphanumeric(bytes.last()) && text.bytes().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_whole_as_docker_makes_them() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, whole) in [
            ("spark:4.0.1", "docker.io/library/spark:4.0.1".to_owned()),
            ("apache/spark:4.0.1", "docker.io/apache/spark:4.0.1".to_owned()),
            ("busybox", "docker.io/library/busybox:latest".to_owned()),
            ("docker.io/busybox", "docker.io/library/busybox:latest".to_owned()),
            ("index.docker.io/a/b", "docker.io/a/b:latest".to_owned()),
            ("localhost/x:1", "localhost/x:1".to_owned()),
            ("localhost:5000/x", "localhost:5000/x:latest".to_owned()),
            ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10".to_owned()),
            (&format!("a/b@{digest}"), format!("docker.io/a/b@{digest}")),
            (&format!("a/b:1@{digest}"), format!("docker.io/a/b:1@{digest}")),
        ] {
            let found = Reference::parse(text).expect(text);
            assert_eq!(found.to_string(), whole);
        }
        assert_eq!(Reference::parse("debian:12").expect("a name").short(), Some("debian"));
        assert_eq!(Reference::parse("apache/spark").expect("a name").short(), Some("apache/spark"));
        assert_eq!(Reference::parse("ghcr.io/apache/spark").expect("a name").short(), None);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", "Busybox", "a b", "a:", "a:-x", "/a", "a/", "a//b", "a@sha256:12", "-a", "a:b:c/"] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }
}
