//! Machine code of components, kept on disk so that a restart or a new leader
//! does not compile again.
//!
//! Loading machine code from a file amounts to running it. So each file ends
//! with an HMAC over its name and the digests of its code's pieces, made with a key
//! that only this node has. A component whose file has no valid HMAC is compiled
//! again.
//!
//! Code is never whole in this process's own memory: it is copied through small
//! buffers into a file in memory, from which its pages are mapped as they are
//! used. Several threads copy, because a large component has some 100 MB of code.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, available_parallelism};
use std::time::SystemTime;

use rand::Rng;
use ring::digest::{self, Digest};
use ring::hmac;
use sluice_types::files;
use thiserror::Error;
use wasmtime::Engine;

use super::compile::{MAX_CODE, memory_file};

/// The bytes of an HMAC-SHA256.
const TAG_LENGTH: usize = 32;
/// The fewest bytes of a key, and those of one that is made here.
const SHORTEST_KEY: usize = 32;
/// The most files that are kept. The one unused for the longest time is removed
/// first.
const MAX_FILES: usize = 16;
/// The form of the files. Files of another form have other names.
const FORMAT: u32 = 4;
/// The pieces in which code is digested, in bytes.
const PIECE: u64 = 1 << 20;
/// The buffer of each thread that copies code, in bytes.
const BUFFER: usize = 64 << 10;
/// The most threads that copy.
const MAX_THREADS: usize = 4;

/// The folder of compiled components cannot be used.
#[derive(Debug, Error)]
#[error("{act} {}", .path.display())]
pub struct CompiledError {
    act: &'static str,
    path: PathBuf,
    #[source]
    cause: io::Error,
}

/// The folder of compiled components.
#[derive(Debug)]
pub struct Compiled {
    folder: PathBuf,
    key: hmac::Key,
}

impl Compiled {
    /// Opens the folder, and creates it and the file with its key if they are
    /// missing. That file should not be in the folder, so that write access to
    /// the folder is not enough to run code.
    ///
    /// # Errors
    /// The folder or the key cannot be read or written, or the key is too short.
    pub fn open(folder: PathBuf, key_file: &Path) -> Result<Self, CompiledError> {
        let error = |act, path: &Path| {
            let path = path.to_owned();
            move |cause| CompiledError { act, path, cause }
        };
        files::own_dir(&folder).map_err(error("create", &folder))?;
        // What a process has left that was killed while it wrote.
        files::remove_oldest(&folder, "new", 0, None);
        let key = match fs::read(key_file) {
            Ok(key) if key.len() >= SHORTEST_KEY => key,
            Ok(_) => {
                let short = io::Error::other(
                    "it has less than 32 bytes; remove it, and the node makes a new one",
                );
                return Err(error("use the key of compiled sinks,", key_file)(short));
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                make_key(key_file).map_err(error("create the key of compiled sinks,", key_file))?
            }
            Err(cause) => return Err(error("read the key of compiled sinks,", key_file)(cause)),
        };
        Ok(Self {
            folder,
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
        })
    }

    /// A file in memory with the code of the component with this digest, if it
    /// was compiled here before.
    pub(super) fn load(&self, engine: &Engine, sha256: &str) -> Option<File> {
        let name = name(engine, sha256);
        let path = self.folder.join(&name);
        let file = File::open(&path).ok()?;
        let code = match self.read(&name, &file) {
            Ok(Some(code)) => code,
            Ok(None) => {
                tracing::warn!(file = %path.display(), "a compiled component is damaged; compiling it again");
                return None;
            }
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "a compiled component cannot be read; compiling it again");
                return None;
            }
        };
        // Marks the file as used, so that it is not removed first.
        if let Err(error) = file.set_modified(SystemTime::now()) {
            tracing::debug!(%error, "could not mark a compiled component as used");
        }
        Some(code)
    }

    /// Copies the code out of a file; `None` if its tag is not valid.
    fn read(&self, name: &str, file: &File) -> io::Result<Option<File>> {
        let length = file.metadata()?.len();
        let length = length.checked_sub(TAG_LENGTH as u64);
        let Some(length) = length.filter(|length| *length <= MAX_CODE) else {
            return Ok(None);
        };
        let code = memory_file("code")?;
        let digests = copy(file, &code, length)?;
        let mut tag = [0; TAG_LENGTH];
        file.read_exact_at(&mut tag, length)?;
        let verified = hmac::verify(&self.key, &signed(name, &digests), &tag);
        Ok(verified.is_ok().then_some(code))
    }

    /// Saves the code of a component. A failure is only logged: it costs the time
    /// to compile again.
    pub(super) fn save(&self, engine: &Engine, sha256: &str, code: &File) {
        let name = name(engine, sha256);
        if let Err(error) = self.write(&name, code) {
            let folder = self.folder.display();
            tracing::warn!(%folder, %error, "could not save a compiled component");
        }
        files::remove_oldest(&self.folder, "cwasm", MAX_FILES, None);
    }

    fn write(&self, name: &str, code: &File) -> io::Result<()> {
        files::replace_with(&self.folder.join(name), |file| {
            let length = code.metadata()?.len();
            let digests = copy(code, file, length)?;
            let tag = hmac::sign(&self.key, &signed(name, &digests));
            file.write_all_at(tag.as_ref(), length)
        })
    }
}

/// The signed bytes. They include the name, so that a file cannot be used in
/// place of another.
fn signed(name: &str, digests: &[Digest]) -> Vec<u8> {
    let digests = digests.iter().flat_map(AsRef::as_ref);
    let name = name.as_bytes().iter().chain(b"\n");
    name.chain(digests).copied().collect()
}

/// Copies the first `length` bytes, on several threads, and returns the digests
/// of their pieces in order.
fn copy(from: &File, to: &File, length: u64) -> io::Result<Vec<Digest>> {
    to.set_len(length)?;
    let next = AtomicU64::new(0);
    let copy_some = || {
        let mut buffer = vec![0; BUFFER];
        let mut copied = Vec::new();
        loop {
            let start = next.fetch_add(PIECE, Ordering::Relaxed);
            if start >= length {
                return Ok(copied);
            }
            let end = length.min(start + PIECE);
            copied.push((start, copy_piece(from, to, start..end, &mut buffer)?));
        }
    };
    let threads = available_parallelism().map_or(1, usize::from);
    let mut pieces = thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(MAX_THREADS))
            .map(|_| scope.spawn(copy_some))
            .collect();
        let own = copy_some();
        let panicked = |_| Err(io::Error::other("a thread panicked"));
        let others = others
            .into_iter()
            .map(|other| other.join().unwrap_or_else(panicked));
        others.chain([own]).collect::<io::Result<Vec<_>>>()
    })?
    .concat();
    pieces.sort_by_key(|(start, _)| *start);
    Ok(pieces.into_iter().map(|(_, digest)| digest).collect())
}

fn copy_piece(from: &File, to: &File, piece: Range<u64>, buffer: &mut [u8]) -> io::Result<Digest> {
    let mut digest = digest::Context::new(&digest::SHA256);
    let mut place = piece.start;
    while place < piece.end {
        let left = usize::try_from(piece.end - place).unwrap_or(usize::MAX);
        let length = left.min(buffer.len());
        let part = buffer.get_mut(..length).unwrap_or_default();
        from.read_exact_at(part, place)?;
        digest.update(part);
        to.write_all_at(part, place)?;
        place += length as u64;
    }
    Ok(digest.finish())
}

fn make_key(file: &Path) -> io::Result<Vec<u8>> {
    let mut key = vec![0; SHORTEST_KEY];
    rand::rng().fill_bytes(&mut key);
    files::replace(file, &[&key])?;
    Ok(key)
}

/// The file's name, from the component's digest and everything that machine
/// code depends on: wasmtime's version, its settings and this processor.
fn name(engine: &Engine, sha256: &str) -> String {
    let mut hasher = DefaultHasher::new();
    FORMAT.hash(&mut hasher);
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{sha256}-{:016x}.cwasm", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use tempfile::TempDir;

    /// Some pieces, all different, and a part of one.
    fn bytes() -> Vec<u8> {
        (0..700_000_u32).flat_map(u32::to_le_bytes).collect()
    }

    fn code() -> File {
        let code = memory_file("code").unwrap();
        code.write_all_at(&bytes(), 0).unwrap();
        code
    }

    fn open(folder: &TempDir) -> Compiled {
        Compiled::open(folder.path().join("c"), &folder.path().join("key")).unwrap()
    }

    fn only_file(folder: &Path) -> PathBuf {
        let files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some())
            .collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }

    #[test]
    fn saved_code_is_loaded_by_the_next_process() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let compiled = open(&folder);
        assert!(compiled.load(&engine, "aa").is_none());
        compiled.save(&engine, "aa", &code());
        let next = open(&folder);
        let mut loaded = next.load(&engine, "aa").unwrap();
        let mut read = Vec::new();
        loaded.read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes());
        assert!(next.load(&engine, "bb").is_none());
    }

    #[test]
    fn a_file_that_another_node_wrote_or_changed_is_not_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let compiled = open(&folder);
        compiled.save(&engine, "aa", &code());
        let file = only_file(&folder.path().join("c"));
        let good = fs::read(&file).unwrap();

        // Under another name.
        let other = file.with_file_name(name(&engine, "bb"));
        fs::write(&other, &good).unwrap();
        assert!(compiled.load(&engine, "bb").is_none());
        fs::remove_file(other).unwrap();

        // With one bit changed, cut short, or empty.
        let mut bad = good.clone();
        *bad.last_mut().unwrap() ^= 1;
        let longer = [&good[..], b"\0"].concat();
        // Two pieces in each other's place.
        let piece = usize::try_from(PIECE).unwrap();
        let (first, rest) = good.split_at(piece);
        let (second, rest) = rest.split_at(piece);
        let swapped = [second, first, rest].concat();
        let huge = File::create(&file).unwrap();
        huge.set_len(MAX_CODE + 1 + TAG_LENGTH as u64).unwrap();
        assert!(compiled.load(&engine, "aa").is_none());
        for bytes in [
            &bad[..],
            &longer,
            &swapped,
            &good[..good.len() - 1],
            &good[..10],
            &[],
        ] {
            fs::write(&file, bytes).unwrap();
            assert!(compiled.load(&engine, "aa").is_none());
        }

        // With another node's key.
        fs::write(&file, &good).unwrap();
        assert!(compiled.load(&engine, "aa").is_some());
        fs::remove_file(folder.path().join("key")).unwrap();
        assert!(open(&folder).load(&engine, "aa").is_none());
    }

    #[test]
    fn a_key_may_be_any_file_that_is_long_enough() {
        let folder = tempfile::tempdir().unwrap();
        let (compiled, key) = (folder.path().join("c"), folder.path().join("key"));
        fs::write(&key, "x".repeat(SHORTEST_KEY)).unwrap();
        Compiled::open(compiled.clone(), &key).unwrap();
        fs::write(&key, "short").unwrap();
        let error = Compiled::open(compiled.clone(), &key).unwrap_err();
        assert!(error.to_string().contains("key"), "{error}");
        assert_eq!(fs::read(&key).unwrap(), b"short", "it is left as it is");
        let nowhere = folder.path().join("none/key");
        assert!(Compiled::open(compiled, &nowhere).is_err());
    }

    #[test]
    fn the_folder_keeps_a_bounded_number_of_files() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let compiled = open(&folder);
        let code = memory_file("code").unwrap();
        for number in 0..MAX_FILES + 3 {
            compiled.save(&engine, &format!("{number:02}"), &code);
        }
        let count = fs::read_dir(folder.path().join("c")).unwrap().count();
        assert_eq!(count, MAX_FILES, "the key lies elsewhere");
        assert!(
            compiled
                .load(&engine, &format!("{:02}", MAX_FILES + 2))
                .is_some()
        );
    }
}
