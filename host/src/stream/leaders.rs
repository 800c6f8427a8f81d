//! Who led a stream when, as far as this node has seen it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use sluice_leadership::Role;
use sluice_types::clock::timestamp;
use sluice_types::documents::NodeDocument;

/// The most leaders of a stream that a node remembers: some 10 KiB.
const KEPT_MAX: usize = 64;

/// What all nodes say of themselves; `None` until Consul has answered.
pub(crate) type Documents = watch::Receiver<Option<Arc<Vec<NodeDocument>>>>;

/// A time during which a node led.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Led {
    pub(crate) epoch: u64,
    /// The leader's name.
    pub(crate) node: String,
    /// When this was first seen, in RFC 3339.
    pub(crate) since: String,
    /// When nobody led any more, or another node did; `None` as long as this node
    /// leads, or if another one has led right after it.
    pub(crate) until: Option<String>,
}

/// The leaders that this node has seen, since the stream was opened here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaders(Arc<Mutex<VecDeque<Led>>>);

/// What tells who leads a stream.
#[derive(Debug)]
pub(super) struct LeaderSigns {
    pub(super) stream: String,
    /// This node's name.
    pub(super) node: String,
    /// This node's role for the stream.
    pub(super) role: watch::Receiver<Role>,
    /// They have the leader's name, and under which epoch it leads.
    pub(super) documents: Documents,
}

impl LeaderSigns {
    /// Who leads now, under which epoch; 0 as long as that is not known.
    fn read(&mut self) -> Option<(String, u64)> {
        let leader = match &*self.role.borrow_and_update() {
            Role::Leader(lease) => return Some((self.node.clone(), lease.epoch())),
            Role::Follower { leader } => leader.clone()?,
        };
        let documents = self.documents.borrow_and_update();
        let mut documents = documents.iter().flat_map(|all| all.iter());
        let found = documents.find(|document| document.address == leader.address);
        Some(match found {
            // The lock's key may hold a bare host, without the node's name.
            Some(document) => {
                let epoch = document.tenures.get(&self.stream);
                (document.node.clone(), epoch.copied().unwrap_or_default())
            }
            None => (leader.node, 0),
        })
    }

    /// Waits for news; false if there will be none.
    async fn changed(&mut self) -> bool {
        let changed = tokio::select! {
            changed = self.role.changed() => changed,
            changed = self.documents.changed() => changed,
        };
        changed.is_ok()
    }
}

impl Leaders {
    /// Those that are remembered, the oldest first.
    pub(crate) fn list(&self) -> Vec<Led> {
        self.seen().iter().cloned().collect()
    }

    /// Follows who leads; ends with the stream's election.
    pub(super) async fn follow(self, mut signs: LeaderSigns) {
        loop {
            let now = signs.read();
            let now = now.as_ref().map(|(node, epoch)| (node.as_str(), *epoch));
            self.note(now, &timestamp());
            if !signs.changed().await {
                return;
            }
        }
    }

    /// Takes in who leads now. A follower may learn the leader's name before the epoch,
    /// which is 0 until then.
    fn note(&self, leader: Option<(&str, u64)>, now: &str) {
        let mut seen = self.seen();
        let latest = seen.back_mut();
        match (leader, latest) {
            (Some((node, epoch)), Some(latest)) if latest.epoch == epoch && latest.node == node => {
                // It has led on all the time.
                latest.until = None;
            }
            (Some((node, epoch)), latest) if epoch > latest.as_ref().map_or(0, |it| it.epoch) => {
                seen.push_back(Led {
                    epoch,
                    node: node.to_owned(),
                    since: now.to_owned(),
                    until: None,
                });
                if seen.len() > KEPT_MAX {
                    seen.pop_front();
                }
            }
            (Some((node, _)), Some(latest)) if latest.node == node => {}
            (_, Some(latest)) => {
                latest.until.get_or_insert_with(|| now.to_owned());
            }
            (_, None) => {}
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, VecDeque<Led>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What nodes have seen together: of each epoch what its leader says of it,
/// otherwise what was seen first. The latest [`KEPT_MAX`], the oldest first.
pub(crate) fn merged<'a>(seen: impl Iterator<Item = (&'a str, Vec<Led>)>) -> Vec<Led> {
    let mut all: Vec<(bool, Led)> = Vec::new();
    for (node, list) in seen {
        for led in list {
            let is_own = led.node == node;
            let known = all.iter_mut().find(|(_, known)| known.epoch == led.epoch);
            match known {
                None => all.push((is_own, led)),
                Some(known) => {
                    let is_better = (is_own, &known.1.since) > (known.0, &led.since);
                    if is_better {
                        *known = (is_own, led);
                    }
                }
            }
        }
    }
    let mut all: Vec<_> = all.into_iter().map(|(_, led)| led).collect();
    all.sort_by_key(|led| led.epoch);
    let surplus = all.len().saturating_sub(KEPT_MAX);
    all.split_off(surplus)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_types::documents::LeaderAddress;

    fn led(epoch: u64, node: &str, since: &str, until: Option<&str>) -> Led {
        Led {
            epoch,
            node: node.to_owned(),
            since: since.to_owned(),
            until: until.map(str::to_owned),
        }
    }

    #[test]
    fn each_epoch_is_noted_once_whatever_is_learned_first() {
        let leaders = Leaders::default();
        for (leader, now) in [
            (None, "1"),
            (Some(("a", 0)), "2"),
            (Some(("a", 3)), "3"),
            (Some(("a", 3)), "4"),
            // The leader's end, and another's name before its epoch.
            (None, "5"),
            (Some(("b", 0)), "6"),
            (Some(("b", 4)), "7"),
            (Some(("b", 0)), "8"),
            (Some(("c", 0)), "9"),
            (Some(("c", 6)), "10"),
            // What is older than what is known.
            (Some(("c", 5)), "11"),
            // It is not reached for a moment.
            (None, "12"),
            (Some(("c", 6)), "13"),
        ] {
            leaders.note(leader, now);
        }
        let expected = [
            led(3, "a", "3", Some("5")),
            led(4, "b", "7", Some("9")),
            led(6, "c", "10", None),
        ];
        assert_eq!(leaders.list(), expected);
    }

    #[test]
    fn only_the_latest_are_kept() {
        let leaders = Leaders::default();
        for epoch in 1..=100 {
            leaders.note(Some(("a", epoch)), "now");
        }
        let kept = leaders.list();
        assert_eq!(kept.len(), KEPT_MAX);
        assert_eq!(kept.first().unwrap().epoch, 37);
        assert_eq!(kept.last().unwrap().epoch, 100);
    }

    #[test]
    fn a_follower_knows_the_epoch_of_its_stream_and_not_that_of_another() {
        let leader = LeaderAddress {
            node: "host".to_owned(),
            address: "host:3000".to_owned(),
        };
        let leader = Some(leader);
        let mut document = NodeDocument::new("b");
        document.address = "host:3000".to_owned();
        document.epoch = 9;
        document.tenures.insert("audit".to_owned(), 7);
        let documents = Arc::new(vec![NodeDocument::new("a"), document]);
        let signs = |stream: &str, documents| LeaderSigns {
            stream: stream.to_owned(),
            node: "a".to_owned(),
            role: watch::channel(Role::Follower {
                leader: leader.clone(),
            })
            .1,
            documents: watch::channel(documents).1,
        };
        let read = |stream, documents| signs(stream, documents).read().unwrap();
        assert_eq!(read("audit", None), ("host".to_owned(), 0));
        let known = Some(documents);
        assert_eq!(read("audit", known.clone()), ("b".to_owned(), 7));
        assert_eq!(read("default", known), ("b".to_owned(), 0));
    }

    #[test]
    fn a_leader_knows_best_when_it_led() {
        let seen = [
            (
                "a",
                vec![led(1, "a", "10", Some("19")), led(2, "b", "21", None)],
            ),
            ("b", vec![led(1, "a", "11", None), led(2, "b", "20", None)]),
            ("c", vec![led(1, "a", "09", None), led(3, "a", "30", None)]),
            ("d", vec![led(3, "a", "29", None)]),
        ];
        let expected = [
            led(1, "a", "10", Some("19")),
            led(2, "b", "20", None),
            led(3, "a", "29", None),
        ];
        assert_eq!(merged(seen.into_iter()), expected);
    }
}
