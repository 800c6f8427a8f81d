//! The machine's files, for tests, with hooks to act between two appends.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::rc::Rc;

use crate::line::fit;

/// Runs before each append to a file. An error cuts the append short.
type BeforeAppend = Rc<dyn Fn() -> io::Result<()>>;

#[derive(Clone)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    /// The most bytes of one append.
    pub(crate) permit: usize,
    pub(crate) before_append: BeforeAppend,
}

/// A file that is open for reading and appending.
pub(crate) struct File {
    file: fs::File,
    permit: usize,
    before_append: BeforeAppend,
}

impl Folder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            permit: 64 << 10,
            before_append: Rc::new(|| Ok(())),
        }
    }

    pub(crate) fn open(&self, name: &str) -> io::Result<File> {
        self.open_with(name, OpenOptions::new().create(true))
    }

    pub(crate) fn create_new(&self, name: &str) -> io::Result<File> {
        self.open_with(name, OpenOptions::new().create_new(true))
    }

    fn open_with(&self, name: &str, options: &mut OpenOptions) -> io::Result<File> {
        Ok(File {
            file: options.read(true).append(true).open(self.path.join(name))?,
            permit: self.permit,
            before_append: Rc::clone(&self.before_append),
        })
    }

    pub(crate) fn size_of(&self, name: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.path.join(name))?.len())
    }

    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        fs::File::open(&self.path)?.sync_all()
    }
}

impl File {
    pub(crate) fn size(&self) -> io::Result<u64> {
        let metadata = self.file.metadata()?;
        if metadata.is_file() {
            Ok(metadata.len())
        } else {
            Err(io::Error::new(
                ErrorKind::InvalidInput,
                "not a regular file",
            ))
        }
    }

    pub(crate) fn read(&self, offset: u64, max: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(max).map_err(io::Error::other)?];
        let read = self.file.read_at(&mut bytes, offset)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    pub(crate) fn append(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(fit(bytes, self.permit));
            if let Err(error) = (self.before_append)() {
                let (half, _) = now.split_at(now.len() / 2);
                (&self.file).write_all(half)?;
                return Err(error);
            }
            (&self.file).write_all(now)?;
            bytes = later;
        }
        Ok(())
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
