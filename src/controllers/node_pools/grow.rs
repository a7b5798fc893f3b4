//! Which nodes are to be made: as many as each pool has at least, and one more for every pod that would fit on it and fits nowhere
//! else. The first pool that will do is taken, in the order of the configuration. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tinderbox_api::pools::{Pool, Pools};
use tinderbox_client::{Note, Plan, Step};

use super::{Memory, Observed, at_status, is_leaving, sizes, waits};
use crate::pods::created;
use crate::scheduler::preempt::priority;
use crate::scheduler::verdict::{self, Hall, Seat};

/// The plan for pools that are too small.
pub(super) fn plan(observed: &Observed, pools: &Pools, memory: &mut Memory) -> Plan {
    let mut plan = Plan::default();
    let before = sizes(observed, pools);
    let mut growth = Growth {
        pools,
        sizes: before.clone(),
        names: observed.nodes.iter().map(|node| node.name_any()).collect(),
        made: Vec::new(),
    };
    for pool in pools.iter() {
        let stay = observed.of(pools, pool).filter(|node| !is_leaving(node)).count();
        for _ in stay..pool.min as usize {
            growth.add(pool);
        }
    }
    let mut hall = Hall { seats: observed.seats(pools), namespaces: observed.namespaces.clone() };
    let mut waiting: Vec<&Arc<Pod>> = observed.pods.iter().filter(|pod| waits(pod)).collect();
    waiting.sort_by_key(|pod| (std::cmp::Reverse(priority(pod)), created(&***pod)));
    memory.told.retain(|uid, _| waiting.iter().any(|pod| pod.uid().as_deref() == Some(uid)));
    // The pools of the nodes that are made here, whose seats follow those that were there.
    let (there, mut coming) = (hall.seats.len(), Vec::<&str>::new());
    let mut helped: BTreeMap<&str, Vec<&Arc<Pod>>> = BTreeMap::new();
    for pod in waiting {
        let fitting = (0..hall.seats.len()).find(|at| verdict::fits(pod, &hall, *at));
        if let Some(at) = fitting {
            hall.seats[at].take(pod);
            if let Some(pool) = at.checked_sub(there).and_then(|new| coming.get(new).copied()) {
                helped.entry(pool).or_default().push(pod);
            }
            continue;
        }
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        let chosen = pools.iter().find(|pool| match growth.refuses(pool, pod, &hall) {
            None => true,
            Some(reason) => {
                *reasons.entry(reason).or_default() += 1;
                false
            }
        });
        match chosen {
            Some(pool) => {
                let mut seat = growth.add(pool);
                seat.take(pod);
                hall.seats.push(seat);
                coming.push(pool.name.as_str());
                helped.entry(&pool.name).or_default().push(pod);
            }
            None => {
                let why: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
                let text = format!("pod didn't trigger scale-up: {}", why.join(", "));
                tell(&mut plan, memory, pod, "NotTriggerScaleUp", text);
            }
        }
    }
    for (name, from, to, most) in growth.changes(&before) {
        let text = format!("Scale-up: setting group {name} size to {to} instead of {from} (max: {most})");
        if let Some(pods) = helped.get(name) {
            plan.note(at_status("ScaledUpGroup", text));
            for pod in pods {
                let text = format!("pod triggered scale-up: [{{{name} {from}->{to} (max: {most})}}]");
                tell(&mut plan, memory, pod, "TriggeredScaleUp", text);
            }
        }
    }
    for step in growth.made {
        plan.push(step);
    }
    plan
}

/// Says something of a pod, unless that was the last thing said of it.
fn tell(plan: &mut Plan, memory: &mut Memory, pod: &Pod, reason: &str, text: String) {
    let uid = pod.uid().unwrap_or_default();
    if memory.told.insert(uid, text.clone()).as_ref() != Some(&text) {
        plan.note(Note::normal(pod, reason, text));
    }
}

/// Pools as they grow.
struct Growth<'a> {
    pools: &'a Pools,
    sizes: BTreeMap<String, u32>,
    names: BTreeSet<String>,
    made: Vec<Step>,
}

impl Growth<'_> {
    fn size(&self, pool: &Pool) -> u32 {
        self.sizes.get(&pool.name).copied().unwrap_or_default()
    }

    fn next(&self, pool: &Pool) -> usize {
        (0..).find(|index| !self.names.contains(&self.pools.name(pool, *index))).unwrap_or_default()
    }

    /// Makes one more node; the seat that it will be.
    fn add(&mut self, pool: &Pool) -> Seat {
        let index = self.next(pool);
        self.names.insert(self.pools.name(pool, index));
        *self.sizes.entry(pool.name.clone()).or_default() += 1;
        self.made.push(Step::create(&self.pools.node(pool, index)));
        Seat::new(Arc::new(self.pools.template(pool, index)))
    }

    /// Why one more node of a pool would not help a pod.
    fn refuses(&self, pool: &Pool, pod: &Pod, hall: &Hall) -> Option<String> {
        if self.size(pool) >= pool.max {
            return Some("max node group size reached".to_owned());
        }
        let mut hall = hall.clone();
        hall.seats.push(Seat::new(Arc::new(self.pools.template(pool, self.next(pool)))));
        verdict::refusal(pod, &hall, hall.seats.len() - 1)
    }

    fn changes<'b>(&'b self, before: &'b BTreeMap<String, u32>) -> impl Iterator<Item = (&'b str, u32, u32, u32)> {
        self.pools.iter().filter_map(move |pool| {
            let (from, to) = (before.get(&pool.name).copied().unwrap_or_default(), self.size(pool));
            (to > from).then_some((pool.name.as_str(), from, to, pool.max))
        })
    }
}
