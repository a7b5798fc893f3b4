//! Steps and tasks as one thing, and how one becomes many: for each item of a list, or for each number of a sequence.
//! Upstream rule: `expandStep` and `processItem` in `workflow/controller` of argoproj/argo-workflows.

use std::collections::BTreeMap;

use serde_json::Value;
use tinderbox_api::workflows::{Arguments, ContinueOn, DagTask, LifecycleHook, Sequence, Step};

use super::Operation;
use super::call::Holder;
use crate::expr::show;
use crate::tags::{Scope, Unknown, fill, fill_all, fill_in};
use crate::when;

/// Items of one expansion, at most.
const MOST: usize = 50_000;

/// A step or a task.
#[derive(Debug, Clone, Default)]
pub(super) struct Unit {
    pub(super) name: String,
    pub(super) holder: Holder,
    pub(super) arguments: Arguments,
    pub(super) when: String,
    with_items: Vec<Value>,
    with_param: Option<String>,
    with_sequence: Option<Sequence>,
    continue_on: ContinueOn,
    pub(super) on_exit: Option<String>,
    pub(super) hooks: BTreeMap<String, LifecycleHook>,
}

macro_rules! unit_of {
    ($name:ident, $type:ty, $holder:path) => {
        pub(super) fn $name(from: &$type) -> Self {
            Self {
                name: from.name.clone(),
                holder: $holder(from),
                arguments: from.arguments.clone(),
                when: from.when.clone().unwrap_or_default(),
                with_items: from.with_items.clone(),
                with_param: from.with_param.clone(),
                with_sequence: from.with_sequence.clone(),
                continue_on: from.continue_on.clone().unwrap_or_default(),
                on_exit: from.on_exit.clone().filter(|name| !name.is_empty()),
                hooks: from.hooks.clone(),
            }
        }
    };
}

impl Unit {
    unit_of!(of_step, Step, Holder::of_step);
    unit_of!(of_task, DagTask, Holder::of_task);

    pub(super) fn is_many(&self) -> bool {
        !self.with_items.is_empty() || self.with_param.is_some() || self.with_sequence.is_some()
    }

    /// Whether the rest goes on after such an end.
    pub(super) fn continues(&self, phase: tinderbox_api::workflows::NodePhase) -> bool {
        use tinderbox_api::workflows::NodePhase;
        match phase {
            NodePhase::Failed => self.continue_on.failed == Some(true),
            NodePhase::Error => self.continue_on.error == Some(true),
            _ => false,
        }
    }

    pub(super) fn has_hooks(&self) -> bool {
        self.on_exit.is_some() || !self.hooks.is_empty()
    }
}

/// One node to be: its name, what it is given, and whether it is run.
#[derive(Debug)]
pub(super) struct One {
    pub(super) name: String,
    pub(super) holder: Holder,
    pub(super) arguments: Arguments,
    /// Why it is not run.
    pub(super) skipped: Option<String>,
}

impl Operation<'_> {
    /// The one node of a step or task that is not expanded.
    pub(super) fn one(&self, unit: &Unit, scope: &Scope, exists: bool) -> Result<One, String> {
        self.filled(unit, unit.name.clone(), scope, exists)
    }

    fn filled(&self, unit: &Unit, name: String, scope: &Scope, exists: bool) -> Result<One, String> {
        let mut one = One { name, holder: unit.holder.clone(), arguments: Arguments::default(), skipped: None };
        if !exists {
            let when = fill(&unit.when, scope, Unknown::Refused)?;
            if !when::holds(&when)? {
                one.skipped = Some(format!("when '{when}' evaluated false"));
                return Ok(one);
            }
        }
        one.holder.template = fill(&one.holder.template, scope, Unknown::Refused)?;
        if let Some(reference) = &one.holder.template_ref {
            one.holder.template_ref = Some(fill_in(reference, scope, Unknown::Refused)?);
        }
        for parameter in &unit.arguments.parameters {
            match self.argument(parameter, scope) {
                Ok(parameter) => one.arguments.parameters.push(parameter),
                // What was not run gives nothing: the default of the input is meant.
                Err(_) if self.names_what_was_not_run(parameter, scope) => (),
                Err(why) => return Err(why),
            }
        }
        for artifact in &unit.arguments.artifacts {
            let mut artifact = fill_in(artifact, scope, Unknown::Refused)?;
            if let Some(from) = artifact.from.take() {
                artifact = serde_json::from_str(&from).map_err(|_| format!("unable to resolve artifact {from}"))?;
            }
            one.arguments.artifacts.push(artifact);
        }
        Ok(one)
    }

    fn argument(
        &self,
        parameter: &tinderbox_api::workflows::Parameter,
        scope: &Scope,
    ) -> Result<tinderbox_api::workflows::Parameter, String> {
        let mut filled = fill_in(parameter, scope, Unknown::Refused)?;
        if let Some(expression) = filled.value_from.as_ref().and_then(|from| from.expression.clone()) {
            let value = crate::expr::evaluate(&expression, &crate::tags::variables(scope))?;
            filled.value = Some(show(&value).into());
            filled.value_from = None;
        }
        Ok(filled)
    }

    fn names_what_was_not_run(&self, parameter: &tinderbox_api::workflows::Parameter, scope: &Scope) -> bool {
        let text = parameter.value.as_ref().map_or("", |value| value.0.as_str());
        let not_run = |name: &str| scope.get(name).is_some_and(|status| status == "Skipped" || status == "Omitted");
        text.split("{{").skip(1).any(|tag| {
            let mut parts = tag.trim_start().split('.');
            match (parts.next(), parts.next()) {
                (Some(kind @ ("steps" | "tasks")), Some(name)) => not_run(&format!("{kind}.{name}.status")),
                _ => false,
            }
        })
    }

    /// The many nodes of a step or task that is expanded.
    pub(super) fn many(&self, unit: &Unit, scope: &Scope, exists: &dyn Fn(&str) -> bool) -> Result<Vec<One>, String> {
        let items = items(unit, scope)?;
        if items.len() > MOST {
            return Err(format!("{} is expanded to {} items: more than {MOST}", unit.name, items.len()));
        }
        let one = |(index, item): (usize, Value)| {
            let mut scope = scope.clone();
            let name = format!("{}({index}:{})", unit.name, describe(&item, &mut scope));
            let exists = exists(&name);
            self.filled(unit, name, &scope, exists)
        };
        items.into_iter().enumerate().map(one).collect()
    }
}

/// Adds what `item` means; the item as it stands in names.
fn describe(item: &Value, scope: &mut Scope) -> String {
    scope.insert("item".to_owned(), show(item));
    match item {
        Value::Object(map) => {
            for (key, value) in map {
                scope.insert(format!("item.{key}"), show(value));
            }
            let mut pairs: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{}", show(value))).collect();
            pairs.sort();
            pairs.join(",")
        }
        other => show(other),
    }
}

fn items(unit: &Unit, scope: &Scope) -> Result<Vec<Value>, String> {
    if !unit.with_items.is_empty() {
        let mut items = Value::from(unit.with_items.clone());
        fill_all(&mut items, scope, Unknown::Refused)?;
        return Ok(items.as_array().cloned().unwrap_or_default());
    }
    if let Some(parameter) = &unit.with_param {
        let text = fill(parameter, scope, Unknown::Refused)?;
        return serde_json::from_str(text.trim())
            .map_err(|error| format!("withParam value could not be parsed as a JSON list: {text}: {error}"));
    }
    let Some(sequence) = &unit.with_sequence else { return Ok(Vec::new()) };
    let sequence: Sequence = fill_in(sequence, scope, Unknown::Refused)?;
    let number = |of: &Option<tinderbox_api::workflows::IntOrText>| of.as_ref().map(|one| one.number()).transpose();
    let start = number(&sequence.start)?.unwrap_or(0);
    let last = match (number(&sequence.count)?, number(&sequence.end)?) {
        (Some(_), Some(_)) => return Err("only one of count or end can be specified in withSequence".to_owned()),
        (Some(count), None) if count < 1 => return Ok(Vec::new()),
        (Some(count), None) => start.saturating_add(count - 1),
        (None, Some(end)) => end,
        (None, None) => return Err("must specify either count or end in withSequence".to_owned()),
    };
    if start.abs_diff(last) >= MOST as u64 {
        return Err(format!("withSequence from {start} to {last} has more than {MOST} numbers"));
    }
    let numbers: Vec<i64> = if start <= last { (start..=last).collect() } else { (last..=start).rev().collect() };
    let format = sequence.format.filter(|format| !format.is_empty());
    numbers.iter().map(|number| formatted(format.as_deref(), *number).map(Value::from)).collect()
}

/// A number in a format as C and Go have it: `%d`, `%02d`, `%x`.
fn formatted(format: Option<&str>, number: i64) -> Result<String, String> {
    let Some(format) = format else { return Ok(number.to_string()) };
    let mut made = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        made.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            made.push('%');
            rest = after;
            continue;
        }
        let end = after.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(|| format!("{format:?} is no format"))?;
        let (width, kind) = (&after[..end], &after[end..=end]);
        let zero = width.starts_with('0');
        let width: usize =
            if width.is_empty() { 0 } else { width.parse().map_err(|_| format!("{format:?} is no format"))? };
        let text = match kind {
            "d" | "v" => number.to_string(),
            "x" => format!("{number:x}"),
            "X" => format!("{number:X}"),
            "o" => format!("{number:o}"),
            "b" => format!("{number:b}"),
            _ => return Err(format!("{format:?} is no format of a whole number")),
        };
        made.push_str(&if zero { format!("{text:0>width$}") } else { format!("{text:>width$}") });
        rest = &after[end + 1..];
    }
    Ok(made + rest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sequences_count_up_and_down() {
        for (sequence, wanted) in [
            (json!({"count": 3}), json!(["0", "1", "2"])),
            (json!({"count": "2", "start": 5}), json!(["5", "6"])),
            (json!({"start": "2", "end": "0"}), json!(["2", "1", "0"])),
            (json!({"count": 0}), json!([])),
            (json!({"end": 1, "format": "n-%02d%%"}), json!(["n-00%", "n-01%"])),
            (json!({"start": 10, "end": 10, "format": "%x"}), json!(["a"])),
        ] {
            let unit =
                Unit { with_sequence: Some(serde_json::from_value(sequence.clone()).unwrap()), ..Unit::default() };
            assert_eq!(Value::from(items(&unit, &Scope::new()).unwrap()), wanted, "{sequence}");
        }
    }

    #[test]
    fn items_stand_in_names() {
        let mut scope = Scope::new();
        assert_eq!(describe(&json!({"b": 1, "a": "x"}), &mut scope), "a:x,b:1");
        assert_eq!((scope["item.b"].as_str(), scope["item"].as_str()), ("1", r#"{"a":"x","b":1}"#));
        assert_eq!(describe(&json!([1, "x"]), &mut scope), r#"[1,"x"]"#);
        assert_eq!(describe(&json!("x"), &mut scope), "x");
    }
}
