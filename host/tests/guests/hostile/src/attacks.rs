//! The attacks: each asks the node to hold or to do as much as it can. To add
//! one, add a line to [`ATTACKS`].

use std::io::Write;

use wasip2::cli::stderr::get_stderr;
use wasip2::cli::stdout::get_stdout;
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use wasip2::io::poll::poll;
use wasip2::random::random::get_random_bytes;

/// Nearly as many handles as an instance can have.
const HANDLES: usize = 120;
/// How far each listing is read.
const ENTRIES: usize = 1_000;

/// How a call in which the sink attacks ends.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The sink gets no more than it may have, and goes on.
    Returns,
    /// The node ends the call.
    Breaks,
}

use Ending::{Breaks, Returns};

/// One line per attack: the message that asks for it, how the call ends, and
/// what does it. The tests ask for this list, so they know every line.
pub(crate) const ATTACKS: &[(&str, Ending, fn())] = &[
    ("flood stderr", Returns, flood_stderr_with_lines),
    ("flood stderr without line breaks", Returns, flood_stderr),
    ("write all to stderr at once", Breaks, write_to_stderr),
    ("write all to many stdouts", Breaks, write_to_stdouts),
    ("write all to files at once", Breaks, write_to_files),
    ("list a directory again and again", Returns, list),
    ("ask for random bytes", Breaks, ask_for_random_bytes),
    ("poll one timer many times", Breaks, poll_many),
    ("open very many timers", Breaks, open_timers),
    ("pass a long path", Breaks, pass_a_long_path),
    ("take memory without end", Breaks, grow),
    ("call itself without end", Breaks, call_itself),
];

fn flood_stderr_with_lines() {
    write_256_mib(b"\n");
}

fn flood_stderr() {
    write_256_mib(b"x");
}

/// Writes to stderr, with this after each MiB.
fn write_256_mib(end: &[u8]) {
    let text = vec![b'x'; 1 << 20];
    for _ in 0..256 {
        let mut stderr = std::io::stderr();
        if stderr.write_all(&text).is_err() || stderr.write_all(end).is_err() {
            return;
        }
    }
}

/// Opens stdout many times, and writes to each what each was permitted.
fn write_to_stdouts() {
    let streams: Vec<_> = (0..HANDLES).map(|_| get_stdout()).collect();
    let permits: Vec<_> = streams.iter().map(|s| s.check_write()).collect();
    for (stream, permit) in streams.iter().zip(permits) {
        let bytes = permit.ok().and_then(|permit| usize::try_from(permit).ok());
        drop(stream.write(&vec![b'x'; bytes.unwrap_or_default()]));
    }
}

fn write_to_stderr() {
    drop(get_stderr().write(&vec![b'x'; 8 << 20]));
}

/// Hands many streams a large write each, and waits for none.
fn write_to_files() {
    let directory = first_directory();
    let file = directory.open_at(
        PathFlags::empty(),
        "large",
        OpenFlags::CREATE,
        DescriptorFlags::WRITE,
    );
    let Ok(file) = file else {
        return;
    };
    let text = vec![b'x'; 8 << 20];
    let mut streams = Vec::new();
    for _ in 0..HANDLES {
        if let Ok(stream) = file.write_via_stream(0) {
            drop(stream.check_write());
            drop(stream.write(&text));
            streams.push(stream);
        }
    }
}

/// Holds many listings of the same large directory, each well advanced.
fn list() {
    let directory = first_directory();
    let many = directory.open_at(
        PathFlags::empty(),
        "many",
        OpenFlags::DIRECTORY,
        DescriptorFlags::READ,
    );
    let Ok(many) = many else {
        return;
    };
    let mut listings = Vec::new();
    for _ in 0..HANDLES {
        if let Ok(listing) = many.read_directory() {
            for _ in 0..ENTRIES {
                drop(listing.read_directory_entry());
            }
            listings.push(listing);
        }
    }
    println!("held {} listings", listings.len());
}

/// Opens far more handles than an instance can have, and keeps them.
fn open_timers() {
    let timers: Vec<_> = (0..1000 * HANDLES).map(|_| subscribe_duration(0)).collect();
    println!("opened {} timers", timers.len());
}

fn poll_many() {
    let timer = subscribe_duration(0);
    drop(poll(&vec![&timer; 4 << 20]));
}

fn ask_for_random_bytes() {
    drop(get_random_bytes(48 << 20));
}

fn pass_a_long_path() {
    drop(first_directory().readlink_at(&"a/".repeat(10 << 20)));
}

fn grow() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(vec![1_u8; 16 << 20]);
        std::hint::black_box(&hoard);
    }
}

fn call_itself() {
    /// Neither a loop nor, because it has no variables, the guest's own stack.
    fn deeper(depth: u64) -> u64 {
        match depth {
            0 => 0,
            _ => deeper(depth - 1).wrapping_mul(3) ^ depth,
        }
    }
    let result = deeper(std::hint::black_box(1 << 40));
    println!("came to {result}");
}

#[expect(clippy::panic, reason = "the tests grant a directory")]
fn first_directory() -> Descriptor {
    match get_directories().into_iter().next() {
        Some((directory, _)) => directory,
        None => panic!("no directory is granted"),
    }
}
