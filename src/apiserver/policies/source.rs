//! The policies and bindings in the store, read again when one of them has changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::Value;
use tinderbox_store::{Collection, Store, Watch};

use super::GROUP;
use super::compile::Policy;
use crate::codec;
use crate::object::{meta, text};

const POLICIES: &str = "validatingadmissionpolicies";
const BINDINGS: &str = "validatingadmissionpolicybindings";

/// The policies of a server.
pub(crate) struct Policies {
    store: Store,
    read: Mutex<Read>,
}

#[derive(Default)]
struct Read {
    watches: Vec<Watch>,
    hooks: Arc<Vec<Hook>>,
}

/// A policy and where it holds.
pub(super) struct Hook {
    pub(super) name: String,
    pub(super) spec: Value,
    pub(super) bindings: Vec<Binding>,
    /// Which state of which policy this is.
    state: (String, i64),
    compiled: Arc<OnceLock<Policy>>,
}

/// Where a policy holds, and what follows from it.
pub(super) struct Binding {
    pub(super) name: String,
    pub(super) spec: Value,
}

impl Hook {
    pub(super) fn policy(&self) -> &Policy {
        self.compiled.get_or_init(|| Policy::new(&self.spec))
    }
}

impl Policies {
    pub(crate) fn new(store: &Store) -> Self {
        Self { store: store.clone(), read: Mutex::default() }
    }

    /// The policies that hold somewhere, by name.
    pub(super) fn hooks(&self) -> Arc<Vec<Hook>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let same =
            !read.watches.is_empty() && read.watches.iter_mut().all(|watch| matches!(watch.try_next(), Ok(None)));
        if !same {
            *read = self.again(&read.hooks);
        }
        Arc::clone(&read.hooks)
    }

    fn again(&self, known: &[Hook]) -> Read {
        let known: HashMap<_, _> = known.iter().map(|hook| (&hook.state, &hook.compiled)).collect();
        let mut watches = Vec::new();
        let mut of = |resource: &str| {
            let collection = Collection { group: GROUP.into(), resource: resource.into() };
            let list = self.store.list(&collection, None, None, 0);
            watches.extend(self.store.watch(&collection, None, list.revision));
            list.items.iter().map(|stored| codec::decode(stored)).collect::<Vec<Value>>()
        };
        let (policies, bindings) = (of(POLICIES), of(BINDINGS));
        // Without both watches there is no telling when this gets old.
        if watches.len() < 2 {
            watches.clear();
        }
        let hook = |policy: Value| {
            let name = meta(&policy, "name").to_owned();
            let of_policy = bindings.iter().filter(|binding| text(binding, &["spec", "policyName"]) == name);
            let binding = |one: &Value| Binding { name: meta(one, "name").to_owned(), spec: one["spec"].clone() };
            let bindings: Vec<Binding> = of_policy.map(binding).collect();
            let state = (meta(&policy, "uid").to_owned(), policy["metadata"]["generation"].as_i64().unwrap_or(0));
            let compiled = known.get(&state).map(|compiled| Arc::clone(compiled)).unwrap_or_default();
            (!bindings.is_empty()).then(|| Hook { name, spec: policy["spec"].clone(), bindings, state, compiled })
        };
        Read { hooks: Arc::new(policies.into_iter().filter_map(hook).collect()), watches }
    }
}
