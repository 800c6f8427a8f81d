//! What is sent to listeners to cost much.

use super::shapes::{BODY, filled};
use crate::hostile::requests::attack::{gzip, zstd};
use crate::listeners::doors::Doors;

/// What is written to each of some connections.
pub(super) struct Stream {
    pub(super) name: &'static str,
    pub(super) to: String,
    pub(super) connections: usize,
    pub(super) bytes: Vec<u8>,
}

/// Datagrams, each of which is sent again and again.
pub(super) struct Flood {
    pub(super) to: String,
    /// How many are sent, with the number of each in the place of eight bytes, if it
    /// has one.
    pub(super) count: u64,
    pub(super) datagram: Vec<u8>,
    pub(super) number_at: Option<usize>,
}

/// Short messages: many, but so few that they are soon delivered.
fn short(before: &[u8], unit: &[u8]) -> Vec<u8> {
    [before, &unit.repeat(50_000)].concat()
}

/// More than a message may have.
fn more(before: &[u8], unit: &[u8]) -> Vec<u8> {
    [before, &unit.repeat(2 * BODY / unit.len())].concat()
}

pub(super) fn syslog(doors: &Doors) -> Vec<Stream> {
    let stream = |name, bytes| Stream {
        name,
        to: doors.syslog(),
        connections: 4,
        bytes,
    };
    vec![
        stream("a line without an end", more(b"<14>", b"x")),
        stream(
            "a frame without an end",
            more(b"99999999999999999999 ", b"x"),
        ),
        stream("a large frame", more(b"4000000 <14>", b"x")),
        stream("digits", more(b"", b"1")),
        stream("empty lines", short(b"<", b"\n")),
        stream("short lines", short(b"<", b"a\n")),
        stream("short frames", short(b"", b"1 a")),
        stream(
            "parameters",
            filled(b"<14>1 - - - - - [a", b" b=\"\"", b"]\n"),
        ),
        stream(
            "elements",
            filled(b"<14>1 - - - - - ", b"[a b=\"\"]", b"\n"),
        ),
        stream(
            "escapes",
            filled(b"<14>1 - - - - - [a b=\"", b"\\\"", b"\"]\n"),
        ),
        stream("no UTF-8", filled(b"<14>1 - - - - - ", b"\xff", b"\n")),
    ]
}

pub(super) fn relp(doors: &Doors) -> Vec<Stream> {
    const OPEN: &[u8] = b"1 open 29 relp_version=0\ncommands=syslog\n";
    let stream = |name, bytes: Vec<u8>| Stream {
        name,
        to: doors.relp(),
        connections: 4,
        bytes: [OPEN, &bytes].concat(),
    };
    vec![
        stream("a frame without an end", more(b"2 syslog 130000 ", b"x")),
        stream("a huge frame", more(b"2 syslog 999999999 ", b"x")),
        stream("digits", more(b"", b"1")),
        stream("a long command", more(b"2 ", b"s")),
        stream("empty frames", short(b"", b"2 syslog 0\n")),
        stream("short frames", short(b"", b"2 syslog 1 a\n")),
    ]
}

/// A text of MessagePack.
fn text(text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap().to_be_bytes();
    [&b"\xdb"[..], &length, text].concat()
}

/// A Forward message with packed entries.
fn packed(entries: &[u8], compressed: &[u8]) -> Vec<u8> {
    let length = u32::try_from(entries.len()).unwrap().to_be_bytes();
    let head = [&b"\x93\xa1t\xc6"[..], &length, entries].concat();
    [&head[..], b"\x81\xaacompressed", &text(compressed)].concat()
}

pub(super) fn forward(doors: &Doors) -> Vec<Stream> {
    const ENTRY: &[u8] = b"\x92\x01\x80";
    let stream = |name, bytes| Stream {
        name,
        to: doors.forward(),
        connections: 4,
        bytes,
    };
    let million = 1_000_000_u32.to_be_bytes();
    let bomb = gzip(&vec![0; 8 * BODY]);
    let entries = ENTRY.repeat(BODY / 3 - 10);
    let nested = [&b"\x93\xa1t\x01\x81\xa1a"[..], &b"\x91".repeat(BODY - 100)].concat();
    let attributes = [
        &b"\x93\xa1t\x01\xdf"[..],
        &million,
        &b"\xa1a\xc0".repeat(1_000_000),
    ]
    .concat();
    let names = (0..600_000_u32).flat_map(|n| [&b"\xa4"[..], &n.to_be_bytes(), b"\xc0"].concat());
    let names = [
        &b"\x93\xa1t\x01\xdf"[..],
        &600_000_u32.to_be_bytes(),
        &names.collect::<Vec<u8>>(),
    ]
    .concat();
    let array = [
        &b"\x93\xa1t\x01\x81\xa1a\xdd"[..],
        &million,
        &b"\x80".repeat(1_000_000),
    ]
    .concat();
    let controls = [
        &b"\x93\xa1t\x01\x81\xa1a\x91"[..],
        &text(&vec![1; BODY - 100]),
    ]
    .concat();
    let partial = |n: u32| {
        let id = [
            &b"\xd9\x04"[..],
            format!("{n:04x}").get(..4).unwrap().as_bytes(),
        ]
        .concat();
        [
            &b"\x93\xa1t\x01\x83\xafpartial_message\xa4true\xaapartial_id"[..],
            &id,
            b"\xa3log",
            &text(&[b'x'; 2000]),
        ]
        .concat()
    };
    vec![
        stream("a huge array", more(b"\xdd\xff\xff\xff\xff", b"\x93")),
        stream(
            "huge entries",
            more(b"\x92\xa1t\xdd\xff\xff\xff\xff", ENTRY),
        ),
        stream(
            "a huge map",
            more(b"\x93\xa1t\x01\xdf\xff\xff\xff\xff", b"\xa0\xc0"),
        ),
        stream("huge bytes", more(b"\x92\xa1t\xc6\xff\xff\xff\xff", b"x")),
        stream("a long tag", more(b"\x93\xdb\x00\xff\xff\xff", b"t")),
        stream("deep nesting", nested),
        stream("attributes", attributes),
        stream("attributes of different names", names),
        stream("empty objects in an attribute", array),
        stream("nested control characters", controls),
        stream("a gzip bomb", packed(&bomb, b"gzip")),
        stream("a bomb in a bomb", packed(&gzip(&bomb), b"gzip")),
        stream("a zstd bomb", packed(&zstd(&vec![0; 8 * BODY]), b"zstd")),
        stream("empty members", packed(&gzip(&[]).repeat(200_000), b"gzip")),
        stream("packed entries", packed(&gzip(&entries), b"gzip")),
        stream("entries", packed(&entries, b"text")),
        stream("short messages", short(b"", b"\x93\xa1t\x01\x80")),
        stream("empty messages", short(b"", b"\xc0")),
        stream(
            "lines without their last part",
            (0..2000).flat_map(partial).collect(),
        ),
    ]
}

pub(super) fn gelf(doors: &Doors) -> Vec<Stream> {
    let stream = |name, bytes| Stream {
        name,
        to: doors.gelf(),
        connections: 4,
        bytes,
    };
    let names = (0..350_000).map(|number| format!("\"_{number:x}\":\"\","));
    let names = format!(
        "{{\"short_message\":\"a\",{}\"_\":1}}\0",
        names.collect::<String>()
    );
    let object = b"{\"short_message\":\"a\",";
    vec![
        stream("a message without an end", more(b"{", b"x")),
        stream("empty messages", short(b"", b"\0")),
        stream("messages that are none", short(b"", b"{}\0")),
        stream("short messages", short(b"", b"{\"short_message\":1}\0")),
        stream(
            "deep nesting",
            filled(&[&object[..], b"\"_a\":"].concat(), b"[", b"\0"),
        ),
        stream("names that differ", names.into_bytes()),
        stream(
            "a name again and again",
            filled(object, b"\"_\":\"\",", b"\"_\":1}\0"),
        ),
        stream(
            "a name of escapes",
            filled(b"{\"short_message\":\"a\",\"", b"\\u0001", b"\":1}\0"),
        ),
        stream(
            "empty objects",
            filled(b"{\"short_message\":\"a\",\"_a\":[", b"{},", b"1]}\0"),
        ),
    ]
}

/// A message is begun on each of many connections.
pub(super) fn begun(doors: &Doors) -> Vec<Stream> {
    let stream = |name, to, begin: &[u8], bytes: usize, connections| Stream {
        name,
        to,
        connections,
        bytes: [begin, &vec![b'x'; bytes]].concat(),
    };
    vec![
        stream("many begun lines", doors.syslog(), b"<14>", 5000, 1000),
        stream(
            "large begun frames",
            doors.syslog(),
            b"4000000 <14>",
            BODY / 2,
            40,
        ),
        stream(
            "begun maps",
            doors.forward(),
            b"\x92\xa1t\xc6\x00\x3f\xff\xff",
            BODY - 100_000,
            20,
        ),
        stream("begun objects", doors.gelf(), b"{\"a\":\"", BODY / 2, 40),
    ]
}

pub(super) fn floods(doors: &Doors) -> Vec<Flood> {
    let flood = |to, count, datagram: &[u8], number_at| Flood {
        to,
        count,
        datagram: datagram.to_vec(),
        number_at,
    };
    let syslog = || doors.syslog_udp();
    let gelf = || doors.gelf();
    let chunk = |number: u8, bytes: usize| {
        [&b"\x1e\x0f........"[..], &[number, 128], &vec![b'x'; bytes]].concat()
    };
    let parameters = filled(b"<14>1 - - - - - [a", b" b=\"\"", b"]");
    let members = [
        &b"{\"short_message\":\"a\""[..],
        &b",\"_a\":1".repeat(8000),
        b"}",
    ]
    .concat();
    vec![
        flood(syslog(), 200_000, b"<14>a", None),
        flood(syslog(), 200_000, b"", None),
        flood(syslog(), 5000, &[b'x'; 60_000], None),
        flood(syslog(), 2000, &parameters[..60_000], None),
        flood(gelf(), 100_000, &chunk(3, 20), Some(2)),
        flood(gelf(), 5000, &chunk(0, 60_000), Some(2)),
        flood(gelf(), 2000, &members, None),
        flood(gelf(), 5000, &gzip(&vec![b'x'; BODY]), None),
        flood(gelf(), 100_000, b"{", None),
    ]
}
