//! What becomes of one object, given how its owners stand. Pure.
//! Upstream rule: `attemptToDeleteItem` in `pkg/controller/garbagecollector/garbagecollector.go`.

use kube::api::PropagationPolicy;
use kube::core::ObjectMeta;

use super::graph::{FOREGROUND, ORPHAN};

/// How an owner stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// It is there.
    Solid,
    /// It is not, or not where the reference says.
    Dangling,
    /// It is going, and waits for its dependents to go first.
    Waiting,
}

/// What an object is about to do by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It goes once its dependents are set free.
    Orphaning,
    /// It goes once its dependents are gone.
    Foreground,
    /// It goes, or nobody owns it: nothing to do here.
    Settled,
    /// Its owners decide.
    Owned,
}

/// What an object is about to do.
pub(super) fn stage(meta: &ObjectMeta) -> Stage {
    let has = |finalizer: &str| meta.finalizers.iter().flatten().any(|one| one == finalizer);
    match meta.deletion_timestamp {
        Some(_) if has(ORPHAN) => Stage::Orphaning,
        Some(_) if has(FOREGROUND) => Stage::Foreground,
        Some(_) => Stage::Settled,
        None if meta.owner_references.as_ref().is_none_or(Vec::is_empty) => Stage::Settled,
        None => Stage::Owned,
    }
}

/// What becomes of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fate {
    /// It stays as it is.
    Stay,
    /// It stays and loses the references to these owners.
    Drop(Vec<String>),
    /// It goes.
    Go {
        /// How its dependents go.
        propagation: PropagationPolicy,
        /// Its references stop blocking first: it and a dependent of it wait for each other.
        unblock: bool,
    },
}

/// Decides the fate of an object by its owners. `has_dependents` and `circular` are about its own dependents: whether there are
/// any, and whether one of them is itself waiting for its dependents.
pub(super) fn fate(meta: &ObjectMeta, owners: &[(String, Owner)], has_dependents: bool, circular: bool) -> Fate {
    let of = |wanted: Owner| owners.iter().filter(move |(_, owner)| *owner == wanted);
    if of(Owner::Solid).next().is_some() {
        let lost: Vec<String> =
            owners.iter().filter(|(_, owner)| *owner != Owner::Solid).map(|(uid, _)| uid.clone()).collect();
        return if lost.is_empty() { Fate::Stay } else { Fate::Drop(lost) };
    }
    if of(Owner::Waiting).next().is_some() && has_dependents {
        return Fate::Go { propagation: PropagationPolicy::Foreground, unblock: circular };
    }
    let has = |finalizer: &str| meta.finalizers.iter().flatten().any(|one| one == finalizer);
    let propagation = if has(ORPHAN) {
        PropagationPolicy::Orphan
    } else if has(FOREGROUND) {
        PropagationPolicy::Foreground
    } else {
        PropagationPolicy::Background
    };
    Fate::Go { propagation, unblock: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(list: &[Owner]) -> Vec<(String, Owner)> {
        list.iter().enumerate().map(|(number, owner)| (number.to_string(), *owner)).collect()
    }

    #[test]
    fn fates() {
        use Owner::{Dangling, Solid, Waiting};
        let go = |propagation| Fate::Go { propagation, unblock: false };
        for (list, dependents, fate_wanted) in [
            (vec![Solid], false, Fate::Stay),
            (vec![Solid, Dangling, Waiting], true, Fate::Drop(vec!["1".to_owned(), "2".to_owned()])),
            (vec![Dangling], false, go(PropagationPolicy::Background)),
            (vec![Dangling], true, go(PropagationPolicy::Background)),
            (vec![Waiting], false, go(PropagationPolicy::Background)),
            (vec![Waiting, Dangling], true, go(PropagationPolicy::Foreground)),
        ] {
            assert_eq!(fate(&ObjectMeta::default(), &owners(&list), dependents, false), fate_wanted, "{list:?}");
        }
        let meta = ObjectMeta { finalizers: Some(vec![ORPHAN.to_owned()]), ..ObjectMeta::default() };
        assert_eq!(fate(&meta, &owners(&[Dangling]), false, false), go(PropagationPolicy::Orphan));
        let circular = fate(&ObjectMeta::default(), &owners(&[Waiting]), true, true);
        assert_eq!(circular, Fate::Go { propagation: PropagationPolicy::Foreground, unblock: true });
    }
}
