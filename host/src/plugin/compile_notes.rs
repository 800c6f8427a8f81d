//! Notes on disk of what is being compiled. One that is still there when a node
//! starts names a component during whose compilation the node ended, perhaps
//! because of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use sluice_types::files;
use sluice_types::plugin::Identity;

/// What is being compiled.
const COMPILING: &str = "compiling";
/// What was being compiled when the node ended.
const INTERRUPTED: &str = "interrupted";
/// The most notes of interrupted compilations.
const MAX_INTERRUPTED: usize = 8;

/// The notes in the folder `plugin` of the data directory.
#[derive(Clone, Debug)]
pub(super) struct CompileNotes {
    folder: PathBuf,
}

/// One note. Its file is named after the component's digest.
#[derive(Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Note {
    /// Where the component came from, for people.
    source: String,
    /// The index at which the key asked for it; 0 if something else did.
    asked_at: u64,
}

/// Removes the note when it is dropped: the compilation has ended, in one way or
/// another.
#[derive(Debug)]
pub(super) struct Compiling {
    file: PathBuf,
}

impl CompileNotes {
    /// Takes what an earlier process has left in an existing folder for
    /// interrupted.
    pub(super) fn open(folder: PathBuf) -> Self {
        for file in files_named(&folder, COMPILING) {
            if let Err(error) = fs::rename(&file, file.with_extension(INTERRUPTED)) {
                let file = file.display();
                tracing::warn!(%file, %error, "a note of an interrupted compilation is lost");
            }
        }
        files::remove_oldest(&folder, INTERRUPTED, MAX_INTERRUPTED, None);
        Self { folder }
    }

    /// The note that says that this component was being compiled when the node
    /// ended, unless the key has asked for it again since: `asked_at` is the index
    /// of a request in the key, or 0, which is never a new request.
    pub(super) fn interrupted(&self, identity: &Identity, asked_at: u64) -> Option<PathBuf> {
        let file = self.file(identity, INTERRUPTED);
        let note: Note = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
        (asked_at == 0 || asked_at == note.asked_at).then_some(file)
    }

    /// Removes the note of an interrupted compilation: the code is there.
    pub(super) fn forget(&self, identity: &Identity) {
        remove(&self.file(identity, INTERRUPTED));
    }

    /// Notes that a component is being compiled.
    ///
    /// # Errors
    /// The note cannot be written.
    pub(super) fn begin(&self, identity: &Identity, asked_at: u64) -> io::Result<Compiling> {
        let file = self.file(identity, COMPILING);
        let note = Note {
            source: identity.source.clone(),
            asked_at,
        };
        files::replace(&file, &[&serde_json::to_vec(&note)?])?;
        // A new attempt; if it is interrupted too, its own note remains.
        remove(&self.file(identity, INTERRUPTED));
        Ok(Compiling { file })
    }

    fn file(&self, identity: &Identity, extension: &str) -> PathBuf {
        let name = format!("note-{}.{extension}", identity.sha256);
        self.folder.join(name)
    }
}

impl Drop for Compiling {
    fn drop(&mut self) {
        remove(&self.file);
    }
}

fn remove(file: &Path) {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let file = file.display();
            tracing::warn!(%file, %error, "could not remove the note of a compilation");
        }
        _ => {}
    }
}

fn files_named(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(sha256: &str) -> Identity {
        Identity {
            source: "file:///a.wasm".to_owned(),
            sha256: sha256.to_owned(),
        }
    }

    #[test]
    fn only_what_was_interrupted_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let open = || CompileNotes::open(folder.path().to_owned());
        let (a, b) = (identity("aa"), identity("bb"));
        let notes = open();
        drop(notes.begin(&a, 7).unwrap());
        let interrupted = notes.begin(&b, 8).unwrap();
        assert!(notes.interrupted(&b, 8).is_none(), "it is being compiled");
        // The node is killed.
        std::mem::forget(interrupted);
        let notes = open();
        assert!(notes.interrupted(&a, 7).is_none());
        assert!(notes.interrupted(&b, 8).is_some());
        assert!(open().interrupted(&b, 8).is_some(), "after every restart");
        // What the leader runs, or ran here last, is no new request.
        assert!(notes.interrupted(&b, 0).is_some());
        // The key asks for it again.
        assert!(notes.interrupted(&b, 9).is_none());
        drop(notes.begin(&b, 9).unwrap());
        assert!(open().interrupted(&b, 9).is_none());
        assert!(open().interrupted(&b, 8).is_none());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
