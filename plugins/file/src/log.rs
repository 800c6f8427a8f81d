//! A file that is only appended to, and renamed when it is full. Others may
//! write to it at the same time.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::time::SystemTime;

use jiff::Timestamp;

use crate::disk::{File, Folder};

/// How many times lines are appended to the common file before they get a file
/// of their own.
const MAX_ATTEMPTS: usize = 3;

/// How many names, one per nanosecond, are tried for a rotated file.
const MAX_NAMES: i128 = 1000;

/// How many times the end of a file is read while the file grows.
const MAX_END_READS: usize = 10;

/// How many bytes are read at once.
const READ_SIZE: u64 = 64 << 10;

/// The file. It is opened again for each write, because another writer can
/// rotate it at any time.
pub(crate) struct Log {
    folder: Folder,
    name: String,
    /// The size in bytes at which the file is rotated.
    max: u64,
}

impl Log {
    /// Checks that the file can be opened, and creates it if it is missing.
    pub(crate) fn open(folder: Folder, name: String, max: u64) -> io::Result<Self> {
        let log = Self { folder, name, max };
        log.reopen()?;
        Ok(log)
    }

    /// Appends whole lines. On success they are on disk, and each is whole.
    pub(crate) fn write(&self, lines: &[u8]) -> io::Result<()> {
        let mut broken = self.append(lines)?;
        for _ in 1..MAX_ATTEMPTS {
            if broken.is_empty() {
                break;
            }
            broken = self.append(&broken)?;
        }
        if broken.is_empty() {
            Ok(())
        } else {
            self.write_own_file(&broken)
        }
    }

    /// Appends once, and returns the lines that another writer broke.
    fn append(&self, lines: &[u8]) -> io::Result<Vec<u8>> {
        let (file, size) = self.file_for(length(lines))?;
        let (size, ended) = during("read", end_of(&file, size))?;
        // Ends a broken line in the same append, so that nothing comes between.
        let due = if ended {
            Cow::Borrowed(lines)
        } else {
            Cow::Owned([b"\n", lines].concat())
        };
        during("append", file.append(&due))?;
        // Only appends change the size. If it grew by this append only, the
        // lines are in one piece after the end that was read.
        let broken = if during("get the size of", file.size())? == size + length(&due) {
            Vec::new()
        } else {
            during("read", not_whole(&file, size, ended, lines))?
        };
        during("sync", file.sync())?;
        Ok(broken)
    }

    /// Opens the file, after a rotation if it would become too large. Returns it
    /// with its size.
    fn file_for(&self, length: u64) -> io::Result<(File, u64)> {
        let (file, size) = self.reopen()?;
        if size == 0 || size.saturating_add(length) <= self.max {
            return Ok((file, size));
        }
        drop(file);
        self.rotate(size)?;
        self.reopen()
    }

    fn reopen(&self) -> io::Result<(File, u64)> {
        let file = during("open", self.folder.open(&self.name))?;
        let size = during("get the size of", file.size())?;
        if size == 0 {
            // The file may be new. Its name has to be on disk before any line
            // is, so each writer that finds it empty syncs the directory.
            during("sync the directory", self.folder.sync())?;
        }
        Ok((file, size))
    }

    /// Renames the file, unless another writer has done so since it had this
    /// size.
    fn rotate(&self, size: u64) -> io::Result<()> {
        let (rotated, _) = self.reserve(now()?)?;
        // Checked as late as possible: if another writer rotates between this
        // and the rename, the new file is rotated early.
        let moved = self.folder.size_of(&self.name).and_then(|now| {
            if now < size {
                return Err(ErrorKind::NotFound.into());
            }
            self.folder.rename(&self.name, &rotated)
        });
        match moved {
            Ok(()) => Ok(()),
            Err(error) => {
                self.release(&rotated);
                if error.kind() == ErrorKind::NotFound {
                    return Ok(());
                }
                during(&format!("rename to {rotated}"), Err(error))
            }
        }
    }

    /// Reserves a name for a rotated file by creating it, so that no two
    /// rotations use the same name.
    fn reserve(&self, nanoseconds: i128) -> io::Result<(String, File)> {
        for later in 0..MAX_NAMES {
            let name = rotated_name(&self.name, nanoseconds + later)?;
            match self.folder.create_new(&name) {
                Ok(file) => return Ok((name, file)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return during(&format!("create {name}"), Err(error)),
            }
        }
        Err(io::Error::other("no free name for a rotated file"))
    }

    /// Removes a reserved file that was not used. A file with content stays: on
    /// a network file system a rename can report an error and still take place.
    fn release(&self, rotated: &str) {
        if self.folder.size_of(rotated).is_ok_and(|size| size == 0) {
            // An empty file does no harm if it stays.
            self.folder.remove(rotated).unwrap_or_default();
        }
    }

    /// Writes lines to a file that nobody else writes to.
    fn write_own_file(&self, lines: &[u8]) -> io::Result<()> {
        let (name, file) = self.reserve(now()?)?;
        during(&format!("append to {name}"), file.append(lines))?;
        during(&format!("sync {name}"), file.sync())?;
        during("sync the directory", self.folder.sync())
    }
}

/// The size of the file, and whether it ends with a whole line.
fn end_of(file: &File, mut size: u64) -> io::Result<(u64, bool)> {
    for _ in 0..MAX_END_READS {
        if size == 0 || file.read(size - 1, 1)? == b"\n" {
            return Ok((size, true));
        }
        // An append of another writer becomes visible in parts while it runs.
        let now = file.size()?;
        if now == size {
            break;
        }
        size = now;
    }
    Ok((size, false))
}

/// The lines that are not in the file as whole lines from `offset` on.
/// `at_start` says whether a line starts there.
fn not_whole(file: &File, mut offset: u64, at_start: bool, lines: &[u8]) -> io::Result<Vec<u8>> {
    let mut missing: BTreeSet<&[u8]> = lines.split_inclusive(|byte| *byte == b'\n').collect();
    let mut line = Vec::new();
    let mut is_whole = at_start;
    while !missing.is_empty() {
        let bytes = file.read(offset, READ_SIZE)?;
        if bytes.is_empty() {
            break;
        }
        offset += length(&bytes);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                if is_whole {
                    missing.remove(line.as_slice());
                }
                is_whole = true;
                line.clear();
            }
        }
    }
    Ok(lines
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| missing.contains(line))
        .collect::<Vec<_>>()
        .concat())
}

/// Puts the time before the extension: `messages.<time>.ndjson`. The time has
/// all digits of the nanoseconds, so that names sort in order of time.
fn rotated_name(name: &str, nanoseconds: i128) -> io::Result<String> {
    let time = Timestamp::from_nanosecond(nanoseconds).map_err(|_| no_time())?;
    let time = format!("{time:.9}").replace(':', "-");
    Ok(match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem}.{time}.{extension}"),
        _ => format!("{name}.{time}"),
    })
}

fn now() -> io::Result<i128> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanoseconds = now.map_err(|_| no_time())?.as_nanos();
    i128::try_from(nanoseconds).map_err(|_| no_time())
}

/// Hides jiff's own errors, whose texts would double the component's size.
fn no_time() -> io::Error {
    io::Error::other("the clock's time has no date")
}

fn length(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}

/// Adds to an error what was being done.
fn during<T>(what: &str, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| io::Error::new(error.kind(), format!("{what}: {error}")))
}

#[cfg(test)]
mod tests;
