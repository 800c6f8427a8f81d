//! The one thread that writes dead letters: those that wait share a commit.

use std::sync::{Arc, mpsc};

use tokio::sync::oneshot;

use super::error::DeadLetterError;
use super::letter::Letter;
use super::store::{Store, size};

/// The most letters that share one commit.
const COMMIT_LETTERS: usize = 1024;

const FULL: &str = "the dead letters are full; make room with sluice dlq purge";

/// Called with the letter's id, or with the reason why it could not be kept.
pub(super) type Report = Box<dyn FnOnce(Result<String, String>) + Send>;

pub(super) enum Job {
    Keep(Box<Letter>, Report),
    Remove(Vec<String>, oneshot::Sender<Result<u64, DeadLetterError>>),
}

/// Writes what it is given.
#[derive(Debug)]
pub(super) struct Writer {
    store: Arc<Store>,
    jobs: mpsc::Receiver<Job>,
}

impl Writer {
    pub(super) const fn new(store: Arc<Store>, jobs: mpsc::Receiver<Job>) -> Self {
        Self { store, jobs }
    }

    /// Runs until nobody can send a job any more.
    pub(super) fn run(self) {
        while let Ok(job) = self.jobs.recv() {
            match job {
                Job::Keep(letter, report) => self.keep_with_waiting(letter, report),
                Job::Remove(ids, reply) => self.remove(&ids, reply),
            }
        }
    }

    /// Keeps the letter together with those that wait behind it.
    fn keep_with_waiting(&self, letter: Box<Letter>, report: Report) {
        let mut group = vec![(letter, report)];
        while group.len() < COMMIT_LETTERS {
            match self.jobs.try_recv() {
                Ok(Job::Keep(letter, report)) => group.push((letter, report)),
                Ok(Job::Remove(ids, reply)) => {
                    self.keep(group);
                    return self.remove(&ids, reply);
                }
                Err(_) => break,
            }
        }
        self.keep(group);
    }

    /// Writes the letters in one commit, and reports on each after that.
    fn keep(&self, group: Vec<(Box<Letter>, Report)>) {
        let mut reports = Vec::with_capacity(group.len());
        let mut written = Vec::new();
        let mut space = self.store.space();
        for (letter, report) in group {
            let kept = serialize(&letter, &mut space).map(|json| {
                written.push((letter.id.clone(), json));
                letter.id
            });
            reports.push((report, kept));
        }
        if let Err(error) = self.store.write(&written) {
            tracing::error!(%error, "failed to write dead letters");
            for (_, kept) in &mut reports {
                *kept = Err(error.to_string());
            }
        }
        for (report, kept) in reports {
            report(kept);
        }
    }

    fn remove(&self, ids: &[String], reply: oneshot::Sender<Result<u64, DeadLetterError>>) {
        let removed = self.store.remove(ids).map_err(DeadLetterError::Use);
        // The caller may be gone; the letters are removed all the same.
        drop(reply.send(removed));
    }
}

/// The letter's JSON, if it fits into the space, which it is taken from.
fn serialize(letter: &Letter, space: &mut u64) -> Result<Vec<u8>, String> {
    let json = serde_json::to_vec(letter).map_err(|error| error.to_string())?;
    *space = space.checked_sub(size(&json)).ok_or(FULL)?;
    Ok(json)
}
