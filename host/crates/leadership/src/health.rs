//! Answers Consul's health check: whether the control loop runs, and whether a
//! node that may hold the lock hears from its agent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::health_secret::HealthSecret;
use super::heartbeat::Heartbeat;
use super::view::View;
use sluice_consul::Client;
use sluice_types::clock::BootTime;

/// How long the agent may leave a leader without an answer. After that, the
/// leader can neither prove that it holds the lock nor release it. The agent
/// can, if the check fails: the session is bound to it.
const SILENCE_LIMIT: Duration = Duration::from_secs(5);
/// A restarted agent runs its checks before answering, so its silence does not
/// count during this time.
const FIRST_CHECKS: Duration = Duration::from_secs(2);
/// The longest pause between checks of one run of the agent.
const CHECK_GAP_LIMIT: Duration = Duration::from_secs(3);
/// How often is looked whether the agent has checked this node.
const UNASKED_INTERVAL: Duration = Duration::from_secs(5);
/// How often in a row the agent has answered this node and has not checked it
/// before the log says so.
const UNASKED_LIMIT: u32 = 3;

/// What health depends on.
#[derive(Clone, Debug)]
pub(super) struct Health {
    pub(super) heartbeat: Arc<Heartbeat>,
    pub(super) client: Client,
    pub(super) view: watch::Receiver<View>,
    pub(super) asked: Arc<Mutex<Asked>>,
    /// What the agent's checks bear.
    pub(super) secret: HealthSecret,
}

/// When the agent's current series of checks, without a long pause, began, and
/// when the last check was.
#[derive(Debug, Default)]
pub(super) struct Asked {
    since: BootTime,
    last: BootTime,
}

impl Asked {
    /// For how long the agent has been asking.
    fn again(&mut self, now: BootTime) -> Duration {
        if now.since(self.last) > CHECK_GAP_LIMIT {
            self.since = now;
        }
        self.last = now;
        self.so_far()
    }

    /// For how long it had been asking at the last check.
    fn so_far(&self) -> Duration {
        self.last.since(self.since)
    }
}

impl Health {
    /// What is wrong, if anything is. Only the checks of the agent count as
    /// such.
    pub(super) fn complaint(&self, is_agents: bool) -> Option<&'static str> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let asked_for = match is_agents {
            true => asked.again(BootTime::now()),
            false => asked.so_far(),
        };
        drop(asked);
        let view = self.view.borrow().clone();
        let condition = Condition {
            is_loop_alive: self.heartbeat.is_alive(),
            may_hold_lock: !view.leads.is_empty() || view.releasing,
            asked_for,
            // Any answer counts: without a leader of its own, Consul gives the
            // lock to no other node.
            unanswered_for: self.client.unanswered_for(),
        };
        condition.complaint()
    }

    /// Whether the agent has ever checked this node.
    fn was_asked(&self) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.last != BootTime::default()
    }

    /// Says in the log that the agent answers this node and does not check it.
    /// Ends then, or once it has checked.
    pub(super) async fn watch_agent(self, url: String) {
        let mut unasked = 0;
        while unasked < UNASKED_LIMIT {
            tokio::time::sleep(UNASKED_INTERVAL).await;
            if self.was_asked() {
                return;
            }
            let is_answered = self.client.unanswered_for() < UNASKED_INTERVAL;
            unasked = if is_answered { unasked + 1 } else { 0 };
        }
        tracing::warn!(
            url,
            "Consul's agent has not checked this node's health; if it runs elsewhere or in a \
             container, give an address that it can reach with --health-listen"
        );
    }
}

/// What a check finds.
#[derive(Clone, Copy, Debug)]
struct Condition {
    is_loop_alive: bool,
    may_hold_lock: bool,
    /// For how long this run of the agent has been checking.
    asked_for: Duration,
    /// For how long the agent has given this node no answer.
    unanswered_for: Duration,
}

impl Condition {
    fn complaint(self) -> Option<&'static str> {
        if !self.is_loop_alive {
            return Some("the control loop makes no progress");
        }
        let is_silent = self.asked_for >= FIRST_CHECKS && self.unanswered_for >= SILENCE_LIMIT;
        (self.may_hold_lock && is_silent)
            .then_some("this node may hold the lock, and its Consul agent does not answer it")
    }
}

#[cfg(test)]
impl Health {
    /// That of a node that never leads.
    pub(super) fn fake(heartbeat: &Arc<Heartbeat>) -> Self {
        // A client cannot be built without one, even if it speaks plain HTTP. Another
        // test may have installed it already.
        drop(rustls::crypto::ring::default_provider().install_default());
        let config = sluice_consul::Config::from_variables(|_| None).unwrap();
        Self {
            heartbeat: Arc::clone(heartbeat),
            client: Client::new(config).unwrap(),
            view: watch::channel(View::default()).1,
            asked: Arc::default(),
            secret: HealthSecret::random(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_starts_another_run_of_checks() {
        let mut asked = Asked::default();
        let mut again = |second: u64| asked.again(BootTime::from_nanos(second * 1_000_000_000));
        for (second, seconds) in [(10, 0), (11, 1), (13, 3), (16, 6), (20, 0), (21, 1)] {
            assert_eq!(again(second), Duration::from_secs(seconds), "at {second}");
        }
    }

    /// A leader that has had no answer for a while.
    const SILENT: Condition = Condition {
        is_loop_alive: true,
        may_hold_lock: true,
        asked_for: FIRST_CHECKS,
        unanswered_for: SILENCE_LIMIT,
    };

    #[test]
    fn only_the_silence_of_the_agent_to_a_leader_is_unhealthy() {
        assert!(SILENT.complaint().unwrap().contains("does not answer"));
        let just_before = |limit: Duration| limit.checked_sub(Duration::from_nanos(1)).unwrap();
        for healthy in [
            Condition {
                may_hold_lock: false,
                ..SILENT
            },
            Condition {
                asked_for: just_before(FIRST_CHECKS),
                ..SILENT
            },
            Condition {
                unanswered_for: just_before(SILENCE_LIMIT),
                ..SILENT
            },
        ] {
            assert_eq!(healthy.complaint(), None, "{healthy:?}");
        }
    }

    #[test]
    fn a_loop_that_stands_still_is_unhealthy_on_every_node() {
        let still = Condition {
            is_loop_alive: false,
            may_hold_lock: false,
            asked_for: Duration::ZERO,
            unanswered_for: Duration::ZERO,
        };
        assert!(still.complaint().unwrap().contains("no progress"));
    }

    #[test]
    fn only_the_agents_checks_make_a_run_of_checks() {
        let heartbeat = Arc::new(Heartbeat::default());
        heartbeat.beat();
        let health = Health::fake(&heartbeat);
        assert_eq!(health.complaint(false), None);
        assert!(!health.was_asked());
        assert_eq!(health.complaint(true), None);
        assert!(health.was_asked());
    }
}
