//! What a change affected, and which reads it concerns.

use std::collections::BTreeSet;

/// Everything that changed since [`Store::changes`] was last called.
///
/// [`Store::changes`]: super::Store::changes
#[derive(Debug, Default)]
pub struct Changes {
    keys: BTreeSet<String>,
    /// Keys whose deletion no longer has to be remembered. Nobody waits for
    /// that; only the disk has to be told.
    forgotten: BTreeSet<String>,
    services: BTreeSet<String>,
    catalog: bool,
    sessions: bool,
    /// Whether the change in progress has changed anything yet.
    open: bool,
}

impl Changes {
    pub(super) fn key(&mut self, key: &str) {
        self.keys.insert(key.to_owned());
        self.open = true;
    }

    pub(super) fn forgotten(&mut self, key: String) {
        self.forgotten.insert(key);
    }

    pub(super) fn service(&mut self, name: &str) {
        self.services.insert(name.to_owned());
        self.catalog();
    }

    pub(super) fn catalog(&mut self) {
        self.catalog = true;
        self.open = true;
    }

    pub(super) fn sessions(&mut self) {
        self.sessions = true;
        self.open = true;
    }

    /// Ends the change in progress. Returns whether it changed anything.
    pub(super) fn settle(&mut self) -> bool {
        std::mem::take(&mut self.open)
    }

    /// Drops everything that a failed change has noted.
    pub(super) fn discard(&mut self) {
        *self = Self::default();
    }

    /// The keys to save again, each as [`Store::saved`] returns it.
    ///
    /// [`Store::saved`]: super::Store::saved
    pub fn keys_to_save(&self) -> impl Iterator<Item = &String> {
        self.keys.union(&self.forgotten)
    }

    /// Whether a read with this interest has to be repeated.
    #[must_use]
    pub fn concerns(&self, interest: &Interest) -> bool {
        match interest {
            Interest::Key(key) => self.keys.contains(key),
            Interest::Prefix(prefix) => self
                .keys
                .range(prefix.clone()..)
                .next()
                .is_some_and(|key| key.starts_with(prefix)),
            Interest::Service(name) => self.services.contains(name),
            Interest::Catalog => self.catalog,
            Interest::Sessions => self.sessions,
        }
    }
}

/// What a read depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interest {
    /// One key.
    Key(String),
    /// All keys with this prefix.
    Prefix(String),
    /// The instances and checks of the service with this name.
    Service(String),
    /// All services and checks.
    Catalog,
    /// All sessions.
    Sessions,
}
