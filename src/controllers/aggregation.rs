//! Cluster roles that are made of others: `aggregationRule` becomes `rules`. Nothing else of RBAC.
//! Upstream rule: `pkg/controller/clusterroleaggregation`.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use kube::ResourceExt;
use tinderbox_client::{ObjectKey, Plan, Queue, Result, Runner, Step, runner::Action};

use crate::context::Context;
use crate::meta::selector;

/// Runs the controller.
pub(crate) fn run(context: Context) -> BoxFuture<'static, Result<()>> {
    async move {
        let roles = context.caches.get::<ClusterRole>();
        let queue = Queue::new(context.clock.clone());
        roles.subscribe({
            let (queue, roles) = (queue.clone(), roles.clone());
            move |_| {
                let aggregating = roles.list().into_iter().filter(|role| role.aggregation_rule.is_some());
                aggregating.for_each(|role| queue.add(role.name_any()));
            }
        });
        roles.synced().await?;
        let applier = context.applier("clusterrole-aggregation-controller", "clusterrole-aggregation-controller");
        let runner = Runner { name: "aggregation", queue, concurrency: 2, token: context.token.clone() };
        runner
            .run(move |name: String| {
                let (roles, applier) = (roles.clone(), applier.clone());
                async move {
                    let Some(role) = roles.get(&ObjectKey::cluster(name)) else {
                        return Ok(Action::Done);
                    };
                    Ok(applier.apply(plan(&role, &roles.list())?).await?.into())
                }
            })
            .await;
        Ok(())
    }
    .boxed()
}

/// Gives an aggregating role the rules of those that it selects. Pure.
fn plan(role: &ClusterRole, roles: &[Arc<ClusterRole>]) -> Result<Plan> {
    let mut plan = Plan::default();
    let Some(aggregation) = &role.aggregation_rule else {
        return Ok(plan);
    };
    let mut rules: Vec<PolicyRule> = Vec::new();
    for wanted in aggregation.cluster_role_selectors.iter().flatten() {
        let wanted = selector(wanted)?;
        let others = roles.iter().filter(|other| other.name_any() != role.name_any());
        for other in others.filter(|other| wanted.matches_map(other.metadata.labels.as_ref())) {
            for rule in other.rules.iter().flatten() {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    let mut new = role.clone();
    new.rules = Some(rules);
    if new.rules.as_deref() != Some(role.rules.as_deref().unwrap_or_default()) {
        Step::update(role, &new).into_iter().for_each(|step| plan.push(step));
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn role(value: serde_json::Value) -> Arc<ClusterRole> {
        Arc::new(serde_json::from_value(value).unwrap_or_default())
    }

    #[test]
    fn a_role_is_the_sum_of_those_it_selects() -> Result<()> {
        let pods = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]});
        let jobs = json!({"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get"]});
        let edit = role(json!({
            "metadata": {"name": "edit", "labels": {"to-edit": "true"}},
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to-edit": "true"}}]},
        }));
        let all = [
            edit.clone(),
            role(json!({"metadata": {"name": "a", "labels": {"to-edit": "true"}}, "rules": [pods]})),
            role(json!({"metadata": {"name": "b", "labels": {"to-edit": "true"}}, "rules": [pods, jobs]})),
            role(json!({"metadata": {"name": "c"}, "rules": [{"verbs": ["*"]}]})),
        ];
        let plan = plan(&edit, &all)?;
        let rules: Vec<_> = plan.steps().map(|step| step.body()["rules"].clone()).collect();
        assert_eq!(rules, [json!([pods, jobs])]);
        Ok(())
    }
}
