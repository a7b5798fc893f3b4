//! The API server as its clients see it: kube-rs in process, and kubectl over the wire.

mod custom;
mod in_process;
mod kubectl;
mod pods;
mod policies;
mod protocol;
mod rules;
mod spark;
mod submission;
mod versions;
mod webhooks;
mod websocket;

pub(crate) use tinderbox_tests::wire;
