//! Attacks on the node's memory: each asks the host to hold as much as it can.

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

/// Makes the attack that a message names. Returns whether it names one.
pub(crate) fn attack(message: &str) -> bool {
    match message {
        "flood stderr" => flood_stderr(b"\n"),
        "flood stderr without line breaks" => flood_stderr(b"x"),
        "write all to stderr at once" => drop(get_stderr().write(&vec![b'x'; 8 << 20])),
        "write all to many stdouts" => write_to_stdouts(),
        "write all to files at once" => write_to_files(),
        "list a directory again and again" => list(),
        "ask for random bytes" => drop(get_random_bytes(48 << 20)),
        "poll one timer many times" => poll_many(),
        "pass a long path" => drop(first_directory().readlink_at(&"a/".repeat(10 << 20))),
        _ => return false,
    }
    true
}

/// Writes 256 MiB with this after each MiB.
fn flood_stderr(end: &[u8]) {
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

fn poll_many() {
    let timer = subscribe_duration(0);
    drop(poll(&vec![&timer; 4 << 20]));
}

#[expect(clippy::panic, reason = "the tests grant a directory")]
fn first_directory() -> Descriptor {
    match get_directories().into_iter().next() {
        Some((directory, _)) => directory,
        None => panic!("no directory is granted"),
    }
}
