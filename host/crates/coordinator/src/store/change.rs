//! What a change concerned, and who wants to know.

use std::collections::BTreeSet;

/// Everything that was changed.
#[derive(Debug, Default)]
pub struct Changes {
    keys: BTreeSet<String>,
    /// Deletions that need not be remembered any longer: only the disk has to
    /// know.
    forgotten: BTreeSet<String>,
    services: BTreeSet<String>,
    catalog: bool,
    sessions: bool,
    /// Whether the change that is being made has changed anything.
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

    /// Ends a change; whether there was one.
    pub(super) fn settle(&mut self) -> bool {
        std::mem::take(&mut self.open)
    }

    /// Takes back what the change has noted so far.
    pub(super) fn take_back(&mut self) {
        *self = Self::default();
    }

    /// The keys whose saved form is no longer right.
    pub(crate) fn to_save(&self) -> impl Iterator<Item = &String> {
        self.keys.union(&self.forgotten)
    }

    /// Whether somebody with this interest has to look again.
    #[must_use]
    pub fn concern(&self, interest: &Interest) -> bool {
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
    /// All keys that begin so.
    Prefix(String),
    /// The instances and checks of one service.
    Service(String),
    /// All services and checks.
    Catalog,
    /// All sessions.
    Sessions,
}
