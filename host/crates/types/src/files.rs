//! Files that are replaced whole, and folders that do not grow without end.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Puts these bytes, one part after the other, in the place of a file, on disk
/// before it returns; readable by nobody else. Who reads the file sees the old
/// or the new one, never a part. The folder itself is not synced.
///
/// # Errors
/// It can not be written; the old file stays.
pub fn replace(file: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let new = file.with_extension("new");
    let mut out = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    for part in parts {
        out.write_all(part)?;
    }
    out.sync_all()?;
    fs::rename(&new, file)
}

/// Removes the files with this extension that were not touched for longest,
/// beyond `most` of them; the one to spare does not count. It is no matter if
/// that fails.
pub fn remove_oldest(folder: &Path, extension: &str, most: usize, spare: Option<&Path>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut files: Vec<(_, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let touched = fs::metadata(&path).and_then(|data| data.modified()).ok()?;
            let is_one = path.extension().is_some_and(|found| found == extension);
            (is_one && Some(path.as_path()) != spare).then_some((touched, path))
        })
        .collect();
    files.sort();
    let surplus = files.len().saturating_sub(most);
    for (_, path) in files.into_iter().take(surplus) {
        if let Err(error) = fs::remove_file(&path) {
            tracing::debug!(file = %path.display(), %error, "could not remove an old file");
        }
    }
}
