//! The place that was chosen, where it is not known beforehand which. It must not do anything itself.

use std::path::PathBuf;

use serde_json::Value;

use crate::embedded::Embedded;
use crate::existing::Existing;
use crate::folder::Folder;
use crate::kind::Kind;
use crate::{Abilities, Down, Error, Found, Plan, Provider, ProviderName, Scope, Talk, Up};

/// One cluster in any place.
#[derive(Debug, Clone)]
pub enum AnyProvider {
    /// In the embedded place.
    Embedded(Embedded),
    /// In a container engine.
    Kind(Kind),
    /// Made by somebody else.
    Existing(Existing),
}

impl AnyProvider {
    /// The place that holds the cluster of this folder; `None` while there is no cluster. What cannot be read is for the place to
    /// complain about.
    #[must_use]
    pub fn holder(folder: &Folder) -> Option<ProviderName> {
        let text = std::fs::read(folder.state()).ok()?;
        let state: Value = serde_json::from_slice(&text).unwrap_or_default();
        Some(serde_json::from_value(state["provider"].clone()).unwrap_or_default())
    }
}

/// Hands a call to the place.
macro_rules! each {
    ($any:expr, $one:ident => $call:expr) => {
        match $any {
            AnyProvider::Embedded($one) => $call,
            AnyProvider::Kind($one) => $call,
            AnyProvider::Existing($one) => $call,
        }
    };
}

impl Provider for AnyProvider {
    fn name(&self) -> ProviderName {
        each!(self, one => one.name())
    }

    fn abilities(&self) -> Abilities {
        each!(self, one => one.abilities())
    }

    fn folder(&self) -> &Folder {
        each!(self, one => one.folder())
    }

    fn scope(&self) -> Result<Scope, Error> {
        each!(self, one => one.scope())
    }

    async fn plan(&self) -> Result<Plan, Error> {
        each!(self, one => one.plan().await)
    }

    async fn up(&self, talk: &Talk) -> Result<Up, Error> {
        each!(self, one => one.up(talk).await)
    }

    async fn find(&self) -> Result<Found, Error> {
        each!(self, one => one.find().await)
    }

    fn made_by(&self) -> Result<Option<String>, Error> {
        each!(self, one => one.made_by())
    }

    fn logs(&self) -> Vec<PathBuf> {
        each!(self, one => one.logs())
    }

    async fn down(&self) -> Result<Down, Error> {
        each!(self, one => one.down().await)
    }
}
