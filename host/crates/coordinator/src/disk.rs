//! The file that keeps keys, deletions and the index.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};
use thiserror::Error;

use super::store::{Behavior, Entry, Held, Saved, SavedKey};
use sluice_types::files;

/// The bytes of the file's pages that are cached. Few, because the store holds
/// everything in memory.
const PAGE_CACHE: usize = 4 * 1024 * 1024;

/// `create_index`, `modify_index`, `lock_index`, flags, [`Held`], value.
type Row<'a> = (u64, u64, u64, u64, u8, &'a [u8]);

const KEYS: TableDefinition<'_, &str, Row<'static>> = TableDefinition::new("keys");
const DELETED: TableDefinition<'_, &str, u64> = TableDefinition::new("deleted");
const COUNTERS: TableDefinition<'_, &str, u64> = TableDefinition::new("counters");

/// Names the counter of [`Saved::index`].
const INDEX: &str = "index";
/// Names the counter of [`Saved::forgotten`].
const FORGOTTEN: &str = "forgotten";

/// Why the coordinator's file cannot be used.
#[derive(Debug, Error)]
pub enum DiskError {
    /// The directory cannot be created.
    #[error("create the coordinator's data directory {}", .path.display())]
    Folder {
        /// The directory.
        path: PathBuf,
        /// The error of the file system.
        #[source]
        cause: io::Error,
    },
    /// Another process has the file open.
    #[error(
        "open {}: another coordinator is using it; give this one its own --data-dir",
        .0.display()
    )]
    InUse(PathBuf),
    /// The file cannot be opened or read.
    #[error("read the coordinator's file {}", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The error of the database.
        #[source]
        cause: Box<redb::Error>,
    },
    /// The file cannot be written.
    #[error("write the coordinator's file")]
    Write(#[source] Box<redb::Error>),
    /// The thread that writes cannot be started.
    #[error("start the coordinator's disk thread")]
    Thread(#[source] io::Error),
}

/// Changes to write. A later change to a key replaces an earlier one.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) keys: BTreeMap<String, SavedKey>,
    /// The new value of [`Saved::index`], if it changes.
    pub(super) index: Option<u64>,
    /// The new value of [`Saved::forgotten`], if it changes.
    pub(super) forgotten: Option<u64>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.index.is_none() && self.forgotten.is_none()
    }
}

#[derive(Debug)]
pub(super) struct Disk(Database);

impl Disk {
    /// Opens or creates the file in this directory, and returns what it holds.
    pub(super) fn open(folder: &Path) -> Result<(Self, Saved), DiskError> {
        files::own_dir(folder).map_err(|cause| DiskError::Folder {
            path: folder.to_owned(),
            cause,
        })?;
        let path = folder.join("coordinator.redb");
        let opened = files::open_own(&path)
            .map_err(DatabaseError::from)
            .and_then(|file| {
                let mut builder = Database::builder();
                builder.set_cache_size(PAGE_CACHE).create_file(file)
            });
        let database = opened.map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => DiskError::InUse(path.clone()),
            cause => DiskError::Open {
                path: path.clone(),
                cause: Box::new(cause.into()),
            },
        })?;
        let saved = load(&database).map_err(|cause| DiskError::Open {
            path,
            cause: Box::new(cause),
        })?;
        Ok((Self(database), saved))
    }

    /// Returns when everything is on disk.
    pub(super) fn commit(&self, batch: &Batch) -> Result<(), DiskError> {
        store(&self.0, batch).map_err(|cause| DiskError::Write(Box::new(cause)))
    }
}

fn load(database: &Database) -> Result<Saved, redb::Error> {
    // Opening a table for writing creates it.
    let begun = database.begin_write()?;
    begun.open_table(KEYS)?;
    begun.open_table(DELETED)?;
    begun.open_table(COUNTERS)?;
    begun.commit()?;

    let read = database.begin_read()?;
    let counters = read.open_table(COUNTERS)?;
    let counter = |name| -> Result<u64, redb::Error> {
        Ok(counters.get(name)?.map_or(0, |value| value.value()))
    };
    let mut saved = Saved {
        index: counter(INDEX)?,
        forgotten: counter(FORGOTTEN)?,
        keys: Vec::new(),
    };
    for row in read.open_table(KEYS)?.iter()? {
        let (key, row) = row?;
        let (create_index, modify_index, lock_index, flags, held, value) = row.value();
        let held = match held {
            1 => Held::By(Behavior::Release),
            2 => Held::By(Behavior::Delete),
            _ => Held::ByNobody,
        };
        let entry = Entry {
            value: Bytes::copy_from_slice(value),
            flags,
            session: None,
            lock_index,
            create_index,
            modify_index,
        };
        let saved_key = SavedKey::Present(entry, held);
        saved.keys.push((key.value().to_owned(), saved_key));
    }
    for row in read.open_table(DELETED)?.iter()? {
        let (key, index) = row?;
        let deleted = SavedKey::Deleted(index.value());
        saved.keys.push((key.value().to_owned(), deleted));
    }
    Ok(saved)
}

fn store(database: &Database, batch: &Batch) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    {
        let mut keys = write.open_table(KEYS)?;
        let mut deleted = write.open_table(DELETED)?;
        let mut counters = write.open_table(COUNTERS)?;
        for (key, saved) in &batch.keys {
            let key = key.as_str();
            match saved {
                SavedKey::Present(entry, held) => {
                    let held = match held {
                        Held::ByNobody => 0,
                        Held::By(Behavior::Release) => 1,
                        Held::By(Behavior::Delete) => 2,
                    };
                    let row = (
                        entry.create_index,
                        entry.modify_index,
                        entry.lock_index,
                        entry.flags,
                        held,
                        &*entry.value,
                    );
                    keys.insert(key, row)?;
                    deleted.remove(key)?;
                }
                SavedKey::Deleted(index) => {
                    keys.remove(key)?;
                    deleted.insert(key, index)?;
                }
                SavedKey::Unknown => {
                    keys.remove(key)?;
                    deleted.remove(key)?;
                }
            }
        }
        for (name, value) in [(INDEX, batch.index), (FORGOTTEN, batch.forgotten)] {
            if let Some(value) = value {
                counters.insert(name, value)?;
            }
        }
    }
    write.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(value: &'static str, index: u64) -> Entry {
        Entry {
            value: Bytes::from_static(value.as_bytes()),
            flags: 7,
            session: None,
            lock_index: 1,
            create_index: 1,
            modify_index: index,
        }
    }

    #[test]
    fn committed_changes_survive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let present = SavedKey::Present(entry("v", 5), Held::By(Behavior::Delete));
        {
            let (disk, saved) = Disk::open(folder.path()).unwrap();
            assert_eq!((saved.index, saved.keys.len()), (0, 0));
            let keys = [
                ("a", present.clone()),
                ("b", SavedKey::Deleted(4)),
                ("c", SavedKey::Present(entry("gone", 2), Held::ByNobody)),
            ];
            let keys = keys.map(|(key, saved)| (key.to_owned(), saved));
            let batch = Batch {
                keys: keys.into(),
                index: Some(9),
                forgotten: None,
            };
            disk.commit(&batch).unwrap();
            let batch = Batch {
                keys: [("c".to_owned(), SavedKey::Unknown)].into(),
                index: None,
                forgotten: Some(3),
            };
            disk.commit(&batch).unwrap();
        }
        let (_disk, saved) = Disk::open(folder.path()).unwrap();
        assert_eq!((saved.index, saved.forgotten), (9, 3));
        let expected = [
            ("a".to_owned(), present),
            ("b".to_owned(), SavedKey::Deleted(4)),
        ];
        assert_eq!(saved.keys, expected);
    }

    #[test]
    fn a_file_serves_one_coordinator() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Disk::open(folder.path()).unwrap();
        let second = Disk::open(folder.path());
        assert!(matches!(second, Err(DiskError::InUse(_))), "{second:?}");
    }
}
