use std::time::Duration;

/// What happens to a session's locks when the session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behavior {
    /// The keys stay and are free.
    Release,
    /// The keys are deleted.
    Delete,
}

/// A session.
#[derive(Clone, Debug)]
pub struct Session {
    /// A UUID.
    pub id: String,
    /// A name for people; need not be unique.
    pub name: String,
    /// How long nobody can acquire the session's keys after the session ended
    /// without releasing them.
    pub lock_delay: Duration,
    /// What happens to the session's locks when it ends.
    pub behavior: Behavior,
    /// The TTL as the client wrote it; empty without one.
    pub ttl_text: String,
    /// How often the session must be renewed. The store does not enforce it:
    /// see [`SessionTtls`](super::SessionTtls).
    pub ttl: Option<Duration>,
    /// Ids of checks of the node that end the session when they are critical.
    pub node_checks: Option<Vec<String>>,
    /// Checks of services that end the session when they are critical.
    pub service_checks: Option<Vec<ServiceCheck>>,
    /// The older form of `node_checks` and `service_checks`.
    pub checks: Option<Vec<String>>,
    /// The index of the change that created the session.
    pub create_index: u64,
}

/// A session to create. The store sets `create_index`.
pub type NewSession = Session;

/// A check of a service that a session is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceCheck {
    /// The check's id.
    pub id: String,
    /// Kept for answers only; there is one namespace.
    pub namespace: String,
}

impl Session {
    /// The ids of all checks that can end the session.
    pub(super) fn check_ids(&self) -> impl Iterator<Item = &str> {
        let plain = [&self.checks, &self.node_checks];
        let plain = plain.into_iter().flatten().flatten().map(String::as_str);
        let service = self.service_checks.iter().flatten();
        plain.chain(service.map(|check| check.id.as_str()))
    }

    pub(super) fn is_bound_to(&self, check: &str) -> bool {
        self.check_ids().any(|id| id == check)
    }
}
