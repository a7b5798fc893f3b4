//! Functions of lists and maps, with predicates and without.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};
use tinderbox_api::sprig::value::{compare, equal, show, whole};

use super::eval::{Asked, Machine, kind, truth};
use super::node::Node;

/// A function that asks a predicate of each element; nothing when there is none of that name.
pub(super) fn with_predicate(
    machine: &mut Machine<'_>,
    name: &str,
    arguments: &[Node],
) -> Option<Result<Value, String>> {
    let known = matches!(
        name,
        "all"
            | "any"
            | "one"
            | "none"
            | "map"
            | "filter"
            | "find"
            | "findIndex"
            | "findLast"
            | "findLastIndex"
            | "sortBy"
            | "groupBy"
            | "countBy"
            | "uniqBy"
            | "reduce"
            | "count"
            | "sum"
    );
    if !known || arguments.len() < 2 {
        return None;
    }
    Some(ask_each(machine, name, arguments))
}

fn ask_each(machine: &mut Machine<'_>, name: &str, arguments: &[Node]) -> Result<Value, String> {
    let list = match machine.eval(&arguments[0])? {
        Value::Array(list) => list,
        Value::Object(map) => map.into_iter().map(|(_, value)| value).collect(),
        other => return Err(format!("{name} wants a list and not {}", kind(&other))),
    };
    if name == "reduce" {
        return reduce(machine, list, &arguments[1..]);
    }
    let mut answers = Vec::with_capacity(list.len());
    for (index, item) in list.iter().enumerate() {
        let asked = Asked { item: item.clone(), index, sum: Value::Null };
        answers.push(machine.ask(&arguments[1], asked)?);
    }
    if name == "map" {
        return Ok(answers.into());
    }
    if name == "sum" {
        return sum(&answers);
    }
    if matches!(name, "groupBy" | "countBy" | "uniqBy" | "sortBy") {
        let order = match arguments.get(2) {
            Some(order) => show(&machine.eval(order)?),
            None => "asc".to_owned(),
        };
        return Ok(by(name, list, answers, &order));
    }
    let yes = answers.iter().map(truth).collect::<Result<Vec<_>, _>>()?;
    let count = yes.iter().filter(|yes| **yes).count();
    Ok(match name {
        "all" => json!(count == list.len()),
        "any" => json!(count > 0),
        "one" => json!(count == 1),
        "none" => json!(count == 0),
        "count" => json!(count),
        "filter" => list.into_iter().zip(yes).filter(|(_, yes)| *yes).map(|(item, _)| item).collect::<Vec<_>>().into(),
        "find" => yes.iter().position(|yes| *yes).map_or(Value::Null, |at| list[at].clone()),
        "findLast" => yes.iter().rposition(|yes| *yes).map_or(Value::Null, |at| list[at].clone()),
        "findIndex" => yes.iter().position(|yes| *yes).map_or(json!(-1), |at| json!(at)),
        _ => yes.iter().rposition(|yes| *yes).map_or(json!(-1), |at| json!(at)),
    })
}

fn reduce(machine: &mut Machine<'_>, list: Vec<Value>, arguments: &[Node]) -> Result<Value, String> {
    let mut items = list.into_iter().enumerate();
    let mut sum = match arguments.get(1) {
        Some(first) => machine.eval(first)?,
        None => items.next().map(|(_, item)| item).ok_or("reduce of an empty list without a first value")?,
    };
    for (index, item) in items {
        sum = machine.ask(&arguments[0], Asked { item, index, sum })?;
    }
    Ok(sum)
}

fn by(name: &str, list: Vec<Value>, keys: Vec<Value>, order: &str) -> Value {
    let mut pairs: Vec<(Value, Value)> = keys.into_iter().zip(list).collect();
    match name {
        "sortBy" => {
            pairs.sort_by(|(one, _), (other, _)| compare(one, other).unwrap_or(Ordering::Equal));
            if order == "desc" {
                pairs.reverse();
            }
            pairs.into_iter().map(|(_, item)| item).collect::<Vec<_>>().into()
        }
        "uniqBy" => {
            let mut kept: Vec<(Value, Value)> = Vec::new();
            for pair in pairs {
                if !kept.iter().any(|(key, _)| equal(key, &pair.0)) {
                    kept.push(pair);
                }
            }
            kept.into_iter().map(|(_, item)| item).collect::<Vec<_>>().into()
        }
        _ => {
            let mut groups: Map<String, Value> = Map::new();
            for (key, item) in pairs {
                let group = groups.entry(show(&key)).or_insert_with(|| json!([]));
                if let Value::Array(group) = group {
                    group.push(item);
                }
            }
            if name == "countBy" {
                groups.values_mut().for_each(|group| *group = json!(group.as_array().map_or(0, Vec::len)));
            }
            Value::Object(groups)
        }
    }
}

fn sum(list: &[Value]) -> Result<Value, String> {
    if let Some(whole) = list.iter().map(Value::as_i64).collect::<Option<Vec<_>>>() {
        return Ok(json!(whole.iter().sum::<i64>()));
    }
    let numbers: Option<Vec<f64>> = list.iter().map(Value::as_f64).collect();
    numbers.map(|numbers| json!(numbers.iter().sum::<f64>())).ok_or_else(|| "sum of what are no numbers".to_owned())
}

/// A function of lists or maps; nothing when there is none of that name and form.
pub(super) fn call(name: &str, values: &[Value]) -> Option<Result<Value, String>> {
    Some(match (name, values) {
        ("len" | "count", [Value::Array(list)]) => Ok(json!(list.len())),
        ("len", [Value::Object(map)]) => Ok(json!(map.len())),
        ("len", [Value::String(text)]) => Ok(json!(text.chars().count())),
        ("first", [Value::Array(list)]) => Ok(list.first().cloned().unwrap_or(Value::Null)),
        ("last", [Value::Array(list)]) => Ok(list.last().cloned().unwrap_or(Value::Null)),
        ("take", [Value::Array(list), number]) => whole(number).map(|number| {
            let length = usize::try_from(number).unwrap_or(0).min(list.len());
            list[..length].to_vec().into()
        }),
        ("keys", [Value::Object(map)]) => Ok(map.keys().map(|key| json!(key)).collect::<Vec<_>>().into()),
        ("values", [Value::Object(map)]) => Ok(map.values().cloned().collect::<Vec<_>>().into()),
        ("toPairs", [Value::Object(map)]) => {
            Ok(map.iter().map(|(key, value)| json!([key, value])).collect::<Vec<_>>().into())
        }
        ("fromPairs", [Value::Array(list)]) => {
            Ok(Value::Object(list.iter().map(|pair| (show(&pair[0]), pair[1].clone())).collect()))
        }
        ("reverse", [Value::Array(list)]) => Ok(list.iter().rev().cloned().collect::<Vec<_>>().into()),
        ("sort", [Value::Array(list), rest @ ..]) => {
            let mut list = list.clone();
            list.sort_by(|one, other| compare(one, other).unwrap_or(Ordering::Equal));
            if rest.first().is_some_and(|order| order == "desc") {
                list.reverse();
            }
            Ok(list.into())
        }
        ("uniq", [Value::Array(list)]) => {
            let mut kept: Vec<Value> = Vec::new();
            for item in list {
                if !kept.iter().any(|have| equal(have, item)) {
                    kept.push(item.clone());
                }
            }
            Ok(kept.into())
        }
        ("concat", lists) if !lists.is_empty() && lists.iter().all(Value::is_array) => {
            Ok(lists.iter().filter_map(Value::as_array).flatten().cloned().collect::<Vec<_>>().into())
        }
        ("flatten", [Value::Array(list)]) => Ok(flatten(list).into()),
        ("sum", [Value::Array(list)]) => sum(list),
        ("mean", [Value::Array(list)]) if !list.is_empty() => {
            sum(list).map(|sum| json!(sum.as_f64().unwrap_or_default() / list.len() as f64))
        }
        ("min" | "max", [Value::Array(list)]) => extreme(name, list),
        ("min" | "max", list) => extreme(name, list),
        ("any", [Value::Array(list)]) => Ok(json!(list.contains(&Value::Bool(true)))),
        ("all", [Value::Array(list)]) => Ok(json!(list.iter().all(|item| *item == json!(true)))),
        ("join", [Value::Array(list), rest @ ..]) => {
            let between = rest.first().map(show).unwrap_or_default();
            Ok(json!(list.iter().map(show).collect::<Vec<_>>().join(&between)))
        }
        _ => return None,
    })
}

fn flatten(list: &[Value]) -> Vec<Value> {
    let deep = |item: &Value| match item {
        Value::Array(inner) => flatten(inner),
        other => vec![other.clone()],
    };
    list.iter().flat_map(deep).collect()
}

fn extreme(name: &str, list: &[Value]) -> Result<Value, String> {
    let wanted = if name == "min" { Ordering::Less } else { Ordering::Greater };
    let mut best = list.first().ok_or_else(|| format!("{name} of nothing"))?;
    for item in list {
        if compare(item, best).ok_or_else(|| format!("{name} of what cannot be compared"))? == wanted {
            best = item;
        }
    }
    Ok(best.clone())
}
