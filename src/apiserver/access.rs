//! Who asks and whether they may: `auth` put over the store. It decides nothing itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use http::HeaderMap;
use serde_json::Value;
use tinderbox_store::{Collection, Key, Store, Watch};

use crate::auth::authenticate::{Authenticator, impersonated};
use crate::auth::token::Tokens;
use crate::auth::{Attributes, ObjectLookup, Rbac, RoleSource, Roles, User};
use crate::codec;
use crate::error::ApiError;

/// The resources that rights are made of.
const KINDS: [&str; 4] = ["clusterroles", "clusterrolebindings", "roles", "rolebindings"];

/// The server's gate.
pub(crate) struct Access {
    pub(crate) rbac: Rbac,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) objects: Arc<StoreObjects>,
    authenticator: Authenticator,
}

impl Access {
    /// A gate over the roles and accounts in a store.
    pub(crate) fn new(store: &Store, tokens: Arc<Tokens>) -> Self {
        let objects = Arc::new(StoreObjects(store.clone()));
        Self {
            rbac: Rbac::new(Arc::new(StoreRoles::new(store.clone()))),
            authenticator: Authenticator::new(Arc::clone(&tokens), objects.clone()),
            tokens,
            objects,
        }
    }

    /// Who sends a request with these headers over a connection of `peer`, or in whose name.
    pub(crate) fn sender(&self, peer: Option<&User>, headers: &HeaderMap) -> Result<User, ApiError> {
        let user = self.authenticator.sender(peer, headers, SystemTime::now())?;
        self.acting(user, headers)
    }

    /// In whose name `user` acts by these headers.
    pub(crate) fn acting(&self, user: User, headers: &HeaderMap) -> Result<User, ApiError> {
        impersonated(&self.rbac, user, headers)
    }

    /// Nothing, or the refusal; who has not said who they are is asked to when they may not do it as anyone.
    pub(crate) fn require(&self, asked: &Attributes) -> Result<(), ApiError> {
        self.rbac.require(asked)
    }
}

/// Objects of the core group, as tokens are held against them.
pub(crate) struct StoreObjects(Store);

impl ObjectLookup for StoreObjects {
    fn object(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let key = Key {
            collection: Collection { group: "".into(), resource: resource.into() },
            namespace: namespace.into(),
            name: name.into(),
        };
        self.0.get(&key).map(|stored| codec::decode(&stored))
    }
}

/// Roles and bindings, read again when one of them has changed.
struct StoreRoles {
    store: Store,
    read: Mutex<Option<(Vec<Watch>, Arc<Roles>)>>,
}

impl StoreRoles {
    fn new(store: Store) -> Self {
        Self { store, read: Mutex::new(None) }
    }

    fn read(&self) -> Option<(Vec<Watch>, Arc<Roles>)> {
        let mut watches = Vec::new();
        let mut objects = Vec::new();
        for kind in KINDS {
            let collection = Collection { group: crate::auth::rbac::GROUP.into(), resource: kind.into() };
            let list = self.store.list(&collection, None, None, 0);
            watches.push(self.store.watch(&collection, None, list.revision).ok()?);
            objects.extend(list.items.iter().map(|stored| codec::decode(stored)));
        }
        Some((watches, Arc::new(Roles::from_objects(&objects))))
    }
}

impl RoleSource for StoreRoles {
    fn roles(&self) -> Arc<Roles> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((watches, roles)) = read.as_mut() {
            let same = watches.iter_mut().all(|watch| matches!(watch.try_next(), Ok(None)));
            if same {
                return Arc::clone(roles);
            }
        }
        // The history is so short that it ran over between list and watch only where it holds nothing at all; such a
        // snapshot is good for one answer.
        *read = self.read();
        read.as_ref().map(|(_, roles)| Arc::clone(roles)).unwrap_or_default()
    }
}
