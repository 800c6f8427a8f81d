//! Opens files that cannot be outside of a directory.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, readlinkat};
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
/// How many symbolic links [`walk`] follows, as many as the kernel.
const MAX_LINKS: u32 = 40;
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
        // The kernel is older than 5.6, or a container's filter forbids it.
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

/// Does the same without the system call: opens the path name by name, and
/// follows symbolic links itself, so that no name leads above `root`.
fn walk(root: &OwnedFd, below: &Path) -> Result<OwnedFd, Errno> {
    // The directory that is open, and those on the way to it.
    let mut open = openat(root, ".", DIRECTORY, Mode::empty())?;
    let mut above = Vec::new();
    // The names that are left, the next one last.
    let mut names = Vec::new();
    push_names(&mut names, below.as_os_str().as_bytes())?;
    let mut links = 0;
    while let Some(name) = names.pop() {
        if name == b".." {
            open = above.pop().ok_or(Errno::XDEV)?;
            continue;
        }
        match readlinkat(&open, name.as_slice(), Vec::new()) {
            Ok(target) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP);
                }
                push_names(&mut names, target.to_bytes())?;
            }
            // It is no link. If it becomes one now, it is not followed.
            Err(Errno::INVAL) if names.is_empty() => return step(&open, &name, READ),
            Err(Errno::INVAL) => {
                let folder = step(&open, &name, DIRECTORY)?;
                above.push(std::mem::replace(&mut open, folder));
            }
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::ISDIR)
}

/// Puts the names of a path in front of the others.
fn push_names(names: &mut Vec<Vec<u8>>, path: &[u8]) -> Result<(), Errno> {
    if path.starts_with(b"/") {
        return Err(Errno::XDEV);
    }
    let new = path.rsplit(|byte| *byte == b'/');
    let new = new.filter(|name| !matches!(name, [] | [b'.']));
    names.extend(new.map(<[u8]>::to_vec));
    Ok(())
}

fn step(folder: &OwnedFd, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
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

    /// With the system call, and without.
    const WAYS: [Way; 2] = [beneath, walk];

    type Way = fn(&OwnedFd, &Path) -> Result<OwnedFd, Errno>;

    fn opened(root: &Path) -> OwnedFd {
        openat(CWD, root, DIRECTORY, Mode::empty()).unwrap()
    }

    #[test]
    fn what_leads_out_is_not_opened_whether_it_exists_or_not() {
        let folder = folder();
        let root = folder.path().join("root");
        for file in ["sub/file", "in", "./sub/../sub/file"] {
            assert_eq!(content(open(&root, Path::new(file)).unwrap()), "inside");
        }
        let root = opened(&root);
        let check = || {
            for path in OUTSIDE.iter().chain(&["/etc/passwd"]) {
                for way in WAYS {
                    assert_eq!(
                        way(&root, Path::new(path)).unwrap_err(),
                        Errno::XDEV,
                        "{path}"
                    );
                }
            }
        };
        check();
        fs::remove_file(folder.path().join("secret")).unwrap();
        check();
    }

    #[test]
    fn both_ways_follow_the_same_links() {
        let folder = folder();
        let path = folder.path().join("root");
        // As Kubernetes mounts a volume.
        fs::create_dir(path.join("..2026_1")).unwrap();
        fs::write(path.join("..2026_1/a.wasm"), "inside").unwrap();
        symlink("..2026_1", path.join("..data")).unwrap();
        symlink("..data/a.wasm", path.join("a.wasm")).unwrap();
        symlink("../sub/./../..data//a.wasm", path.join("sub/b.wasm")).unwrap();
        symlink("loop", path.join("loop")).unwrap();
        let root = opened(&path);
        for way in WAYS {
            for file in ["sub/./file", "in", "a.wasm", "sub/b.wasm"] {
                let found = way(&root, Path::new(file)).unwrap();
                assert_eq!(content(found.into()), "inside", "{file}");
            }
            for (file, errno) in [
                ("none", Errno::NOENT),
                ("sub/file/none", Errno::NOTDIR),
                ("loop", Errno::LOOP),
            ] {
                assert_eq!(way(&root, Path::new(file)).unwrap_err(), errno, "{file}");
            }
        }
    }

    #[test]
    fn a_name_that_became_a_link_after_it_was_looked_at_is_not_followed() {
        let folder = folder();
        let root = opened(&folder.path().join("root"));
        for (name, flags, errno) in [
            ("in", READ, Errno::LOOP),
            ("out", READ, Errno::LOOP),
            ("above", DIRECTORY, Errno::NOTDIR),
        ] {
            let refused = step(&root, name.as_bytes(), flags).unwrap_err();
            assert_eq!(refused, errno, "{name}");
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
