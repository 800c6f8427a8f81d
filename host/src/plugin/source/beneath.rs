//! Opens files that cannot be outside of a directory.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::Errno;

/// How often an attempt is repeated that a rename or a mount somewhere on the
/// machine has disturbed.
const ATTEMPTS: u32 = 8;
/// A pipe or a device in the file's place must not block, nor become the
/// terminal of this process.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens a regular file below `root` to read it. `root` itself may be a symbolic
/// link. Nothing outside of it is opened or looked at, wherever `..` and
/// symbolic links in `below` lead.
///
/// # Errors
/// `EXDEV` if the path leads out of `root`, whether or not there is a file;
/// `InvalidInput` if it is no regular file; else the system's error.
pub(super) fn open(root: &Path, below: &Path) -> io::Result<File> {
    let root = openat(CWD, root, DIRECTORY, Mode::empty())?;
    let opened = match beneath(&root, below) {
        // The kernel is older than 5.6, or a filter of system calls forbids it.
        Err(Errno::NOSYS | Errno::PERM) => walk(&root, below),
        opened => opened,
    };
    let file = opened?;
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        let cause = "it is not a regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, cause));
    }
    Ok(file.into())
}

/// Whether the error says that the path leads out of the directory.
pub(super) fn is_outside(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::XDEV.raw_os_error())
}

fn beneath(root: &OwnedFd, below: &Path) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut attempts = 0;
    loop {
        match openat2(root, below, READ, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) if attempts < ATTEMPTS => attempts += 1,
            opened => return opened,
        }
    }
}

/// Opens the path name by name, and follows no symbolic link.
fn walk(root: &OwnedFd, below: &Path) -> Result<OwnedFd, Errno> {
    let mut names = Vec::new();
    for component in below.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(Errno::XDEV);
            }
        }
    }
    let (file, folders) = names.split_last().ok_or(Errno::ISDIR)?;
    let mut open = openat(root, ".", DIRECTORY, Mode::empty())?;
    for folder in folders {
        open = step(&open, folder, DIRECTORY)?;
    }
    step(&open, file, READ)
}

fn step(folder: &OwnedFd, name: &OsStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    openat(folder, name, flags | OFlags::NOFOLLOW, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use rustix::fs::mknodat;

    /// A directory with a file in a folder, and a secret beside the directory.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::create_dir_all(path.join("root/sub")).unwrap();
        fs::write(path.join("root/sub/file"), "inside").unwrap();
        fs::write(path.join("secret"), "outside").unwrap();
        symlink("../secret", path.join("root/out")).unwrap();
        symlink(path.join("secret"), path.join("root/absolute")).unwrap();
        symlink(path, path.join("root/above")).unwrap();
        symlink("sub/file", path.join("root/in")).unwrap();
        folder
    }

    const OUTSIDE: [&str; 5] = [
        "out",
        "absolute",
        "../secret",
        "above/secret",
        "sub/../../secret",
    ];

    fn content(mut file: File) -> String {
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn what_leads_out_is_not_opened_whether_it_exists_or_not() {
        let folder = folder();
        let root = folder.path().join("root");
        for file in ["sub/file", "in", "./sub/../sub/file"] {
            assert_eq!(content(open(&root, Path::new(file)).unwrap()), "inside");
        }
        let refused = || {
            OUTSIDE.map(|path| {
                let error = open(&root, Path::new(path)).unwrap_err();
                assert!(is_outside(&error), "{path}: {error}");
                error.to_string()
            })
        };
        let before = refused();
        fs::remove_file(folder.path().join("secret")).unwrap();
        assert_eq!(refused(), before);
    }

    #[test]
    fn without_the_system_call_no_link_is_followed() {
        let folder = folder();
        let root = openat(CWD, folder.path().join("root"), DIRECTORY, Mode::empty()).unwrap();
        let file = walk(&root, Path::new("sub/./file")).unwrap();
        assert_eq!(content(file.into()), "inside");
        for path in OUTSIDE.iter().chain(&["in", "/etc/passwd", ""]) {
            assert!(walk(&root, Path::new(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn a_pipe_or_a_directory_is_refused_and_does_not_block() {
        let folder = folder();
        let root = folder.path().join("root");
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, root.join("pipe"), FileType::Fifo, mode, 0).unwrap();
        for path in ["pipe", "sub", "."] {
            let error = open(&root, Path::new(path)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{path}: {error}");
        }
    }
}
