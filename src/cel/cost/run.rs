//! What a call costs by the arguments that it has.
//! Upstream rules: cel-go `interpreter/runtimecost.go`, k8s.io/apiserver `pkg/cel/library/cost.go`.

use super::{COMPARISONS, PATTERN, RIGHTS, TRAVERSAL, times};
use crate::library::kubernetes::Kubernetes;
use crate::library::{Overload, strings};
use crate::value::Value;

fn size(value: &Value<'_>) -> u64 {
    strings::size_of(value).map_or(1, |size| size as u64)
}

/// Going over a value and all in it.
fn whole(value: &Value<'_>) -> u64 {
    match value {
        // Upstream counts bytes here, not characters.
        Value::String(text) => (text.len() as f64 * TRAVERSAL) as u64,
        Value::Bytes(bytes) => (bytes.len() as f64 * TRAVERSAL) as u64,
        Value::List(list) => (0..list.len()).filter_map(|at| list.get(at)?.ok()).map(|item| whole(&item)).sum(),
        Value::Map(map) => {
            let entry = |key: Value<'_>| whole(&key);
            map.keys()
                .into_iter()
                .map(|key| map.get(&key).and_then(Result::ok).map_or(0, |value| whole(&value)) + entry(key))
                .sum()
        }
        _ => 1,
    }
}

/// What using a pattern on a text costs.
fn pattern(text: u64, pattern: u64) -> u64 {
    times(text + 1, TRAVERSAL) * times(pattern, PATTERN)
}

/// What a call costs; `None` where only its result tells.
pub(crate) fn of_call(overload: &Overload, args: &[Value<'_>]) -> Option<u64> {
    let at = |index: usize| args.get(index).map_or(1, size);
    Some(match overload.name {
        "check" => RIGHTS,
        "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" => args.first().map_or(0, whole),
        "url" | "lowerAscii" | "upperAscii" | "substring" | "trim" => times(at(0), TRAVERSAL),
        "replace" | "split" | "ip.isCanonical" => times(at(0), 2.0 * TRAVERSAL),
        "join" => return None,
        "find" | "findAll" => pattern(at(0), at(1)),
        "ip" if overload.id == "cidr_ip" => 1,
        "cidr" | "isIP" | "isCIDR" | "ip" | "quantity" | "isQuantity" | "semver" | "isSemver" => {
            times(at(0), TRAVERSAL)
        }
        "containsIP" | "containsCIDR" => {
            let parsed = if overload.id.ends_with("_string") { times(at(1), TRAVERSAL) } else { 0 };
            let masked = if overload.name == "containsCIDR" { times(at(0), TRAVERSAL) + 1 } else { 0 };
            times(2 * at(0), TRAVERSAL) + masked + parsed
        }
        "validate" => match args.first() {
            Some(Value::Kubernetes(value)) => match &**value {
                Kubernetes::Format(format) => pattern(at(1), format.pattern_size),
                _ => 1,
            },
            _ => 1,
        },
        "fieldSelector" | "labelSelector" => {
            super::LIST + times(at(1), TRAVERSAL) + times(times(at(1), 0.5), (super::LIST + 40) as f64)
        }
        "sets.contains" | "sets.intersects" => 1 + at(0) * at(1),
        "sets.equivalent" => 1 + 2 * at(0) * at(1),
        _ => by_overload(overload.id, args, at),
    })
}

fn by_overload(id: &str, args: &[Value<'_>], at: impl Fn(usize) -> u64) -> u64 {
    match id {
        "starts_with_string" | "ends_with_string" | "string_to_bytes" | "bytes_to_string" | "strings_quote"
        | "string_format" => times(at(0), TRAVERSAL),
        "in_list" => at(1),
        "equals" | "not_equals" if matches!(args.first(), Some(Value::Kubernetes(_) | Value::Rights(_))) => 1,
        _ if COMPARISONS.contains(&id) => times(at(0).min(at(1)), TRAVERSAL),
        "add_string" | "add_bytes" => times(at(0) + at(1), TRAVERSAL),
        "matches" | "matches_string" => pattern(at(0), at(1)),
        "contains_string" => times(at(0), TRAVERSAL) * times(at(1), TRAVERSAL),
        _ => 1,
    }
}

/// What a call costs whose result tells it.
pub(crate) fn of_result(result: &Value<'_>) -> u64 {
    times(size(result), 2.0 * TRAVERSAL)
}
