//! The header of RFC 5424, behind the priority.

use super::header::{Header, token};
use super::timestamp::Calendar;

/// The only version that there is.
const VERSION: &str = "1 ";
/// Stands for a field that the sender does not know.
const NIL: &str = "-";

/// The header and what follows, which is structured data and the message. `None`
/// if a field or the time is wrong.
pub(super) fn read<'a>(text: &'a str, calendar: &mut Calendar) -> Option<Header<'a>> {
    let text = text.strip_prefix(VERSION)?;
    let (time, text) = token(text)?;
    let timestamp = match time {
        NIL => None,
        time => Some(calendar.rfc3339(time)?),
    };
    let (host, text) = token(text)?;
    let (app, text) = token(text)?;
    let (process, text) = token(text)?;
    let (message_id, rest) = token(text).unwrap_or((text, ""));
    Some(Header {
        timestamp,
        host: known(host),
        app: known(app),
        process: known(process),
        message_id: known(message_id),
        rest,
    })
}

fn known(field: &str) -> &str {
    match field {
        NIL => "",
        field => field,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Header<'_>> {
        super::read(text, &mut Calendar::new(0))
    }

    #[test]
    fn every_field_has_its_place() {
        let header = read("1 1970-01-01T00:00:01Z vm app 77 ID47 - text - more").unwrap();
        let expected = Header {
            timestamp: Some(1_000_000_000),
            host: "vm",
            app: "app",
            process: "77",
            message_id: "ID47",
            rest: "- text - more",
        };
        assert_eq!(header, expected);
        assert_eq!(read("1 - - - - -"), Some(Header::default()));
    }

    #[test]
    fn another_version_a_wrong_time_or_a_missing_field_is_none() {
        for text in [
            "",
            "1",
            "1 ",
            "2 - - - - - -",
            "1 noon vm app 77 - - text",
            "1 - vm app 77",
            "- - - - - -",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
