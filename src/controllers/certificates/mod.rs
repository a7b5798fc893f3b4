//! Requests for certificates of Kubernetes' own signers: signed once they are approved and as long as they keep the signer's rules.
//! Approving is for people. The loop; rules are in `rules`.
//! Upstream rule: k8s.io/kubernetes `pkg/controller/certificates/signer`.

mod rules;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest, CertificateSigningRequestCondition, CertificateSigningRequestStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tinderbox_api::certificates::Authority;
use tinderbox_client::{ObjectKey, Plan, Queue, Result, Runner, Step, runner::Action};

use crate::context::Context;

/// How long certificates are valid at most, and at least.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const SHORTEST: Duration = Duration::from_secs(10 * 60);

/// Runs the controller.
pub(crate) fn run(context: Context) -> BoxFuture<'static, Result<()>> {
    async move {
        let requests = context.caches.get::<CertificateSigningRequest>();
        let queue = Queue::new(context.clock.clone());
        requests.subscribe({
            let queue = queue.clone();
            move |change| queue.add(change.key())
        });
        requests.synced().await?;
        let applier = context.applier("kube-controller-manager", "certificate-controller");
        let (authority, clock) = (context.config.authority.clone(), context.clock.clone());
        let runner = Runner { name: "certificates", queue, concurrency: 2, token: context.token.clone() };
        runner
            .run(move |key: ObjectKey| {
                let (requests, applier) = (requests.clone(), applier.clone());
                let (authority, now) = (authority.clone(), clock.now());
                async move {
                    let Some(request) = requests.get(&key) else {
                        return Ok(Action::Done);
                    };
                    Ok(applier.apply(plan(&request, &authority, now)).await?.into())
                }
            })
            .await;
        Ok(())
    }
    .boxed()
}

/// The certificate of a request that is approved, or why it gets none.
fn plan(request: &CertificateSigningRequest, authority: &Arc<dyn Authority>, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let status = request.status.clone().unwrap_or_default();
    let has = |kind: &str| {
        status.conditions.iter().flatten().any(|condition| condition.type_ == kind && condition.status == "True")
    };
    let is_done = status.certificate.as_ref().is_some_and(|certificate| !certificate.0.is_empty());
    let spec = &request.spec;
    if is_done || !has("Approved") || has("Denied") || has("Failed") || !rules::is_signer(&spec.signer_name) {
        return plan;
    }
    let mut new = status.clone();
    match sign(request, authority) {
        Ok(certificate) => new.certificate = Some(ByteString(certificate.into_bytes())),
        Err(why) => failed(&mut new, why, now),
    }
    Step::status(request, request.status.as_ref(), &new).into_iter().for_each(|step| plan.push(step));
    plan
}

fn sign(request: &CertificateSigningRequest, authority: &Arc<dyn Authority>) -> std::result::Result<String, String> {
    let spec = &request.spec;
    let usages = spec.usages.clone().unwrap_or_default();
    rules::check(&spec.signer_name, &authority.read(&spec.request.0)?, &usages)?;
    let wanted = spec.expiration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
    let lifetime = wanted.unwrap_or(LONGEST).clamp(SHORTEST, LONGEST);
    authority.sign(&spec.request.0, &usages, lifetime)
}

fn failed(status: &mut CertificateSigningRequestStatus, why: String, now: Timestamp) {
    status.conditions.get_or_insert_default().push(CertificateSigningRequestCondition {
        type_: "Failed".to_owned(),
        status: "True".to_owned(),
        reason: Some("SignerValidationFailure".to_owned()),
        message: Some(why),
        last_update_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    });
}
