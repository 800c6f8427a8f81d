//! A file that only grows, and is renamed when it is full; others may write
//! to it at the same time.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::time::SystemTime;

use jiff::Timestamp;

use crate::disk::{File, Folder};

/// How often lines are appended to the common file before they get one of
/// their own.
const ATTEMPTS: usize = 3;

/// How many names after the time are tried for one rotated file.
const NAMES: i128 = 1000;

/// How often the end of a file is looked at while it grows.
const LOOKS: usize = 10;

/// How much is read at once.
const PIECE: u64 = 64 << 10;

/// The file, opened anew for each write: whoever rotates it moves it away
/// from under the others.
pub(crate) struct Log {
    folder: Folder,
    name: String,
    max: u64,
}

impl Log {
    /// Makes sure that the file can be appended to, and makes it if need be.
    pub(crate) fn open(folder: Folder, name: String, max: u64) -> io::Result<Self> {
        let log = Self { folder, name, max };
        log.reopen()?;
        Ok(log)
    }

    /// Appends whole lines; when it returns they are on disk, each in a line
    /// of its own.
    pub(crate) fn write(&self, lines: &[u8]) -> io::Result<()> {
        let mut broken = self.append(lines)?;
        for _ in 1..ATTEMPTS {
            if broken.is_empty() {
                break;
            }
            broken = self.append(&broken)?;
        }
        if broken.is_empty() {
            Ok(())
        } else {
            self.put_aside(&broken)
        }
    }

    /// Appends once, and gives back the lines that something came between.
    fn append(&self, lines: &[u8]) -> io::Result<Vec<u8>> {
        let (file, size) = self.file_for(length(lines))?;
        let (size, ended) = during("read", end_of(&file, size))?;
        // In one append with the lines, so that nobody comes between.
        let due = if ended {
            Cow::Borrowed(lines)
        } else {
            Cow::Owned([b"\n", lines].concat())
        };
        during("append", file.append(&due))?;
        // Nothing but appends changes the size: if it grew by ours alone, ours
        // lies in one piece behind the end that was looked at.
        let broken = if during("look at", file.size())? == size + length(&due) {
            Vec::new()
        } else {
            during("read", not_whole(&file, size, ended, lines))?
        };
        during("sync", file.sync())?;
        Ok(broken)
    }

    /// The file and its size; a fresh one if it would become too large.
    fn file_for(&self, length: u64) -> io::Result<(File, u64)> {
        let (file, size) = self.reopen()?;
        if size == 0 || size.saturating_add(length) <= self.max {
            return Ok((file, size));
        }
        drop(file);
        self.rotate(size)?;
        self.reopen()
    }

    fn reopen(&self) -> io::Result<(File, u64)> {
        let file = during("open", self.folder.open(&self.name))?;
        let size = during("look at", file.size())?;
        if size == 0 {
            // Perhaps just made. No line may go in while a power cut could
            // still take the name away, so whoever sees it empty does this.
            during("sync the directory", self.folder.sync())?;
        }
        Ok((file, size))
    }

    /// Renames the file, unless somebody else did so since it had this size.
    fn rotate(&self, size: u64) -> io::Result<()> {
        let (rotated, _) = self.reserve(now()?)?;
        // Looked at as late as can be: between this and the renaming somebody
        // could still put a fresh file there, and it would be rotated early.
        let moved = self.folder.size_of(&self.name).and_then(|now| {
            if now < size {
                return Err(ErrorKind::NotFound.into());
            }
            self.folder.rename(&self.name, &rotated)
        });
        match moved {
            Ok(()) => Ok(()),
            Err(error) => {
                self.give_back(&rotated);
                if error.kind() == ErrorKind::NotFound {
                    return Ok(());
                }
                during(&format!("rename to {rotated}"), Err(error))
            }
        }
    }

    /// Takes a name for a rotated file by making it, so that no two rotations
    /// use the same.
    fn reserve(&self, nanoseconds: i128) -> io::Result<(String, File)> {
        for later in 0..NAMES {
            let name = rotated_name(&self.name, nanoseconds + later)?;
            match self.folder.create_new(&name) {
                Ok(file) => return Ok((name, file)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return during(&format!("make {name}"), Err(error)),
            }
        }
        Err(io::Error::other("no free name for a rotated file"))
    }

    /// Removes a reserved file that was not used. One that holds something
    /// stays: over a network, a renaming can fail and have happened.
    fn give_back(&self, rotated: &str) {
        if self.folder.size_of(rotated).is_ok_and(|size| size == 0) {
            // An empty file that stays does no harm.
            self.folder.remove(rotated).unwrap_or_default();
        }
    }

    /// Puts lines where nobody else writes.
    fn put_aside(&self, lines: &[u8]) -> io::Result<()> {
        let (name, file) = self.reserve(now()?)?;
        during(&format!("append to {name}"), file.append(lines))?;
        during(&format!("sync {name}"), file.sync())?;
        during("sync the directory", self.folder.sync())
    }
}

/// Where the file ends, and whether that is the end of a line.
fn end_of(file: &File, mut size: u64) -> io::Result<(u64, bool)> {
    for _ in 0..LOOKS {
        if size == 0 || file.read(size - 1, 1)? == b"\n" {
            return Ok((size, true));
        }
        // Another's append shows piece by piece while it runs.
        let now = file.size()?;
        if now == size {
            break;
        }
        size = now;
    }
    Ok((size, false))
}

/// Those of the lines that are not in the file as they were written, from
/// `offset` on; `at_start` says whether a line begins there.
fn not_whole(file: &File, mut offset: u64, at_start: bool, lines: &[u8]) -> io::Result<Vec<u8>> {
    let mut missing: BTreeSet<&[u8]> = lines.split_inclusive(|byte| *byte == b'\n').collect();
    let mut line = Vec::new();
    let mut is_whole = at_start;
    while !missing.is_empty() {
        let piece = file.read(offset, PIECE)?;
        if piece.is_empty() {
            break;
        }
        offset += length(&piece);
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                if is_whole {
                    missing.remove(line.as_slice());
                }
                is_whole = true;
                line.clear();
            }
        }
    }
    Ok(lines
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| missing.contains(line))
        .collect::<Vec<_>>()
        .concat())
}

/// Puts the time before the extension: `messages.<time>.ndjson`. All digits of
/// the nanoseconds, so that the names sort as the times do.
fn rotated_name(name: &str, nanoseconds: i128) -> io::Result<String> {
    let time = Timestamp::from_nanosecond(nanoseconds).map_err(|_| no_time())?;
    let time = format!("{time:.9}").replace(':', "-");
    Ok(match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem}.{time}.{extension}"),
        _ => format!("{name}.{time}"),
    })
}

fn now() -> io::Result<i128> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanoseconds = now.map_err(|_| no_time())?.as_nanos();
    i128::try_from(nanoseconds).map_err(|_| no_time())
}

/// Jiff's own errors are not shown: they would double the component's size.
fn no_time() -> io::Error {
    io::Error::other("the clock's time has no date")
}

fn length(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}

/// Says what was being done when it failed.
fn during<T>(what: &str, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| io::Error::new(error.kind(), format!("{what}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::fs;
    use std::io::Write as _;
    use std::path::PathBuf;
    use std::rc::Rc;

    use tempfile::TempDir;

    const NAME: &str = "a.ndjson";

    struct Place {
        dir: TempDir,
    }

    impl Place {
        fn new() -> Self {
            Self {
                dir: tempfile::tempdir().unwrap(),
            }
        }

        fn folder(&self) -> Folder {
            Folder::new(self.dir.path().to_owned())
        }

        fn log(&self, max: u64) -> Log {
            Log::open(self.folder(), NAME.to_owned(), max).unwrap()
        }

        /// A log whose appends hold so little, with something that happens
        /// before each of them.
        fn disturbed(&self, permit: usize, before: impl Fn() -> io::Result<()> + 'static) -> Log {
            let mut folder = self.folder();
            folder.permit = permit;
            folder.before_append = Rc::new(before);
            Log::open(folder, NAME.to_owned(), u64::MAX).unwrap()
        }

        fn file(&self) -> PathBuf {
            self.dir.path().join(NAME)
        }

        fn text(&self) -> String {
            fs::read_to_string(self.file()).unwrap()
        }

        /// What somebody else does to the file.
        fn appends(&self, text: &'static str) -> impl Fn() + use<> {
            let file = self.file();
            move || {
                let mut file = fs::OpenOptions::new().append(true).open(&file).unwrap();
                file.write_all(text.as_bytes()).unwrap();
            }
        }

        /// The rotated files, sorted by their names.
        fn rotated(&self) -> Vec<String> {
            let mut names: Vec<String> = fs::read_dir(self.dir.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name != NAME)
                .collect();
            names.sort();
            names
        }

        /// All lines, the oldest first.
        fn lines(&self) -> Vec<String> {
            let mut names = self.rotated();
            names.push(NAME.to_owned());
            names
                .iter()
                .map(|name| fs::read_to_string(self.dir.path().join(name)).unwrap())
                .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
                .collect()
        }
    }

    #[test]
    fn lines_are_appended() {
        let place = Place::new();
        let log = place.log(1000);
        assert_eq!(place.text(), "", "opening makes the file");
        log.write(b"one\ntwo\n").unwrap();
        log.write(b"three\n").unwrap();
        place.log(1000).write(b"four\n").unwrap();
        assert_eq!(place.text(), "one\ntwo\nthree\nfour\n");
        assert!(place.rotated().is_empty());
    }

    #[test]
    fn a_full_file_is_rotated() {
        let place = Place::new();
        let log = place.log(10);
        let expected: Vec<String> = (1000..1020).map(|n| n.to_string()).collect();
        for line in &expected {
            log.write(format!("{line}\n").as_bytes()).unwrap();
        }
        assert_eq!(place.rotated().len(), 9, "two lines a file");
        for name in place.rotated() {
            let file = place.dir.path().join(&name);
            assert_eq!(fs::metadata(file).unwrap().len(), 10, "{name}");
        }
        assert_eq!(place.lines(), expected, "rotated files sort by time");
    }

    #[test]
    fn a_batch_larger_than_a_file_stays_together() {
        let place = Place::new();
        let log = place.log(4);
        for _ in 0..3 {
            log.write(b"one\ntwo\n").unwrap();
        }
        assert_eq!(place.rotated().len(), 2);
        assert_eq!(place.lines(), ["one", "two"].repeat(3));
    }

    #[test]
    fn rotated_names_hold_the_time_and_are_never_taken_twice() {
        let nanoseconds = 1_795_166_488_123_456_789;
        for (name, rotated) in [
            (
                "messages.ndjson",
                "messages.2026-11-20T09-21-28.123456789Z.ndjson",
            ),
            ("a.b.c", "a.b.2026-11-20T09-21-28.123456789Z.c"),
            ("messages", "messages.2026-11-20T09-21-28.123456789Z"),
            (".hidden", ".hidden.2026-11-20T09-21-28.123456789Z"),
        ] {
            assert_eq!(rotated_name(name, nanoseconds).unwrap(), rotated);
        }
        let place = Place::new();
        let (one, another) = (place.log(10), place.log(10));
        let names = [
            one.reserve(nanoseconds).unwrap().0,
            another.reserve(nanoseconds).unwrap().0,
            one.reserve(nanoseconds).unwrap().0,
        ];
        assert_eq!(place.rotated(), names);
        assert!(names[2].contains("28.123456791Z"), "{names:?}");
    }

    #[test]
    fn who_comes_late_to_a_rotation_leaves_it_alone() {
        let place = Place::new();
        let log = place.log(10);
        log.write(b"fresh\n").unwrap();
        log.rotate(10).unwrap();
        assert_eq!(place.text(), "fresh\n");
        fs::remove_file(place.file()).unwrap();
        log.rotate(10).unwrap();
        assert!(
            place.rotated().is_empty(),
            "the reserved name is given back"
        );
    }

    #[test]
    fn the_path_counts_not_the_file_that_was_there() {
        let place = Place::new();
        let log = place.log(1000);
        log.write(b"one\n").unwrap();
        fs::rename(place.file(), place.dir.path().join("moved")).unwrap();
        log.write(b"two\n").unwrap();
        assert_eq!(place.text(), "two\n");
        fs::remove_file(place.file()).unwrap();
        log.write(b"three\n").unwrap();
        assert_eq!(place.text(), "three\n");
    }

    /// What a writer of the tests below writes as its n-th line.
    fn line_of(writer: usize, n: usize, longest: usize) -> String {
        format!("{writer} {n} {}", "x".repeat(n * 37 % longest))
    }

    /// Four writers at once, in batches of one to seven lines.
    fn write_at_once(place: &Place, permit: usize, longest: usize) -> Vec<String> {
        const WRITERS: usize = 4;
        const LINES: usize = 1000;
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let path = place.dir.path().to_owned();
                scope.spawn(move || {
                    let mut folder = Folder::new(path);
                    folder.permit = permit;
                    let log = Log::open(folder, NAME.to_owned(), 20_000).unwrap();
                    let mut n = 0;
                    while n < LINES {
                        let batch = n..LINES.min(n + n % 7 + 1);
                        n = batch.end;
                        let lines = batch.map(|n| line_of(writer, n, longest) + "\n");
                        log.write(lines.collect::<String>().as_bytes()).unwrap();
                    }
                });
            }
        });
        (0..WRITERS)
            .flat_map(|writer| (0..LINES).map(move |n| line_of(writer, n, longest)))
            .collect()
    }

    #[test]
    fn several_writers_with_rotation_lose_and_garble_nothing() {
        let place = Place::new();
        let mut expected = write_at_once(&place, 64 << 10, 200);
        let mut found = place.lines();
        // One that sees another's append half done takes it for half a line.
        found.retain(|line| !line.is_empty());
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "whole lines, each once");
        assert!(place.rotated().len() > 10, "{:?}", place.rotated());
    }

    #[test]
    fn several_writers_of_long_lines_lose_nothing() {
        let place = Place::new();
        let expected = write_at_once(&place, 50, 200);
        let found: BTreeSet<String> = place.lines().into_iter().collect();
        for line in expected {
            assert!(found.contains(&line), "{line}");
        }
    }

    #[test]
    fn half_a_line_is_ended_first() {
        let place = Place::new();
        let log = place.log(1000);
        for half in ["{\"epoch\":1", "{\"epoch\":1,\"body\":\"é"] {
            fs::write(place.file(), half).unwrap();
            log.write(b"one\ntwo\n").unwrap();
            log.write(b"three\n").unwrap();
            assert_eq!(place.text(), format!("{half}\none\ntwo\nthree\n"));
        }
    }

    #[test]
    fn what_a_full_disk_leaves_is_ended_too() {
        let place = Place::new();
        let is_full = Rc::new(Cell::new(true));
        let full = Rc::clone(&is_full);
        let log = place.disturbed(100, move || match full.get() {
            true => Err(io::Error::new(ErrorKind::StorageFull, "disk full")),
            false => Ok(()),
        });
        let error = log.write(b"one\ntwo\n").unwrap_err();
        assert_eq!(error.to_string(), "append: disk full");
        assert_eq!(place.text(), "one\n");
        assert!(log.write(b"three\n").is_err());
        assert_eq!(place.text(), "one\nthr");
        is_full.set(false);
        log.write(b"one\ntwo\n").unwrap();
        assert_eq!(place.text(), "one\nthr\none\ntwo\n");
    }

    #[test]
    fn half_a_line_that_comes_between_breaks_nothing() {
        let place = Place::new();
        let (half, once) = (place.appends("{\"half"), Cell::new(true));
        let log = place.disturbed(100, move || {
            if once.take() {
                half();
            }
            Ok(())
        });
        log.write(b"one\ntwo\n").unwrap();
        assert_eq!(
            place.text(),
            "{\"halfone\ntwo\none\n",
            "one, which was glued, again"
        );
    }

    #[test]
    fn lines_that_come_between_break_nothing() {
        let place = Place::new();
        let other = place.appends("other\n");
        let log = place.disturbed(8, move || {
            other();
            Ok(())
        });
        log.write(b"one\ntwo\nthree\n").unwrap();
        assert_eq!(place.text(), "other\none\ntwo\nother\nthree\n");
    }

    #[test]
    fn a_long_line_stays_whole() {
        let place = Place::new();
        let log = place.disturbed(8, || Ok(()));
        let long = format!("one\n{}\ntwo\n", "x".repeat(100));
        log.write(long.as_bytes()).unwrap();
        assert_eq!(place.text(), long);
    }

    #[test]
    fn a_long_line_that_was_cut_in_two_is_written_again() {
        let place = Place::new();
        let (other, appends) = (place.appends("other\n"), Cell::new(0));
        let log = place.disturbed(8, move || {
            appends.set(appends.get() + 1);
            if appends.get() == 3 {
                other();
            }
            Ok(())
        });
        log.write(b"one\nabcdefghijklmnop\n").unwrap();
        assert_eq!(
            place.text(),
            "one\nabcdefghother\nijklmnop\nabcdefghijklmnop\n"
        );
        assert!(place.rotated().is_empty());
    }

    #[test]
    fn a_long_line_that_is_always_cut_gets_a_file_of_its_own() {
        let place = Place::new();
        let other = place.appends("other\n");
        let log = place.disturbed(8, move || {
            other();
            Ok(())
        });
        log.write(b"one\nabcdefghijklmnop\ntwo\n").unwrap();
        let rotated = place.rotated();
        let [aside] = rotated.as_slice() else {
            panic!("{rotated:?}");
        };
        let aside = fs::read_to_string(place.dir.path().join(aside)).unwrap();
        assert_eq!(
            aside, "abcdefghijklmnop\n",
            "what stayed whole is not repeated"
        );
        assert!(place.lines().iter().any(|line| line == "one"));
        assert!(place.lines().iter().any(|line| line == "two"));
    }

    #[test]
    fn errors_say_what_was_being_done() {
        let place = Place::new();
        let log = place.log(1000);
        fs::remove_dir_all(place.dir.path()).unwrap();
        let error = log.write(b"one\n").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().starts_with("open: "), "{error}");
    }

    #[test]
    fn only_regular_files_are_opened() {
        let place = Place::new();
        let open = |name: &str| {
            Log::open(place.folder(), name.to_owned(), 10)
                .err()
                .map(|error| error.kind())
        };
        fs::create_dir(place.dir.path().join("folder")).unwrap();
        assert_eq!(open("folder"), Some(ErrorKind::IsADirectory));
        assert_eq!(open("missing/a"), Some(ErrorKind::NotFound));
        std::os::unix::fs::symlink("/dev/null", place.dir.path().join("null")).unwrap();
        assert_eq!(open("null"), Some(ErrorKind::InvalidInput));
    }
}
