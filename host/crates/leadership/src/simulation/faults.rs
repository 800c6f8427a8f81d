//! What goes wrong in a world, and what people do to it.

use std::time::Duration;

use rand::RngExt;

use super::clock::{MILLI, SECOND, Time};
use super::consul::STALE;
use super::happening::Happening;
use super::node::Node;
use super::running::of_stream;
use super::without::Without;
use super::world::World;
use crate::order::{Order, StepDown, StreamOrder};

impl World {
    /// Causes a fault, and plans the next one; in the end, repairs everything.
    pub(super) fn fault(&mut self) -> Result<(), String> {
        if self.is_quiet() {
            self.mend();
            return Ok(());
        }
        let node = self.random.random_range(0..self.nodes.len());
        match self.random.random_range(0..100) {
            0..25 => self.freeze(node),
            25..35 => self.crash(node),
            35..45 => self.step_down()?,
            45..52 => self.shut_down(node)?,
            52..60 => self.cut(node),
            60..64 => self.consul_away(),
            64..71 => self.end_session(),
            71..76 => self.change_eligibility(node)?,
            76..80 => self.consul_lags(),
            80..81 => self.prove_nothing(node),
            81..82 => {
                let writes = self.random.random_range(1..50);
                self.consul.pass_by(writes);
            }
            82..88 => self.fall_behind(node),
            88..97 if self.by_hand => self.change_by_hand(),
            97..100 if self.by_hand => self.lose_state(),
            _ => {}
        }
        if self.without == Some(Without::SteadyClock) {
            let by = self.random.random_range(0..5 * SECOND);
            self.note(|| format!("the clock of n{node} is put back by {} ms", by / MILLI));
            self.nodes[node].clock.step_back(by);
        }
        // Faults often overlap.
        let most = if self.random.random_bool(0.5) {
            500 * MILLI
        } else {
            4 * SECOND
        };
        let next = self.random.random_range(0..most);
        self.schedule(self.now + next, Happening::Fault);
        Ok(())
    }

    /// The process is stopped, or its machine suspended; its clock goes on.
    fn freeze(&mut self, node: usize) {
        if !self.nodes[node].is_running() {
            return;
        }
        let time = self.some_time();
        self.note(|| format!("n{node} is frozen for {} ms", time / MILLI));
        self.nodes[node].is_paused = true;
        if self.without == Some(Without::SuspendCounted) {
            self.nodes[node].clock.step_back(time);
        }
        self.schedule(self.now + time, Happening::Resume { node });
    }

    fn crash(&mut self, node: usize) {
        if self.nodes[node].process.is_none() {
            return;
        }
        self.note(|| format!("n{node} is killed"));
        self.nodes[node].crash();
        let time = self.some_time();
        self.schedule(self.now + time, Happening::Restart { node });
    }

    /// The nodes that lead are told to step down, as the data side does it.
    fn step_down(&mut self) -> Result<(), String> {
        let to = self.random.random_range(0..self.nodes.len() * 2);
        let to = self.nodes.get(to).map(|node| node.name.clone());
        for node in 0..self.nodes.len() {
            let place = &self.nodes[node];
            let Some(held) = place.lease.as_ref().filter(|_| !place.is_paused) else {
                continue;
            };
            if self.without != Some(Without::StoppingFirst) {
                held.lease.revoke();
            }
            let step_down = StepDown {
                epoch: held.tenure.epoch,
                stay_out: Duration::from_millis(self.random.random_range(0..10_000)),
                until_taken: self.random.random_bool(0.5),
                to: to.clone(),
            };
            self.note(|| format!("n{node} is told to step down: {step_down:?}"));
            self.order(node, of_stream(StreamOrder::StepDown(step_down)))?;
        }
        Ok(())
    }

    fn shut_down(&mut self, node: usize) -> Result<(), String> {
        if !self.nodes[node].is_running() {
            return Ok(());
        }
        self.note(|| format!("n{node} is told to shut down"));
        self.order(node, Order::Shutdown)
    }

    fn cut(&mut self, node: usize) {
        let time = self.some_time();
        self.note(|| format!("n{node} is cut off for {} ms", time / MILLI));
        self.nodes[node].cut_until = self.now + time;
    }

    fn consul_away(&mut self) {
        let time = self.some_time();
        self.note(|| format!("Consul is away for {} ms", time / MILLI));
        self.consul_away_until = self.now + time;
        self.drop_watches();
    }

    /// Consul has a new leader that has not caught up with its log.
    fn consul_lags(&mut self) {
        let time = self.random.random_range(1..3000) * MILLI;
        self.note(|| format!("Consul knows no session for {} ms", time / MILLI));
        self.consul_lags_until = self.now + time;
    }

    /// What the node reads comes too late to prove anything.
    fn prove_nothing(&mut self, node: usize) {
        let time = self.some_time();
        self.note(|| format!("n{node} gets no proof for {} ms", time / MILLI));
        self.nodes[node].unproven_until = self.now + time;
    }

    /// The node talks to a Consul leader that was replaced, without knowing it.
    /// It is shown the past, and may get no answer to a consistent read.
    fn fall_behind(&mut self, node: usize) {
        let until = self.now + STALE;
        let proves = self.random.random_bool(0.5);
        self.note(|| format!("n{node} is shown the past, and can prove: {proves}"));
        let lock = self.consul.lock();
        let place = &mut self.nodes[node];
        place.stale = Some((lock, until));
        if !proves {
            place.unproven_until = place.unproven_until.max(until);
        }
    }

    fn end_session(&mut self) {
        if let Some(session) = self.consul.holder() {
            self.schedule(self.now, Happening::EndSession(session));
        }
    }

    fn change_eligibility(&mut self, node: usize) -> Result<(), String> {
        let place = &self.nodes[node];
        let Some(process) = place.process.as_ref().filter(|_| !place.is_paused) else {
            return Ok(());
        };
        let yes = self.random.random_bool(0.7);
        if self.random.random_bool(0.5) {
            self.note(|| format!("n{node} can lead: {yes}"));
            return self.order(node, of_stream(StreamOrder::Eligible(yes)));
        }
        process.prepare_sink(yes);
        self.note(|| format!("n{node} has its sink prepared: {yes}"));
        self.drive(node)
    }

    fn change_by_hand(&mut self) {
        let what = self.random.random_range(0..6);
        self.note(|| format!("a hand changes keys ({what})"));
        match what {
            0 => self.consul.delete_lock(),
            1 => self
                .consul
                .overwrite_lock([0, 700, 5000][self.random.random_range(0..3)]),
            2 => self.consul.release_lock(),
            3 => {
                self.forget_epochs();
                self.consul.delete_epoch();
            }
            4 => {
                self.forget_epochs();
                let value = self.consul.epoch().value;
                let by_hand = self.random.random_range(0..value + 10);
                self.consul.set_epoch(by_hand);
            }
            _ => self.consul.set_successor("nobody"),
        }
        self.changed();
    }

    fn lose_state(&mut self) {
        self.note(|| "Consul loses its state".to_owned());
        self.forget_epochs();
        self.consul.lose_state();
        self.drop_watches();
    }

    /// Consul no longer knows the highest epoch. Notes whether the disks of all
    /// nodes still do.
    fn forget_epochs(&mut self) {
        let highest = self.checker.highest.max(self.consul.epoch().value);
        let knows = |node: &Node| node.port.disk(|disk| disk.epoch) >= highest;
        let know = self.nodes.iter().all(knows);
        self.checker.epochs_are_known &= know;
    }

    /// From a moment to half a minute.
    fn some_time(&mut self) -> Time {
        let most = [20, 300, 2000, 10_000, 30_000][self.random.random_range(0..5)];
        self.random.random_range(1..most) * MILLI
    }

    fn mend(&mut self) {
        let never = self.never_proves;
        self.note(|| format!("nothing goes wrong any more; {never:?} gets no proof for good"));
        self.consul_away_until = 0;
        self.consul_lags_until = 0;
        for node in 0..self.nodes.len() {
            self.nodes[node].cut_until = 0;
            self.nodes[node].unproven_until = match never == Some(node) {
                true => Time::MAX,
                false => 0,
            };
            self.nodes[node].stale = None;
            self.schedule(self.now, Happening::Resume { node });
            self.schedule(self.now, Happening::Restart { node });
            self.schedule(self.now, Happening::Prepared { node });
        }
        self.changed();
    }
}
