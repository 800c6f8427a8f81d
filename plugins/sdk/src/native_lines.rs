//! Both forms of lines for native builds, as `wit/sink.wit` defines them.

use crate::{LogRecord, Severity, json, time};

pub(crate) fn text_lines(records: &[LogRecord]) -> Vec<u8> {
    let mut out = String::new();
    for record in records {
        for character in record.body.chars() {
            escape(character, &mut out);
        }
        out.push('\n');
    }
    out.into_bytes()
}

fn escape(character: char, out: &mut String) {
    match character {
        '\t' => out.push_str("\\t"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
            out.push_str(&format!("\\u{{{:x}}}", u32::from(character)));
        }
        other => out.push(other),
    }
}

pub(crate) fn json_lines(records: &[LogRecord]) -> Vec<u8> {
    let mut out = Vec::new();
    for record in records {
        json_line(record, &mut out);
    }
    out
}

fn json_line(record: &LogRecord, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"epoch\":");
    json::integer(record.id.epoch, out);
    out.extend_from_slice(b",\"sequence\":");
    json::integer(record.id.sequence, out);
    let mut text = |name: &str, value: &str| {
        out.push(b',');
        json::string(name, out);
        out.push(b':');
        json::string(value, out);
    };
    let key = record.key.as_deref().filter(|key| !key.is_empty());
    if let Some(key) = key {
        text("id", key);
    }
    text("timestamp", &time::rfc3339(record.timestamp));
    text("observed", &time::rfc3339(record.observed));
    if record.severity != Severity::Unspecified {
        text("severity", record.severity.name());
    }
    text("body", &record.body);
    if !record.attributes.is_empty() {
        out.extend_from_slice(b",\"attributes\":");
        let attributes = record.attributes.iter();
        json::object(attributes.map(|(name, value)| (name.as_str(), value)), out);
    }
    out.extend_from_slice(b"}\n");
}

#[cfg(test)]
mod tests {
    use crate::testing::{batch, record};
    use crate::{Severity, Value};

    fn text_of(body: &str) -> String {
        let lines = batch([record(body)]).text_lines();
        String::from_utf8(lines.into_bytes()).unwrap()
    }

    #[test]
    fn every_character_that_could_end_a_line_is_escaped() {
        assert_eq!(text_of("a\tb\nc\rd\\n"), "a\\tb\\nc\\rd\\n\n");
        assert_eq!(text_of("\u{0}\u{1b}\u{7f}"), "\\u{0}\\u{1b}\\u{7f}\n");
        assert_eq!(text_of("\u{80}\u{9f}\u{a0}"), "\\u{80}\\u{9f}\u{a0}\n");
        assert_eq!(
            text_of("\u{2027}\u{2028}\u{2029}\u{202a}"),
            "\u{2027}\\u{2028}\\u{2029}\u{202a}\n"
        );
        assert_eq!(text_of(""), "\n");
    }

    #[test]
    fn members_are_left_out_where_there_is_nothing_to_say() {
        let lines = batch([record("a\n\"b\"").id(3, 7).key("")]).json_lines();
        assert_eq!(
            String::from_utf8(lines.into_bytes()).unwrap(),
            "{\"epoch\":3,\"sequence\":7,\"timestamp\":\"2023-11-14T22:13:20Z\",\
             \"observed\":\"2023-11-14T22:13:20.5Z\",\"body\":\"a\\n\\\"b\\\"\"}\n"
        );
    }

    #[test]
    fn all_members_are_written_in_their_order() {
        let full = record("hello")
            .id(3, 7)
            .key("k-1")
            .severity(Severity::Warn)
            .attribute("t", "x")
            .attribute("i", -1)
            .attribute("f", 1.5)
            .attribute("nan", f64::NAN)
            .attribute("b", true)
            .attribute("y", vec![0, 255])
            .attribute("j", Value::Json(" [1,{\"a\": null}] ".to_owned()))
            .attribute("broken", Value::Json("[1,".to_owned()))
            .attribute("lines", Value::Json("[1,\n2]".to_owned()));
        let lines = batch([full]).json_lines();
        assert_eq!(
            String::from_utf8(lines.into_bytes()).unwrap(),
            "{\"epoch\":3,\"sequence\":7,\"id\":\"k-1\",\"timestamp\":\"2023-11-14T22:13:20Z\",\
             \"observed\":\"2023-11-14T22:13:20.5Z\",\"severity\":\"warn\",\"body\":\"hello\",\
             \"attributes\":{\"t\":\"x\",\"i\":-1,\"f\":1.5,\"nan\":null,\"b\":true,\"y\":\"AP8=\",\
             \"j\":[1,{\"a\": null}],\"broken\":\"[1,\",\"lines\":\"[1,\\n2]\"}}\n"
        );
    }

    #[test]
    fn all_views_say_the_same() {
        let batch = batch([
            record("one")
                .severity(Severity::Error)
                .attribute("a", 1)
                .attribute("b", "x"),
            record(""),
            record("three \u{e4}")
                .id(9, 9)
                .key("k")
                .timestamp(5)
                .attribute("b", true),
        ]);
        assert_eq!(batch.len(), 3);
        let bodies = batch.bodies();
        assert_eq!(
            bodies.iter().collect::<Vec<_>>(),
            ["one", "", "three \u{e4}"]
        );
        assert_eq!((bodies.get(2), bodies.get(3)), ("three \u{e4}", ""));
        assert_eq!(batch.attributes().names(), ["a", "b"]);
        let rows = batch.rows();
        for (row, record) in rows.iter().zip(batch.records()) {
            assert_eq!(row.body(), record.body);
            assert_eq!((row.id(), row.key()), (record.id, record.key.as_deref()));
            assert_eq!(
                (row.timestamp(), row.observed()),
                (record.timestamp, record.observed)
            );
            assert_eq!(row.severity(), record.severity);
            let attributes: Vec<_> = row
                .attributes()
                .map(|(n, v)| (n.to_owned(), v.clone()))
                .collect();
            assert_eq!(attributes, record.attributes);
            for (name, value) in &record.attributes {
                assert_eq!(row.attribute(name), Some(value));
            }
        }
        assert_eq!(rows.get(0).attribute("c"), None);
        assert_eq!(rows.get(3).attribute("a"), None);
        let second: Vec<usize> = batch.attributes().iter().map(Iterator::count).collect();
        assert_eq!(second, [2, 0, 1]);
    }
}
