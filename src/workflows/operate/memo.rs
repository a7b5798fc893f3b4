//! Outputs that are remembered in ConfigMaps: found there, nothing is run.
//! Upstream rule: `workflow/controller/cache` of argoproj/argo-workflows.

use jiff::Timestamp;
use serde_json::{Value, json};
use tinderbox_api::workflows::{MemoStatus, Memoize, NodePhase, Outputs, Template};

use super::Operation;
use super::call::Call;
use super::execute::Body;
use crate::durations;
use crate::names::kind_of;
use crate::tags::{Unknown, fill_in};
use crate::view::Remembered;

impl Operation<'_> {
    /// Gives what is remembered, if anything is; whether it is.
    pub(super) fn recall(&mut self, call: &Call, body: &Body) -> bool {
        let Some(memoize) = &body.template.memoize else { return false };
        let memoize: Memoize = match fill_in(memoize, &body.scope, Unknown::Refused) {
            Ok(memoize) => memoize,
            Err(why) => {
                self.refuse(call, why);
                return true;
            }
        };
        let Some(outputs) = self.remembered(&memoize) else { return false };
        let kind = kind_of(&body.template);
        let status = memo_status(&memoize, true);
        let node = self.make(call, kind, NodePhase::Succeeded, Some(body.inputs.clone()));
        node.memoization_status = Some(status);
        node.outputs = Some(outputs.clone()).filter(|outputs| *outputs != Outputs::default());
        self.publish(&outputs);
        true
    }

    fn remembered(&self, memoize: &Memoize) -> Option<Outputs> {
        let map = memoize.cache.as_ref()?.config_map.as_ref()?;
        let fresh = self.turn.remember.iter().find(|one| one.config_map == map.name && one.key == memoize.key);
        let kept = self.observed.config_maps.get(&map.name).and_then(|kept| kept.get(&memoize.key));
        let entry: Value = serde_json::from_str(fresh.map(|one| &one.entry).or(kept)?).ok()?;
        let created: Timestamp = entry["creationTimestamp"].as_str()?.parse().ok()?;
        if let Some(age) = memoize.max_age.as_ref().filter(|age| !age.is_empty()) {
            let length = durations::read(age).ok()?;
            if self.now > durations::after(created, length) {
                return None;
            }
        }
        serde_json::from_value(entry["outputs"].clone())
            .or_else(|error| if entry["outputs"].is_null() { Ok(Outputs::default()) } else { Err(error) })
            .ok()
    }

    /// Remembers what a node gave, once.
    pub(super) fn remember(&mut self, id: &str, template: &Template) {
        let Some(memoize) = &template.memoize else { return };
        let Some(node) = self
            .node(id)
            .filter(|node| node.phase == NodePhase::Succeeded && node.memoization_status.is_none())
            .cloned()
        else {
            return;
        };
        let mut scope = self.globals.clone();
        super::bind::inputs_scope(&node.inputs.clone().unwrap_or_default(), &mut scope);
        let Ok(memoize) = fill_in::<Memoize>(memoize, &scope, Unknown::Refused) else { return };
        let Some(map) = memoize.cache.as_ref().and_then(|cache| cache.config_map.clone()) else { return };
        let now = self.now.to_string();
        let entry = json!({"nodeID": id, "outputs": node.outputs, "creationTimestamp": now, "lastHitTimestamp": now});
        self.turn.remember.push(Remembered {
            config_map: map.name,
            key: memoize.key.clone(),
            entry: entry.to_string(),
        });
        if let Some(node) = self.status.nodes.get_mut(id) {
            node.memoization_status = Some(memo_status(&memoize, false));
        }
    }
}

fn memo_status(memoize: &Memoize, hit: bool) -> MemoStatus {
    let map = memoize.cache.as_ref().and_then(|cache| cache.config_map.as_ref());
    MemoStatus {
        hit: Some(hit),
        key: memoize.key.clone(),
        cache_name: map.map(|map| map.name.clone()).unwrap_or_default(),
    }
}
