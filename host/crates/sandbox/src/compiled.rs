//! Machine code of components, kept on disk so that a restart or a new leader
//! does not compile again.
//!
//! Loading machine code from a file amounts to running it. So each file ends
//! with an HMAC over its name and the digest of its code, made with a key that only this node
//! has. A component whose file has no valid HMAC is compiled again.
//!
//! Code is never whole in this process's own memory: it is copied through a small
//! buffer into a file in memory, from which its pages are mapped as they are
//! used.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rand::Rng;
use ring::digest::{self, Digest};
use ring::hmac;
use sluice_types::files;
use thiserror::Error;
use wasmtime::Engine;

use super::compile::memory_file;

/// The bytes of an HMAC-SHA256, and of its key.
const TAG_LENGTH: usize = 32;
/// The most files that are kept. The one unused for the longest time is removed
/// first.
const MAX_FILES: usize = 16;
/// The form of the files. Files of another form have other names.
const FORMAT: u32 = 2;
/// The buffer through which code is copied, in bytes.
const BUFFER: usize = 64 << 10;

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
    /// Opens the folder, and creates it and its key if they are missing.
    ///
    /// # Errors
    /// The folder or the key cannot be read or written.
    pub fn open(folder: PathBuf) -> Result<Self, CompiledError> {
        let error = |act, path: &Path| {
            let path = path.to_owned();
            move |cause| CompiledError { act, path, cause }
        };
        files::own_dir(&folder).map_err(error("create", &folder))?;
        let file = folder.join("key");
        let key = match fs::read(&file) {
            Ok(key) if key.len() == TAG_LENGTH => key,
            Ok(_) => make_key(&file).map_err(error("replace", &file))?,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                make_key(&file).map_err(error("create", &file))?
            }
            Err(cause) => return Err(error("read", &file)(cause)),
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
        let mut file = File::open(&path).ok()?;
        let code = match self.read(&name, &mut file) {
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
    fn read(&self, name: &str, file: &mut File) -> io::Result<Option<File>> {
        let length = file.metadata()?.len();
        let Some(length) = length.checked_sub(TAG_LENGTH as u64) else {
            return Ok(None);
        };
        let mut code = memory_file("code")?;
        let digest = copy(&mut Read::take(&mut *file, length), &mut code)?;
        let mut tag = Vec::new();
        file.read_to_end(&mut tag)?;
        let verified = hmac::verify(&self.key, &signed(name, &digest), &tag);
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

    fn write(&self, name: &str, mut code: &File) -> io::Result<()> {
        code.rewind()?;
        files::replace_with(&self.folder.join(name), |file| {
            let digest = copy(&mut code, file)?;
            let tag = hmac::sign(&self.key, &signed(name, &digest));
            file.write_all(tag.as_ref())
        })
    }
}

/// The signed bytes. They include the name, so that a file cannot be used in
/// place of another.
fn signed(name: &str, digest: &Digest) -> Vec<u8> {
    [name.as_bytes(), b"\n", digest.as_ref()].concat()
}

/// Copies everything, and returns its digest.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<Digest> {
    let mut digest = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = match from.read(&mut buffer) {
            Ok(0) => return Ok(digest.finish()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let piece = buffer.get(..length).unwrap_or_default();
        digest.update(piece);
        to.write_all(piece)?;
    }
}

fn make_key(file: &Path) -> io::Result<Vec<u8>> {
    let mut key = vec![0; TAG_LENGTH];
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

    /// More than a buffer.
    fn code() -> File {
        let mut code = memory_file("code").unwrap();
        code.write_all(&[7; 100_000]).unwrap();
        code
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
        let compiled = Compiled::open(folder.path().join("c")).unwrap();
        assert!(compiled.load(&engine, "aa").is_none());
        compiled.save(&engine, "aa", &code());
        let next = Compiled::open(folder.path().join("c")).unwrap();
        let mut loaded = next.load(&engine, "aa").unwrap();
        loaded.rewind().unwrap();
        let mut bytes = Vec::new();
        loaded.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, [7; 100_000]);
        assert!(next.load(&engine, "bb").is_none());
    }

    #[test]
    fn a_file_that_another_node_wrote_or_changed_is_not_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let compiled = Compiled::open(folder.path().to_owned()).unwrap();
        compiled.save(&engine, "aa", &code());
        let file = only_file(folder.path());
        let good = fs::read(&file).unwrap();

        // Under another name.
        let other = folder.path().join(name(&engine, "bb"));
        fs::write(&other, &good).unwrap();
        assert!(compiled.load(&engine, "bb").is_none());
        fs::remove_file(other).unwrap();

        // With one bit changed, cut short, or empty.
        let mut bad = good.clone();
        *bad.last_mut().unwrap() ^= 1;
        let longer = [&good[..], b"\0"].concat();
        for bytes in [&bad[..], &longer, &good[..good.len() - 1], &good[..10], &[]] {
            fs::write(&file, bytes).unwrap();
            assert!(compiled.load(&engine, "aa").is_none());
        }

        // With another node's key.
        fs::write(&file, &good).unwrap();
        fs::remove_file(folder.path().join("key")).unwrap();
        let other_node = Compiled::open(folder.path().to_owned()).unwrap();
        assert!(other_node.load(&engine, "aa").is_none());
    }

    #[test]
    fn the_folder_keeps_a_bounded_number_of_files() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let compiled = Compiled::open(folder.path().to_owned()).unwrap();
        let code = code();
        for number in 0..MAX_FILES + 3 {
            compiled.save(&engine, &format!("{number:02}"), &code);
        }
        let count = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(count, MAX_FILES + 1, "the key and the components");
        assert!(
            compiled
                .load(&engine, &format!("{:02}", MAX_FILES + 2))
                .is_some()
        );
    }
}
