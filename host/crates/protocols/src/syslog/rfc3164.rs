//! The header of RFC 3164 and its variants, behind the priority.
//!
//! After the time come a host and a tag. Docker and local senders leave the host
//! out, and syslog-ng the tag. rsyslog writes the time as in RFC 3339.

use super::header::{Header, token};
use super::timestamp::Calendar;

/// The longest name of a program and of a process, in bytes. RFC 3164 allows 32
/// for both.
const NAME_BYTES_MAX: usize = 128;
/// The longest name of a host, in bytes.
const HOST_BYTES_MAX: usize = 255;

/// A program's name, the process, and what follows.
type Tag<'a> = (&'a str, &'a str, &'a str);

/// The header and the message. `None` if there is no time.
///
/// A text without priority is hardly from a sender that leaves the tag out. So
/// its first word is a host only if `may_lack_tag` or if a tag follows.
pub(super) fn read<'a>(
    text: &'a str,
    calendar: &mut Calendar,
    may_lack_tag: bool,
) -> Option<Header<'a>> {
    let (timestamp, rest) = time(text.trim_start_matches(' '), calendar)?;
    let header = Header {
        timestamp: Some(timestamp),
        rest,
        ..Header::default()
    };
    if let Some((app, process, rest)) = tag(rest) {
        return Some(Header {
            app,
            process,
            rest,
            ..header
        });
    }
    let Some((host, rest)) = token(rest).filter(|(host, _)| is_host(host)) else {
        return Some(header);
    };
    if let Some((app, process, rest)) = tag(rest.trim_start_matches(' ')) {
        return Some(Header {
            host,
            app,
            process,
            rest,
            ..header
        });
    }
    match may_lack_tag {
        true => Some(Header {
            host,
            rest,
            ..header
        }),
        false => Some(header),
    }
}

/// A process that is named before the message though there is no time.
pub(super) fn tag_with_process(text: &str) -> Option<Header<'_>> {
    let (app, process, rest) = tag(text).filter(|(_, process, _)| is_number(process))?;
    Some(Header {
        app,
        process,
        rest,
        ..Header::default()
    })
}

/// The time, and what follows it and a space.
fn time<'a>(text: &'a str, calendar: &mut Calendar) -> Option<(u64, &'a str)> {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        let (time, rest) = token(text).unwrap_or((text, ""));
        let time = time.strip_suffix(':').unwrap_or(time);
        return Some((calendar.rfc3339(time)?, rest));
    }
    let (time, rest) = calendar.rfc3164(text)?;
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    match rest.is_empty() {
        true => Some((time, rest)),
        false => Some((time, rest.strip_prefix(' ')?)),
    }
}

/// `name:`, `name[process]:` or, with a number, `name[process] `.
fn tag(text: &str) -> Option<Tag<'_>> {
    let is_part = |byte: &u8| !matches!(byte, b' ' | b'[');
    // The name and the colon behind it.
    let bytes = text.as_bytes().iter().take(NAME_BYTES_MAX + 2);
    let length = bytes.take_while(|byte| is_part(byte)).count();
    let (name, rest) = text.split_at_checked(length)?;
    if let Some(rest) = rest.strip_prefix('[') {
        return tag_in_brackets(name, rest);
    }
    let name = name.strip_suffix(':').filter(|name| is_short(name))?;
    let is_end = rest.is_empty() || rest.starts_with(' ');
    is_end.then(|| (name, "", after_space(rest)))
}

fn tag_in_brackets<'a>(name: &'a str, text: &'a str) -> Option<Tag<'a>> {
    let is_process = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/".contains(&byte);
    let bytes = text.bytes().take(NAME_BYTES_MAX + 1);
    let length = bytes.take_while(|byte| is_process(*byte)).count();
    let (process, rest) = text.split_at_checked(length)?;
    let rest = rest.strip_prefix(']')?;
    if !is_short(name) || !is_short(process) {
        return None;
    }
    if let Some(rest) = rest.strip_prefix(':') {
        return Some((name, process, after_space(rest)));
    }
    let is_tag = is_number(process) && (rest.is_empty() || rest.starts_with(' '));
    is_tag.then(|| (name, process, after_space(rest)))
}

fn is_short(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
}

fn after_space(text: &str) -> &str {
    text.strip_prefix(' ').unwrap_or(text)
}

fn is_host(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:/%".contains(&byte);
    let is_name = text.bytes().any(|byte| byte.is_ascii_alphanumeric());
    is_name && text.len() <= HOST_BYTES_MAX && text.bytes().all(is_part)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Host, program, process and message.
    fn parts(text: &str) -> (&str, &str, &str, &str) {
        let header = read(text, &mut Calendar::new(0), true).unwrap();
        assert_eq!(header.timestamp, Some(0));
        (header.host, header.app, header.process, header.rest)
    }

    #[test]
    fn host_and_tag_may_be_missing() {
        for (text, expected) in [
            ("vm app[77]: text", ("vm", "app", "77", "text")),
            ("vm app[77] text", ("vm", "app", "77", "text")),
            ("vm app[77]:text", ("vm", "app", "77", "text")),
            ("vm app: text", ("vm", "app", "", "text")),
            ("vm a/b-c::d: text", ("vm", "a/b-c::d", "", "text")),
            ("vm app:", ("vm", "app", "", "")),
            ("vm app:  text ", ("vm", "app", "", " text ")),
            ("vm  app: text", ("vm", "app", "", "text")),
            ("vm app[main-1]: text", ("vm", "app", "main-1", "text")),
            ("fe80::1 app: text", ("fe80::1", "app", "", "text")),
            // Docker.
            ("web[9773]: text", ("", "web", "9773", "text")),
            ("web: text", ("", "web", "", "text")),
            // syslog-ng.
            ("vm one", ("vm", "", "", "one")),
            ("vm one: two three:", ("vm", "one", "", "two three:")),
            ("vm one two: three", ("vm", "", "", "one two: three")),
            ("vm http://x/ y", ("vm", "", "", "http://x/ y")),
            ("vm [INFO] one", ("vm", "", "", "[INFO] one")),
            ("vm app[main] one", ("vm", "", "", "app[main] one")),
            // No header.
            ("", ("", "", "", "")),
            ("one", ("", "", "", "one")),
            (": one", ("", "", "", ": one")),
            ("[INFO] one", ("", "", "", "[INFO] one")),
            ("\u{e9}t\u{e9} one", ("", "", "", "\u{e9}t\u{e9} one")),
        ] {
            assert_eq!(parts(&format!("Jan  1 00:00:00 {text}")), expected);
            assert_eq!(
                parts(&format!("1970-01-01T00:00:00+00:00 {text}")),
                expected
            );
        }
        assert_eq!(parts("Jan  1 00:00:00").3, "");
        assert_eq!(parts(" Jan  1 00:00:00: %SYS-5: x").3, "x");
    }

    #[test]
    fn a_name_that_is_too_long_is_none() {
        let name = "n".repeat(NAME_BYTES_MAX);
        let text = format!("Jan  1 00:00:00 vm {name}[{name}]: x");
        assert_eq!(parts(&text), ("vm", &*name, &*name, "x"));
        let text = format!("Jan  1 00:00:00 vm {name}: x");
        assert_eq!(parts(&text), ("vm", &*name, "", "x"));
        let text = format!("Jan  1 00:00:00 vm n{name}: x");
        assert_eq!(parts(&text).1, "");
        let text = format!("Jan  1 00:00:00 vm n{name}[7]: x");
        assert_eq!(parts(&text).1, "");
        let text = format!("Jan  1 00:00:00 vm n[n{name}]: x");
        assert_eq!(parts(&text).1, "");
        let host = "h".repeat(HOST_BYTES_MAX + 1);
        let text = format!("Jan  1 00:00:00 {host} app: x");
        assert_eq!(parts(&text).3, format!("{host} app: x"));
    }

    #[test]
    fn without_a_time_there_is_no_header() {
        for text in ["", "one", "vm app: one", "Jan  1 00:00:00Z vm app: one"] {
            assert_eq!(read(text, &mut Calendar::new(0), true), None, "{text}");
        }
    }

    #[test]
    fn a_text_without_priority_names_a_host_only_before_a_tag() {
        let read = |text| read(text, &mut Calendar::new(0), false).unwrap();
        let header = read("Jan  1 00:00:00 something happened");
        assert_eq!((header.host, header.rest), ("", "something happened"));
        let header = read("Jan  1 00:00:00 vm app: one");
        assert_eq!((header.host, header.app), ("vm", "app"));
    }
}
