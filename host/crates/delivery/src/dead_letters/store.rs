//! The file of the dead letters.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::error::DeadLetterError;
use super::letter::Letter;
use crate::counting::to_u64;
use sluice_types::files;

/// The letters by id, as JSON.
const LETTERS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("letters");

/// The most letters that are visited at a time.
const VISITED_MAX: usize = 50_000;

/// A database of letters. Only one thread writes to it.
#[derive(Debug)]
pub(super) struct Store {
    database: Database,
    /// The sum of the letters' sizes.
    bytes: AtomicU64,
    bytes_max: u64,
}

impl Store {
    /// Opens the file, or makes it.
    pub(super) fn open(file: &Path, bytes_max: u64) -> Result<Self, redb::Error> {
        let database = Database::builder().create_file(files::open_own(file)?)?;
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
            bytes_max,
        })
    }

    /// The sum of the letters' sizes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The bytes that more letters may take.
    pub(super) fn space(&self) -> u64 {
        self.bytes_max.saturating_sub(self.bytes())
    }

    /// Writes these letters, by id, in one commit.
    pub(super) fn write(&self, letters: &[(String, Vec<u8>)]) -> Result<(), redb::Error> {
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

    /// Removes these letters, and returns how many of them there were.
    pub(super) fn remove(&self, ids: &[String]) -> Result<u64, redb::Error> {
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

    /// Appends the JSON of the letters behind this id, sorted by id and separated
    /// by commas, until it has at least `bytes` bytes. Returns the id of the last
    /// one; `None` if there are no more.
    pub(super) fn append_after(
        &self,
        id: &str,
        bytes: usize,
        out: &mut Vec<u8>,
    ) -> Result<Option<String>, DeadLetterError> {
        let reading = self.database.begin_read().map_err(unusable)?;
        let table = reading.open_table(LETTERS).map_err(unusable)?;
        let behind = (Bound::Excluded(id), Bound::Unbounded);
        let mut is_first = true;
        for entry in table.range::<&str>(behind).map_err(unusable)? {
            let (id, json) = entry.map_err(unusable)?;
            // What is no JSON would make all of it unreadable.
            parse::<IgnoredAny>(id.value(), json.value())?;
            if !std::mem::take(&mut is_first) {
                out.push(b',');
            }
            out.extend_from_slice(json.value());
            if out.len() >= bytes {
                return Ok(Some(id.value().to_owned()));
            }
        }
        Ok(None)
    }

    /// Reads the letters one after the other until `visit` breaks: those with the latest
    /// ids first, and of these as many as [`VISITED_MAX`]. Returns whether there are more.
    pub(super) fn visit_latest(
        &self,
        mut visit: impl FnMut(Letter) -> ControlFlow<()>,
    ) -> Result<bool, DeadLetterError> {
        let reading = self.database.begin_read().map_err(unusable)?;
        let table = reading.open_table(LETTERS).map_err(unusable)?;
        // As texts, 3-9 is behind 3-10.
        let (mut latest, mut has_more) = (BinaryHeap::new(), false);
        for entry in table.iter().map_err(unusable)? {
            let (id, _) = entry.map_err(unusable)?;
            latest.push(Reverse(order(id.value())));
            if latest.len() > VISITED_MAX {
                has_more = true;
                latest.pop();
            }
        }
        // In the order of the reversed: the latest first.
        for Reverse((_, _, id)) in latest.into_sorted_vec() {
            let json = table.get(id.as_ref()).map_err(unusable)?;
            if let Some(json) = json
                && visit(parse(&id, json.value())?).is_break()
            {
                return Ok(true);
            }
        }
        Ok(has_more)
    }

    /// The letter with this id, and its size.
    pub(super) fn get(&self, id: &str) -> Result<Option<(Letter, u64)>, DeadLetterError> {
        let reading = self.database.begin_read().map_err(unusable)?;
        let table = reading.open_table(LETTERS).map_err(unusable)?;
        let json = table.get(id).map_err(unusable)?;
        json.map(|json| Ok((parse(id, json.value())?, size(json.value()))))
            .transpose()
    }

    /// All letters, sorted by id.
    pub(super) fn list(&self) -> Result<Vec<Letter>, DeadLetterError> {
        let reading = self.database.begin_read().map_err(unusable)?;
        let table = reading.open_table(LETTERS).map_err(unusable)?;
        let mut letters = Vec::new();
        for entry in table.iter().map_err(unusable)? {
            let (id, json) = entry.map_err(unusable)?;
            letters.push(parse(id.value(), json.value())?);
        }
        Ok(letters)
    }
}

/// By what ids are ordered: their numbers, if they have this form.
fn order(id: &str) -> (u64, u64, Box<str>) {
    let numbers = id.split_once('-');
    let numbers =
        numbers.and_then(|(epoch, number)| Some((epoch.parse().ok()?, number.parse().ok()?)));
    let (epoch, number) = numbers.unwrap_or_default();
    (epoch, number, id.into())
}

fn parse<T: DeserializeOwned>(id: &str, json: &[u8]) -> Result<T, DeadLetterError> {
    serde_json::from_slice(json).map_err(|cause| DeadLetterError::Form {
        id: id.to_owned(),
        cause,
    })
}

fn unusable(error: impl Into<redb::Error>) -> DeadLetterError {
    DeadLetterError::Use(error.into())
}

/// What a letter counts for, in bytes.
pub(super) fn size(json: &[u8]) -> u64 {
    to_u64(json.len())
}
