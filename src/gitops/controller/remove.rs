//! The end of an application: with its finalizer it takes its objects along, without it leaves them.

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::PropagationPolicy;
use serde_json::json;
use tinderbox_api::gitops::{Application, marks};
use tinderbox_client::{Result, Step};

use super::act::delete;
use super::{Context, observe, operate, report};
use crate::sync::{Key, has_option};

/// Deletes what is left of an application; the finalizer goes when nothing is left.
pub(super) async fn remove(context: &Context, app: &Application, now: Timestamp) -> Result<()> {
    let finalizer = app.finalizers().iter().find(|one| one.starts_with(marks::RESOURCES_FINALIZER)).cloned();
    let Some(finalizer) = finalizer else { return Ok(()) };
    let propagation =
        if finalizer.ends_with("/background") { PropagationPolicy::Background } else { PropagationPolicy::Foreground };
    for known in app.status.iter().flat_map(|status| &status.resources) {
        let version =
            if known.group.is_empty() { known.version.clone() } else { format!("{}/{}", known.group, known.version) };
        context.kinds.get(&version, &known.kind).await?;
    }
    let name = context.name_of(app);
    let confirmed = operate::approved(app).is_some();
    let (mut left, mut wrong) = (0, Vec::new());
    for kind in context.kinds.all() {
        for live in observe::owned(&kind, &name) {
            if has_option(&live, "Delete=false") {
                continue;
            }
            let key = Key::of(&live);
            left += 1;
            if has_option(&live, "Delete=confirm") && !confirmed {
                let advice = format!("approve it by the annotation {}", marks::DELETION_APPROVED);
                wrong.push(format!("waiting for confirmation of the deletion of {key}: {advice}"));
            } else if live["metadata"]["deletionTimestamp"].is_null()
                && let Err(error) = delete(context, &kind, &key, propagation.clone()).await
            {
                wrong.push(format!("{key}: {error}"));
            }
        }
    }
    if left == 0 {
        let kept: Vec<&String> = app.finalizers().iter().filter(|one| **one != finalizer).collect();
        let step = Step::merge(app, json!({"metadata": {"finalizers": kept}}));
        return context.applier.step(step).await;
    }
    let mut new = app.clone();
    if wrong.is_empty() {
        report::clear(&mut new, "DeletionError");
    } else {
        report::set(&mut new, "DeletionError", wrong.join("; "), now);
    }
    context.write(app, &new, false).await
}
