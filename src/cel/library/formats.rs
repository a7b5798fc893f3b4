//! Formats of texts: `!format.dns1123Label().validate(x).hasValue()` is true for a good name.
//! Upstream rule: k8s.io/apiserver `pkg/cel/library/format.go`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tinderbox_api::names;

use super::kubernetes::Kubernetes;
use super::{Overload, Row, moments, patterns, urls};
use crate::error::Error;
use crate::types::Type;
use crate::value::Value;

pub(super) const TABLE: &[Row] = &[
    ("format-validate", "validate", ".format, string -> optional(list(string))", validate),
    ("format-named", "format.named", "string -> optional(format)", |args| match args {
        [Value::String(name)] => {
            let found = FORMATS.iter().find(|format| format.name == &**name);
            Ok(found.map_or(Value::Optional(None), |format| Value::some(Value::kubernetes(Kubernetes::Format(format)))))
        }
        _ => Err(Error::no_such_overload()),
    }),
];

/// A format that texts may have.
#[derive(Debug)]
pub struct Format {
    name: &'static str,
    /// How long its pattern is, for the cost of using it.
    pub(crate) pattern_size: u64,
    check: fn(&str) -> Vec<String>,
}

/// A format is only itself.
impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

static FORMATS: [Format; 13] = [
    Format { name: "dns1123Label", pattern_size: 30, check: names::dns_label },
    Format { name: "dns1123Subdomain", pattern_size: 60, check: names::dns_subdomain },
    Format { name: "dns1035Label", pattern_size: 30, check: names::dns_1035_label },
    Format { name: "qualifiedName", pattern_size: 60, check: names::qualified_name },
    Format { name: "dns1123LabelPrefix", pattern_size: 30, check: |text| names::dns_label(&prefix(text)) },
    Format { name: "dns1123SubdomainPrefix", pattern_size: 60, check: |text| names::dns_subdomain(&prefix(text)) },
    Format { name: "dns1035LabelPrefix", pattern_size: 30, check: |text| names::dns_1035_label(&prefix(text)) },
    Format { name: "labelValue", pattern_size: 40, check: names::label_value },
    Format { name: "uri", pattern_size: 1000, check: |text| urls::parse(text).err().into_iter().collect() },
    Format { name: "uuid", pattern_size: 72, check: |text| told(is_uuid(text), "does not match the UUID format") },
    Format { name: "byte", pattern_size: 84, check: |text| told(STANDARD.decode(text).is_ok(), "invalid base64") },
    Format { name: "date", pattern_size: 106, check: |text| told(is_date(text), "invalid date") },
    Format {
        name: "datetime",
        pattern_size: 106,
        check: |text| told(moments::parse_timestamp(text).is_some(), "invalid datetime"),
    },
];

/// `format.uuid()` and its like, one for each format.
pub(super) fn constants() -> Vec<Overload> {
    macro_rules! constants {
        ($($index:literal $name:literal),* $(,)?) => {
            vec![$(Overload {
                id: $name,
                name: $name,
                member: false,
                args: Vec::new(),
                result: Type::Named("kubernetes.NamedFormat"),
                run: |_| Ok(Value::kubernetes(Kubernetes::Format(&FORMATS[$index]))),
            }),*]
        };
    }
    constants![
        0 "format.dns1123Label",
        1 "format.dns1123Subdomain",
        2 "format.dns1035Label",
        3 "format.qualifiedName",
        4 "format.dns1123LabelPrefix",
        5 "format.dns1123SubdomainPrefix",
        6 "format.dns1035LabelPrefix",
        7 "format.labelValue",
        8 "format.uri",
        9 "format.uuid",
        10 "format.byte",
        11 "format.date",
        12 "format.datetime",
    ]
}

fn told(good: bool, text: &str) -> Vec<String> {
    if good { Vec::new() } else { vec![text.to_owned()] }
}

/// A prefix as the name that it could become: a last dash is not the last.
fn prefix(text: &str) -> String {
    match text.strip_suffix('-') {
        Some(start) if !start.is_empty() => format!("{start}a"),
        _ => text.to_owned(),
    }
}

fn is_uuid(text: &str) -> bool {
    let form = r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$";
    patterns::compile(form).is_ok_and(|form| form.is_match(text))
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

fn validate<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let [Value::Kubernetes(format), Value::String(text)] = args else {
        return Err(Error::no_such_overload());
    };
    let Kubernetes::Format(format) = &**format else {
        return Err(Error::no_such_overload());
    };
    let wrong = (format.check)(text);
    if wrong.is_empty() {
        return Ok(Value::Optional(None));
    }
    Ok(Value::some(Value::list(wrong.into_iter().map(Value::text).collect())))
}
