//! Evaluation: a walk over a checked expression that counts what it costs and stops at a limit.
//! Upstream rules: cel-go `interpreter/interpretable.go` and `interpreter/runtimecost.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cost;
use crate::error::Error;
use crate::library::{accepts, operators};
use crate::node::{Call, Comprehension, Kind, Node, Select};
use crate::types::Type;
use crate::value::{Key, Value};

/// Where variables come from.
pub(crate) type Lookup<'s, 'a> = &'s dyn Fn(&str) -> Option<Result<Value<'a>, Error>>;

type Outcome<'a> = Result<Value<'a>, Error>;

/// An evaluation on its way.
pub(crate) struct Evaluation<'s, 'a> {
    variables: Lookup<'s, 'a>,
    /// Variables of comprehensions, the innermost last. What failed stays a failure until somebody looks at it.
    scopes: Vec<(Arc<str>, Outcome<'a>)>,
    pub(crate) cost: u64,
    limit: u64,
}

impl<'s, 'a> Evaluation<'s, 'a> {
    pub(crate) fn new(variables: Lookup<'s, 'a>, limit: u64) -> Self {
        Self { variables, scopes: Vec::new(), cost: 0, limit }
    }

    fn spend(&mut self, cost: u64) -> Result<(), Error> {
        self.cost = self.cost.saturating_add(cost);
        if self.cost > self.limit { Err(Error::Cost) } else { Ok(()) }
    }

    pub(crate) fn node(&mut self, node: &Node) -> Outcome<'a> {
        match &node.kind {
            Kind::Constant(constant) => Ok(constant.value()),
            Kind::Variable(name) => self.variable(name),
            Kind::Select(select) => self.select(select),
            Kind::Call(call) => self.call(call),
            Kind::And(terms) => self.logical(terms, false),
            Kind::Or(terms) => self.logical(terms, true),
            Kind::Conditional(terms) => match self.node(&terms[0])? {
                Value::Bool(true) => self.unpaid(&terms[1]),
                Value::Bool(false) => self.unpaid(&terms[2]),
                _ => Err(Error::no_such_overload()),
            },
            Kind::List(items) => self.list(items, node.is_constant()),
            Kind::Map(entries) => self.map(entries, node.is_constant()),
            Kind::Comprehension(over) => self.comprehension(over),
        }
    }

    /// Evaluates a part that costs nothing where it is no more than a name: the choice of a conditional, the index of a list.
    fn unpaid(&mut self, node: &Node) -> Outcome<'a> {
        let before = self.cost;
        let value = self.node(node);
        if node.is_path() && !matches!(value, Err(Error::Cost)) {
            self.cost = before;
        }
        value
    }

    fn variable(&mut self, name: &str) -> Outcome<'a> {
        self.spend(1)?;
        if let Some((_, value)) = self.scopes.iter().rev().find(|(known, _)| &**known == name) {
            return value.clone();
        }
        (self.variables)(name).unwrap_or_else(|| Err(Error::new(format!("no such attribute(s): {name}"))))
    }

    /// A field; `None` where it is absent.
    fn field(&self, from: &Value<'a>, name: &str) -> Result<Option<Value<'a>>, Error> {
        match from {
            Value::Map(map) => map.field(name).transpose(),
            Value::Fields(fields) => fields.get(name).transpose(),
            _ => Err(Error::no_such_overload()),
        }
    }

    fn select(&mut self, select: &Select) -> Outcome<'a> {
        let operand = self.node(&select.operand)?;
        // Whether something is there costs nothing.
        if !select.test {
            self.spend(1)?;
        }
        let (from, optional) = match &operand {
            Value::Optional(None) if select.test => return Ok(Value::Bool(false)),
            Value::Optional(None) => return Ok(Value::Optional(None)),
            Value::Optional(Some(inner)) => (&**inner, true),
            other => (other, select.optional),
        };
        let found = self.field(from, &select.field);
        if select.test {
            return Ok(Value::Bool(found?.is_some()));
        }
        match found? {
            Some(value) if optional => Ok(Value::some(value)),
            None if optional => Ok(Value::Optional(None)),
            Some(value) => Ok(value),
            None => Err(Error::no_such_key(&select.field)),
        }
    }

    /// `&&` and `||`: a term that decides wins over one that fails.
    fn logical(&mut self, terms: &[Node; 2], decisive: bool) -> Outcome<'a> {
        let mut failed = None;
        for term in terms {
            match self.node(term) {
                Ok(Value::Bool(value)) if value == decisive => return Ok(Value::Bool(decisive)),
                Ok(Value::Bool(_)) => {}
                Ok(_) => failed = failed.or(Some(Error::no_such_overload())),
                Err(Error::Cost) => return Err(Error::Cost),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(Value::Bool(!decisive)), Err)
    }

    fn list(&mut self, items: &[(Node, bool)], constant: bool) -> Outcome<'a> {
        let mut values = Vec::with_capacity(items.len());
        for (item, optional) in items {
            match (self.node(item)?, optional) {
                (Value::Optional(None), true) => {}
                (Value::Optional(Some(value)), true) => values.push((*value).clone()),
                (value, _) => values.push(value),
            }
        }
        // What is made of literals alone is made once.
        self.spend(if constant { 0 } else { cost::LIST })?;
        Ok(Value::list(values))
    }

    fn map(&mut self, entries: &[(Node, Node, bool)], constant: bool) -> Outcome<'a> {
        let mut values = BTreeMap::new();
        for (key, value, optional) in entries {
            let key = self.node(key)?;
            let key =
                Key::of(&key).ok_or_else(|| Error::new(format!("unsupported key type: {}", key.type_of().name())))?;
            let value = match (self.node(value)?, optional) {
                (Value::Optional(None), true) => continue,
                (Value::Optional(Some(value)), true) => (*value).clone(),
                (value, _) => value,
            };
            values.insert(key, value);
        }
        self.spend(if constant { 0 } else { cost::MAP })?;
        Ok(Value::map(values))
    }

    fn call(&mut self, call: &Call) -> Outcome<'a> {
        match (&*call.function, call.args.as_slice()) {
            // An error so far is no reason to stop looking.
            ("@not_strictly_false", [term]) => {
                let value = match self.node(term) {
                    Err(Error::Cost) => return Err(Error::Cost),
                    Ok(Value::Bool(value)) => value,
                    _ => true,
                };
                self.spend(1)?;
                return Ok(Value::Bool(value));
            }
            // What comes second counts only where the first has nothing.
            ("or" | "orValue", [first, _]) if call.member && matches!(first.ty, Type::Optional(_)) => {
                match self.node(first)? {
                    Value::Optional(None) => return self.node(&call.args[1]),
                    Value::Optional(Some(value)) if &*call.function == "orValue" => return Ok((*value).clone()),
                    other => return Ok(other),
                }
            }
            ("dyn", [value]) => return self.node(value),
            _ => {}
        }
        let indexed = matches!(&*call.function, "_[_]" | "_[?_]");
        let mut args = Vec::with_capacity(call.args.len());
        for (at, arg) in call.args.iter().enumerate() {
            match if indexed && at == 1 { self.unpaid(arg) } else { self.node(arg) } {
                Ok(value) => args.push(value),
                Err(Error::Cost) => return Err(Error::Cost),
                Err(error) => {
                    self.spend(1)?;
                    return Err(error);
                }
            }
        }
        let fits = |ty: &[Type]| ty.iter().zip(&args).all(|(ty, arg)| accepts(ty, arg));
        let Some(overload) = call.overloads.iter().find(|overload| fits(&overload.args)) else {
            self.spend(1)?;
            return Err(Error::no_such_overload());
        };
        // The cost is told before the work is done, save where only the result tells it.
        let before = match overload.id {
            // Literals are looked up, not gone over.
            "in_list" if call.args[1].is_constant() => Some(0),
            _ => cost::of_call(overload, &args),
        };
        if let Some(before) = before {
            self.spend(before)?;
        }
        let result = (overload.run)(&args)?;
        if before.is_none() {
            self.spend(cost::of_result(&result))?;
        }
        Ok(result)
    }

    fn comprehension(&mut self, over: &Comprehension) -> Outcome<'a> {
        let outside = self.scopes.len();
        let result = self.looped(over);
        self.scopes.truncate(outside);
        result
    }

    fn looped(&mut self, over: &Comprehension) -> Outcome<'a> {
        let range = self.node(&over.range)?;
        let pairs = pairs(&range)?;
        let init = self.node(&over.init);
        if matches!(init, Err(Error::Cost)) {
            return init;
        }
        let place = self.scopes.len();
        self.scopes.push((Arc::clone(&over.accumulator), init));
        for (first, second) in pairs {
            let (one, other) = match &over.second {
                Some(name) => (first, Some((Arc::clone(name), second))),
                None => (if matches!(range, Value::List(_)) { second } else { first }, None),
            };
            self.scopes.push((Arc::clone(&over.variable), one));
            self.scopes.extend(other);
            match self.node(&over.condition) {
                Ok(Value::Bool(true)) => {}
                Err(Error::Cost) => return Err(Error::Cost),
                _ => break,
            }
            let step = self.step(over, place);
            if matches!(step, Err(Error::Cost)) {
                return step;
            }
            self.scopes.truncate(place + 1);
            self.scopes[place].1 = step;
        }
        self.scopes.truncate(place + 1);
        self.node(&over.result)
    }

    /// The next value of what is accumulated. A list that grows by one item is not copied.
    fn step(&mut self, over: &Comprehension, place: usize) -> Outcome<'a> {
        let Some((filter, item)) = growing(over) else {
            return self.node(&over.step);
        };
        if let Some(filter) = filter {
            match self.node(filter)? {
                Value::Bool(true) => {}
                Value::Bool(false) => return self.scopes[place].1.clone(),
                _ => return Err(Error::no_such_overload()),
            }
        }
        // The accumulator, the list of one and the sum, as if they had been evaluated.
        self.spend(1)?;
        let item = self.node(item)?;
        self.spend(cost::LIST + 1)?;
        let list = std::mem::replace(&mut self.scopes[place].1, Ok(Value::Null))?;
        operators::push(list, item)
    }
}

/// What a comprehension adds to its list, and when: its step is `accu + [x]` or `p ? accu + [x] : accu`.
fn growing(over: &Comprehension) -> Option<(Option<&Node>, &Node)> {
    let is_accumulator = |node: &Node| matches!(&node.kind, Kind::Variable(name) if *name == over.accumulator);
    let (filter, sum) = match &over.step.kind {
        Kind::Conditional(terms) if is_accumulator(&terms[2]) => (Some(&terms[0]), &terms[1]),
        _ => (None, &over.step),
    };
    let Kind::Call(call) = &sum.kind else {
        return None;
    };
    match (&*call.function, call.args.as_slice()) {
        ("_+_", [list, one]) if is_accumulator(list) => match &one.kind {
            Kind::List(items) if items.len() == 1 && !items[0].1 => Some((filter, &items[0].0)),
            _ => None,
        },
        _ => None,
    }
}

type Pair<'a> = (Outcome<'a>, Outcome<'a>);

/// What a comprehension goes over: indexes and items of a list, keys and values of a map.
fn pairs<'a>(range: &Value<'a>) -> Result<Vec<Pair<'a>>, Error> {
    match range {
        Value::List(list) => {
            let pair = |at| list.get(at).map(|item| (Ok(Value::Int(at as i64)), item));
            Ok((0..list.len()).filter_map(pair).collect())
        }
        Value::Map(map) => {
            let pair = |key| map.get(&key).map(|value| (Ok(key), value));
            Ok(map.keys().into_iter().filter_map(pair).collect())
        }
        _ => Err(Error::no_such_overload()),
    }
}
