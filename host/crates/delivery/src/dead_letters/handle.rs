//! The dead letters of one stream on this node.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};

use tokio::sync::oneshot;

use super::error::DeadLetterError;
use super::letter::Letter;
use super::store::Store;
use super::writer::{Job, Report, Writer};

/// The dead letters in one file, and the thread that writes them.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    store: Arc<Store>,
    jobs: mpsc::Sender<Job>,
}

impl DeadLetters {
    /// Opens the file, or makes it, for letters of at most `bytes_max` bytes
    /// together.
    ///
    /// # Errors
    /// The file cannot be read, or another process uses it.
    pub fn open(file: PathBuf, bytes_max: u64) -> Result<Self, DeadLetterError> {
        let store = match Store::open(&file, bytes_max) {
            Ok(store) => Arc::new(store),
            Err(cause) => return Err(DeadLetterError::Open { file, cause }),
        };
        let (jobs, queue) = mpsc::channel();
        let writer = Writer::new(Arc::clone(&store), queue);
        // It ends with the last clone of this handle.
        std::thread::Builder::new()
            .name("dead-letters".to_owned())
            .spawn(move || writer.run())
            .map_err(DeadLetterError::Thread)?;
        Ok(Self { store, jobs })
    }

    /// Keeps a letter. `report` is called from another thread with the letter's
    /// id once it is on disk, or with the reason why it could not be kept.
    pub fn keep(&self, letter: Letter, report: Report) {
        let job = Job::Keep(Box::new(letter), report);
        if let Err(mpsc::SendError(Job::Keep(_, report))) = self.jobs.send(job) {
            report(Err(DeadLetterError::Stopped.to_string()));
        }
    }

    /// All letters, oldest first. Reads from disk. They may take several times
    /// their size on disk, so a node lists them with [`Self::append_after`].
    ///
    /// # Errors
    /// The letters cannot be read.
    pub fn list(&self) -> Result<Vec<Letter>, DeadLetterError> {
        let mut letters = self.store.list()?;
        letters.sort_by(|one, other| {
            let key = |letter: &Letter| (letter.record.epoch, letter.record.sequence);
            one.time
                .cmp(&other.time)
                .then_with(|| key(one).cmp(&key(other)))
        });
        Ok(letters)
    }

    /// Appends the JSON of the letters behind this id (of all, if it is empty), in
    /// the order of their ids and separated by commas, until it has at least
    /// `bytes` bytes. Returns the id of the last one; `None` if there are no more.
    /// Reads from disk.
    ///
    /// # Errors
    /// The letters cannot be read.
    pub fn append_after(
        &self,
        id: &str,
        bytes: usize,
        out: &mut Vec<u8>,
    ) -> Result<Option<String>, DeadLetterError> {
        self.store.append_after(id, bytes, out)
    }

    /// Reads the letters one after the other until `visit` breaks, those with the latest
    /// ids first. Returns whether there are more. Reads from disk; only one letter is in
    /// memory at a time, and the ids of some.
    ///
    /// # Errors
    /// The letters cannot be read.
    pub fn visit_latest(
        &self,
        visit: impl FnMut(Letter) -> ControlFlow<()>,
    ) -> Result<bool, DeadLetterError> {
        self.store.visit_latest(visit)
    }

    /// The letter with this id, and its size in bytes. Reads from disk.
    ///
    /// # Errors
    /// The letter cannot be read.
    pub fn get(&self, id: &str) -> Result<Option<(Letter, u64)>, DeadLetterError> {
        self.store.get(id)
    }

    /// Removes the letters with these ids, and returns how many there were.
    ///
    /// # Errors
    /// The letters cannot be removed.
    pub async fn remove(&self, ids: Vec<String>) -> Result<u64, DeadLetterError> {
        let (reply_in, reply) = oneshot::channel();
        self.jobs
            .send(Job::Remove(ids, reply_in))
            .map_err(|_| DeadLetterError::Stopped)?;
        reply.await.map_err(|_| DeadLetterError::Stopped)?
    }

    /// The size of all letters in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.store.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::super::letter::Cause;
    use super::*;
    use sluice_types::plugin::Identity;
    use sluice_types::record::{LogRecord, RecordId, Text};

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
        let (reporter, reported) = mpsc::channel();
        letters.keep(
            letter,
            Box::new(move |result| reporter.send(result).unwrap()),
        );
        reported.recv().unwrap()
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
        let mut visited = Vec::new();
        let has_more = letters
            .visit_latest(|letter| {
                visited.push(letter.id);
                match visited.len() {
                    2 => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                }
            })
            .unwrap();
        assert!(has_more);
        assert_eq!(visited, ["3-10", "3-2"]);
        assert_eq!(letters.get("3-1").unwrap().unwrap().0, first);
        assert_eq!(letters.get("9-9").unwrap(), None);
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
