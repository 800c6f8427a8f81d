//! Files that are replaced whole, and folders that do not grow without end.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Replaces a file by these parts, one after the other; they are on disk when
/// this returns. Only the owner can read the file. Readers see the old or the new
/// file, never a part. The folder itself is not synced.
///
/// # Errors
/// The file cannot be written; the old one stays.
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

/// Removes the files with this extension that were modified longest ago, so that
/// `most` of them stay; `spare` is kept and not counted. A failure is only logged.
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
