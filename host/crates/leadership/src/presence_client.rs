//! The seam of a node's presence to Consul: its registration with the agent,
//! and the keys that it writes about itself.

use std::time::Duration;

use super::lock_client::LockClient;
use super::noted::{Note, Noted};
use super::publication::Publication;
use sluice_consul::{Operation, Refusal, TxnOutcome};
use sluice_types::error_chain::chain;

/// The time for writing a key while the lock is held.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(2);

impl LockClient {
    /// Registers this node's service, unless the agent has it as it is now.
    pub(super) async fn keep_registered(&self) {
        let service = &self.service;
        let kept = match self.client.own_tags(&service.id()).await {
            Ok(Some(tags)) if tags == service.tags() => Ok(()),
            Ok(_) => self.client.register(&service.registration()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            tracing::debug!(error = chain(&error), "could not keep this node registered");
        }
    }

    pub(super) async fn deregister(&self) {
        if let Err(error) = self.client.deregister(&self.service.id()).await {
            tracing::warn!(
                error = chain(&error),
                "could not deregister; Consul will forget this node in a minute"
            );
        }
    }

    /// Writes this node's document under the session.
    pub(super) async fn publish(&self, session: &str, document: &str) -> Publication {
        let key = self.cluster.node(&self.service.node);
        match self.client.acquire(&key, session, document.into()).await {
            Ok(true) => Publication::Written,
            Ok(false) => Publication::HeldByAnother,
            Err(error) => {
                tracing::debug!(error = chain(&error), "could not keep the node's key");
                match error.is_invalid_session() {
                    true => Publication::NoSuchSession,
                    false => Publication::Unknown,
                }
            }
        }
    }

    /// The changes of the sink that are noted, the oldest first; `None` if there was
    /// no answer.
    pub(super) async fn history(&self, stream: &str) -> Option<Vec<Noted>> {
        let _turn = self.turns.acquire().await;
        let keys = self.stream_keys(stream);
        let prefix = &keys.history;
        let listed = self.client.list(prefix, None).await;
        let entries = listed
            .inspect_err(|error| {
                tracing::debug!(
                    error = chain(error),
                    "could not read the changes of the sink"
                );
            })
            .ok()?;
        let noted = entries.value.into_iter().filter_map(|entry| {
            Some(Noted {
                number: entry.key.strip_prefix(prefix)?.parse().ok()?,
                index: entry.modify_index,
                document: serde_json::from_slice(&entry.value).ok(),
            })
        });
        let mut noted: Vec<_> = noted.collect();
        noted.sort_by_key(|noted| noted.number);
        Some(noted)
    }

    /// Notes a change of the sink if the session holds the lock; false if that must
    /// be tried again.
    pub(super) async fn note(&self, stream: &str, session: &str, note: &Note) -> bool {
        let _turn = self.turns.acquire().await;
        let keys = self.stream_keys(stream);
        let key = |number| format!("{}{number}", keys.history);
        let noted = key(note.number);
        let forgotten: Vec<_> = note
            .forgotten
            .iter()
            .map(|(number, index)| (key(*number), *index))
            .collect();
        let mut operations = vec![
            Operation::CheckSession {
                key: &keys.leader,
                session,
            },
            Operation::Cas {
                key: &noted,
                value: &note.document,
                index: 0,
            },
        ];
        for (key, index) in &forgotten {
            operations.push(Operation::DeleteCas { key, index: *index });
        }
        match self.client.transact(&operations, TRANSACTION_TIMEOUT).await {
            Ok(TxnOutcome::RolledBack(refused)) if refused.is_for(Refusal::PermissionDenied) => {
                tracing::error!(
                    %refused,
                    "Consul's ACL does not let the leader note the changes of the sink"
                );
                true
            }
            // Another leader has noted something, or the lock is gone.
            Ok(TxnOutcome::RolledBack(_)) => false,
            Ok(_) => true,
            Err(error) => {
                tracing::debug!(error = chain(&error), "could not note a change of the sink");
                false
            }
        }
    }

    /// Writes the document of the active sink if the session holds the lock;
    /// false if there was no answer.
    pub(super) async fn write_active(&self, stream: &str, session: &str, document: &[u8]) -> bool {
        let _turn = self.turns.acquire().await;
        let keys = self.stream_keys(stream);
        let operations = [
            Operation::CheckSession {
                key: &keys.leader,
                session,
            },
            Operation::Set {
                key: &keys.active,
                value: document,
            },
        ];
        let outcome = self.client.transact(&operations, TRANSACTION_TIMEOUT).await;
        match &outcome {
            Ok(TxnOutcome::RolledBack(refused)) if refused.is_for(Refusal::PermissionDenied) => {
                tracing::error!(
                    %refused,
                    "Consul's ACL does not let the leader write the active sink's key"
                );
            }
            // Rolled back for another reason, the lock is gone, and with it the
            // right to write.
            Ok(_) => {}
            Err(error) => tracing::debug!(
                error = chain(error),
                "could not write the active sink's key"
            ),
        }
        outcome.is_ok()
    }
}
