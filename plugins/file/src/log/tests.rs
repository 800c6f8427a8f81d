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

    /// A log whose appends hold at most `permit` bytes, with something that
    /// happens before each of them.
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

    /// An append by another writer.
    fn appends(&self, text: &'static str) -> impl Fn() + use<> {
        let file = self.file();
        move || {
            let mut file = fs::OpenOptions::new().append(true).open(&file).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }
    }

    /// The rotated files, sorted by name.
    fn rotated(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != NAME)
            .collect();
        names.sort();
        names
    }

    /// All lines of all files, the oldest first.
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
    assert_eq!(place.text(), "", "opening creates the file");
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
    assert_eq!(place.rotated().len(), 9, "two lines per file");
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
fn rotated_names_hold_the_time_and_are_unique() {
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
fn a_late_rotation_changes_nothing() {
    let place = Place::new();
    let log = place.log(10);
    log.write(b"fresh\n").unwrap();
    log.rotate(10).unwrap();
    assert_eq!(place.text(), "fresh\n");
    fs::remove_file(place.file()).unwrap();
    log.rotate(10).unwrap();
    assert!(place.rotated().is_empty(), "the reserved name is removed");
}

#[test]
fn a_file_that_was_moved_away_is_created_again() {
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

/// The n-th line of a writer in the tests below.
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
    // A writer that sees an unfinished append of another takes it for a broken
    // line, and adds a line feed.
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
fn a_broken_line_is_ended_first() {
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
fn a_line_that_a_full_disk_broke_is_ended_first() {
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
fn a_broken_line_of_another_writer_breaks_nothing() {
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
        "one was joined to another line and is written again"
    );
}

#[test]
fn lines_of_another_writer_break_nothing() {
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
fn a_long_line_that_was_broken_is_written_again() {
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
fn a_long_line_that_is_always_broken_gets_its_own_file() {
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
    assert_eq!(aside, "abcdefghijklmnop\n", "whole lines are not repeated");
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
