//! Transactions.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::error::Error;
use super::refusal::Rollback;

/// One step of a transaction.
#[derive(Clone, Debug)]
pub enum Operation<'a> {
    /// The key was last written at this index.
    CheckIndex {
        /// The key.
        key: &'a str,
        /// Its `ModifyIndex`.
        index: u64,
    },
    /// There is no such key.
    CheckNotExists {
        /// The key.
        key: &'a str,
    },
    /// The session holds the key.
    CheckSession {
        /// The key.
        key: &'a str,
        /// The session.
        session: &'a str,
    },
    /// Writes the key if it was last written at this index (0: if it is absent).
    Cas {
        /// The key.
        key: &'a str,
        /// The new value.
        value: &'a [u8],
        /// Its `ModifyIndex`.
        index: u64,
    },
    /// Writes the key.
    Set {
        /// The key.
        key: &'a str,
        /// The new value.
        value: &'a [u8],
    },
    /// Deletes the key if it was last written at this index.
    DeleteCas {
        /// The key.
        key: &'a str,
        /// Its `ModifyIndex`.
        index: u64,
    },
    /// Takes the key's lock, and writes the key.
    Lock {
        /// The key.
        key: &'a str,
        /// The new value.
        value: &'a [u8],
        /// The new flags.
        flags: u64,
        /// The session that takes the lock.
        session: &'a str,
    },
    /// Releases the key's lock, and writes the key.
    Unlock {
        /// The key.
        key: &'a str,
        /// The new value.
        value: &'a [u8],
        /// The new flags.
        flags: u64,
        /// The session that holds the lock.
        session: &'a str,
    },
}

#[derive(Serialize)]
pub(super) struct Wrapped<'a> {
    #[serde(rename = "KV")]
    pub(super) kv: Wire<'a>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Wire<'a> {
    pub(super) verb: &'static str,
    pub(super) key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) flags: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<&'a str>,
}

impl<'a> Operation<'a> {
    fn wire(&self) -> Wrapped<'a> {
        let kv = match *self {
            Self::CheckIndex { key, index } => Wire {
                verb: "check-index",
                key,
                index: Some(index),
                ..Wire::default()
            },
            Self::CheckNotExists { key } => Wire {
                verb: "check-not-exists",
                key,
                ..Wire::default()
            },
            Self::CheckSession { key, session } => Wire {
                verb: "check-session",
                key,
                session: Some(session),
                ..Wire::default()
            },
            Self::Cas { key, value, index } => Wire {
                verb: "cas",
                key,
                value: encode(value),
                index: Some(index),
                ..Wire::default()
            },
            Self::Set { key, value } => Wire {
                verb: "set",
                key,
                value: encode(value),
                ..Wire::default()
            },
            Self::DeleteCas { key, index } => Wire {
                verb: "delete-cas",
                key,
                index: Some(index),
                ..Wire::default()
            },
            Self::Lock {
                key,
                value,
                flags,
                session,
            } => under_session("lock", key, value, flags, session),
            Self::Unlock {
                key,
                value,
                flags,
                session,
            } => under_session("unlock", key, value, flags, session),
        };
        Wrapped { kv }
    }
}

fn encode(value: &[u8]) -> Option<String> {
    Some(STANDARD.encode(value))
}

/// A step that writes the key for a session.
fn under_session<'a>(
    verb: &'static str,
    key: &'a str,
    value: &[u8],
    flags: u64,
    session: &'a str,
) -> Wire<'a> {
    Wire {
        verb,
        key,
        value: encode(value),
        flags: Some(flags),
        session: Some(session),
        index: None,
    }
}

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnOutcome {
    /// All steps were taken, at this index.
    Committed {
        /// The `ModifyIndex` of every key that was written.
        index: u64,
    },
    /// No step was taken.
    RolledBack(Rollback),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    results: Option<Vec<TxnResult>>,
    errors: Option<Vec<TxnError>>,
}

#[derive(Deserialize)]
struct TxnResult {
    #[serde(rename = "KV")]
    kv: Written,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    modify_index: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TxnError {
    /// The position of the step.
    #[serde(default)]
    pub(super) op_index: usize,
    pub(super) what: String,
}

impl Client {
    /// Runs a transaction of at most 64 steps.
    ///
    /// # Errors
    /// No usable answer: it may have been committed.
    pub async fn transact(
        &self,
        operations: &[Operation<'_>],
        timeout: Duration,
    ) -> Result<TxnOutcome, Error> {
        let body: Vec<_> = operations.iter().map(Operation::wire).collect();
        let call = self.call(Method::PUT, "/v1/txn", timeout).json(&body);
        let answer = call.send(&[StatusCode::CONFLICT]).await?;
        let rolled_back = answer.status() == StatusCode::CONFLICT;
        let answer: Answer = answer.json().await?;
        if rolled_back {
            let errors = answer.errors.unwrap_or_default();
            let texts = errors.into_iter().map(|error| error.what);
            return Ok(TxnOutcome::RolledBack(Rollback::new(texts)));
        }
        let written = answer
            .results
            .unwrap_or_default()
            .into_iter()
            .map(|r| r.kv.modify_index);
        Ok(TxnOutcome::Committed {
            index: written.max().unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_written_as_consul_reads_them() {
        let steps = [
            Operation::CheckNotExists { key: "c/leader" },
            Operation::Cas {
                key: "c/epoch",
                value: b"1",
                index: 0,
            },
            Operation::Lock {
                key: "c/leader",
                value: b"{}",
                flags: 1000,
                session: "s",
            },
            Operation::DeleteCas {
                key: "c/next",
                index: 3,
            },
        ];
        let wire: Vec<_> = steps.iter().map(Operation::wire).collect();
        assert_eq!(
            serde_json::to_string(&wire).unwrap(),
            r#"[{"KV":{"Verb":"check-not-exists","Key":"c/leader"}},"#.to_owned()
                + r#"{"KV":{"Verb":"cas","Key":"c/epoch","Value":"MQ==","Index":0}},"#
                + r#"{"KV":{"Verb":"lock","Key":"c/leader","Value":"e30=","Flags":1000,"Session":"s"}},"#
                + r#"{"KV":{"Verb":"delete-cas","Key":"c/next","Index":3}}]"#
        );
    }
}
