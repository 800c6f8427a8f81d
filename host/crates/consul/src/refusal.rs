//! Why Consul refuses something, recognised by the words of its answer, because
//! it has no codes for these. No other file of this crate knows the words.

use std::fmt;

/// Why Consul refused a call, or a step of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The ACL token does not allow it.
    PermissionDenied,
    /// The session of the call does not exist.
    InvalidSession,
    /// Another session holds the key.
    LockHeld,
    /// The session that was named does not hold the key.
    SessionMismatch,
    /// The key was written since the index that was named.
    IndexMismatch,
    /// There is such a key, and there should be none.
    Exists,
    /// There is no such key.
    Absent,
    /// A session was to be bound to a check that is not registered, or not
    /// passing, yet.
    CheckNotReady,
    /// The agent does not know the service.
    UnknownService,
    /// The session that was to end does not exist; said where there are ACLs.
    UnknownSession,
    /// Something else.
    Other,
}

impl Refusal {
    pub(super) fn of(text: &str) -> Self {
        let known = [
            (Self::PermissionDenied, "Permission denied"),
            (Self::InvalidSession, "invalid session"),
            (Self::LockHeld, "lock is already held"),
            (Self::SessionMismatch, "failed session check"),
            (Self::IndexMismatch, "failed index check"),
            (Self::IndexMismatch, "index is stale"),
            (Self::Absent, "doesn't exist"),
            (Self::Exists, " exists"),
            (Self::CheckNotReady, "Missing check"),
            (Self::UnknownService, "Unknown service"),
            (Self::UnknownSession, "Unknown session"),
        ];
        let said = known.into_iter().find(|(_, words)| text.contains(words));
        match said {
            Some((refusal, _)) => refusal,
            // If the agent's own host is critical, that takes longer to pass.
            None if text.contains("critical state") && !text.contains("'serfHealth'") => {
                Self::CheckNotReady
            }
            None => Self::Other,
        }
    }
}

/// Why a transaction was rolled back, in `Display` in Consul's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollback {
    steps: Vec<(Refusal, String)>,
}

impl Rollback {
    /// By what Consul says of each step that it refused.
    #[must_use]
    pub fn new(texts: impl IntoIterator<Item = String>) -> Self {
        let steps = texts.into_iter();
        Self {
            steps: steps.map(|text| (Refusal::of(&text), text)).collect(),
        }
    }

    /// Whether a step was refused for this reason.
    #[must_use]
    pub fn is_for(&self, refusal: Refusal) -> bool {
        self.steps.iter().any(|(reason, _)| *reason == refusal)
    }
}

impl fmt::Display for Rollback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (_, text)) in self.steps.iter().enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            write!(f, "{separator}{text}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consuls_words_are_told_apart() {
        for (text, refusal) in [
            (
                "rpc error making call: Permission denied",
                Refusal::PermissionDenied,
            ),
            ("invalid session \"x\"", Refusal::InvalidSession),
            (
                "failed to lock key \"c/leader\", lock is already held",
                Refusal::LockHeld,
            ),
            (
                "failed session check for key \"k\", current session \"\" != \"s\"",
                Refusal::SessionMismatch,
            ),
            (
                "failed index check for key \"k\", current modify index 3 != 2",
                Refusal::IndexMismatch,
            ),
            (
                "failed to set key \"k\", index is stale",
                Refusal::IndexMismatch,
            ),
            ("key \"k\" exists", Refusal::Exists),
            (
                "failed to check index, key \"k\" doesn't exist",
                Refusal::Absent,
            ),
            (
                "Check 'service:sluice-a' is in critical state",
                Refusal::CheckNotReady,
            ),
            (
                "Missing check 'serfHealth' registration",
                Refusal::CheckNotReady,
            ),
            (
                "rpc error: Check 'serfHealth' is in critical state",
                Refusal::Other,
            ),
            ("Unknown service \"s\"", Refusal::UnknownService),
            ("Unknown session ID \"s\"", Refusal::UnknownSession),
            ("No cluster leader", Refusal::Other),
        ] {
            assert_eq!(Refusal::of(text), refusal, "{text}");
        }
    }

    #[test]
    fn a_rollback_is_for_each_of_its_reasons() {
        let texts = ["invalid session \"x\"", "Permission denied"];
        let rollback = Rollback::new(texts.map(str::to_owned));
        assert!(rollback.is_for(Refusal::InvalidSession));
        assert!(rollback.is_for(Refusal::PermissionDenied));
        assert!(!rollback.is_for(Refusal::LockHeld));
        let text = rollback.to_string();
        assert_eq!(text, "invalid session \"x\"; Permission denied");
    }
}
