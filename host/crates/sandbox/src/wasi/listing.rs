//! Listings of directories. Those of wasmtime-wasi read all entries at once and
//! hold them; these read on as the guest does.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, RawDirEntry, openat, statat};
use rustix::io::Errno;
use tokio::task::spawn_blocking;
use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, Resource, ResourceType};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorType, DirectoryEntry, ErrorCode};

use crate::guest::Guest;

/// How many bytes of entries are read at a time. Those entries are held.
const BUFFER: usize = 8 << 10;

/// What the functions below return to the guest.
type Answer<T> = wasmtime::Result<(Result<T, ErrorCode>,)>;
/// An entry, or why it cannot be shown.
type Entry = Result<DirectoryEntry, ErrorCode>;

/// The resource `directory-entry-stream`.
struct Listing {
    /// The entries that were read and not yet asked for.
    read: VecDeque<Entry>,
    /// What is still to be read; `None` at the end.
    rest: Option<OwnedFd>,
}

/// Replaces the resource and the functions that make and read it.
pub(super) fn add_to_linker(filesystem: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    filesystem.resource(
        "directory-entry-stream",
        ResourceType::host::<Listing>(),
        |mut cx, index| {
            let listing = Resource::<Listing>::new_own(index);
            cx.data_mut().ctx().table.delete(listing)?;
            Ok(())
        },
    )?;
    filesystem.func_wrap_async(
        "[method]descriptor.read-directory",
        |cx, (directory,): (Resource<Descriptor>,)| Box::new(open(cx, directory)),
    )?;
    filesystem.func_wrap_async(
        "[method]directory-entry-stream.read-directory-entry",
        |cx, (listing,): (Resource<Listing>,)| Box::new(next(cx, listing)),
    )
}

async fn open(
    mut cx: StoreContextMut<'_, Guest>,
    directory: Resource<Descriptor>,
) -> Answer<Resource<Listing>> {
    let directory = match cx.data_mut().ctx().table.get(&directory)? {
        Descriptor::Dir(directory) => Arc::clone(&directory.dir),
        Descriptor::File(_) => return Ok((Err(ErrorCode::NotDirectory),)),
    };
    let opened = spawn_blocking(move || Listing::open(&directory)).await?;
    Ok((match opened {
        Ok(listing) => Ok(cx.data_mut().ctx().table.push(listing)?),
        Err(error) => Err(error.into()),
    },))
}

async fn next(
    mut cx: StoreContextMut<'_, Guest>,
    listing: Resource<Listing>,
) -> Answer<Option<DirectoryEntry>> {
    let found = cx.data_mut().ctx().table.get_mut(&listing)?;
    if found.read.is_empty()
        && let Some(rest) = found.rest.take()
    {
        let read_on = spawn_blocking(move || Listing::read_on(rest)).await?;
        *cx.data_mut().ctx().table.get_mut(&listing)? = read_on;
    }
    let found = cx.data_mut().ctx().table.get_mut(&listing)?;
    Ok((found.read.pop_front().transpose(),))
}

impl Listing {
    /// Opens the directory a second time, so that each listing has its own
    /// position.
    fn open(directory: &File) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let own = openat(directory, ".", flags, Mode::empty())?;
        Ok(Self {
            read: VecDeque::new(),
            rest: Some(own),
        })
    }

    /// Reads the next entries. Blocks for as long as the disk.
    fn read_on(rest: OwnedFd) -> Self {
        let mut read = VecDeque::new();
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut entries = RawDir::new(&rest, &mut buffer);
        while let Some(entry) = entries.next() {
            match entry {
                Ok(entry) if is_own_name(&entry) => read.push_back(show(&rest, &entry)),
                Ok(_) => {}
                // The directory was removed.
                Err(Errno::NOENT) => break,
                Err(errno) => {
                    read.push_back(Err(io::Error::from(errno).into()));
                    break;
                }
            }
            if entries.is_buffer_empty() && !read.is_empty() {
                let rest = Some(rest);
                return Self { read, rest };
            }
        }
        Self { read, rest: None }
    }
}

/// Whether it is neither the directory itself nor the one above.
fn is_own_name(entry: &RawDirEntry<'_>) -> bool {
    !matches!(entry.file_name().to_bytes(), b"." | b"..")
}

fn show(directory: &OwnedFd, entry: &RawDirEntry<'_>) -> Entry {
    let name = entry.file_name();
    let file_type = match entry.file_type() {
        // Some file systems do not say.
        FileType::Unknown => {
            let found = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
            let found = found.map_err(io::Error::from)?;
            FileType::from_raw_mode(found.st_mode)
        }
        known => known,
    };
    let name = name.to_str().map_err(|_| ErrorCode::IllegalByteSequence)?;
    Ok(DirectoryEntry {
        type_: descriptor_type(file_type),
        name: name.to_owned(),
    })
}

const fn descriptor_type(file_type: FileType) -> DescriptorType {
    match file_type {
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Directory => DescriptorType::Directory,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::Fifo => DescriptorType::Fifo,
        FileType::Socket => DescriptorType::Socket,
        FileType::Unknown => DescriptorType::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn a_listing_holds_some_entries_and_gives_all() {
        let folder = tempfile::tempdir().unwrap();
        let names: BTreeSet<_> = (0..1000).map(|number| format!("{number:0200}")).collect();
        for name in &names {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let mut listing = Listing::open(&File::open(folder.path()).unwrap()).unwrap();
        let mut found = BTreeSet::new();
        while let Some(rest) = listing.rest.take() {
            listing = Listing::read_on(rest);
            assert!(listing.read.len() <= BUFFER / 200);
            found.extend(listing.read.drain(..).map(|entry| entry.unwrap().name));
        }
        assert_eq!(found, names);
    }

    #[test]
    fn entries_have_their_types_and_a_wrong_name_hides_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::fs::create_dir(path.join("directory")).unwrap();
        std::fs::write(path.join("file"), "").unwrap();
        std::os::unix::fs::symlink("file", path.join("link")).unwrap();
        std::fs::write(path.join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
        let listing = Listing::open(&File::open(path).unwrap()).unwrap();
        let listing = Listing::read_on(listing.rest.unwrap());
        let end = Listing::read_on(listing.rest.unwrap());
        assert!(end.read.is_empty() && end.rest.is_none());
        let (shown, hidden): (Vec<_>, Vec<_>) = listing.read.into_iter().partition(Result::is_ok);
        let mut shown: Vec<_> = shown
            .into_iter()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.name, format!("{:?}", entry.type_)))
            .collect();
        shown.sort();
        let types: Vec<_> = shown
            .iter()
            .map(|(name, kind)| (name.as_str(), kind.as_str()))
            .collect();
        let expected = [
            ("directory", "DescriptorType::Directory"),
            ("file", "DescriptorType::RegularFile"),
            ("link", "DescriptorType::SymbolicLink"),
        ];
        assert_eq!(types, expected);
        assert!(matches!(hidden[..], [Err(ErrorCode::IllegalByteSequence)]));
    }
}
