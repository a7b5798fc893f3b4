//! The forms of names, labels and annotations, with Kubernetes' own messages.
//! Upstream rule: k8s.io/apimachinery `pkg/util/validation/validation.go`.

/// Longest DNS label.
pub const LABEL_MAX: usize = 63;
/// Longest DNS subdomain.
pub const SUBDOMAIN_MAX: usize = 253;

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const QUALIFIED: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

fn edges(text: &str, edge: impl Fn(u8) -> bool, middle: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => edge(*first) && edge(*last) && bytes.iter().all(|b| edge(*b) || middle(*b)),
        _ => false,
    }
}

fn lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn too_long(max: usize) -> String {
    format!("must be no more than {max} characters")
}

/// What keeps `text` from being an RFC 1123 label (namespaces, containers, ports' hosts); empty when it is one.
#[must_use]
pub fn dns_label(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > LABEL_MAX {
        errors.push(too_long(LABEL_MAX));
    }
    if !edges(text, lower, |b| b == b'-') {
        errors.push(LABEL.to_owned());
    }
    errors
}

/// What keeps `text` from being an RFC 1035 label (services); empty when it is one.
#[must_use]
pub fn dns_1035_label(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > LABEL_MAX {
        errors.push(too_long(LABEL_MAX));
    }
    if !edges(text, lower, |b| b == b'-') || text.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        errors.push(LABEL_1035.to_owned());
    }
    errors
}

/// What keeps `text` from being an RFC 1123 subdomain (most object names); empty when it is one.
#[must_use]
pub fn dns_subdomain(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > SUBDOMAIN_MAX {
        errors.push(too_long(SUBDOMAIN_MAX));
    }
    if !text.split('.').all(|part| edges(part, lower, |b| b == b'-')) {
        errors.push(SUBDOMAIN.to_owned());
    }
    errors
}

/// What keeps `text` from being a name that is one segment of a URL path (roles, bindings); empty when it is one.
#[must_use]
pub fn path_segment(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text == "." || text == ".." {
        errors.push(format!("may not be '{text}'"));
    }
    errors.extend(["/", "%"].iter().filter(|bad| text.contains(**bad)).map(|bad| format!("may not contain '{bad}'")));
    errors
}

/// What keeps `text` from being a label or annotation key (`[prefix/]name`); empty when it is one.
#[must_use]
pub fn qualified_name(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let name = match text.split_once('/') {
        None => text,
        Some((prefix, name)) if !name.contains('/') => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".to_owned());
            } else {
                errors.extend(dns_subdomain(prefix).into_iter().map(|error| format!("prefix part {error}")));
            }
            name
        }
        Some(_) => {
            return vec![format!(
                "a qualified name {QUALIFIED} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_MAX {
        errors.push(format!("name part {}", too_long(LABEL_MAX)));
    }
    if !edges(name, |b| b.is_ascii_alphanumeric(), |b| b"-_.".contains(&b)) {
        errors.push(format!("name part {QUALIFIED}"));
    }
    errors
}

/// What keeps `text` from being a label value; empty when it is one.
#[must_use]
pub fn label_value(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > LABEL_MAX {
        errors.push(too_long(LABEL_MAX));
    }
    if !text.is_empty() && !edges(text, |b| b.is_ascii_alphanumeric(), |b| b"-_.".contains(&b)) {
        errors.push(LABEL_VALUE.to_owned());
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_kubernetes_accepts() {
        assert!(dns_label("spark-jobs").is_empty() && dns_label("0a").is_empty());
        assert!(dns_subdomain("a.b-c.d").is_empty());
        assert!(qualified_name("app.kubernetes.io/name").is_empty() && qualified_name("A_b.c").is_empty());
        assert!(label_value("").is_empty() && label_value("4.0.1").is_empty());
        assert!(path_segment("system:node:x").is_empty());
    }

    #[test]
    fn refuses_with_its_words() {
        assert_eq!(dns_label("Foo"), vec![LABEL.to_owned()]);
        assert_eq!(dns_label(&"a".repeat(64)), vec!["must be no more than 63 characters".to_owned()]);
        assert_eq!(dns_1035_label("0a"), vec![LABEL_1035.to_owned()]);
        assert_eq!(dns_subdomain("a..b"), vec![SUBDOMAIN.to_owned()]);
        assert!(qualified_name("/x")[0].starts_with("prefix part must be non-empty"));
        assert!(qualified_name("a/b/c")[0].starts_with("a qualified name must consist"));
        assert_eq!(label_value("-x"), vec![LABEL_VALUE.to_owned()]);
        assert_eq!(path_segment("a/b"), vec!["may not contain '/'".to_owned()]);
    }
}
