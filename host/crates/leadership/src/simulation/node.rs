//! A node of the world: its election, its clock, its lease, and the data side
//! that acknowledges.

use std::time::Duration;

use super::checker::Tenure;
use super::clock::{Clock, Time};
use super::world::Question;
use crate::election::Election;
use crate::lock::Lock;
use crate::question::{Event, Settings};
use sluice_types::lease::{Lease, Standing};

/// Something that waits for a node that stands still.
#[derive(Clone, Debug)]
pub(super) enum Waiting {
    Event(Event),
    Again(Question),
    Written(Option<Tenure>),
    Idle,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) lease_length: Duration,
    pub(super) clock: Clock,
    pub(super) election: Election,
    pub(super) lease: Option<(Lease, Tenure)>,
    /// Counts the lives of this node; what belongs to another is dropped.
    pub(super) life: u64,
    pub(super) is_up: bool,
    pub(super) is_paused: bool,
    pub(super) waiting: Vec<Waiting>,
    /// Nothing gets from here to Consul before.
    pub(super) cut_until: Time,
    /// Nor do proofs get an answer before.
    pub(super) unproven_until: Time,
    /// What a Consul leader that was replaced shows it, and until when.
    pub(super) stale: Option<(Lock, Time)>,
    /// The latest timer; earlier ones are void.
    pub(super) timer: (Option<Time>, u64),
    /// Its sessions, as they are on its disk.
    pub(super) sessions: Vec<String>,
    /// Sessions that were thought to be gone: a broken rule.
    pub(super) believed_gone: Vec<String>,
    /// Whether the lease is revoked only once the release was answered: a
    /// broken rule.
    pub(super) revokes_late: bool,
}

impl Node {
    pub(super) fn new(name: String, lease_length: Duration, clock: Clock) -> Self {
        let election = Election::new(settings(&name, lease_length), 0);
        Self {
            name,
            lease_length,
            clock,
            election,
            lease: None,
            life: 0,
            is_up: true,
            is_paused: false,
            waiting: Vec::new(),
            cut_until: 0,
            unproven_until: 0,
            stale: None,
            timer: (None, 0),
            sessions: Vec::new(),
            believed_gone: Vec::new(),
            revokes_late: false,
        }
    }

    /// The process is gone; the epoch and the sessions are on disk.
    pub(super) fn crash(&mut self) {
        self.life += 1;
        self.is_up = false;
        self.is_paused = false;
        self.waiting.clear();
        self.lease = None;
        self.revokes_late = false;
        self.timer.0 = None;
        let settings = settings(&self.name, self.lease_length);
        self.election = Election::new(settings, self.election.epoch());
    }

    /// The tenure under which it may acknowledge now, by its own clock.
    pub(super) fn valid(&self, now: Time) -> Option<Tenure> {
        let (lease, tenure) = self.lease.as_ref()?;
        matches!(lease.at(self.clock.at(now)), Standing::Valid(_)).then_some(*tenure)
    }
}

fn settings(name: &str, lease: Duration) -> Settings {
    Settings {
        node: name.to_owned(),
        lease,
        jitter: Duration::ZERO,
        leap: 1000,
    }
}
