//! Who led when, as far as this node has seen it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use sluice_leadership::{Controls, Role};
use sluice_types::clock::timestamp;

/// The most tenures that a node remembers.
const KEPT_MAX: usize = 64;

/// A time during which a node led.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Tenure {
    pub(crate) epoch: u64,
    /// The leader's name.
    pub(crate) node: String,
    /// When this was first seen, in RFC 3339.
    pub(crate) since: String,
    /// When nobody led any more; `None` as long as this node leads, or if another
    /// one has led right after it.
    pub(crate) until: Option<String>,
}

/// The tenures that this node has seen, since it started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tenures(Arc<Mutex<VecDeque<Tenure>>>);

impl Tenures {
    /// Those that are remembered, the oldest first.
    pub(super) fn list(&self) -> Vec<Tenure> {
        self.seen().iter().cloned().collect()
    }

    /// Follows who leads; ends only with the control thread.
    pub(crate) async fn follow(self, node: String, controls: Controls) {
        let (mut role, mut view) = (controls.role.clone(), controls.view.clone());
        loop {
            let (leader, own_epoch) = match &*role.borrow_and_update() {
                Role::Leader(lease) => (Some(node.clone()), Some(lease.epoch())),
                Role::Follower { leader } => {
                    let name = leader.as_ref().map(|leader| {
                        let name = controls.peers.name_at(&leader.address);
                        name.unwrap_or_else(|| leader.node.clone())
                    });
                    (name, None)
                }
            };
            let epoch = view.borrow_and_update().epoch;
            self.note(leader.as_deref(), own_epoch.unwrap_or(epoch), &timestamp());
            let changed = tokio::select! {
                changed = role.changed() => changed,
                changed = view.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Takes in who leads now. A follower may learn the epoch before or after the
    /// leader's name.
    fn note(&self, leader: Option<&str>, epoch: u64, now: &str) {
        let mut seen = self.seen();
        let latest = seen.back_mut();
        let Some(leader) = leader else {
            if let Some(latest) = latest {
                latest.until.get_or_insert_with(|| now.to_owned());
            }
            return;
        };
        match latest {
            Some(latest) if latest.epoch > epoch => {}
            Some(latest) if latest.epoch == epoch => {
                if latest.node == leader {
                    // It has led on all the time.
                    latest.until = None;
                } else if latest.until.is_none() {
                    latest.node = leader.to_owned();
                }
            }
            _ if epoch == 0 => {}
            _ => {
                seen.push_back(Tenure {
                    epoch,
                    node: leader.to_owned(),
                    since: now.to_owned(),
                    until: None,
                });
                if seen.len() > KEPT_MAX {
                    seen.pop_front();
                }
            }
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, VecDeque<Tenure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What nodes have seen together: of each epoch what its leader says of it,
/// otherwise what was seen first. The latest [`KEPT_MAX`], the oldest first.
pub(super) fn merged<'a>(seen: impl Iterator<Item = (&'a str, Vec<Tenure>)>) -> Vec<Tenure> {
    let mut all: Vec<(bool, Tenure)> = Vec::new();
    for (node, tenures) in seen {
        for tenure in tenures {
            let is_own = tenure.node == node;
            let known = all
                .iter_mut()
                .find(|(_, known)| known.epoch == tenure.epoch);
            match known {
                None => all.push((is_own, tenure)),
                Some(known) => {
                    let is_better = (is_own, &known.1.since) > (known.0, &tenure.since);
                    if is_better {
                        *known = (is_own, tenure);
                    }
                }
            }
        }
    }
    let mut tenures: Vec<_> = all.into_iter().map(|(_, tenure)| tenure).collect();
    tenures.sort_by_key(|tenure| tenure.epoch);
    let surplus = tenures.len().saturating_sub(KEPT_MAX);
    tenures.split_off(surplus)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(tenures: &Tenures) -> Vec<(u64, String, String, Option<String>)> {
        let list = tenures.list().into_iter();
        list.map(|t| (t.epoch, t.node, t.since, t.until)).collect()
    }

    fn tenure(epoch: u64, node: &str, since: &str, until: Option<&str>) -> Tenure {
        Tenure {
            epoch,
            node: node.to_owned(),
            since: since.to_owned(),
            until: until.map(str::to_owned),
        }
    }

    #[test]
    fn a_tenure_is_noted_once_whatever_is_learned_first() {
        let tenures = Tenures::default();
        for (leader, epoch, now) in [
            (None, 0, "1"),
            (Some("a"), 0, "2"),
            (Some("a"), 3, "3"),
            (Some("a"), 3, "4"),
            // The leader's end, and another's name before its epoch.
            (None, 3, "5"),
            (Some("b"), 3, "6"),
            (Some("b"), 4, "7"),
            // Its epoch before its name.
            (Some("b"), 5, "8"),
            (Some("c"), 5, "9"),
        ] {
            tenures.note(leader, epoch, now);
        }
        let expected = [
            (3, "a", "3", Some("5")),
            (4, "b", "7", None),
            (5, "c", "8", None),
        ];
        let expected = expected.map(|(epoch, node, since, until)| {
            let until = until.map(str::to_owned);
            (epoch, node.to_owned(), since.to_owned(), until)
        });
        assert_eq!(list(&tenures), expected);
    }

    #[test]
    fn only_the_latest_are_kept() {
        let tenures = Tenures::default();
        for epoch in 1..=100 {
            tenures.note(Some("a"), epoch, "now");
        }
        let kept = tenures.list();
        assert_eq!(kept.len(), KEPT_MAX);
        assert_eq!(kept.first().unwrap().epoch, 37);
        assert_eq!(kept.last().unwrap().epoch, 100);
    }

    #[test]
    fn a_leader_knows_its_own_tenure_best() {
        let seen = [
            (
                "a",
                vec![tenure(1, "a", "10", Some("19")), tenure(2, "b", "21", None)],
            ),
            (
                "b",
                vec![tenure(1, "a", "11", None), tenure(2, "b", "20", None)],
            ),
            (
                "c",
                vec![tenure(1, "a", "09", None), tenure(3, "a", "30", None)],
            ),
            ("d", vec![tenure(3, "a", "29", None)]),
        ];
        let expected = [
            tenure(1, "a", "10", Some("19")),
            tenure(2, "b", "20", None),
            tenure(3, "a", "29", None),
        ];
        assert_eq!(merged(seen.into_iter()), expected);
    }
}
