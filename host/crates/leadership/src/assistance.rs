//! What a node asks others to do with a lock that it holds, because it does not
//! reach Consul and they may.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::command::Release;
use super::lock::Lock;
use super::stream_name::StreamName;

/// The time for other nodes to do it.
const LIMIT: Duration = Duration::from_secs(2);

/// What to do with an acquisition of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// Say whether a consistent read shows it.
    Look,
    /// Release it, if the lock is still as it left it.
    Release {
        /// The flags to write.
        flags: u64,
    },
}

/// Something to do for a node with a lock that it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assistance {
    /// The session that holds the lock.
    pub session: String,
    /// The index at which the lock was taken.
    pub acquisition: u64,
    /// What to do.
    pub act: Act,
}

/// What follows from a read of the lock that an [`Assistance`] is about.
#[derive(Debug)]
pub(super) enum Next {
    /// Nothing more to do: this is the answer.
    Answer(bool),
    /// Release it, with the value that the lock has.
    Release(Release, Vec<u8>),
}

impl Assistance {
    /// What to do after a consistent read has shown this lock.
    pub(super) fn after(&self, lock: Lock) -> Next {
        let held = lock.key.filter(|key| {
            let is_held = key.session.as_deref() == Some(&self.session);
            is_held && key.modify_index == self.acquisition
        });
        match (self.act, held) {
            (Act::Look, held) => Next::Answer(held.is_some()),
            (Act::Release { .. }, None) => Next::Answer(true),
            (Act::Release { flags }, Some(key)) => {
                let release = Release {
                    session: self.session.clone(),
                    acquisition: self.acquisition,
                    flags,
                    successor: None,
                };
                Next::Release(release, key.value)
            }
        }
    }
}

/// An [`Assistance`] that this node needs.
#[derive(Debug)]
pub struct Plea {
    /// The stream whose lock it is about.
    pub stream: Arc<str>,
    /// What others should do.
    pub assistance: Assistance,
    /// Whether one of them could do it, and the answer is yes.
    pub answer: oneshot::Sender<bool>,
}

/// The way to the other nodes.
#[derive(Clone, Debug)]
pub(super) enum Allies {
    Nodes(mpsc::Sender<Plea>),
    #[cfg(test)]
    Simulated(crate::simulation::SimulatedAllies),
}

impl Allies {
    /// Whether another node sees the lock held by this acquisition, by a
    /// consistent read.
    pub(super) async fn see(&self, stream: &StreamName, session: &str, acquisition: u64) -> bool {
        let assistance = Assistance {
            session: session.to_owned(),
            acquisition,
            act: Act::Look,
        };
        self.ask(stream, assistance).await
    }

    /// Whether another node has released the lock, or found it free.
    pub(super) async fn release(&self, stream: &StreamName, release: &Release) -> bool {
        let assistance = Assistance {
            session: release.session.clone(),
            acquisition: release.acquisition,
            act: Act::Release {
                flags: release.flags,
            },
        };
        self.ask(stream, assistance).await
    }

    async fn ask(&self, stream: &StreamName, assistance: Assistance) -> bool {
        match self {
            Self::Nodes(pleas) => {
                let (answer, answered) = oneshot::channel();
                let plea = Plea {
                    stream: stream.clone(),
                    assistance,
                    answer,
                };
                // Without room, others are being asked already.
                let is_sent = pleas.try_send(plea).is_ok();
                let answered = tokio::time::timeout(LIMIT, answered);
                is_sent && matches!(answered.await, Ok(Ok(true)))
            }
            #[cfg(test)]
            Self::Simulated(allies) => allies.ask(&assistance).await,
        }
    }
}
