//! Transactions: all operations or none.

use super::entry::{Draft, Entry};
use super::kv::Kv;
use super::moment::Moment;
use super::refusal::Refusal;
use super::weight;
use super::write::Write;

/// One operation of a transaction.
#[derive(Clone, Debug)]
pub struct Operation {
    /// What to do.
    pub verb: Verb,
    /// The key, or the prefix for the verbs that take one.
    pub key: String,
    /// What to write, for the verbs that write.
    pub draft: Draft,
    /// The expected index, for the verbs that compare one.
    pub index: u64,
    /// The id of the session, for the verbs that need one.
    pub session: String,
}

/// What an operation does, by Consul's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Writes the key.
    Set,
    /// Writes the key if its index matches.
    Cas,
    /// Writes the key and acquires its lock.
    Lock,
    /// Writes the key and releases its lock.
    Unlock,
    /// Returns the key; fails if it does not exist.
    Get,
    /// Returns all keys with the prefix.
    GetTree,
    /// Fails unless the key's index matches.
    CheckIndex,
    /// Fails unless the session holds the key.
    CheckSession,
    /// Fails if the key exists.
    CheckNotExists,
    /// Deletes the key.
    Delete,
    /// Deletes all keys with the prefix.
    DeleteTree,
    /// Deletes the key if its index matches.
    DeleteCas,
    /// A name that is none of these; the operation fails.
    Unknown(String),
}

impl Operation {
    /// Whether it succeeds only for a session that holds the key. Without an id,
    /// `check-session` succeeds for a key that nobody holds.
    const fn is_under_session(&self) -> bool {
        matches!(self.verb, Verb::Lock | Verb::Unlock | Verb::CheckSession)
            && !self.session.is_empty()
    }
}

impl Verb {
    /// Reads Consul's name of a verb.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "set" => Self::Set,
            "cas" => Self::Cas,
            "lock" => Self::Lock,
            "unlock" => Self::Unlock,
            "get" => Self::Get,
            "get-tree" => Self::GetTree,
            "check-index" => Self::CheckIndex,
            "check-session" => Self::CheckSession,
            "check-not-exists" => Self::CheckNotExists,
            "delete" => Self::Delete,
            "delete-tree" => Self::DeleteTree,
            "delete-cas" => Self::DeleteCas,
            other => Self::Unknown(other.to_owned()),
        }
    }

    /// Whether an operation with this verb can change anything.
    #[must_use]
    pub const fn writes(&self) -> bool {
        matches!(
            self,
            Self::Set
                | Self::Cas
                | Self::Lock
                | Self::Unlock
                | Self::Delete
                | Self::DeleteTree
                | Self::DeleteCas
        )
    }
}

/// A key that an operation returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationResult {
    /// The key.
    pub key: String,
    /// The key's state after the operation.
    pub entry: Entry,
    /// Whether the answer shows the value: only for the verbs that read it.
    pub with_value: bool,
}

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationError {
    /// The operation's position in the transaction, from 0.
    pub position: usize,
    /// The reason, in Consul's words.
    pub what: String,
}

/// Carries out all operations, or none and returns those that failed.
pub(super) fn transact(
    write: &mut Write<'_>,
    now: Moment,
    operations: &[Operation],
) -> Result<Vec<OperationResult>, Vec<OperationError>> {
    let error = |position, what| OperationError { position, what };
    // Consul checks this much of all operations before it tries the first.
    let mut errors = Vec::new();
    for (position, operation) in operations.iter().enumerate() {
        if let Err(what) = admit(write, now, operation) {
            errors.push(error(position, what));
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    write.kv.begin();
    let before = write.kv.weight();
    let (mut results, mut shown_weight) = (Vec::new(), 0);
    for (position, operation) in operations.iter().enumerate() {
        match apply(write, operation) {
            Ok(shown) => {
                shown_weight += shown.iter().map(weight_of).sum::<usize>();
                results.extend(shown);
            }
            Err(what) => errors.push(error(position, what)),
        }
        if shown_weight > weight::RESULTS_MAX {
            errors.push(error(position, too_large()));
            break;
        }
    }
    let is_under_session = operations.iter().any(Operation::is_under_session);
    let after = write.kv.weight();
    if after > before && after > Write::room(is_under_session) {
        let last = operations.len().saturating_sub(1);
        errors.push(error(last, text(Refusal::KeysFull)));
    }
    if errors.is_empty() {
        write.kv.commit();
        Ok(results)
    } else {
        write.kv.roll_back();
        write.changes.discard();
        Err(errors)
    }
}

fn admit(write: &mut Write<'_>, now: Moment, operation: &Operation) -> Result<(), String> {
    let key = &operation.key;
    if key.is_empty() && operation.verb.writes() && operation.verb != Verb::DeleteTree {
        return Err("Must provide key".to_owned());
    }
    if operation.verb == Verb::Lock && write.sessions.is_delayed(now, key) {
        return Err(format!("failed to lock key {key:?} due to lock delay"));
    }
    Ok(())
}

/// Carries out one operation and returns the keys that it shows.
fn apply(write: &mut Write<'_>, operation: &Operation) -> Result<Vec<OperationResult>, String> {
    let Operation {
        verb,
        key,
        draft,
        index,
        session,
    } = operation;
    let draft = draft.clone();
    match verb {
        Verb::Set => write.set(key, draft),
        Verb::Cas => {
            let is_written = write.cas(key, draft, *index);
            ensure(is_written, || {
                format!("failed to set key {key:?}, index is stale")
            })?;
        }
        Verb::Lock => {
            let locked = write.lock(key, draft, session);
            ensure(locked.map_err(text)?, || {
                format!("failed to lock key {key:?}, lock is already held")
            })?;
        }
        Verb::Unlock => {
            let unlocked = write.unlock(key, draft, session);
            ensure(unlocked.map_err(text)?, || {
                format!(
                    "failed to unlock key {key:?}, lock isn't held, or is held by another session"
                )
            })?;
        }
        Verb::Get => return Ok(vec![show(write.kv, key, true, "")?]),
        Verb::GetTree => {
            let under = write.kv.under(key);
            return Ok(under.map(|(key, entry)| result(key, entry, true)).collect());
        }
        Verb::CheckIndex => return check_index(write.kv, key, *index),
        Verb::CheckSession => return check_session(write.kv, key, session),
        Verb::CheckNotExists => {
            ensure(write.kv.get(key).is_none(), || {
                format!("key {key:?} exists")
            })?;
        }
        Verb::Delete => write.remove(key),
        Verb::DeleteTree => {
            write.remove_under(key);
            return Ok(Vec::new());
        }
        Verb::DeleteCas => {
            let is_gone = write.remove_cas(key, *index);
            ensure(is_gone, || {
                format!("failed to delete key {key:?}, index is stale")
            })?;
        }
        Verb::Unknown(verb) => return Err(format!("unknown KV verb {verb:?}")),
    }
    let shown = write.kv.get(key).map(|entry| result(key, entry, false));
    Ok(shown.into_iter().collect())
}

fn weight_of(result: &OperationResult) -> usize {
    weight::of_entry(&result.key, &result.entry)
}

fn too_large() -> String {
    format!(
        "the results of the transaction take more than {} bytes; read fewer keys",
        weight::RESULTS_MAX
    )
}

fn text(refusal: Refusal) -> String {
    refusal.to_string()
}

fn ensure(holds: bool, failure: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(failure()) }
}

fn check_index(kv: &Kv, key: &str, expected: u64) -> Result<Vec<OperationResult>, String> {
    let shown = show(kv, key, false, "failed to check index, ")?;
    let current = shown.entry.modify_index;
    ensure(current == expected, || {
        format!("failed index check for key {key:?}, current modify index {current} != {expected}")
    })?;
    Ok(vec![shown])
}

fn check_session(kv: &Kv, key: &str, expected: &str) -> Result<Vec<OperationResult>, String> {
    let shown = show(kv, key, false, "failed to check session, ")?;
    let current = shown.entry.session.as_deref().unwrap_or_default();
    ensure(current == expected, || {
        format!("failed session check for key {key:?}, current session {current:?} != {expected:?}")
    })?;
    Ok(vec![shown])
}

fn show(kv: &Kv, key: &str, with_value: bool, act: &str) -> Result<OperationResult, String> {
    let entry = kv.get(key);
    let entry = entry.ok_or_else(|| format!("{act}key {key:?} doesn't exist"))?;
    Ok(result(key, entry, with_value))
}

fn result(key: &str, entry: &Entry, with_value: bool) -> OperationResult {
    OperationResult {
        key: key.to_owned(),
        entry: entry.clone(),
        with_value,
    }
}
