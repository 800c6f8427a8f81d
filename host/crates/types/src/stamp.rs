//! What shows that a file has changed.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The state of a file: it differs if the file was changed or replaced, also by one of
/// the same length and time. Take it before the file is read, and keep it only if that
/// succeeds; otherwise a change can go unseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When its content or its permissions changed: seconds and nanoseconds.
    changed: (i64, i64),
    /// When its content changed, as far as it is said.
    modified: (i64, i64),
    length: u64,
    device: u64,
    inode: u64,
}

impl Stamp {
    /// That of a file; `None` if there is none, or it cannot be looked at.
    #[must_use]
    pub fn of(file: &Path) -> Option<Self> {
        let about = fs::metadata(file).ok()?;
        Some(Self::from(&about))
    }
}

impl From<&Metadata> for Stamp {
    fn from(about: &Metadata) -> Self {
        Self {
            changed: (about.ctime(), about.ctime_nsec()),
            modified: (about.mtime(), about.mtime_nsec()),
            length: about.len(),
            device: about.dev(),
            inode: about.ino(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_file_of_the_same_length_and_time_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("file"), folder.path().join("other"));
        assert_eq!(Stamp::of(&file), None);
        fs::write(&file, "one").unwrap();
        fs::write(&other, "two").unwrap();
        let before = Stamp::of(&file);
        assert_eq!(Stamp::of(&file), before);
        let time = fs::metadata(&file).unwrap().modified().unwrap();
        File::options()
            .write(true)
            .open(&other)
            .unwrap()
            .set_modified(time)
            .unwrap();
        fs::rename(&other, &file).unwrap();
        assert_ne!(Stamp::of(&file), before);
    }
}
