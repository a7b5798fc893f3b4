//! What pods use at this moment. Nothing is measured unless somebody asks; the use of processors is that since a look of some seconds to
//! a minute ago, or since the container's start, or over a second that the asker has to wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tinderbox_api::streams::{ContainerUsage, PodUsage};

use crate::cgroups::Used;
use crate::context::Shared;
use crate::pods::handle::{Live, PodHandle, Pods};

/// No shorter time says anything.
const SHORTEST: Duration = Duration::from_secs(1);
/// What was longer ago says nothing of now.
const LONGEST: Duration = Duration::from_secs(60);
/// A look is kept for those to come for this long.
const KEPT: Duration = Duration::from_secs(15);

/// What was used up to some time.
type Look = (Instant, Duration);

/// Remembers earlier looks.
#[derive(Default)]
pub(crate) struct Meter(Mutex<HashMap<String, Look>>);

/// A container that runs.
struct Running {
    pod: usize,
    name: String,
    live: Arc<Live>,
}

impl Meter {
    /// What the containers of all pods use.
    pub(crate) async fn read(&self, shared: &Shared, pods: &Pods) -> Vec<PodUsage> {
        let pods: Vec<((String, String), Arc<PodHandle>)> = pods.all();
        let running: Vec<Running> = pods
            .iter()
            .enumerate()
            .flat_map(|(pod, (_, handle))| {
                handle.live().into_iter().map(move |(name, live)| Running { pod, name, live })
            })
            .collect();
        let mut now = Instant::now();
        let mut used = measure(shared, &running).await;
        let mut before = self.earlier(&running, now);
        if running.iter().any(|one| used.contains_key(&one.live.id) && !before.contains_key(&one.live.id)) {
            tokio::time::sleep(SHORTEST).await;
            for (id, used) in used {
                before.entry(id).or_insert((now, used.cpu));
            }
            now = Instant::now();
            used = measure(shared, &running).await;
        }
        self.remember(&used, now);
        let at = SystemTime::now();
        let mut usage: Vec<PodUsage> = pods
            .into_iter()
            .map(|((namespace, pod), handle)| PodUsage {
                namespace,
                pod,
                uid: handle.uid.clone(),
                node: handle.node.clone(),
                at,
                window: Duration::ZERO,
                containers: Vec::new(),
            })
            .collect();
        for Running { pod, name, live } in running {
            let (Some(used), Some((since, cpu))) = (used.get(&live.id), before.get(&live.id)) else { continue };
            let window = now.duration_since(*since);
            let spent = used.cpu.saturating_sub(*cpu);
            let cpu_nanos =
                u64::try_from(spent.as_nanos() * 1_000_000_000 / window.as_nanos().max(1)).unwrap_or(u64::MAX);
            usage[pod].window = usage[pod].window.max(window);
            usage[pod].containers.push(ContainerUsage { name, cpu_nanos, memory: used.memory });
        }
        usage.retain(|pod| !pod.containers.is_empty());
        usage
    }

    /// For each container the look to compare with, if there is one.
    fn earlier(&self, running: &[Running], now: Instant) -> HashMap<String, Look> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |since: Instant| (SHORTEST..=LONGEST).contains(&now.duration_since(since));
        let look = |one: &Running| {
            let known = known.get(&one.live.id).copied().filter(|(since, _)| fits(*since));
            let look = known.or_else(|| fits(one.live.started).then_some((one.live.started, Duration::ZERO)))?;
            Some((one.live.id.clone(), look))
        };
        running.iter().filter_map(look).collect()
    }

    fn remember(&self, used: &HashMap<String, Used>, now: Instant) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|id, (since, _)| used.contains_key(id) && now.duration_since(*since) < KEPT);
        for (id, used) in used {
            known.entry(id.clone()).or_insert((now, used.cpu));
        }
    }
}

/// What containers use by their ids: the kernel's count of their groups where they have some, else that of their processes.
async fn measure(shared: &Shared, running: &[Running]) -> HashMap<String, Used> {
    let mut used = HashMap::new();
    let mut rest = Vec::new();
    for Running { live, .. } in running {
        match &live.group {
            Some(group) => used.extend(group.used().map(|one| (live.id.clone(), one))),
            None => rest.push(live.id.clone()),
        }
    }
    if !rest.is_empty() {
        // A place that is gone has nothing more to say.
        let counted = shared.place.usage(rest, true).await.unwrap_or_default();
        used.extend(counted.into_iter().map(|(id, one)| (id, Used { cpu: one.cpu, memory: one.memory })));
    }
    used
}
