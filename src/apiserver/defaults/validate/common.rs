//! What many checks share: numbers, choices, names, ports, labels, selectors, addresses, quantities.
//! Upstream rule: k8s.io/apimachinery `pkg/util/validation` and k8s.io/kubernetes `pkg/apis/core/validation`.

use std::net::IpAddr;

use serde_json::{Value, json};
use tinderbox_api::names;
use tinderbox_api::quantity::Quantity;

use crate::error::FieldError;
use crate::schema::Path;

pub(super) const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
pub(super) const IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
pub(super) const CIDR: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
/// Longest configMap or secret key.
const CONFIG_KEY_MAX: usize = 253;

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Errors(pub(super) Vec<FieldError>);

impl Errors {
    pub(super) fn required(&mut self, path: impl Into<String>, detail: &str) {
        self.0.push(FieldError::required(path, detail));
    }

    pub(super) fn invalid(&mut self, path: impl Into<String>, value: &Value, detail: &str) {
        self.0.push(FieldError::invalid(path, value, detail));
    }

    pub(super) fn forbidden(&mut self, path: impl Into<String>, detail: &str) {
        self.0.push(FieldError::forbidden(path, detail));
    }

    pub(super) fn duplicate(&mut self, path: impl Into<String>, value: &Value) {
        let message = format!("Duplicate value: {value}");
        self.0.push(FieldError { reason: "FieldValueDuplicate", field: path.into(), message });
    }

    pub(super) fn not_found(&mut self, path: impl Into<String>, value: &Value) {
        let message = format!("Not found: {value}");
        self.0.push(FieldError { reason: "FieldValueNotFound", field: path.into(), message });
    }

    /// One error for each of `details`.
    pub(super) fn each(&mut self, path: &Path, value: &str, details: Vec<String>) {
        for detail in details {
            self.invalid(path, &json!(value), &detail);
        }
    }

    /// A string that must be one of `allowed`; absent and empty ones are the caller's matter.
    pub(super) fn choice(&mut self, path: impl Into<String>, value: &Value, allowed: &[&str]) {
        if let Some(text) = value.as_str().filter(|text| !text.is_empty())
            && !allowed.contains(&text)
        {
            self.0.push(FieldError::not_supported(path, value, allowed));
        }
    }

    /// A number that must not be negative.
    pub(super) fn not_negative(&mut self, path: impl Into<String>, value: &Value) {
        if value.as_i64().is_some_and(|number| number < 0) {
            self.invalid(path, value, "must be greater than or equal to 0");
        }
    }

    /// Fields of `parent` that must not be negative.
    pub(super) fn none_negative(&mut self, parent: &Value, path: &Path, fields: &[&str]) {
        for field in fields {
            self.not_negative(path.field(field), &parent[*field]);
        }
    }

    /// A number between two others; an absent one fits.
    pub(super) fn between(&mut self, path: impl Into<String>, value: &Value, low: i64, high: i64) {
        if value.as_i64().is_some_and(|number| number < low || number > high) {
            self.invalid(path, value, &format!("must be between {low} and {high}, inclusive"));
        }
    }

    /// A port by number or name; `None` counts as 0.
    pub(super) fn port(&mut self, path: &Path, value: &Value) {
        match value.as_str() {
            Some(name) => self.each(path, name, port_name(name)),
            None => self.between(path, &if value.is_null() { json!(0) } else { value.clone() }, 1, 65535),
        }
    }

    /// Keys and values of labels.
    pub(super) fn labels(&mut self, labels: &Value, path: &Path) {
        for (key, value) in labels.as_object().into_iter().flatten() {
            self.each(path, key, names::qualified_name(key));
            let value = value.as_str().unwrap_or_default();
            self.each(path, value, names::label_value(value));
        }
    }

    /// Keys of annotations.
    pub(super) fn annotations(&mut self, annotations: &Value, path: &Path) {
        for (key, _) in annotations.as_object().into_iter().flatten() {
            self.each(path, key, names::qualified_name(&key.to_ascii_lowercase()));
        }
    }

    /// A selector with `matchLabels` and `matchExpressions`.
    pub(super) fn selector(&mut self, selector: &Value, path: &Path) {
        self.labels(&selector["matchLabels"], &path.field("matchLabels"));
        for (index, expression) in list(&selector["matchExpressions"]).enumerate() {
            let at = path.field("matchExpressions").index(index);
            let values = list(&expression["values"]).count();
            match text(expression, "operator") {
                "In" | "NotIn" if values == 0 => {
                    self.required(at.field("values"), "must be specified when `operator` is 'In' or 'NotIn'");
                }
                "In" | "NotIn" => {}
                "Exists" | "DoesNotExist" => {
                    if values > 0 {
                        let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                        self.forbidden(at.field("values"), detail);
                    }
                }
                _ => self.invalid(at.field("operator"), &expression["operator"], "not a valid selector operator"),
            }
            let key = text(expression, "key");
            self.each(&at.field("key"), key, names::qualified_name(key));
            for (index, value) in list(&expression["values"]).enumerate() {
                let value = value.as_str().unwrap_or_default();
                self.each(&at.field("values").index(index), value, names::label_value(value));
            }
        }
    }

    /// A key of a configMap or secret.
    pub(super) fn config_key(&mut self, path: &Path, key: &str) {
        self.each(path, key, config_key(key));
    }

    /// A path inside a volume: relative, and without steps upwards.
    pub(super) fn inner_path(&mut self, path: impl Into<String> + Clone, value: &Value) {
        if value.as_str().unwrap_or_default().starts_with('/') {
            self.invalid(path.clone(), value, "must be a relative path");
        }
        self.no_backsteps(path, value);
    }

    pub(super) fn no_backsteps(&mut self, path: impl Into<String>, value: &Value) {
        if value.as_str().unwrap_or_default().split('/').any(|step| step == "..") {
            self.invalid(path, value, "must not contain '..'");
        }
    }

    /// A whole number or a percentage, of which neither is negative; `most` is the highest percentage.
    pub(super) fn count_or_percent(&mut self, path: &Path, value: &Value, most: Option<u32>) {
        let Some(text) = value.as_str() else {
            return self.not_negative(path, value);
        };
        let digits = text.strip_suffix('%').filter(|digits| !digits.is_empty());
        match digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit())) {
            None => self.invalid(path, value, PERCENT),
            Some(digits) => {
                if most.is_some_and(|most| digits.parse::<u32>().map_or(true, |percent| percent > most)) {
                    self.invalid(path, value, "must not be greater than 100%");
                }
            }
        }
    }

    pub(super) fn ip(&mut self, path: &Path, value: &Value) {
        if value.as_str().unwrap_or_default().parse::<IpAddr>().is_err() {
            self.invalid(path, value, IP);
        }
    }

    pub(super) fn cidr(&mut self, path: &Path, value: &Value) {
        let fits = value.as_str().and_then(|text| text.split_once('/')).is_some_and(|(address, bits)| {
            let most = match address.parse() {
                Ok(IpAddr::V4(_)) => 32,
                Ok(IpAddr::V6(_)) => 128,
                Err(_) => return false,
            };
            bits.parse::<u8>().is_ok_and(|bits| bits <= most)
        });
        if !fits {
            self.invalid(path, value, CIDR);
        }
    }
}

/// The string in a field, or "".
pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The items of a list; none for anything else.
pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The entries of a map; none for anything else.
pub(super) fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// Whether a field is there and not null.
pub(super) fn has(value: &Value, field: &str) -> bool {
    value.get(field).is_some_and(|value| !value.is_null())
}

/// The amount that a value says.
pub(super) fn quantity(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

/// What keeps a name from naming a port (RFC 6335).
pub(super) fn port_name(name: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if name.len() > 15 {
        errors.push("must be no more than 15 characters".to_owned());
    }
    if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        errors.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !name.bytes().any(|byte| byte.is_ascii_lowercase()) {
        errors.push("must contain at least one letter (a-z)".to_owned());
    }
    if name.contains("--") {
        errors.push("must not contain consecutive hyphens".to_owned());
    }
    if name.starts_with('-') || name.ends_with('-') {
        errors.push("must not begin or end with a hyphen".to_owned());
    }
    errors
}

/// What keeps a text from being a key of a configMap or secret.
pub(super) fn config_key(key: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if key.len() > CONFIG_KEY_MAX {
        errors.push(format!("must be no more than {CONFIG_KEY_MAX} characters"));
    }
    let fits = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !fits {
        errors.push(CONFIG_KEY.to_owned());
    }
    match key {
        "." => errors.push("must not be '.'".to_owned()),
        ".." => errors.push("must not be '..'".to_owned()),
        _ if key.starts_with("..") => errors.push("must not start with '..'".to_owned()),
        _ => {}
    }
    errors
}
