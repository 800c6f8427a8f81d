//! The connections of the health port, and which of them end when there are too
//! many: never one of the agent.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::AbortHandle;

/// Connections that may be open from the agent's address, and from all others
/// together, besides those that bear the secret.
pub(super) const PLACES: usize = 128;

/// The open connections.
#[derive(Debug, Default)]
pub(super) struct Places {
    agent: Agent,
    of_agents_address: Pool,
    of_others: Pool,
}

/// Where the agent's checks come from, once one has borne the secret.
#[derive(Clone, Debug, Default)]
pub(super) struct Agent(Arc<Mutex<Option<IpAddr>>>);

/// Whether a connection has borne the secret.
#[derive(Clone, Debug, Default)]
pub(super) struct Proof(Arc<AtomicBool>);

/// In the order in which they came.
#[derive(Debug, Default)]
struct Pool(VecDeque<(AbortHandle, Proof)>);

impl Agent {
    pub(super) fn is_at(&self, address: IpAddr) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }

    fn address(&self) -> Option<IpAddr> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proof {
    pub(super) fn give(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_given(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Places {
    pub(super) fn agent(&self) -> Agent {
        self.agent.clone()
    }

    /// Adds a connection. If that are too many, the oldest one that has not
    /// borne the secret ends.
    pub(super) fn add(&mut self, address: IpAddr, task: AbortHandle, proof: Proof) {
        let pool = match self.agent.address() == Some(address) {
            true => &mut self.of_agents_address,
            false => &mut self.of_others,
        };
        pool.add(task, proof);
    }
}

impl Pool {
    fn add(&mut self, task: AbortHandle, proof: Proof) {
        self.0.retain(|(task, _)| !task.is_finished());
        let is_foreign = |(_, proof): &&(AbortHandle, Proof)| !proof.is_given();
        if self.0.iter().filter(is_foreign).count() >= PLACES {
            let oldest = self.0.iter().position(|(_, proof)| !proof.is_given());
            if let Some((task, _)) = oldest.and_then(|oldest| self.0.remove(oldest)) {
                task.abort();
            }
        }
        self.0.push_back((task, proof));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_connection_ends_unless_it_is_the_agents() {
        let mut places = Places::default();
        let others = IpAddr::from([10, 0, 0, 9]);
        let mut tasks = Vec::new();
        let mut add = |places: &mut Places, address: IpAddr, is_agents: bool| {
            let task = tokio::spawn(std::future::pending::<()>());
            let proof = Proof::default();
            if is_agents {
                proof.give();
            }
            places.add(address, task.abort_handle(), proof);
            tasks.push(task);
            tasks.len() - 1
        };
        let agents = add(&mut places, others, true);
        let first = add(&mut places, others, false);
        let agent = IpAddr::from([10, 0, 0, 1]);
        places.agent().is_at(agent);
        let quiet = add(&mut places, agent, false);
        let second = add(&mut places, others, false);
        for _ in 0..PLACES - 1 {
            add(&mut places, others, false);
        }
        tokio::task::yield_now().await;
        let ended: Vec<_> = (0..tasks.len())
            .filter(|n| tasks[*n].is_finished())
            .collect();
        assert_eq!(ended, [first], "not {agents}, {quiet} or {second}");
    }
}
