//! Why a tenure ended, as far as the lock's key shows it.

use std::fmt;

use super::lock::Lock;

/// Why a node no longer leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// Consul renews the session, but proofs that the lock is held do not
    /// arrive.
    Unproven,
    /// Consul does not answer this node, and other nodes reach it.
    Isolated,
    /// There is no key.
    Deleted,
    /// The key is free, and says what the holder wrote.
    Freed,
    /// The key is free, and says something else.
    Released { flags: u64, value: Vec<u8> },
    /// The key was written while this node held it.
    Overwritten { flags: u64, value: Vec<u8> },
    /// Another session holds the key.
    Taken { session: String, value: Vec<u8> },
    /// Another node has seen this later epoch.
    Outrun { epoch: u64 },
    /// The data side ordered it.
    Ordered,
    /// The node shuts down, or cannot lead.
    Unable,
}

impl Loss {
    /// The loss, by a read that does not show the acquisition under `session`
    /// with these flags.
    pub(super) fn shown_by(lock: &Lock, session: &str, own_flags: u64) -> Self {
        let Some(key) = &lock.key else {
            return Self::Deleted;
        };
        let (flags, value) = (key.flags, key.value.clone());
        match key.session.as_deref() {
            None if flags == own_flags => Self::Freed,
            None => Self::Released { flags, value },
            Some(holder) if holder == session => Self::Overwritten { flags, value },
            Some(holder) => Self::Taken {
                session: holder.to_owned(),
                value,
            },
        }
    }

    /// Whether something outside of this node caused it.
    pub(super) const fn is_from_outside(&self) -> bool {
        !matches!(self, Self::Ordered | Self::Unable)
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        match self {
            Self::Unproven => f.write_str(
                "nothing: Consul renews the session, but has not shown the lock in time for \
                 seconds, so it is left to a node that can prove that it holds the lock",
            ),
            Self::Isolated => f.write_str(
                "nothing: Consul does not answer this node, and another node sees there that this \
                 one holds the lock, so it is left to the others",
            ),
            Self::Deleted => f.write_str(
                "the lock's key is gone: it was deleted by hand, or Consul lost its state",
            ),
            Self::Freed => f.write_str(
                "the lock is free: the session of this node ended, by its health check or by hand",
            ),
            Self::Released { flags, value } => write!(
                f,
                "the lock is free with the flags {flags} and the value {:?}: it was released by \
                 hand, or another node has held it since",
                text(value)
            ),
            Self::Overwritten { flags, value } => write!(
                f,
                "the lock's key was overwritten by hand, with the flags {flags} and the value {:?}",
                text(value)
            ),
            Self::Taken { session, value } => write!(
                f,
                "the session {session} holds the lock, with the value {:?}",
                text(value)
            ),
            Self::Outrun { epoch } => write!(
                f,
                "another node has seen the epoch {epoch}: Consul has lost its state, and this node \
                 had not seen its last epoch"
            ),
            Self::Ordered => f.write_str("it was told to step down"),
            Self::Unable => f.write_str("the node shuts down, or cannot lead"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Key;

    #[test]
    fn what_the_key_shows_is_told_apart() {
        let shown = |session: Option<&str>, flags, value: &[u8]| {
            let key = Key {
                modify_index: 9,
                session: session.map(str::to_owned),
                flags,
                value: value.to_vec(),
            };
            let lock = Lock {
                index: 9,
                key: Some(key),
            };
            Loss::shown_by(&lock, "own", 1000)
        };
        assert_eq!(Loss::shown_by(&Lock::default(), "own", 1000), Loss::Deleted);
        assert_eq!(shown(None, 1000, b"{}"), Loss::Freed);
        let deleted = Loss::Deleted.to_string();
        assert!(deleted.contains("the lock's key is gone"), "{deleted}");
        let freed = Loss::Freed.to_string();
        assert!(freed.contains("the session of this node ended"), "{freed}");
        let released = shown(None, 0, b"x").to_string();
        assert!(
            released.contains("flags 0 and the value \"x\""),
            "{released}"
        );
        let overwritten = shown(Some("own"), 1000, b"someone").to_string();
        assert!(overwritten.contains("overwritten") && overwritten.contains("\"someone\""));
        let taken = shown(Some("other"), 1000, b"{}").to_string();
        assert!(taken.contains("the session other holds"), "{taken}");
    }
}
