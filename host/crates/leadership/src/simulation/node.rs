//! A node of the world: its process, its disk, its clock, and the lease that
//! its data side acknowledges under.

use std::sync::Arc;
use std::time::Duration;

use super::checker::Tenure;
use super::clock::{NodeClock, Time};
use super::process::Process;
use super::question::Answer;
use super::seam::Port;
use crate::lock::Lock;
use sluice_types::lease::{Lease, Standing};

/// Something that waits for a node that is frozen.
#[derive(Clone, Debug)]
pub(super) enum Waiting {
    /// A call ended; without an answer if there is none.
    Answer(u64, Option<Answer>),
    /// A sleep or a write to the disk is over.
    Pause(u64),
    /// The sink took what was written under this tenure.
    Written(HeldLease),
    /// The data side looks for something to write.
    Idle,
}

/// A lease as the data side holds it.
#[derive(Clone, Debug)]
pub(super) struct HeldLease {
    pub(super) lease: Arc<Lease>,
    pub(super) tenure: Tenure,
}

pub(super) struct Node {
    pub(super) name: String,
    pub(super) lease_length: Duration,
    pub(super) clock: NodeClock,
    pub(super) port: Port,
    /// `None`: it is down.
    pub(super) process: Option<Process>,
    pub(super) lease: Option<HeldLease>,
    /// Counts the processes of this node; what belongs to another is dropped.
    pub(super) life: u64,
    pub(super) is_paused: bool,
    pub(super) waiting: Vec<Waiting>,
    /// Nothing gets from here to Consul before.
    pub(super) cut_until: Time,
    /// Nor do proofs get an answer before.
    pub(super) unproven_until: Time,
    /// What a Consul leader that was replaced shows it, and until when.
    pub(super) stale: Option<(Lock, Time)>,
    /// When the disk has done what it was told.
    pub(super) disk_busy_until: Time,
    /// The highest epoch whose write was not waited for because the disk hung.
    pub(super) hung_epoch: u64,
}

impl Node {
    pub(super) fn new(name: String, lease_length: Duration, clock: NodeClock) -> Self {
        Self {
            name,
            lease_length,
            clock,
            port: Port::default(),
            process: None,
            lease: None,
            life: 0,
            is_paused: false,
            waiting: Vec::new(),
            cut_until: 0,
            unproven_until: 0,
            stale: None,
            disk_busy_until: 0,
            hung_epoch: 0,
        }
    }

    /// The process is gone; the epoch and the sessions are on disk.
    pub(super) fn crash(&mut self) {
        self.life += 1;
        self.process = None;
        self.is_paused = false;
        self.waiting.clear();
        self.lease = None;
        self.port.empty();
    }

    pub(super) const fn is_running(&self) -> bool {
        self.process.is_some() && !self.is_paused
    }

    /// The tenure under which it may acknowledge now, by its own clock.
    pub(super) fn valid(&self, now: Time) -> Option<Tenure> {
        let held = self.lease.as_ref()?;
        let standing = held.lease.at(self.clock.at(now));
        matches!(standing, Standing::Valid(_)).then_some(held.tenure)
    }
}
