//! The most that a call can cost, and how large its result can be, by the sizes of its arguments.
//! Upstream rules: cel-go `checker/cost.go`, k8s.io/apiserver `pkg/cel/library/cost.go`.

use super::estimate::Estimate;
use super::size::Range;
use super::{COMPARISONS, LIST, PATTERN, RIGHTS, TRAVERSAL};
use crate::library::Overload;
use crate::node::{Constant, Kind, Node};
use crate::types::Type;

/// The longest pattern of a format.
const FORMAT_PATTERN: f64 = 128.0;

/// The cost of a call without its arguments', and the size of its result where the call tells it.
pub(super) fn estimate(known: &Estimate<'_>, overload: &Overload, args: &[Node]) -> (Range, Option<Range>) {
    let size = |at: usize| args.get(at).map_or(Range::UNKNOWN, |arg| known.size(arg));
    let one = Range::exactly(1);
    let traversed = |factor: f64| size(0).times(factor * TRAVERSAL);
    match overload.name {
        "check" => (Range::exactly(RIGHTS), None),
        "fieldSelector" | "labelSelector" => {
            let requirements = size(1).times(0.5).times((LIST + 40) as f64);
            (Range::exactly(LIST).plus(size(1).times(TRAVERSAL)).plus(requirements), None)
        }
        "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" => (over_items(known, args), None),
        "url" | "lowerAscii" | "upperAscii" | "substring" | "trim" => (traversed(1.0), Some(size(0))),
        "replace" => (traversed(2.0), Some(replaced(size(0), size(1), size(2)))),
        "split" => {
            let most = match args.get(2).map(|arg| &arg.kind) {
                // A negative limit is none.
                Some(Kind::Constant(Constant::Int(limit))) => u64::try_from(*limit).unwrap_or(u64::MAX),
                _ => size(0).max,
            };
            (traversed(2.0), Some(Range { min: 0, max: most }))
        }
        "join" => {
            let list = size(0);
            let mut joined = list.by(args.first().map_or(Range::UNKNOWN, |list| known.element_size(list)));
            if args.len() > 1 {
                let gaps = Range { min: list.min.saturating_sub(1), max: list.max.saturating_sub(1) };
                joined = joined.plus(size(1).by(gaps));
            }
            (joined.times(TRAVERSAL), Some(joined))
        }
        "find" | "findAll" => {
            let cost = size(0).plus(one).times(TRAVERSAL).by(size(1).times(PATTERN));
            (cost, Some(Range { min: 0, max: size(0).max }))
        }
        "ip" if overload.id == "cidr_ip" => (one, None),
        "cidr" | "isIP" | "isCIDR" | "ip" | "quantity" | "isQuantity" | "semver" | "isSemver" => (traversed(1.0), None),
        "ip.isCanonical" => (traversed(2.0), None),
        "containsIP" | "containsCIDR" => {
            let bytes = Range { min: 4, max: 16 };
            let mut cost = bytes.plus(bytes).times(TRAVERSAL);
            if overload.name == "containsCIDR" {
                cost = cost.plus(bytes.times(TRAVERSAL)).plus(one);
            }
            if overload.id.ends_with("_string") {
                cost = cost.plus(size(1).times(TRAVERSAL));
            }
            (cost, None)
        }
        "validate" => (size(1).times(TRAVERSAL).times(FORMAT_PATTERN * PATTERN), None),
        "sets.contains" | "sets.intersects" => (size(0).by(size(1)).plus(one), None),
        "sets.equivalent" => (size(0).by(size(1)).times(2.0).plus(one), None),
        _ => by_overload(overload.id, args, size),
    }
}

fn by_overload(id: &str, args: &[Node], size: impl Fn(usize) -> Range) -> (Range, Option<Range>) {
    let one = Range::exactly(1);
    match id {
        "string_format" => (size(0).times(TRAVERSAL), None),
        "string_to_bytes" => {
            let result = Range { min: size(0).min, max: size(0).max.saturating_mul(4) };
            (size(0).times(TRAVERSAL), Some(result))
        }
        "bytes_to_string" => (size(0).times(TRAVERSAL), Some(Range { min: size(0).min / 4, max: size(0).max })),
        "strings_quote" => {
            let result =
                Range { min: size(0).min.saturating_add(2), max: size(0).max.saturating_mul(2).saturating_add(2) };
            (size(0).times(TRAVERSAL), Some(result))
        }
        "starts_with_string" | "ends_with_string" => (size(1).times(TRAVERSAL), None),
        "in_list" => (size(1).times(1.0), None),
        "matches_string" => (size(0).plus(one).times(TRAVERSAL).by(size(1).times(PATTERN)), None),
        "contains_string" => (size(0).times(TRAVERSAL).by(size(1).times(TRAVERSAL)), None),
        "add_string" | "add_bytes" => {
            let sum = size(0).plus(size(1));
            (sum.times(TRAVERSAL), Some(sum))
        }
        "add_list" => (one, Some(size(0).plus(size(1)))),
        "equals" if args.iter().all(|arg| matches!(arg.ty, Type::Named(_))) => (one, None),
        _ if COMPARISONS.contains(&id) => {
            let max = size(0).max.min(size(1).max);
            (Range { min: u64::from(max > 0), max }.times(TRAVERSAL), None)
        }
        _ => (one, None),
    }
}

/// A function that looks at every item, or at every character of a text.
fn over_items(known: &Estimate<'_>, args: &[Node]) -> Range {
    let Some(target) = args.first() else {
        return Range::exactly(1);
    };
    let size = known.size(target);
    match &target.ty {
        Type::List(items) => {
            let mut each = Range::exactly(1);
            if matches!(**items, Type::String | Type::Bytes) {
                each = each.plus(known.element_size(target).times(TRAVERSAL));
            }
            size.by(each)
        }
        _ => size.times(TRAVERSAL),
    }
}

/// How long a text can be in which parts are replaced.
fn replaced(text: Range, old: Range, new: Range) -> Range {
    let (mut count, mut kept) = (Range::exactly(0), Range::exactly(0));
    if old.min == 0 {
        count.max = text.max.saturating_add(1);
        kept.max = text.max;
    } else if new.max <= old.min {
        kept.max = text.max;
    } else {
        count.max = text.max.div_ceil(old.min);
    }
    if old.max == 0 {
        count.min = text.min.saturating_add(1);
        kept.min = text.min;
    } else if old.max <= new.min {
        kept.min = text.min;
    } else {
        count.min = text.min.div_ceil(old.max);
    }
    count.by(new).plus(kept)
}
