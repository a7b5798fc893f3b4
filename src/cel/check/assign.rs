//! Which types fit which, and what the parameters of signatures stand for.
//! Upstream rule: cel-go `checker/types.go`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::types::Type;

/// What type parameters stand for, as far as it is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Mapping(HashMap<Arc<str>, Type>);

impl Mapping {
    /// Whether every value of `given` may stand where `wanted` is; what is learned of parameters stays.
    pub(super) fn assignable(&mut self, wanted: &Type, given: &Type) -> bool {
        let mut tried = self.clone();
        let fits = tried.fit(wanted, given);
        if fits {
            *self = tried;
        }
        fits
    }

    /// The same of several at once.
    pub(super) fn all_assignable(&mut self, wanted: &[Type], given: &[Type]) -> bool {
        let mut tried = self.clone();
        let fits = wanted.len() == given.len() && wanted.iter().zip(given).all(|(one, other)| tried.fit(one, other));
        if fits {
            *self = tried;
        }
        fits
    }

    fn fit(&mut self, first: &Type, second: &Type) -> bool {
        if let Type::Param(name) = second {
            match self.substitute_for(first, name) {
                (true, _) => return true,
                (false, true) => return false,
                (false, false) => {}
            }
        }
        if let Type::Param(name) = first {
            return self.substitute_for(second, name).0;
        }
        if first.is_open() || second.is_open() {
            return true;
        }
        match (first, second) {
            (Type::Null, other) | (other, Type::Null) => nullable(other),
            (Type::Type(_), Type::Type(_)) => true,
            (Type::List(one), Type::List(other)) | (Type::Optional(one), Type::Optional(other)) => self.fit(one, other),
            (Type::Map(key, value), Type::Map(other_key, other_value)) => {
                self.fit(key, other_key) && self.fit(value, other_value)
            }
            _ => first == second,
        }
    }

    /// Whether the parameter can stand for the type, and whether it stood for one already.
    fn substitute_for(&mut self, ty: &Type, param: &Arc<str>) -> (bool, bool) {
        if matches!(ty, Type::Param(name) if name == param) {
            return (true, true);
        }
        if let Some(known) = self.0.get(param).cloned() {
            if *ty == known {
                return (true, true);
            }
            if !self.fit(ty, &known) {
                return (false, true);
            }
            let general = most_general(ty, &known);
            if !self.mentions(&general, param) {
                self.0.insert(Arc::clone(param), general);
            }
            return (true, true);
        }
        if self.mentions(ty, param) {
            return (false, false);
        }
        self.0.insert(Arc::clone(param), ty.clone());
        (true, false)
    }

    fn mentions(&self, ty: &Type, param: &Arc<str>) -> bool {
        match ty {
            Type::Param(name) if name == param => true,
            Type::Param(name) => self.0.get(name).is_some_and(|known| self.mentions(known, param)),
            other => other.parts().into_iter().any(|part| self.mentions(part, param)),
        }
    }

    /// The type with parameters replaced; those that stay open become `dyn` where `close` says so.
    pub(super) fn substitute(&self, ty: &Type, close: bool) -> Type {
        let inner = |ty: &Type| Box::new(self.substitute(ty, close));
        match ty {
            Type::Param(name) => match self.0.get(name) {
                Some(known) => self.substitute(known, close),
                None if close => Type::Dyn,
                None => ty.clone(),
            },
            Type::List(items) => Type::List(inner(items)),
            Type::Optional(value) => Type::Optional(inner(value)),
            Type::Type(of) => Type::Type(inner(of)),
            Type::Map(key, value) => Type::Map(inner(key), inner(value)),
            other => other.clone(),
        }
    }
}

/// Types that `null` may stand for.
fn nullable(ty: &Type) -> bool {
    matches!(ty, Type::Null | Type::Optional(_) | Type::Named(_) | Type::Object(_) | Type::Duration | Type::Timestamp)
}

/// The less specific of two types that fit.
pub(super) fn most_general(first: &Type, second: &Type) -> Type {
    if no_more_specific(first, second) { first.clone() } else { second.clone() }
}

fn no_more_specific(first: &Type, second: &Type) -> bool {
    match (first, second) {
        (Type::Dyn | Type::Param(_), _) => true,
        (_, Type::Dyn | Type::Param(_)) => false,
        (Type::Type(_), Type::Type(_)) => true,
        (Type::List(one), Type::List(other)) | (Type::Optional(one), Type::Optional(other)) => {
            no_more_specific(one, other)
        }
        (Type::Map(key, value), Type::Map(other_key, other_value)) => {
            no_more_specific(key, other_key) && no_more_specific(value, other_value)
        }
        _ => first == second,
    }
}
