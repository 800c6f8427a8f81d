//! Messages in the segments of a connection.

use super::*;

#[test]
fn lines_end_with_line_feeds_nul_or_the_connection() {
    let segments: [&[u8]; 3] = [
        b"<30>Nov 21 10:21:12 web[9773]: hello\n<27>Nov 21 10:21:12 web[9773]: two\r\n\n\0",
        b"<12>three\0\n<12>fo",
        b"ur\n<12>five\r",
    ];
    let (records, error) = connection(1000, &segments);
    // The carriage return at the end may be a part of the message.
    assert_eq!(
        bodies(&records),
        ["hello", "two", "three", "four", "five\r"]
    );
    assert_eq!(error, None);
}

#[test]
fn octets_are_counted_with_and_without_line_feeds() {
    // syslog-ng writes the count in a segment of its own, and counts the line
    // feed; logger has none; some have one that they do not count.
    let segments: [&[u8]; 5] = [
        b"24 ",
        b"<13>1 - vm - - - - one\r\n",
        b"20 <13>1 - vm - - - - x1",
        b"1 <12>two and\n\0\n0 \n1 \n\n10 <12>th",
        b"r\nee9 <12>last!",
    ];
    let (records, error) = connection(1000, &segments);
    assert_eq!(
        bodies(&records),
        ["one", "x", "two and", "thr\nee", "last!"]
    );
    assert_eq!(error, None);
}

#[test]
fn a_line_that_begins_with_a_digit_counts_no_octets() {
    for line in [
        "2026-11-21T10:21:12Z vm app: text",
        "127.0.0.1 text",
        "1234567890 text",
        "12",
    ] {
        let (records, error) = connection(1000, &[line.as_bytes()]);
        assert_eq!((records.len(), error), (1, None), "{line}");
        let lines = format!("\n\r\n{line}\nsecond\n");
        let (records, error) = connection(1000, &[lines.as_bytes()]);
        assert_eq!((records.len(), error), (2, None), "{line}");
    }
}

#[test]
fn a_wrong_count_ends_the_connection_after_what_came_before() {
    for (segment, error) in [
        ("4 <12>xyz", "'x' is where the length"),
        ("6 <12>x <12>y", "'<' is where the length"),
        ("5 <12>x1234567890 <", "more than 9 digits"),
        ("5 <12>x5x<12>y", "'x' is behind the length"),
    ] {
        let (records, said) = connection(1000, &[segment.as_bytes()]);
        assert!(said.unwrap().to_string().contains(error), "{said:?}");
        assert_eq!(records.len(), 1, "{segment}");
    }
}

#[test]
fn a_broken_connection_leaves_a_part_of_a_message() {
    let (records, error) = connection(1000, &[b"9 <12>first10 <12>sec"]);
    assert_eq!(bodies(&records), ["first", "sec"]);
    assert_eq!(
        attributes(&records[1]),
        "syslog.facility=user syslog.truncated=true"
    );
    assert_eq!(error, None);
    for end in ["10", "10 ", "10 \n"] {
        let segment = format!("9 <12>first{end}");
        assert_eq!(connection(1000, &[segment.as_bytes()]).0.len(), 1);
    }
}

#[test]
fn a_message_that_is_too_long_is_cut_and_the_connection_goes_on() {
    let long = "x".repeat(5000);
    let lines = format!("<12>{long}\n<12>{}\r\n<12>next\n<12>{long}", &long[..96]);
    let message = format!("<12>{long}");
    let fits = format!("<12>{}\r\n", &long[..96]);
    let counted = [&*message, &fits, "<12>next", &message];
    let counted: String = counted
        .iter()
        .map(|message| format!("{} {message}", message.len()))
        .collect();
    for segment in [lines, counted] {
        let (records, error) = connection(100, &[segment.as_bytes()]);
        assert_eq!(error, None);
        let (cut, truncated) = (&long[..96], "syslog.facility=user syslog.truncated=true");
        assert_eq!(bodies(&records), [cut, cut, "next", cut]);
        assert_eq!(attributes(&records[0]), truncated);
        assert_eq!(attributes(&records[1]), "syslog.facility=user");
        assert_eq!(attributes(&records[3]), truncated);
    }
}

#[test]
fn no_character_is_cut() {
    for longest in 16..40 {
        let text = "\u{e9}\u{4e16}\u{1f600}".repeat(10);
        let (records, _) = connection(longest, &[text.as_bytes(), b"\n"]);
        let body = &*records[0].body;
        assert!(text.starts_with(body), "{body}");
        assert!(body.len() + 4 > longest);
    }
    let (records, _) = connection(1, &[&[0xff; 20]]);
    assert_eq!(&*records[0].body, "\u{fffd}".repeat(16));
}

#[test]
fn no_byte_is_looked_at_twice() {
    // 4 MiB that come byte by byte: looking at all of a line for each byte
    // would take minutes.
    let mut framer = Framer::new(usize::MAX);
    let line = vec![b'x'; 4 << 20];
    for length in 1..=line.len() {
        let next = framer.next(&line[..length]);
        assert_eq!(next, Ok(crate::syslog::framer::Next::More { consumed: 0 }));
    }
}

#[test]
fn an_idle_connection_is_small() {
    assert!(size_of::<Framer>() <= 32);
}
