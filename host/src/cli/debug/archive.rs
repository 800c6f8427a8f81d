//! A tar.gz in memory.

use std::io;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

/// The mode of the files in it.
const MODE: u32 = 0o644;

/// An archive that is written.
pub(super) struct Archive {
    tar: Builder<GzEncoder<Vec<u8>>>,
    folder: String,
    /// Seconds since the Unix epoch, of all files.
    time: u64,
}

impl Archive {
    /// All files will be in this folder.
    pub(super) fn new(folder: &str, time: u64) -> Self {
        let gzip = GzEncoder::new(Vec::new(), Compression::default());
        Self {
            tar: Builder::new(gzip),
            folder: folder.to_owned(),
            time,
        }
    }

    /// Adds a file at a path below the folder.
    ///
    /// # Errors
    /// The path is too long.
    pub(super) fn add(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(u64::try_from(content.len()).unwrap_or(u64::MAX));
        header.set_mode(MODE);
        header.set_mtime(self.time);
        let path = format!("{}/{path}", self.folder);
        self.tar.append_data(&mut header, path, content)
    }

    /// The whole archive.
    ///
    /// # Errors
    /// It cannot be compressed.
    pub(super) fn end(self) -> io::Result<Vec<u8>> {
        self.tar.into_inner()?.finish()
    }
}
