//! The store through its public face: reads, writes, watches, and what happens to them together.

mod contention;
mod kill;
mod model;
mod reading;
mod watching;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::{Collection, Key, Options, Store};

pub(super) fn options(dir: &Path) -> Options {
    Options { dir: Some(dir.to_owned()), history: 1000 }
}

pub(super) fn memory(history: usize) -> Store {
    Store::open(Options { dir: None, history }).expect("opens")
}

pub(super) fn pods() -> Collection {
    Collection { group: Arc::from(""), resource: Arc::from("pods") }
}

pub(super) fn nodes() -> Collection {
    Collection { group: Arc::from(""), resource: Arc::from("nodes") }
}

pub(super) fn key(collection: Collection, namespace: &str, name: &str) -> Key {
    Key { collection, namespace: Arc::from(namespace), name: Arc::from(name) }
}

pub(super) fn pod(name: &str) -> Key {
    key(pods(), "default", name)
}

pub(super) fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// A small generator of numbers that are the same in every run.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
