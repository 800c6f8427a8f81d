//! Every file and directory of a node is created here, so that one place
//! decides who can use it. `tools/structure` refuses other ways to create one.
//!
//! What is the node's own is for its user alone: directories have the mode 0700,
//! files 0600. What sinks write follows the umask ([`shared_dir`]).

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fstat, mkdirat, openat};
use rustix::io::Errno;
use rustix::process::geteuid;
use tempfile::TempDir;

use super::error_chain::chain;

const OWN_DIR_MODE: u32 = 0o700;
const OWN_FILE_MODE: u32 = 0o600;
/// The rights of the group and of everybody else.
const RIGHTS_OF_OTHERS: u32 = 0o077;
/// The bit of a directory that many users share, such as `/tmp`.
const SHARED_BIT: u32 = 0o1000;
const ROOT: u32 = 0;

/// Makes this a directory that only its owner can use: creates it with its
/// missing parents, or takes the rights of others away from it and from the
/// files directly in it. What a symbolic link names is used and left as it is.
///
/// Where other users keep rights, because another user owns the directory, it is
/// one that all users share, it is a link, or the file system has no modes, that
/// is logged as a warning.
///
/// # Errors
/// It cannot be created.
pub fn own_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(OWN_DIR_MODE)
        .create(path)?;
    if let Err(error) = narrow_all(path) {
        tracing::warn!(
            path = %path.display(),
            error = chain(&error),
            "other users can read or change what this node keeps here; give the directory to the \
             user of this process, with mode 0700"
        );
    }
    Ok(())
}

/// Creates a directory for what sinks write, with its missing parents, unless
/// it exists. Its mode follows the umask.
///
/// # Errors
/// It cannot be created.
pub fn shared_dir(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// As [`shared_dir`], for one name in an open directory.
///
/// # Errors
/// It cannot be created; [`io::ErrorKind::AlreadyExists`] if the name is taken.
pub fn shared_dir_at(parent: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    Ok(mkdirat(parent, name, Mode::from_raw_mode(0o777))?)
}

/// A directory in the system's place for temporary files, for this user alone.
/// It is removed when the value is dropped.
///
/// # Errors
/// It cannot be created.
pub fn temporary_dir(prefix: &str) -> io::Result<TempDir> {
    tempfile::Builder::new()
        .prefix(prefix)
        .permissions(Permissions::from_mode(OWN_DIR_MODE))
        .tempdir()
}

/// Opens a file to read and write it, and creates it for this user alone if it
/// is missing. It may be a symbolic link of this user or root, to a file on
/// another disk; a link of anybody else is refused.
///
/// # Errors
/// It cannot be opened or created.
pub fn open_own(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(OWN_FILE_MODE);
    let mut plain = options.clone();
    plain.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    match plain.open(path) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::LOOP) => {
            let link = fs::symlink_metadata(path)?;
            match may_follow(link.uid(), geteuid().as_raw()) {
                true => options.open(path),
                false => Err(error),
            }
        }
        opened => opened,
    }
}

/// Whether a link with this owner may lead this user elsewhere.
const fn may_follow(owner: u32, own: u32) -> bool {
    owner == own || owner == ROOT
}

/// Creates an empty file for this user alone, in place of one that has the
/// name.
///
/// # Errors
/// The other file cannot be removed, or the new one created.
pub fn create_own(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(OWN_FILE_MODE)
        .open(path)
}

/// Creates a file for this user alone, in the place of none.
///
/// # Errors
/// It cannot be created; [`io::ErrorKind::AlreadyExists`] if the name is taken.
pub fn create_new_own(path: &Path) -> io::Result<File> {
    File::options()
        .write(true)
        .create_new(true)
        .mode(OWN_FILE_MODE)
        .open(path)
}

/// Writes a file that a command makes for others to read: its mode follows the
/// umask. Replaces the content of one that exists.
///
/// # Errors
/// It cannot be created or written.
pub fn write_shared(path: &Path, content: &[u8]) -> io::Result<()> {
    fs::write(path, content)
}

/// Opens a file to append to it, and creates it for this user alone if it is
/// missing. The operator named it, so it may be a link, a pipe or a device.
///
/// # Errors
/// It cannot be opened or created.
pub fn append_to(path: &Path) -> io::Result<File> {
    File::options()
        .create(true)
        .append(true)
        .mode(OWN_FILE_MODE)
        .open(path)
}

/// Replaces a file by these parts, one after the other; they are on disk when
/// this returns. Only the owner can read the file. Readers see the old or the new
/// file, never a part. The folder itself is not synced.
///
/// # Errors
/// The file cannot be written; the old one stays.
pub fn replace(file: &Path, parts: &[&[u8]]) -> io::Result<()> {
    replace_with(file, |out| {
        parts.iter().try_for_each(|part| out.write_all(part))
    })
}

/// Replaces a file like [`replace`] by what `write` writes.
///
/// # Errors
/// The file cannot be written; the old one stays.
pub fn replace_with(
    file: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let new = file.with_extension("new");
    let mut out = create_own(&new)?;
    let replaced = write(&mut out)
        .and_then(|()| out.sync_all())
        .and_then(|()| fs::rename(&new, file));
    replaced.inspect_err(|_| remove(&new))
}

/// Removes the files with this extension that were modified longest ago, so that
/// `most` of them stay; `spare` is kept and not counted. A failure is only logged.
pub fn remove_oldest(folder: &Path, extension: &str, most: usize, spare: Option<&Path>) {
    let mut files = oldest_first(folder, extension);
    files.retain(|(_, path, _)| Some(path.as_path()) != spare);
    let surplus = files.len().saturating_sub(most);
    for (_, path, _) in files.iter().take(surplus) {
        remove(path);
    }
}

/// Removes the files with this extension that were modified longest ago, until
/// all of them have `most` bytes together, or only those are left for which
/// `is_spared` holds. A failure is only logged.
pub fn shrink(folder: &Path, extension: &str, most: u64, is_spared: impl Fn(&Path) -> bool) {
    let files = oldest_first(folder, extension);
    let mut total: u64 = files.iter().map(|(_, _, size)| size).sum();
    for (_, path, size) in files {
        if total > most && !is_spared(&path) {
            remove(&path);
            total -= size;
        }
    }
}

/// The files with this extension: when they were modified, and their sizes in
/// bytes.
fn oldest_first(folder: &Path, extension: &str) -> Vec<(SystemTime, PathBuf, u64)> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let files = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let data = fs::metadata(&path).ok()?;
        let is_one = path.extension().is_some_and(|found| found == extension);
        is_one.then_some((data.modified().ok()?, path, data.len()))
    });
    let mut files: Vec<_> = files.collect();
    files.sort();
    files
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::debug!(file = %path.display(), %error, "could not remove an old file");
    }
}

/// Narrows a directory and the files directly in it, as far as it can. Returns
/// the first failure.
fn narrow_all(folder: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(folder)?;
    if found.is_symlink() {
        return check_linked(folder);
    }
    if found.mode() & SHARED_BIT != 0 {
        return Err(io::Error::other(
            "all users share this directory, and it is left as it is",
        ));
    }
    let mut outcome = narrow(folder, FileType::Directory);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let narrowed = narrow(&entry.path(), FileType::RegularFile);
            outcome = outcome.and(narrowed);
        }
    }
    outcome
}

/// The operator has put this directory elsewhere, perhaps with other things.
fn check_linked(folder: &Path) -> io::Result<()> {
    match fs::metadata(folder)?.mode() & RIGHTS_OF_OTHERS {
        0 => Ok(()),
        _ => Err(io::Error::other(
            "it is a symbolic link, and what it names is left as it is",
        )),
    }
}

/// Takes the rights of others away from this file or directory.
fn narrow(path: &Path, wanted: FileType) -> io::Result<()> {
    // Opens no device and follows no link, whatever took the place of the file.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = match openat(CWD, path, flags, Mode::empty()) {
        Ok(open) => open,
        // Another process has removed it meanwhile.
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(errno.into()),
    };
    let found = fstat(&open)?;
    if FileType::from_raw_mode(found.st_mode) != wanted || rights_of_others(&found) == 0 {
        return Ok(());
    }
    // Root could change it all the same, but it is somebody else's.
    if found.st_uid != geteuid().as_raw() {
        return Err(io::Error::other("another user owns it"));
    }
    let mode = found.st_mode & 0o7777 & !RIGHTS_OF_OTHERS;
    // The link in /proc stands for what was opened; `fchmod` refuses O_PATH.
    let opened = format!("/proc/self/fd/{}", open.as_raw_fd());
    fs::set_permissions(opened, Permissions::from_mode(mode))?;
    match rights_of_others(&fstat(&open)?) {
        0 => Ok(()),
        _ => Err(io::Error::other("its file system does not change modes")),
    }
}

const fn rights_of_others(found: &Stat) -> u32 {
    found.st_mode & RIGHTS_OF_OTHERS
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn widened(path: &Path) {
        fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    }

    #[test]
    fn what_is_created_is_for_its_owner_alone() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        own_dir(&folder).unwrap();
        let file = |name: &str| folder.join(name);
        drop(open_own(&file("opened")).unwrap());
        drop(create_own(&file("created")).unwrap());
        drop(append_to(&file("appended")).unwrap());
        replace(&file("replaced"), &[b"x"]).unwrap();
        for name in ["opened", "created", "appended", "replaced"] {
            assert_eq!(mode(&file(name)), 0o600, "{name}");
        }
        assert_eq!(
            (mode(&root.path().join("a")), mode(&folder)),
            (0o700, 0o700)
        );
        assert_eq!(mode(temporary_dir("x").unwrap().path()), 0o700);
    }

    #[test]
    fn a_directory_with_wider_modes_is_narrowed_but_no_link_is_followed() {
        let root = tempfile::tempdir().unwrap();
        let (folder, outside) = (root.path().join("own"), root.path().join("outside"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("file"), "x").unwrap();
        fs::write(&outside, "x").unwrap();
        symlink(&outside, folder.join("link")).unwrap();
        for path in [&folder, &folder.join("file"), &outside] {
            widened(path);
        }
        own_dir(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700);
        // The owner's own rights stay as they were.
        assert_eq!(mode(&folder.join("file")), 0o700);
        assert_eq!(mode(&outside), 0o777);

        let linked = root.path().join("linked");
        symlink(&folder, &linked).unwrap();
        widened(&folder);
        own_dir(&linked).unwrap();
        assert_eq!(mode(&folder), 0o777);
        assert!(narrow_all(&linked).is_err(), "others can use it");
        own_dir(&folder).unwrap();
        narrow_all(&linked).unwrap();
    }

    #[test]
    fn a_directory_that_all_users_share_is_left_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "x").unwrap();
        widened(&file);
        fs::set_permissions(root.path(), Permissions::from_mode(0o1777)).unwrap();
        own_dir(root.path()).unwrap();
        assert!(narrow_all(root.path()).is_err());
        assert_eq!((mode(root.path()), mode(&file)), (0o777, 0o777));
    }

    #[test]
    fn what_another_user_owns_is_left_as_it_is() {
        if !geteuid().is_root() {
            eprintln!("not run: only root can give a directory away");
            return;
        }
        let root = tempfile::tempdir().unwrap();
        widened(root.path());
        std::os::unix::fs::chown(root.path(), Some(65534), None).unwrap();
        let file = root.path().join("file");
        fs::write(&file, "x").unwrap();
        widened(&file);
        assert!(narrow_all(root.path()).is_err());
        // What this user has put there is closed all the same.
        assert_eq!((mode(root.path()), mode(&file)), (0o777, 0o700));
    }

    #[test]
    fn a_file_on_another_disk_is_opened_through_a_link_of_this_user() {
        let root = tempfile::tempdir().unwrap();
        let (link, elsewhere) = (root.path().join("link"), root.path().join("elsewhere"));
        symlink(&elsewhere, &link).unwrap();
        open_own(&link).unwrap().write_all(b"ours").unwrap();
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "ours");
        assert_eq!(mode(&elsewhere), 0o600);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(may_follow(7, 7) && may_follow(ROOT, 7) && !may_follow(8, 7));
    }

    #[test]
    fn a_planted_link_is_neither_written_through_nor_kept() {
        let root = tempfile::tempdir().unwrap();
        let (link, outside) = (root.path().join("link"), root.path().join("outside"));
        fs::write(&outside, "theirs").unwrap();
        symlink(&outside, &link).unwrap();
        if geteuid().is_root() {
            std::os::unix::fs::lchown(&link, Some(65534), None).unwrap();
            assert!(open_own(&link).is_err());
        }
        create_own(&link).unwrap().write_all(b"ours").unwrap();
        assert_eq!(fs::read_to_string(&outside).unwrap(), "theirs");
        assert_eq!(fs::read_to_string(&link).unwrap(), "ours");
    }
}
