//! When each Spark application came how far: submitted, its driver running, its executors, the first task, the end. Pure functions
//! over what was seen and written; an application is its driver, so that each attempt has a timeline of its own.

use std::time::Instant;

use serde::Serialize;

use crate::event::Role;
use crate::follow::Texts;
use crate::kin::{millis, phases, role};
use crate::observe::World;
use crate::report::duration;

/// What Spark writes, at its usual level, when it sends a task to an executor.
const TASK: &str = "TaskSetManager: Starting task ";

/// The steps of one application, in milliseconds since the use case began. What did not come about is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    /// The driver's pod.
    pub driver: String,
    /// The driver's pod was made.
    pub submitted_ms: u64,
    /// It ran.
    pub driver_ms: Option<u64>,
    /// When each executor ran, in order.
    pub executors_ms: Vec<u64>,
    /// The driver's log told of the first task. Absent too where the log is set to tell less.
    pub first_task_ms: Option<u64>,
    /// The driver ended, well or badly.
    pub done_ms: Option<u64>,
}

impl std::fmt::Display for Timeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: submitted {}", self.driver, duration(self.submitted_ms))?;
        if let Some(ms) = self.driver_ms {
            write!(f, ", driver {}", duration(ms))?;
        }
        if let (Some(first), Some(last)) = (self.executors_ms.first(), self.executors_ms.last()) {
            write!(f, ", {} executor(s) {}", self.executors_ms.len(), duration(*first))?;
            if first != last {
                write!(f, " to {}", duration(*last))?;
            }
        }
        for (word, ms) in [("first task", self.first_task_ms), ("done", self.done_ms)] {
            if let Some(ms) = ms {
                write!(f, ", {word} {}", duration(ms))?;
            }
        }
        Ok(())
    }
}

/// The timelines of the drivers among these pods, in the order of their appearance.
#[must_use]
pub(crate) fn timelines(world: &World, pods: &[String], texts: &Texts, began: Instant) -> Vec<Timeline> {
    let entered = |uid: &str, wanted: &[&str]| {
        let all = phases(&world.records[uid], began);
        all.iter().find(|entered| wanted.contains(&entered.phase.as_str())).map(|entered| entered.at_ms)
    };
    let of_role = |wanted: Role| pods.iter().filter(move |uid| role(world.records[*uid].object()) == wanted);
    of_role(Role::Driver)
        .map(|driver| {
            // The operator's application may be an owner too, and stand first.
            let is_ours = |uid: &&String| {
                let owners = world.records[*uid].object()["metadata"]["ownerReferences"].as_array();
                owners.into_iter().flatten().any(|owner| owner["uid"] == **driver)
            };
            let executors = of_role(Role::Executor).filter(is_ours);
            let mut executors_ms: Vec<u64> = executors.filter_map(|uid| entered(uid, &["Running"])).collect();
            executors_ms.sort_unstable();
            let tasks = texts.iter().filter(|((uid, ..), _)| uid == driver).filter_map(|(_, text)| {
                let line = text.lines.iter().position(|line| line.contains(TASK))?;
                // Lines that are no longer kept may have told of an earlier one.
                (text.dropped == 0).then(|| millis(text.times[line], began))
            });
            Timeline {
                driver: world.records[driver].name.name.clone(),
                submitted_ms: millis(world.records[driver].versions[0].at, began),
                driver_ms: entered(driver, &["Running"]),
                executors_ms,
                first_task_ms: tasks.min(),
                done_ms: entered(driver, &["Succeeded", "Failed"]),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::follow::Text;
    use crate::observe::{Record, Version};

    #[test]
    fn each_attempt_has_its_own_steps() {
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let pod = |name: &str, part: &str, owner: &str, steps: &[(&str, u64)]| {
            let object = |phase: &str| {
                json!({"kind": "Pod", "metadata": {"name": name, "namespace": "jobs", "labels": {"spark-role": part},
                    "ownerReferences": [{"uid": "app"}, {"uid": owner}]}, "status": {"phase": phase}})
            };
            let versions =
                steps.iter().map(|(phase, ms)| Version { at: at(*ms), object: Arc::new(object(phase)) }).collect();
            Record { versions, ..Record::of("Pod", object("Pending")) }
        };
        let mut world = World::default();
        for (uid, record) in [
            ("d1", pod("first", "driver", "app", &[("Pending", 10), ("Running", 20), ("Failed", 30)])),
            ("d2", pod("second", "driver", "app", &[("Pending", 40), ("Running", 50), ("Succeeded", 900)])),
            ("e2", pod("b", "executor", "d2", &[("Pending", 60), ("Running", 300), ("Succeeded", 890)])),
            ("e1", pod("a", "executor", "d2", &[("Pending", 60), ("Running", 200)])),
            ("e3", pod("c", "executor", "d2", &[("Pending", 60)])),
        ] {
            world.records.insert(uid.to_owned(), record);
        }
        let mut text = Text::default();
        text.lines = ["begins", "INFO TaskSetManager: Starting task 0.0", "INFO TaskSetManager: Starting task 1.0"]
            .map(str::to_owned)
            .to_vec();
        text.times = [60, 400, 500].map(at).to_vec();
        let texts = |text| Texts::from([(("d2".to_owned(), "c".to_owned(), 0), text)]);
        let pods = ["d1", "d2", "e2", "e1", "e3"].map(str::to_owned);
        let first = Timeline {
            driver: "first".into(),
            submitted_ms: 10,
            driver_ms: Some(20),
            done_ms: Some(30),
            ..Timeline::default()
        };
        let second = Timeline {
            driver: "second".into(),
            submitted_ms: 40,
            driver_ms: Some(50),
            executors_ms: vec![200, 300],
            first_task_ms: Some(400),
            done_ms: Some(900),
        };
        assert_eq!(timelines(&world, &pods, &texts(text.clone()), began), [first.clone(), second.clone()]);
        assert_eq!(first.to_string(), "first: submitted 0.01 s, driver 0.02 s, done 0.03 s");
        assert_eq!(
            second.to_string(),
            "second: submitted 0.04 s, driver 0.05 s, 2 executor(s) 0.20 s to 0.30 s, first task 0.40 s, done 0.90 s"
        );
        text.dropped = 1;
        let cut = Timeline { first_task_ms: None, ..second };
        assert_eq!(timelines(&world, &pods, &texts(text), began), [first, cut]);
    }
}
