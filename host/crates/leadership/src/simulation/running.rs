//! The processes of nodes: starting them, letting them run, and doing what
//! their drivers ask for.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use tokio::sync::oneshot;

use super::checker::Tenure;
use super::clock::{MILLI, SECOND, Time};
use super::happening::Happening;
use super::interference::Interference;
use super::node::{HeldLease, Waiting};
use super::process::Process;
use super::seam::{DiskWrite, Outbox};
use super::without::Without;
use super::world::World;
use crate::loss::Loss;
use crate::order::{Order, StreamOrder};
use crate::role::Role;
use crate::settings::Settings;
use sluice_types::stream::DEFAULT_STREAM;

/// How long the node waits for its disk.
const DISK_TIMEOUT: Time = SECOND;
const LEAP: u64 = 1000;

impl World {
    pub(super) fn start(&mut self, node: usize) -> Result<(), String> {
        self.note(|| format!("n{node} starts"));
        let place = &mut self.nodes[node];
        if self.without == Some(Without::EndingEarlier) {
            place.port.disk(|disk| disk.sessions.clear());
        }
        let settings = Settings {
            node: place.name.clone(),
            lease: place.lease_length,
            jitter: Duration::ZERO,
            leap: LEAP,
        };
        let seed = self.seed ^ place.life << 48 ^ (node as u64) << 56;
        let port = place.port.clone();
        let interference = Interference::new(port.clone(), self.without, place.lease_length, seed);
        port.set_clock(place.clock.at(self.now));
        place.process = Some(Process::start(settings, &port, interference));
        self.schedule_for(node, self.now, Waiting::Idle);
        self.drive(node)
    }

    /// Something reaches the node, now or once it goes on.
    pub(super) fn reach(&mut self, node: usize, what: Waiting) -> Result<(), String> {
        if self.nodes[node].is_paused {
            self.nodes[node].waiting.push(what);
            return Ok(());
        }
        let Some(process) = &mut self.nodes[node].process else {
            return Ok(());
        };
        match what {
            // A call or a sleep that was given up waits for nothing.
            Waiting::Answer(call, Some(answer)) => {
                if let Some(reply) = process.calls.remove(&call) {
                    drop(reply.send(answer));
                }
            }
            Waiting::Answer(call, None) => drop(process.calls.remove(&call)),
            Waiting::Pause(pause) => {
                if let Some(over) = process.pauses.remove(&pause) {
                    _ = over.send(());
                }
            }
            Waiting::Idle => return self.look_for_work(node),
            Waiting::Written(held) => return self.written(node, held),
        }
        self.drive(node)
    }

    pub(super) fn resume(&mut self, node: usize) -> Result<(), String> {
        if !self.nodes[node].is_paused {
            return Ok(());
        }
        self.note(|| format!("n{node} goes on"));
        self.nodes[node].is_paused = false;
        let mut waiting = std::mem::take(&mut self.nodes[node].waiting);
        while !waiting.is_empty() {
            let next = self.random.random_range(0..waiting.len());
            self.reach(node, waiting.swap_remove(next))?;
        }
        self.drive(node)
    }

    /// The data side has prepared the sink that is asked for.
    pub(super) fn prepare(&mut self, node: usize) -> Result<(), String> {
        if let Some(process) = &self.nodes[node].process {
            process.prepare_sink(true);
        }
        self.order(node, of_stream(StreamOrder::Eligible(true)))
    }

    /// Gives an order, which a node that is down does not get.
    pub(super) fn order(&mut self, node: usize, order: Order) -> Result<(), String> {
        if let Some(process) = &self.nodes[node].process {
            process.order(order);
        }
        self.drive(node)
    }

    /// Lets the node run until it waits for something.
    pub(super) fn drive(&mut self, node: usize) -> Result<(), String> {
        let echo = self.chance(0.3);
        let place = &mut self.nodes[node];
        let Some(process) = place.process.as_mut().filter(|_| !place.is_paused) else {
            return Ok(());
        };
        place.port.set_clock(place.clock.at(self.now));
        place.port.set_echo_chance(echo);
        let has_ended = process.run();
        let outbox = place.port.empty();
        self.observe_role(node)?;
        self.carry_out(node, outbox)?;
        if has_ended {
            self.note(|| format!("n{node} has ended"));
            self.nodes[node].crash();
            let restart = self.now + self.random.random_range(0..2 * SECOND);
            self.schedule(restart, Happening::Restart { node });
        }
        Ok(())
    }

    /// What the driver has published is what the data side goes by.
    fn observe_role(&mut self, node: usize) -> Result<(), String> {
        let Some(process) = &mut self.nodes[node].process else {
            return Ok(());
        };
        let role = process.role.borrow_and_update().clone();
        let Role::Leader(lease) = role else {
            self.nodes[node].lease = None;
            return Ok(());
        };
        let held = self.nodes[node].lease.as_ref();
        if held.is_some_and(|held| Arc::ptr_eq(&held.lease, &lease)) {
            return Ok(());
        }
        self.tenures += 1;
        let tenure = Tenure {
            node,
            number: self.tenures,
            epoch: lease.epoch(),
        };
        self.checker.highest = self.checker.highest.max(tenure.epoch);
        let place = &mut self.nodes[node];
        place.lease = Some(HeldLease { lease, tenure });
        let on_disk = place.port.disk(|disk| disk.epoch).max(place.hung_epoch);
        if on_disk < tenure.epoch {
            return Err(format!(
                "a tenure begins whose epoch is not on disk: node {node}, epoch {}, on disk \
                 {on_disk}",
                tenure.epoch
            ));
        }
        Ok(())
    }

    fn carry_out(&mut self, node: usize, outbox: Outbox) -> Result<(), String> {
        self.told += outbox.told;
        for line in outbox.notes.into_iter().flatten() {
            self.note(|| format!("n{node} {line}"));
        }
        for (loss, acquisition) in outbox.losses {
            self.check_loss(node, &loss, acquisition)?;
        }
        for (question, reply) in outbox.calls {
            self.ask(node, question, reply);
        }
        for (duration, wake) in outbox.sleeps {
            self.sleep(node, duration, wake);
        }
        for (write, done) in outbox.writes {
            self.write(node, write, done);
        }
        Ok(())
    }

    /// Checks that a tenure that ended because of a read had lost its lock.
    /// (Where Consul loses its state, indexes start again, and an old answer
    /// may look like a new one.)
    fn check_loss(&self, node: usize, loss: &Loss, acquisition: u64) -> Result<(), String> {
        let is_shown = matches!(
            loss,
            Loss::Deleted
                | Loss::Freed
                | Loss::Released { .. }
                | Loss::Overwritten { .. }
                | Loss::Taken { .. }
        );
        let lock = self.consul.lock();
        let is_held = lock
            .key
            .is_some_and(|key| key.session.is_some() && key.modify_index == acquisition);
        if is_shown && is_held && !self.by_hand {
            return Err(format!(
                "node {node} gives up a lock that it holds: {loss:?}"
            ));
        }
        Ok(())
    }

    fn sleep(&mut self, node: usize, duration: Duration, wake: oneshot::Sender<()>) {
        if self.without == Some(Without::Timers) {
            // Kept, so that the sleeper waits forever.
            let number = self.agenda.number();
            if let Some(process) = &mut self.nodes[node].process {
                process.pauses.insert(number, wake);
            }
            return;
        }
        let place = &self.nodes[node];
        let over = place.clock.shows(place.clock.at(self.now) + duration);
        let late = match self.goes_wrong(0.5) {
            true => 500 * MILLI,
            false => MILLI,
        };
        let over = over + self.random.random_range(0..late);
        self.pause(node, over, wake);
    }

    /// Schedules the end of a wait of the node's driver.
    fn pause(&mut self, node: usize, over: Time, wake: oneshot::Sender<()>) {
        let number = self.agenda.number();
        if let Some(process) = &mut self.nodes[node].process {
            process.pauses.retain(|_, wake| !wake.is_closed());
            process.pauses.insert(number, wake);
        }
        self.schedule_for(node, over, Waiting::Pause(number));
    }

    /// A disk does one thing at a time. The node does not wait for one that
    /// hangs.
    fn write(&mut self, node: usize, write: DiskWrite, done: oneshot::Sender<()>) {
        let hangs = self.goes_wrong(0.1);
        let takes = match hangs {
            true => self.random.random_range(0..3 * SECOND),
            false => self.random.random_range(0..5 * MILLI),
        };
        let begins = self.nodes[node].disk_busy_until.max(self.now);
        let ends = begins + takes;
        self.nodes[node].disk_busy_until = ends;
        let waited = ends.min(self.now + DISK_TIMEOUT);
        if let DiskWrite::Epoch(epoch) = write
            && waited < ends
        {
            let place = &mut self.nodes[node];
            place.hung_epoch = place.hung_epoch.max(epoch);
        }
        match (self.without, &write) {
            (Some(Without::SessionOnDisk), DiskWrite::AddSession(_)) => {}
            (Some(Without::EpochOnDisk), DiskWrite::Epoch(_)) => {
                self.schedule(ends + SECOND, Happening::OnDisk { node, write });
                self.pause(node, self.now, done);
                return;
            }
            _ => self.schedule(ends, Happening::OnDisk { node, write }),
        }
        self.pause(node, waited, done);
    }
}

/// An order about the stream of the world.
pub(super) fn of_stream(order: StreamOrder) -> Order {
    Order::Stream(DEFAULT_STREAM.into(), order)
}
