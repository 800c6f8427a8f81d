//! Which streams this node has, on disk: a lost Consul closes none.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use sluice_types::files;
use sluice_types::stream::check_name;

/// The file of a stream that says that it exists.
const FILE: &str = "stream.json";

/// The folder `streams` of the data directory.
#[derive(Clone, Debug)]
pub(super) struct Remembered {
    folder: PathBuf,
}

/// The manifest of a stream, as its key held it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Wanted {
    /// The key's `ModifyIndex`.
    pub(super) index: u64,
    pub(super) manifest: String,
}

impl Remembered {
    pub(super) const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The folder of one stream.
    pub(super) fn folder(&self, stream: &str) -> PathBuf {
        self.folder.join(stream)
    }

    /// The streams that exist, as far as this node knows.
    pub(super) fn all(&self) -> Vec<(String, Wanted)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let named = entries.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            check_name(&name).ok()?;
            let text = fs::read(entry.path().join(FILE)).ok()?;
            Some((name, serde_json::from_slice(&text).ok()?))
        });
        let mut all: Vec<_> = named.collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// Remembers a stream.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn keep(&self, stream: &str, wanted: &Wanted) -> io::Result<()> {
        let folder = self.folder(stream);
        files::own_dir(&self.folder)?;
        files::own_dir(&folder)?;
        let text = serde_json::to_vec(wanted)?;
        files::replace(&folder.join(FILE), &[&text])?;
        fs::File::open(folder)?.sync_all()
    }

    /// Forgets a stream, and removes its folder unless records are left in it.
    /// Returns whether some are.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(super) fn forget(&self, stream: &str, has_records: bool) -> io::Result<()> {
        let folder = self.folder(stream);
        remove(&folder.join(FILE))?;
        match has_records {
            true => Ok(()),
            false => fs::remove_dir_all(folder),
        }
    }
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_remembered_until_they_are_forgotten() {
        let data_dir = tempfile::tempdir().unwrap();
        let remembered = Remembered::new(data_dir.path().join("streams"));
        assert_eq!(remembered.all(), []);
        let wanted = |index| Wanted {
            index,
            manifest: "builtin:stdout".to_owned(),
        };
        remembered.keep("b", &wanted(1)).unwrap();
        remembered.keep("a", &wanted(2)).unwrap();
        remembered.keep("b", &wanted(3)).unwrap();
        let names = |streams: &[(&str, u64)]| {
            let streams = streams.iter();
            let named = streams.map(|(name, index)| ((*name).to_owned(), wanted(*index)));
            named.collect::<Vec<_>>()
        };
        assert_eq!(remembered.all(), names(&[("a", 2), ("b", 3)]));
        remembered.forget("a", false).unwrap();
        assert!(!remembered.folder("a").exists());
        remembered.forget("b", true).unwrap();
        assert!(remembered.folder("b").exists());
        assert_eq!(remembered.all(), []);
    }
}
