//! The steps of a run with random faults. The same seed gives the same plan,
//! whatever happens in the cluster.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use super::cluster::{Ack, NATS, NODES, SERVERS};

/// A reproducible random number generator: `SplitMix64`.
#[derive(Clone, Debug)]
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    /// True in `percent` of a hundred cases.
    fn percent(&mut self, percent: u64) -> bool {
        self.within(0..100) < percent
    }

    fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.within(0..from.len() as u64)).expect("a place")]
    }
}

/// One of several members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    /// The one that leads at that moment, or this one if none does.
    Leader {
        or: &'static str,
    },
    This(&'static str),
}

/// Which of the packets between two hosts are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    To,
    From,
    Both,
}

/// What can go wrong for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Kill(Whom),
    Terminate(Whom),
    Freeze(Whom),
    KillAgent(Whom),
    /// The agent comes back without its state.
    ForgetAgent(Whom),
    FreezeAgent(Whom),
    KillServer(Whom),
    FreezeServer(Whom),
    /// Kills all servers but this one.
    LoseQuorum(Whom),
    /// Cuts a node's host off from this server.
    CutFromServer(Whom, Whom, Way),
    /// Cuts a node's host off from all servers.
    CutFromServers(Whom, Way),
    /// Cuts a node's host off from those of the other nodes.
    CutFromNodes(Whom, Way),
    /// Cuts a server off from the other servers.
    CutServer(Whom, Way),
    /// Delays, holds or refuses a node's calls to its agent.
    Slow(Whom, Duration),
    Shut(Whom),
    Busy(Whom),
    /// The same for all nodes.
    SlowForAll(Duration),
    ShutForAll,
    BusyForAll,
    BusyCores,
    /// The node's machine is gone for good, with its disk and its agent; another node
    /// comes in its place.
    LoseMachine(Whom),
    KillNats(Whom),
    FreezeNats(Whom),
    /// The server comes back with an empty disk.
    LoseNats(Whom),
    KillAllNats,
    /// Freezes all servers but this one.
    FreezeMostNats(Whom),
    /// Cuts a server off from the other servers.
    CutNats(Whom, Way),
    /// Cuts a node's host off from this server.
    CutFromNats(Whom, Whom, Way),
    /// Cuts a node's host off from all servers.
    CutFromAllNats(Whom, Way),
}

impl Fault {
    /// The name of its kind.
    pub(crate) fn kind(self) -> String {
        let text = format!("{self:?}");
        let end = text.find(['(', ' ']).unwrap_or(text.len());
        text[..end].to_owned()
    }

    /// Whether it happens to a NATS server itself.
    const fn is_of_nats(self) -> bool {
        matches!(
            self,
            Self::KillNats(_)
                | Self::FreezeNats(_)
                | Self::LoseNats(_)
                | Self::KillAllNats
                | Self::FreezeMostNats(_)
                | Self::CutNats(..)
        )
    }
}

/// One or two simultaneous faults, which last for some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) faults: Vec<Fault>,
    pub(crate) lasts: Duration,
    /// Whether messages have to be acknowledged again before the next step.
    pub(crate) settles: bool,
    /// The pause before the next step.
    pub(crate) calm: Duration,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} for {:?}", self.faults, self.lasts)
    }
}

/// The endless sequence of steps for a seed, on a cluster with acknowledgements of
/// this kind.
pub(crate) fn plan(seed: u64, ack: Ack) -> impl Iterator<Item = Step> {
    let mut chance = Chance(seed);
    std::iter::repeat_with(move || {
        let mut faults = vec![fault_with(&mut chance, ack)];
        if chance.percent(30) {
            faults.push(fault_with(&mut chance, ack));
        }
        // Some outlast a session, and the failure timeout of Consul's gossip.
        let lasts = match chance.percent(15) {
            true => chance.millis(12_000..30_000),
            false => chance.millis(100..8000),
        };
        let mut settles = chance.percent(70);
        // JetStream promises to keep everything if one server at a time loses its
        // disk, and has it again before the next fault.
        let lost = faults
            .iter()
            .copied()
            .find(|fault| matches!(fault, Fault::LoseNats(_)));
        if let Some(lost) = lost {
            faults.retain(|fault| !fault.is_of_nats());
            faults.push(lost);
            settles = true;
        }
        Step {
            faults,
            lasts,
            settles,
            calm: chance.millis(0..2000),
        }
    })
}

fn fault_with(chance: &mut Chance, ack: Ack) -> Fault {
    match ack {
        Ack::Replicated if chance.percent(65) => fault_of_journal(chance),
        _ => fault(chance),
    }
}

/// What a replicated journal has to survive.
fn fault_of_journal(chance: &mut Chance) -> Fault {
    let node = whom(chance, &NODES);
    let nats = whom(chance, &NATS);
    let way = chance.pick(&[Way::To, Way::From, Way::Both, Way::Both]);
    chance.pick(&[
        Fault::Kill(node),
        Fault::Terminate(node),
        Fault::Freeze(node),
        Fault::LoseMachine(node),
        Fault::LoseMachine(node),
        Fault::KillNats(nats),
        Fault::KillNats(nats),
        Fault::FreezeNats(nats),
        Fault::FreezeNats(nats),
        Fault::LoseNats(nats),
        Fault::KillAllNats,
        Fault::FreezeMostNats(nats),
        Fault::CutNats(nats, way),
        Fault::CutFromNats(node, nats, way),
        Fault::CutFromAllNats(node, way),
    ])
}

fn fault(chance: &mut Chance) -> Fault {
    let node = whom(chance, &NODES);
    let server = whom(chance, &SERVERS);
    let way = chance.pick(&[Way::To, Way::From, Way::Both, Way::Both]);
    let delay = chance.millis(200..6000);
    chance.pick(&[
        Fault::Kill(node),
        Fault::Kill(node),
        Fault::Terminate(node),
        Fault::Terminate(node),
        Fault::Freeze(node),
        Fault::Freeze(node),
        Fault::KillAgent(node),
        Fault::ForgetAgent(node),
        Fault::FreezeAgent(node),
        Fault::KillServer(server),
        Fault::FreezeServer(server),
        Fault::LoseQuorum(server),
        Fault::CutFromServer(node, server, way),
        Fault::CutFromServers(node, way),
        Fault::CutFromServers(node, way),
        Fault::CutFromNodes(node, way),
        Fault::CutServer(server, way),
        Fault::Slow(node, delay),
        Fault::Slow(node, delay),
        Fault::Shut(node),
        Fault::Busy(node),
        Fault::SlowForAll(delay),
        Fault::ShutForAll,
        Fault::BusyForAll,
        Fault::BusyCores,
    ])
}

fn whom(chance: &mut Chance, all: &[&'static str]) -> Whom {
    let one = chance.pick(all);
    match chance.percent(60) {
        true => Whom::Leader { or: one },
        false => Whom::This(one),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_seed_is_a_plan() {
        for ack in [Ack::Sink, Ack::Replicated] {
            let steps = |seed| plan(seed, ack).take(200).collect::<Vec<_>>();
            assert_eq!(steps(7), steps(7));
            assert_ne!(steps(7), steps(8));
        }
    }

    #[test]
    fn every_kind_of_fault_comes() {
        let kinds = |ack| {
            let steps = plan(1, ack).take(1000);
            let faults = steps.flat_map(|step| step.faults);
            faults.map(Fault::kind).collect::<HashSet<_>>().len()
        };
        assert_eq!(kinds(Ack::Sink), 20);
        assert_eq!(kinds(Ack::Replicated), 29);
    }

    #[test]
    fn a_nats_server_loses_its_disk_only_while_nothing_happens_to_the_others() {
        let is_lost = |fault: &Fault| matches!(fault, Fault::LoseNats(_));
        let steps = plan(1, Ack::Replicated).take(1000);
        for step in steps.filter(|step| step.faults.iter().any(is_lost)) {
            let of_nats = step.faults.iter().filter(|fault| fault.is_of_nats());
            assert!(of_nats.count() == 1 && step.settles, "{step}");
        }
    }
}
