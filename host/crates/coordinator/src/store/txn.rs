//! Transactions: all steps or none.

use super::kv::Entry;
use super::{Draft, Moment, Store};

/// A step.
#[derive(Clone, Debug)]
pub struct Operation {
    /// What to do.
    pub verb: Verb,
    /// The key, or the prefix of keys.
    pub key: String,
    /// What to write, if it writes.
    pub draft: Draft,
    /// The index to compare with, if it compares one.
    pub index: u64,
    /// The session, if it is about one.
    pub session: String,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Writes.
    Set,
    /// Writes if the key was last written at the index; 0: if it is absent.
    Cas,
    /// Takes the lock and writes.
    Lock,
    /// Releases the lock and writes.
    Unlock,
    /// Shows the key.
    Get,
    /// Shows all keys that begin so.
    GetTree,
    /// Fails unless the key was last written at the index.
    CheckIndex,
    /// Fails unless the session holds the key.
    CheckSession,
    /// Fails if the key exists.
    CheckNotExists,
    /// Deletes the key.
    Delete,
    /// Deletes all keys that begin so.
    DeleteTree,
    /// Deletes the key if it was last written at the index.
    DeleteCas,
    /// A word that is no verb; the step fails.
    Unknown(String),
}

impl Verb {
    pub(crate) fn from_name(name: &str) -> Self {
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

    /// Whether it may change anything.
    pub(crate) const fn writes(&self) -> bool {
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

/// What a step shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepResult {
    /// The key.
    pub key: String,
    /// What it holds afterwards.
    pub entry: Entry,
    /// Whether the value is shown: only to who asked for it.
    pub with_value: bool,
}

/// A step that could not be taken, and why, in Consul's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepError {
    /// Its number, from 0.
    pub step: usize,
    /// Why it could not be taken.
    pub what: String,
}

impl Store {
    /// Takes all steps, or none.
    ///
    /// # Errors
    /// The steps that could not be taken.
    pub fn transact(
        &mut self,
        now: Moment,
        operations: &[Operation],
    ) -> Result<Vec<StepResult>, Vec<StepError>> {
        let error = |step, what| StepError { step, what };
        // What Consul looks at before the rest is judged at all.
        let mut errors = Vec::new();
        for (step, operation) in operations.iter().enumerate() {
            if let Err(what) = self.admit(now, operation) {
                errors.push(error(step, what));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        self.kv.begin();
        let mut results = Vec::new();
        for (step, operation) in operations.iter().enumerate() {
            match self.take_step(operation) {
                Ok(shown) => results.extend(shown),
                Err(what) => errors.push(error(step, what)),
            }
        }
        if errors.is_empty() {
            self.kv.commit();
            self.settle();
            Ok(results)
        } else {
            self.kv.roll_back();
            self.changes.take_back();
            Err(errors)
        }
    }

    fn admit(&mut self, now: Moment, operation: &Operation) -> Result<(), String> {
        let key = &operation.key;
        if key.is_empty() && operation.verb.writes() && operation.verb != Verb::DeleteTree {
            return Err("Must provide key".to_owned());
        }
        if operation.verb == Verb::Lock && self.is_delayed(now, key) {
            return Err(format!("failed to lock key {key:?} due to lock delay"));
        }
        Ok(())
    }

    fn take_step(&mut self, operation: &Operation) -> Result<Vec<StepResult>, String> {
        let Operation {
            verb,
            key,
            draft,
            index,
            session,
        } = operation;
        let draft = draft.clone();
        match verb {
            Verb::Set => self.set(key, draft),
            Verb::Cas => match self.cas(key, draft, *index) {
                true => {}
                false => return Err(format!("failed to set key {key:?}, index is stale")),
            },
            Verb::Lock => match self.lock(key, draft, session) {
                Ok(true) => {}
                Ok(false) => {
                    return Err(format!("failed to lock key {key:?}, lock is already held"));
                }
                Err(refusal) => return Err(refusal.to_string()),
            },
            Verb::Unlock => match self.unlock(key, draft, session) {
                Ok(true) => {}
                Ok(false) => {
                    return Err(format!(
                        "failed to unlock key {key:?}, lock isn't held, or is held by another \
                         session"
                    ));
                }
                Err(refusal) => return Err(refusal.to_string()),
            },
            Verb::Get => return self.show(key, true, "").map(|shown| vec![shown]),
            Verb::GetTree => {
                let under = self.kv.under(key);
                return Ok(under.map(|(key, entry)| result(key, entry, true)).collect());
            }
            Verb::CheckIndex => {
                let shown = self.show(key, false, "failed to check index, ")?;
                let current = shown.entry.modify_index;
                if current != *index {
                    return Err(format!(
                        "failed index check for key {key:?}, current modify index {current} != \
                         {index}"
                    ));
                }
            }
            Verb::CheckSession => {
                let shown = self.show(key, false, "failed to check session, ")?;
                let current = shown.entry.session.unwrap_or_default();
                if current != *session {
                    return Err(format!(
                        "failed session check for key {key:?}, current session {current:?} != \
                         {session:?}"
                    ));
                }
            }
            Verb::CheckNotExists => match self.kv.get(key) {
                None => return Ok(Vec::new()),
                Some(_) => return Err(format!("key {key:?} exists")),
            },
            Verb::Delete => self.remove(key),
            Verb::DeleteTree => self.remove_under(key),
            Verb::DeleteCas => match self.remove_cas(key, *index) {
                true => {}
                false => return Err(format!("failed to delete key {key:?}, index is stale")),
            },
            Verb::Unknown(verb) => return Err(format!("unknown KV verb {verb:?}")),
        }
        let shown = self.kv.get(key).filter(|_| *verb != Verb::DeleteTree);
        Ok(shown
            .map(|entry| result(key, entry, false))
            .into_iter()
            .collect())
    }

    fn show(&self, key: &str, with_value: bool, act: &str) -> Result<StepResult, String> {
        let entry = self.kv.get(key);
        let entry = entry.ok_or_else(|| format!("{act}key {key:?} doesn't exist"))?;
        Ok(result(key, entry, with_value))
    }
}

fn result(key: &str, entry: &Entry, with_value: bool) -> StepResult {
    StepResult {
        key: key.to_owned(),
        entry: entry.clone(),
        with_value,
    }
}
