//! How the configuration of flow control is printed.

use serde_json::Value;

use super::{Columns, Printer, age, number, or_none, text};
use crate::object::{at, condition, meta};

pub(crate) const SCHEMAS: Columns = Columns::Builtin(&Printer {
    columns: &[
        text("Name"),
        text("PriorityLevel"),
        number("MatchingPrecedence"),
        text("DistinguisherMethod"),
        text("Age"),
        text("MissingPL"),
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        vec![
            meta(object, "name").into(),
            spec["priorityLevelConfiguration"]["name"].as_str().unwrap_or_default().into(),
            spec["matchingPrecedence"].clone(),
            or_none(spec["distinguisherMethod"]["type"].as_str().unwrap_or_default()),
            age::of(object, now),
            condition(object, "Dangling").unwrap_or("?").into(),
        ]
    },
});

pub(crate) const LEVELS: Columns = Columns::Builtin(&Printer {
    columns: &[
        text("Name"),
        text("Type"),
        text("NominalConcurrencyShares"),
        text("Queues"),
        text("HandSize"),
        text("QueueLengthLimit"),
        text("Age"),
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        let number = |path: &str| match at(spec, path) {
            Value::Null => or_none(""),
            value => value.to_string().into(),
        };
        let shares = if spec["exempt"].is_object() { "exempt" } else { "limited" };
        vec![
            meta(object, "name").into(),
            spec["type"].as_str().unwrap_or_default().into(),
            number(&format!("{shares}.nominalConcurrencyShares")),
            number("limited.limitResponse.queuing.queues"),
            number("limited.limitResponse.queuing.handSize"),
            number("limited.limitResponse.queuing.queueLengthLimit"),
            age::of(object, now),
        ]
    },
});
