//! Files, using WASI's own calls.
//!
//! `std` is not enough: an append has to hold whole lines, for which the host's
//! permit must be known, and `std` cannot sync a directory in WASI.

use std::io::{self, ErrorKind};

use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorType, ErrorCode, OpenFlags, PathFlags,
    filesystem_error_code,
};
use wasip2::io::streams::StreamError;

use crate::line::fit;

/// A folder in a directory that the manifest permits.
pub(crate) struct Folder {
    root: Descriptor,
    below: String,
}

/// A file that is open for reading and appending.
pub(crate) struct File(Descriptor);

impl Folder {
    /// The directories that the manifest permits, with their paths inside the
    /// sandbox.
    pub(crate) fn permitted() -> Vec<(Descriptor, String)> {
        get_directories()
    }

    /// A folder below a permitted directory, or that directory if `below` is
    /// empty.
    pub(crate) fn new(root: Descriptor, below: String) -> Self {
        Self { root, below }
    }

    /// Opens the file, and creates it if it is missing.
    pub(crate) fn open(&self, name: &str) -> io::Result<File> {
        self.open_with(name, OpenFlags::CREATE)
    }

    /// Creates the file. Fails if it exists.
    pub(crate) fn create_new(&self, name: &str) -> io::Result<File> {
        self.open_with(name, OpenFlags::CREATE | OpenFlags::EXCLUSIVE)
    }

    fn open_with(&self, name: &str, flags: OpenFlags) -> io::Result<File> {
        self.root
            .open_at(
                PathFlags::SYMLINK_FOLLOW,
                &self.path(name),
                flags,
                DescriptorFlags::READ | DescriptorFlags::WRITE,
            )
            .map(File)
            .map_err(error)
    }

    pub(crate) fn size_of(&self, name: &str) -> io::Result<u64> {
        self.root
            .stat_at(PathFlags::SYMLINK_FOLLOW, &self.path(name))
            .map(|stat| stat.size)
            .map_err(error)
    }

    /// Renames a file, atomically, and replaces one with the new name.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.root
            .rename_at(&self.path(from), &self.root, &self.path(to))
            .map_err(error)
    }

    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        self.root.unlink_file_at(&self.path(name)).map_err(error)
    }

    /// Makes the names in the folder durable. `sync-data` is not enough: ext4
    /// treats a directory's entries as metadata, which it may skip.
    pub(crate) fn sync(&self) -> io::Result<()> {
        if self.below.is_empty() {
            return self.root.sync().map_err(error);
        }
        self.root
            .open_at(
                PathFlags::SYMLINK_FOLLOW,
                &self.below,
                OpenFlags::DIRECTORY,
                DescriptorFlags::READ,
            )
            .and_then(|folder| folder.sync())
            .map_err(error)
    }

    fn path(&self, name: &str) -> String {
        if self.below.is_empty() {
            name.to_owned()
        } else {
            format!("{}/{name}", self.below)
        }
    }
}

impl File {
    pub(crate) fn size(&self) -> io::Result<u64> {
        let stat = self.0.stat().map_err(error)?;
        if stat.type_ == DescriptorType::RegularFile {
            Ok(stat.size)
        } else {
            Err(io::Error::new(
                ErrorKind::InvalidInput,
                "not a regular file",
            ))
        }
    }

    /// Reads at most `max` bytes; none at the end of the file.
    pub(crate) fn read(&self, offset: u64, max: u64) -> io::Result<Vec<u8>> {
        let (bytes, _) = self.0.read(max, offset).map_err(error)?;
        Ok(bytes)
    }

    /// Appends lines, as many at once as the host permits.
    pub(crate) fn append(&self, mut bytes: &[u8]) -> io::Result<()> {
        let stream = self.0.append_via_stream().map_err(error)?;
        while !bytes.is_empty() {
            let permit = stream.check_write().map_err(stream_error)?;
            let permit = usize::try_from(permit).unwrap_or(usize::MAX);
            if permit == 0 {
                stream.subscribe().block();
                continue;
            }
            let (now, later) = bytes.split_at(fit(bytes, permit));
            stream.write(now).map_err(stream_error)?;
            // Waits for the end of the write, and returns its error.
            stream.blocking_flush().map_err(stream_error)?;
            bytes = later;
        }
        Ok(())
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.0.sync_data().map_err(error)
    }
}

fn stream_error(failed: StreamError) -> io::Error {
    match failed {
        StreamError::LastOperationFailed(cause) => match filesystem_error_code(&cause) {
            Some(code) => error(code),
            None => io::Error::other(cause.to_debug_string()),
        },
        StreamError::Closed => io::Error::other("closed"),
    }
}

fn error(code: ErrorCode) -> io::Error {
    let kind = match code {
        ErrorCode::Access | ErrorCode::NotPermitted | ErrorCode::ReadOnly => {
            ErrorKind::PermissionDenied
        }
        ErrorCode::NoEntry => ErrorKind::NotFound,
        ErrorCode::Exist => ErrorKind::AlreadyExists,
        ErrorCode::NotDirectory => ErrorKind::NotADirectory,
        ErrorCode::IsDirectory => ErrorKind::IsADirectory,
        ErrorCode::NameTooLong => ErrorKind::InvalidFilename,
        ErrorCode::Invalid | ErrorCode::Loop | ErrorCode::IllegalByteSequence => {
            ErrorKind::InvalidInput
        }
        ErrorCode::InsufficientSpace => ErrorKind::StorageFull,
        _ => ErrorKind::Other,
    };
    // "Not enough space, similar to `ENOSPC` in POSIX."
    let text = code.message().trim_end_matches('.');
    let text = text.split_once(", similar to").map_or(text, |(is, _)| is);
    io::Error::new(kind, text)
}
