//! Compiled components, kept on disk so that a restart or a new leader does not
//! compile again.
//!
//! Loading machine code from a file amounts to running it. So each file starts
//! with an HMAC over its name and content, made with a key that only this node
//! has. A component whose file has no valid HMAC is compiled again.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rand::Rng;
use ring::hmac;
use sluice_types::files;
use thiserror::Error;
use wasmtime::Engine;
use wasmtime::component::Component;

/// The bytes of an HMAC-SHA256, and of its key.
const TAG_LENGTH: usize = 32;
/// The most files that are kept. The one unused for the longest time is removed
/// first.
const MAX_FILES: usize = 16;

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

    /// Loads the component with this digest, if it was compiled here before.
    pub(super) fn load(&self, engine: &Engine, sha256: &str) -> Option<Component> {
        let name = name(engine, sha256);
        let file = self.folder.join(&name);
        let bytes = fs::read(&file).ok()?;
        let (tag, code) = bytes.split_at_checked(TAG_LENGTH)?;
        if hmac::verify(&self.key, &signed(&name, code), tag).is_err() {
            tracing::warn!(file = %file.display(), "a compiled component is damaged; compiling it again");
            return None;
        }
        match deserialize(engine, code) {
            Ok(component) => {
                // Marks the file as used, so that it is not removed first.
                let touched =
                    File::open(&file).and_then(|file| file.set_modified(SystemTime::now()));
                if let Err(error) = touched {
                    tracing::debug!(%error, "could not mark a compiled component as used");
                }
                Some(component)
            }
            Err(error) => {
                tracing::warn!(file = %file.display(), %error, "a compiled component does not load; compiling it again");
                None
            }
        }
    }

    /// Saves a component. A failure is only logged: it costs the time to compile
    /// again.
    pub(super) fn save(&self, engine: &Engine, sha256: &str, component: &Component) {
        let name = name(engine, sha256);
        let saved = component
            .serialize()
            .map_err(|error| error.to_string())
            .and_then(|code| self.write(&name, &code).map_err(|error| error.to_string()));
        if let Err(error) = saved {
            let folder = self.folder.display();
            tracing::warn!(%folder, error, "could not save a compiled component");
        }
        files::remove_oldest(&self.folder, "cwasm", MAX_FILES, None);
    }

    fn write(&self, name: &str, code: &[u8]) -> io::Result<()> {
        let tag = hmac::sign(&self.key, &signed(name, code));
        files::replace(&self.folder.join(name), &[tag.as_ref(), code])
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
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{sha256}-{:016x}.cwasm", hasher.finish())
}

/// The signed bytes. They include the name, so that a file cannot be used in
/// place of another.
fn signed(name: &str, code: &[u8]) -> Vec<u8> {
    [name.as_bytes(), b"\n", code].concat()
}

#[expect(
    unsafe_code,
    reason = "the HMAC shows that this node serialised the code itself"
)]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: only bytes whose tag was verified get here, and those were
    // written by `save` from `Component::serialize`.
    unsafe { Component::deserialize(engine, code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(engine: &Engine) -> Component {
        Component::new(engine, b"\0asm\x0d\0\x01\0").unwrap()
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
    fn a_saved_component_is_loaded_by_the_next_process() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let compiled = Compiled::open(folder.path().join("c")).unwrap();
        assert!(compiled.load(&engine, "aa").is_none());
        compiled.save(&engine, "aa", &component(&engine));
        let next = Compiled::open(folder.path().join("c")).unwrap();
        assert!(next.load(&engine, "aa").is_some());
        assert!(next.load(&engine, "bb").is_none());
    }

    #[test]
    fn a_file_that_another_node_wrote_or_changed_is_not_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let compiled = Compiled::open(folder.path().to_owned()).unwrap();
        compiled.save(&engine, "aa", &component(&engine));
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
        for bytes in [&bad[..], &good[..good.len() - 1], &good[..10], &[]] {
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
        let component = component(&engine);
        for number in 0..MAX_FILES + 3 {
            compiled.save(&engine, &format!("{number:02}"), &component);
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
