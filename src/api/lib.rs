//! What every room shares and no room owns: custom resource types and their definitions, quantities, quotas, selectors, names,
//! schedules, functions of templates, pools of nodes, manifests as kubectl reads them, what is asked of the certificate authority,
//! and the streams between the API server and a node. It must not talk to anything: no network, no clock, no files but time zones.

#[macro_use]
mod record;
#[macro_use]
mod resource;

pub mod certificates;
pub mod crd;
pub mod cron;
pub mod gitops;
pub mod manifest;
pub mod monitoring;
pub mod names;
pub mod pools;
pub mod quantity;
pub mod quota;
pub mod selector;
pub mod spark;
pub mod sprig;
pub mod streams;
pub mod workflows;
