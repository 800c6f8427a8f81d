//! Records that no sink takes, on disk: each with the time, the reason and
//! the sink. Bounded in size; when it is full only what would come is refused.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use sluice_types::clock::timestamp;
use sluice_types::plugin::Identity;
use sluice_types::record::LogRecord;
use sluice_types::record_document::RecordDocument;

/// The letters by id, as JSON.
const LETTERS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("letters");
/// The most letters that share one commit.
const GROUP: usize = 1024;

/// Why a record is a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// It broke the sink, again and again.
    Poison,
    /// The sink refused it, and its producer could not be told any more.
    Refused,
}

/// One dead letter.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Letter {
    /// The record's epoch and sequence: unique in the cluster.
    pub id: String,
    /// When it was set aside, in RFC 3339.
    pub time: String,
    /// Why.
    pub cause: Cause,
    /// In the sink's words, or how it broke.
    pub reason: String,
    /// Which sink that was.
    pub plugin: Identity,
    /// The record.
    pub record: RecordDocument,
}

impl Letter {
    /// A letter of now.
    #[must_use]
    pub fn new(record: &LogRecord, cause: Cause, reason: &str, plugin: &Identity) -> Self {
        Self {
            id: format!("{}-{}", record.id.epoch, record.id.sequence),
            time: timestamp(),
            cause,
            reason: reason.to_owned(),
            plugin: plugin.clone(),
            record: record.into(),
        }
    }
}

/// The store can not be used.
#[derive(Debug, Error)]
pub enum DeadLetterError {
    /// The file can not be opened.
    #[error("open the dead letters in {}", .file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        cause: redb::Error,
    },
    /// No thread.
    #[error("start the thread that keeps dead letters")]
    Thread(#[source] std::io::Error),
    /// It can not be read or written.
    #[error("use the dead letters")]
    Use(#[source] redb::Error),
    /// A letter is not in the form that this version knows.
    #[error("read the dead letter {id}")]
    Form {
        /// Which one.
        id: String,
        /// What is wrong with it.
        #[source]
        cause: serde_json::Error,
    },
    /// The thread is gone.
    #[error("keep dead letters: the node is stopping")]
    Stopped,
}

/// What is told of a letter: its id, or why it could not be kept.
type Tell = Box<dyn FnOnce(Result<String, String>) + Send>;

enum Job {
    Keep(Box<Letter>, Tell),
    Remove(
        Vec<String>,
        tokio::sync::oneshot::Sender<Result<u64, DeadLetterError>>,
    ),
}

/// The dead letters of this node.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    store: Arc<Store>,
    jobs: mpsc::Sender<Job>,
}

#[derive(Debug)]
struct Store {
    database: Database,
    /// The sum of the letters' sizes.
    bytes: AtomicU64,
    most: u64,
}

impl DeadLetters {
    /// Opens the file, or makes it, for letters of at most so many bytes
    /// together.
    ///
    /// # Errors
    /// It can not be read, or another process uses it.
    pub fn open(file: PathBuf, most: u64) -> Result<Self, DeadLetterError> {
        let store = match Store::open(&file, most) {
            Ok(store) => Arc::new(store),
            Err(cause) => return Err(DeadLetterError::Open { file, cause }),
        };
        let (jobs, queue) = mpsc::channel();
        let writer = Arc::clone(&store);
        // Ends when nobody can give it anything any more.
        std::thread::Builder::new()
            .name("dead-letters".to_owned())
            .spawn(move || writer.run(&queue))
            .map_err(DeadLetterError::Thread)?;
        Ok(Self { store, jobs })
    }

    /// Keeps a letter and then tells of it, from another thread.
    pub fn keep(&self, letter: Letter, tell: Tell) {
        if let Err(mpsc::SendError(Job::Keep(_, tell))) =
            self.jobs.send(Job::Keep(Box::new(letter), tell))
        {
            tell(Err(DeadLetterError::Stopped.to_string()));
        }
    }

    /// All letters, oldest first. Reads from disk.
    ///
    /// # Errors
    /// They can not be read.
    pub fn list(&self) -> Result<Vec<Letter>, DeadLetterError> {
        let mut letters = self.store.list().map_err(DeadLetterError::Use)??;
        letters.sort_by(|one, other| {
            let place = |letter: &Letter| {
                (
                    letter.time.clone(),
                    letter.record.epoch,
                    letter.record.sequence,
                )
            };
            place(one).cmp(&place(other))
        });
        Ok(letters)
    }

    /// Removes those of the letters that are there; how many.
    ///
    /// # Errors
    /// They can not be removed.
    pub async fn remove(&self, ids: Vec<String>) -> Result<u64, DeadLetterError> {
        let (reply_in, reply) = tokio::sync::oneshot::channel();
        self.jobs
            .send(Job::Remove(ids, reply_in))
            .map_err(|_| DeadLetterError::Stopped)?;
        reply.await.map_err(|_| DeadLetterError::Stopped)?
    }

    /// The bytes of all letters.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.store.bytes.load(Ordering::Relaxed)
    }
}

impl Store {
    fn open(file: &std::path::Path, most: u64) -> Result<Self, redb::Error> {
        let database = Database::create(file)?;
        let writing = database.begin_write()?;
        let mut bytes = 0;
        {
            let table = writing.open_table(LETTERS)?;
            for entry in table.iter()? {
                bytes += size(entry?.1.value());
            }
        }
        writing.commit()?;
        Ok(Self {
            database,
            bytes: AtomicU64::new(bytes),
            most,
        })
    }

    fn run(&self, jobs: &mpsc::Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            match job {
                Job::Keep(letter, tell) => {
                    let mut group = vec![(letter, tell)];
                    let mut next = None;
                    while group.len() < GROUP {
                        match jobs.try_recv() {
                            Ok(Job::Keep(letter, tell)) => group.push((letter, tell)),
                            Ok(other) => {
                                next = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    self.keep(group);
                    if let Some(Job::Remove(ids, reply)) = next {
                        self.answer(&ids, reply);
                    }
                }
                Job::Remove(ids, reply) => self.answer(&ids, reply),
            }
        }
    }

    fn answer(
        &self,
        ids: &[String],
        reply: tokio::sync::oneshot::Sender<Result<u64, DeadLetterError>>,
    ) {
        // Whoever asked may be gone; what was removed is.
        drop(reply.send(self.remove(ids).map_err(DeadLetterError::Use)));
    }

    /// All of them in one commit, and then the word of each.
    fn keep(&self, group: Vec<(Box<Letter>, Tell)>) {
        let mut told: Vec<(Tell, Result<String, String>)> = Vec::with_capacity(group.len());
        let mut room = self.most.saturating_sub(self.bytes.load(Ordering::Relaxed));
        let mut written = Vec::new();
        for (letter, tell) in group {
            let json = match serde_json::to_vec(&letter) {
                Ok(json) => json,
                Err(error) => {
                    told.push((tell, Err(error.to_string())));
                    continue;
                }
            };
            match room.checked_sub(size(&json)) {
                Some(left) => {
                    room = left;
                    written.push((letter.id.clone(), json));
                    told.push((tell, Ok(letter.id)));
                }
                None => {
                    let full = "the dead letters are full; make room with sluice dlq purge";
                    told.push((tell, Err(full.to_owned())));
                }
            }
        }
        if let Err(error) = self.write(&written) {
            tracing::error!(%error, "dead letters could not be written");
            for (_, result) in &mut told {
                *result = Err(error.to_string());
            }
        }
        for (tell, result) in told {
            tell(result);
        }
    }

    fn write(&self, letters: &[(String, Vec<u8>)]) -> Result<(), redb::Error> {
        if letters.is_empty() {
            return Ok(());
        }
        let mut writing = self.database.begin_write()?;
        writing.set_durability(Durability::Immediate)?;
        let (mut added, mut replaced) = (0, 0);
        {
            let mut table = writing.open_table(LETTERS)?;
            for (id, json) in letters {
                added += size(json);
                if let Some(before) = table.insert(id.as_str(), json.as_slice())? {
                    replaced += size(before.value());
                }
            }
        }
        writing.commit()?;
        self.bytes.fetch_add(added, Ordering::Relaxed);
        self.bytes.fetch_sub(replaced, Ordering::Relaxed);
        Ok(())
    }

    fn remove(&self, ids: &[String]) -> Result<u64, redb::Error> {
        let mut writing = self.database.begin_write()?;
        writing.set_durability(Durability::Immediate)?;
        let (mut count, mut freed) = (0, 0);
        {
            let mut table = writing.open_table(LETTERS)?;
            for id in ids {
                if let Some(letter) = table.remove(id.as_str())? {
                    count += 1;
                    freed += size(letter.value());
                }
            }
        }
        writing.commit()?;
        self.bytes.fetch_sub(freed, Ordering::Relaxed);
        Ok(count)
    }

    fn list(&self) -> Result<Result<Vec<Letter>, DeadLetterError>, redb::Error> {
        let table = self.database.begin_read()?.open_table(LETTERS)?;
        let mut letters = Vec::new();
        for entry in table.iter()? {
            let (id, json) = entry?;
            match serde_json::from_slice(json.value()) {
                Ok(letter) => letters.push(letter),
                Err(cause) => {
                    let id = id.value().to_owned();
                    return Ok(Err(DeadLetterError::Form { id, cause }));
                }
            }
        }
        Ok(Ok(letters))
    }
}

fn size(json: &[u8]) -> u64 {
    u64::try_from(json.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_types::record::{RecordId, Text};

    fn letter(sequence: u64, body: &str) -> Letter {
        let record = LogRecord {
            id: RecordId { epoch: 3, sequence },
            ..LogRecord::with_body(Text::from(body), 0)
        };
        let plugin = Identity {
            source: "file:///a.wasm".to_owned(),
            sha256: "00".to_owned(),
        };
        Letter::new(&record, Cause::Poison, "trapped", &plugin)
    }

    fn keep(letters: &DeadLetters, letter: Letter) -> Result<String, String> {
        let (told_in, told) = mpsc::channel();
        letters.keep(
            letter,
            Box::new(move |result| told_in.send(result).unwrap()),
        );
        told.recv().unwrap()
    }

    #[tokio::test]
    async fn letters_survive_and_can_be_removed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dead-letters");
        let letters = DeadLetters::open(file.clone(), 1 << 20).unwrap();
        let first = letter(1, "one");
        assert_eq!(keep(&letters, first.clone()), Ok("3-1".to_owned()));
        assert_eq!(keep(&letters, letter(10, "two")), Ok("3-10".to_owned()));
        assert_eq!(keep(&letters, letter(2, "three")), Ok("3-2".to_owned()));
        let bytes = letters.bytes();
        // A second process does not disturb the first.
        assert!(DeadLetters::open(file.clone(), 1 << 20).is_err());
        drop(letters);
        let letters = loop {
            // Its thread may still hold the file.
            if let Ok(letters) = DeadLetters::open(file.clone(), 1 << 20) {
                break letters;
            }
        };
        assert_eq!(letters.bytes(), bytes);
        let listed = letters.list().unwrap();
        assert_eq!(listed.len(), 3);
        assert_eq!(listed[0], first);
        let ids = vec!["3-1".to_owned(), "3-2".to_owned(), "9-9".to_owned()];
        assert_eq!(letters.remove(ids).await.unwrap(), 2);
        let rest = letters.list().unwrap();
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].id, "3-10");
    }

    #[test]
    fn at_the_cap_only_what_comes_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let letters = DeadLetters::open(folder.path().join("d"), 1000).unwrap();
        assert!(keep(&letters, letter(1, "small")).is_ok());
        let full = keep(&letters, letter(2, &"x".repeat(1000))).unwrap_err();
        assert!(full.contains("sluice dlq purge"), "{full}");
        assert!(keep(&letters, letter(3, "small")).is_ok());
        assert_eq!(letters.list().unwrap().len(), 2);
    }
}
