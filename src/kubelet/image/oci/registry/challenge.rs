//! What a registry wants to see before it answers: the header `WWW-Authenticate`. Reading only.

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password with every request.
    Basic,
    /// A token from another server.
    Bearer {
        /// Its address.
        realm: String,
        /// The registry's name there.
        service: Option<String>,
        /// What the token is to allow.
        scope: Option<String>,
    },
}

impl Challenge {
    /// Reads one header.
    pub(super) fn read(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let fields = fields(rest);
        let field = |name: &str| {
            fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
        };
        Some(Self::Bearer { realm: field("realm")?, service: field("service"), scope: field("scope") })
    }
}

/// `name="value", other=value`; a quoted value may hold commas.
fn fields(text: &str) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        fields.push((name.trim_matches([' ', ',']).to_owned(), value.trim().to_owned()));
        rest = left;
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| {
            Some(Challenge::Bearer {
                realm: realm.to_owned(),
                service: service.map(str::to_owned),
                scope: scope.map(str::to_owned),
            })
        };
        for (header, challenge) in [
            ("Basic realm=\"x\"", Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (
                "Bearer realm=\"https://auth.example/token\",service=\"r.example\",scope=\"repository:a/b:pull,push\"",
                bearer("https://auth.example/token", Some("r.example"), Some("repository:a/b:pull,push")),
            ),
            ("bearer realm=https://a, service=s", bearer("https://a", Some("s"), None)),
            ("Bearer service=\"s\"", None),
            ("Negotiate", None),
        ] {
            assert_eq!(Challenge::read(header), challenge, "{header}");
        }
    }
}
