use std::collections::HashMap;
use std::time::Duration;

use super::moment::Moment;

/// When sessions with a TTL end if nobody renews them: after twice the TTL, as
/// in Consul.
///
/// The caller ends the sessions that [`SessionTtls::take_due`] returns with
/// [`Store::destroy_session`](super::Store::destroy_session).
#[derive(Debug, Default)]
pub struct SessionTtls {
    ends: HashMap<String, Moment>,
}

impl SessionTtls {
    /// Starts or restarts the session's time.
    pub fn renew(&mut self, now: Moment, session: &str, ttl: Duration) {
        self.ends.insert(session.to_owned(), now + ttl * 2);
    }

    /// Stops counting for a session that has ended.
    pub fn forget(&mut self, session: &str) {
        self.ends.remove(session);
    }

    /// When the next session ends.
    #[must_use]
    pub fn next(&self) -> Option<Moment> {
        self.ends.values().min().copied()
    }

    /// Removes and returns the ids of the sessions whose time is over.
    pub fn take_due(&mut self, now: Moment) -> Vec<String> {
        let due = self.ends.extract_if(|_, end| *end <= now);
        due.map(|(session, _)| session).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_after_twice_its_ttl_unless_it_is_renewed() {
        let second = Duration::from_secs(1);
        let mut ttls = SessionTtls::default();
        assert_eq!(ttls.next(), None);
        ttls.renew(second, "a", 10 * second);
        ttls.renew(second, "b", 20 * second);
        assert_eq!(ttls.next(), Some(21 * second));
        ttls.renew(5 * second, "a", 10 * second);
        assert!(ttls.take_due(24 * second).is_empty());
        assert_eq!(ttls.take_due(25 * second), ["a"]);
        assert_eq!(ttls.next(), Some(41 * second));
        ttls.forget("b");
        assert!(ttls.take_due(60 * second).is_empty());
    }
}
