//! Server-side apply and the ownership of fields, as structured-merge-diff does them: who set which field, conflicts,
//! force, and removal of what an applier no longer names. It must not write objects or fill in defaults.

mod fields;
mod initial;
mod last_applied;
mod managers;
mod merge;
mod typed;

use std::sync::LazyLock;
use std::time::SystemTime;

use serde_json::{Value, json};

use self::fields::{FieldSet, Step};
use self::managers::{Manager, Managers, Owned};
use self::typed::{Comparison, Type, compare, field_set};
use crate::error::ApiError;
use crate::schema::Schema;

/// A name of a manager is no longer than this.
const LONGEST_MANAGER: usize = 128;
/// Who owns what an object had before anybody was asked.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Who writes, how, and against what.
#[derive(Clone, Copy)]
pub struct ApplyContext<'a> {
    /// The manager: see [`manager_name`].
    pub manager: &'a str,
    /// Take fields that others own.
    pub force: bool,
    /// The subresource that is written, as `status`; empty for the object itself.
    pub subresource: &'a str,
    /// The version that is written, as `apps/v1`.
    pub group_version: &'a str,
    /// The kind's schema.
    pub schema: &'a Schema,
    /// The time of the write.
    pub now: SystemTime,
    /// Fields that this write cannot change, and so cannot own: `status` for the object, `spec` for `/status`.
    pub reset: &'a [&'a [&'a str]],
}

/// The manager that a request names, or the first part of its user agent.
#[must_use]
pub fn manager_name(field_manager: &str, user_agent: &str) -> String {
    if !field_manager.is_empty() {
        return field_manager.to_owned();
    }
    let mut name = String::new();
    let first = user_agent.split('/').next().unwrap_or_default();
    for letter in first.chars().filter(|letter| !letter.is_control()) {
        if name.len() + letter.len_utf8() > LONGEST_MANAGER {
            break;
        }
        name.push(letter);
    }
    name
}

/// The object after an ordinary write of `new` over `old`, with its managed fields.
#[must_use]
pub fn update(old: Option<&Value>, mut new: Value, ctx: &ApplyContext<'_>) -> Value {
    let given = take_managed(&mut new);
    let live = old.map_or(&Value::Null, |old| &old["metadata"]["managedFields"]);
    let given = Some(&given).filter(|_| ctx.subresource.is_empty());
    let mut managers = match given {
        Some(given) if *given == json!([{}]) => Managers::default(),
        given => given
            .and_then(Managers::decode)
            .filter(|given| !given.0.is_empty())
            .or_else(|| Managers::decode(live))
            .unwrap_or_default(),
    };
    // An object whose fields nobody tracks stays untracked until somebody applies.
    if managers.0.is_empty() && old.is_some() {
        return new;
    }
    let root = initial::rooted(ctx.schema);
    let mut before = old.cloned().unwrap_or_else(|| json!({}));
    take_managed(&mut before);
    let me = ctx.manager_of(false);
    updated(&mut managers, Type(Some(&root)), &before, &new, me, ctx);
    managers.cap();
    put_managed(old, new, &managers)
}

/// The object after `applied` is applied over `live`, with its managed fields; equal to `live` when nothing changes.
///
/// # Errors
/// Conflict when others own a field with another value; BadRequest for another version or given managed fields.
pub fn apply(live: Option<&Value>, applied: &Value, ctx: &ApplyContext<'_>) -> Result<Value, ApiError> {
    let root = initial::rooted(ctx.schema);
    let of = Type(Some(&root));
    check(of, applied, ctx)?;
    let mut before = live.cloned().unwrap_or_else(|| json!({}));
    let mut managers = Managers::decode(&take_managed(&mut before))
        .ok_or_else(|| ApiError::internal("failed to decode managed fields"))?;
    if managers.0.is_empty() && live.is_some() {
        let me = Manager { name: BEFORE_FIRST_APPLY.to_owned(), subresource: String::new(), ..ctx.manager_of(false) };
        updated(&mut managers, of, &json!({}), &before, me, ctx);
    }
    let mut applied = applied.clone();
    for path in ctx.reset {
        remove_path(&mut applied, path);
    }

    let me = ctx.manager_of(true);
    let last = managers.0.get(&me).cloned().unwrap_or_default();
    let wanted = field_set(of, &applied).without_trees(&ctx.reset_fields()).difference(&STRIPPED);
    let mine = managers.0.entry(me.clone()).or_default();
    mine.fields = wanted.clone();
    let merged = merge::merge(of, &before, &applied);
    let mut result = pruned(of, &merged, &managers, &last.fields);

    let difference = compare(of, &before, &result).without(&ctx.reset_fields());
    let changed = difference.modified.clone().union(&difference.added);
    let mut conflicts = conflicts(&managers, &me, &changed);
    if me.name == last_applied::KUBECTL && !conflicts.is_empty() {
        let allowed = last_applied::unchanged_since(of, &before);
        let left = |set: &FieldSet| !set.difference(&allowed).is_empty();
        if conflicts.iter().any(|(_, set)| left(set)) {
            for (_, set) in &mut conflicts {
                *set = set.difference(&allowed);
            }
            conflicts.retain(|(_, set)| !set.is_empty());
        } else {
            conflicts.clear();
        }
    }
    if !ctx.force && !conflicts.is_empty() {
        return Err(conflict(&conflicts));
    }
    take_from_others(&mut managers, Some(&me), &difference, &changed);
    merge::drop_emptied(&mut result, of, &merged);
    if me.name == last_applied::KUBECTL {
        last_applied::refresh(&mut result, &applied);
    }
    if let Some(mine) = managers.0.get_mut(&me)
        && (result != before || mine.fields != last.fields)
    {
        mine.time = stamp(ctx.now);
    }
    managers.drop_empty();
    Ok(put_managed(live, result, &managers))
}

impl ApplyContext<'_> {
    fn manager_of(&self, applies: bool) -> Manager {
        Manager {
            applies,
            name: if self.manager.is_empty() { "unknown".to_owned() } else { self.manager.to_owned() },
            api_version: self.group_version.to_owned(),
            subresource: self.subresource.to_owned(),
        }
    }

    fn reset_fields(&self) -> FieldSet {
        let mut set = FieldSet::default();
        for path in self.reset {
            let steps: Vec<Step> = path.iter().map(|name| Step::field(name)).collect();
            set.insert(&steps);
        }
        set
    }
}

/// Fields that nobody owns.
static STRIPPED: LazyLock<FieldSet> = LazyLock::new(|| {
    let mut set = FieldSet::default();
    for path in ["apiVersion", "kind", "metadata"] {
        set.insert(&[Step::field(path)]);
    }
    let own = [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    ];
    for name in own {
        set.insert(&[Step::field("metadata"), Step::field(name)]);
    }
    set
});

fn check(of: Type<'_>, applied: &Value, ctx: &ApplyContext<'_>) -> Result<(), ApiError> {
    let version = applied["apiVersion"].as_str().unwrap_or_default();
    if version != ctx.group_version {
        return Err(ApiError::bad_request(format!(
            "Incorrect version specified in apply patch. Specified patch version: {version}, expected: {}",
            ctx.group_version
        )));
    }
    let managed = &applied["metadata"]["managedFields"];
    if !managed.is_null() && *managed != json!([]) {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    let faults = typed::faults(of, applied, "");
    if faults.is_empty() { Ok(()) } else { Err(ApiError::untyped(applied, &faults)) }
}

/// Gives `me` what changed between the two, and takes it from all others.
fn updated(managers: &mut Managers, of: Type<'_>, old: &Value, new: &Value, me: Manager, ctx: &ApplyContext<'_>) {
    let reset = ctx.reset_fields();
    let before = initial::before(old, new);
    let difference = compare(of, &before, new).without(&reset);
    let changed = difference.modified.clone().union(&difference.added);
    take_from_others(managers, None, &difference, &changed);
    managers.drop_empty();
    let taken = changed.difference(&STRIPPED);
    if !taken.is_empty() {
        let mine = managers.0.entry(me).or_default();
        mine.fields = std::mem::take(&mut mine.fields).union(&taken);
        mine.time = stamp(ctx.now);
    }
}

fn take_from_others(managers: &mut Managers, me: Option<&Manager>, difference: &Comparison, changed: &FieldSet) {
    for (manager, Owned { fields, .. }) in &mut managers.0 {
        if Some(manager) != me {
            *fields = fields.difference(changed).difference(&difference.removed);
        }
    }
}

/// What others own of what changed.
fn conflicts<'m>(managers: &'m Managers, me: &Manager, changed: &FieldSet) -> Vec<(&'m Manager, FieldSet)> {
    let others = managers.0.iter().filter(|(manager, _)| *manager != me);
    others
        .map(|(manager, owned)| (manager, owned.fields.intersection(changed)))
        .filter(|(_, set)| !set.is_empty())
        .collect()
}

fn conflict(conflicts: &[(&Manager, FieldSet)]) -> ApiError {
    let mut by_manager: Vec<(String, Vec<String>)> =
        conflicts.iter().map(|(manager, set)| (manager.text(), set.texts())).collect();
    by_manager.sort();
    let causes: Vec<Value> = by_manager
        .iter()
        .flat_map(|(manager, paths)| {
            paths.iter().map(move |path| {
                json!({
                    "reason": "FieldManagerConflict",
                    "message": format!("conflict with {manager}"),
                    "field": path,
                })
            })
        })
        .collect();
    let message = match by_manager.as_slice() {
        [(manager, paths)] if paths.len() == 1 => {
            format!("Apply failed with 1 conflict: conflict with {manager}: {}", paths[0])
        }
        all => {
            let lines: Vec<String> = all
                .iter()
                .flat_map(|(manager, paths)| {
                    let paths = paths.iter().map(|path| format!("- {path}"));
                    std::iter::once(format!("conflicts with {manager}:")).chain(paths)
                })
                .collect();
            format!("Apply failed with {} conflicts: {}", causes.len(), lines.join("\n"))
        }
    };
    ApiError { code: 409, reason: "Conflict".into(), message, details: json!({"causes": causes}), resume: None }
}

/// The merged object without what its applier named the last time, names no more, and nobody else owns.
fn pruned(of: Type<'_>, merged: &Value, managers: &Managers, last: &FieldSet) -> Value {
    if last.is_empty() {
        return merged.clone();
    }
    let named = |set: &FieldSet| merge::with_named(of, set);
    let without = |gone: &FieldSet| merge::remove(of, merged, gone);
    let all = named(&field_set(of, merged));
    let last = named(last);
    let owned = managers.0.values().fold(FieldSet::default(), |all, owned| all.union(&owned.fields));
    let kept = named(&field_set(of, &without(&last))).union(&named(&owned));
    let with_owned = without(&all.difference(&kept));
    // What nobody owned before is not the applier's to remove.
    let kept = named(&field_set(of, &with_owned));
    without(&all.difference(&kept).intersection(&last))
}

fn take_managed(object: &mut Value) -> Value {
    object
        .get_mut("metadata")
        .and_then(Value::as_object_mut)
        .and_then(|metadata| metadata.remove("managedFields"))
        .unwrap_or_default()
}

/// Puts the managers into the object; a write that changes nothing but their times keeps the times.
fn put_managed(live: Option<&Value>, mut object: Value, managers: &Managers) -> Value {
    let mut encoded = managers.encode();
    if let Some(live) = live {
        let old = &live["metadata"]["managedFields"];
        let same_owners = Managers::decode(old).is_some_and(|old| {
            let fields = |all: &Managers| -> Vec<(Manager, FieldSet)> {
                let each = all.0.iter();
                each.map(|(manager, owned)| (manager.clone(), owned.fields.clone())).collect()
            };
            fields(&old) == fields(managers)
        });
        if same_owners && bare(live) == bare(&object) {
            encoded = old.clone();
        }
    }
    if !encoded.is_null() {
        if !object["metadata"].is_object() {
            object["metadata"] = json!({});
        }
        object["metadata"]["managedFields"] = encoded;
    }
    object
}

/// The object without what the server writes on every change.
fn bare(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        metadata.remove("resourceVersion");
    }
    object
}

fn remove_path(object: &mut Value, path: &[&str]) {
    let Some((last, above)) = path.split_last() else {
        return;
    };
    let mut here = Some(object);
    for name in above {
        here = here.and_then(|value| value.get_mut(*name));
    }
    if let Some(parent) = here.and_then(Value::as_object_mut) {
        parent.remove(*last);
    }
}

fn stamp(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).unwrap_or(jiff::Timestamp::MIN).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests;
