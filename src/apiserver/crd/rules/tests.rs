//! Expressions as Kubernetes 1.34 takes them (`testdata/expressions.json`, observed there): what is wrong with them, what they
//! can cost, what they come to over one object, and what that cost. The last is left out where ours differs by a little: cel-go
//! works out calls of literals beforehand, and counts failures its own way.

use serde::Deserialize;
use serde_json::Value;
use tinderbox_cel::view;

use super::super::schema;
use super::{Compiled, PER_CALL, Rule};
use crate::schema::declare;

#[derive(Deserialize)]
struct Observed {
    schema: Value,
    object: Value,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    expression: String,
    #[serde(default)]
    error: String,
    max: u64,
    #[serde(default)]
    value: String,
    cost: Option<u64>,
}

#[test]
fn expressions_are_kubernetes_own() {
    let Observed { schema: json, object, cases } =
        serde_json::from_str(include_str!("testdata/expressions.json")).unwrap();
    let schema = schema::read(&json);
    let decl = declare(&schema, false).unwrap();
    let variables = |_: &str| Some(view(&object, &decl));
    let mut different = Vec::new();
    for Case { expression, error, max, value, cost } in cases {
        let compiled = Compiled::new(Rule { rule: expression.clone(), ..Rule::default() }, &schema, &decl);
        let wanted = format!("{error} max {max} value {value} cost {cost:?}");
        let found = match compiled.program.unwrap() {
            Err(error) => format!("{error} max 0 value  cost Some(0)"),
            Ok(program) => {
                let run = program.run(&variables, PER_CALL);
                let value = match run.value {
                    Ok(tinderbox_cel::Value::Bool(value)) => value.to_string(),
                    Ok(_) => "no boolean".to_owned(),
                    Err(error) => format!("ERR {error}"),
                };
                format!(" max {} value {value} cost {:?}", program.cost(&decl), cost.map(|_| run.cost))
            }
        };
        if found != wanted {
            different.push(format!("{expression}\n  wanted {wanted}\n  found  {found}"));
        }
    }
    assert!(different.is_empty(), "{} differ\n{}", different.len(), different.join("\n"));
}
