//! Reads the labels of a stream as text: `{job="a", level="info"}`, with values
//! quoted as in Go.

use bytes::Bytes;
use sluice_types::record::{Text, Value};

use super::stream::{ATTRIBUTES_MAX, too_many_attributes};
use crate::json::fields::Field;
use crate::meter::Meter;
use crate::text;

/// Appends the labels to `fields`, in their order. They are a part of `whole`.
/// Charges texts that share no memory with it.
///
/// # Errors
/// What is wrong, worded for the producer.
pub(super) fn parse(
    whole: &Bytes,
    labels: &[u8],
    fields: &mut Vec<Field>,
    meter: &mut Meter,
) -> Result<(), String> {
    let mut parser = Parser {
        whole,
        rest: labels,
        meter,
    };
    parser.labels(fields).map_err(|problem| match problem {
        Problem::TooMany => too_many_attributes(),
        Problem::Expected(expected) => {
            let at = labels.len() - parser.rest.len();
            format!("expected {expected} at byte {at} of the labels of its stream")
        }
    })
}

enum Problem {
    TooMany,
    Expected(&'static str),
}

struct Parser<'a> {
    whole: &'a Bytes,
    rest: &'a [u8],
    meter: &'a mut Meter,
}

impl<'a> Parser<'a> {
    fn labels(&mut self, fields: &mut Vec<Field>) -> Result<(), Problem> {
        self.expect(b'{', "a brace")?;
        let mut count = 0;
        while !self.take(b'}') {
            count += 1;
            if count > ATTRIBUTES_MAX {
                return Err(Problem::TooMany);
            }
            let name = self.name()?;
            self.expect(b'=', "an equals sign")?;
            let value = self.quoted().ok_or(Problem::Expected("a quoted value"))?;
            fields.push((name, value));
            if !self.take(b',') {
                self.expect(b'}', "a comma or a brace")?;
                break;
            }
        }
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Problem::Expected("the end")),
        }
    }

    /// Bare, or quoted as Prometheus 3 allows.
    fn name(&mut self) -> Result<Text, Problem> {
        const EXPECTED: Problem = Problem::Expected("the name of a label");
        if let Some(b'"' | b'\'' | b'`') = self.peek() {
            return match self.quoted() {
                Some(Value::Text(name)) => Ok(name),
                _ => Err(EXPECTED),
            };
        }
        let ends = |byte: &u8| byte.is_ascii_whitespace() || b"={},!~\"'`".contains(byte);
        let length = self.rest.iter().position(ends).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at_checked(length).unwrap_or_default();
        let name = text::shared(self.whole, name).filter(|name| !name.is_empty());
        let name = name.ok_or(EXPECTED)?;
        self.rest = rest;
        Ok(name)
    }

    fn quoted(&mut self) -> Option<Value> {
        let quote = self.peek()?;
        let inner = self.rest.get(1..)?;
        let (length, is_escaped) = match quote {
            b'`' => (memchr::memchr(b'`', inner)?, false),
            b'"' | b'\'' => end_of_quoted(inner, quote)?,
            _ => return None,
        };
        let (quoted, rest) = inner.split_at_checked(length)?;
        let value = match is_escaped {
            false => text::value(self.whole, quoted),
            // No escape is longer than what it stands for.
            true if self.meter.charge(quoted.len()) => unquoted(quoted)?,
            true => return None,
        };
        self.rest = rest.get(1..).unwrap_or_default();
        Some(value)
    }

    fn expect(&mut self, byte: u8, name: &'static str) -> Result<(), Problem> {
        match self.take(byte) {
            true => Ok(()),
            false => Err(Problem::Expected(name)),
        }
    }

    /// Moves beyond this byte if it is next.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        is_next
    }

    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied()
    }
}

/// Where the quote is that ends the text, and whether it has escapes.
fn end_of_quoted(text: &[u8], quote: u8) -> Option<(usize, bool)> {
    let mut at = 0;
    let mut is_escaped = false;
    loop {
        let rest = text.get(at..)?;
        at += memchr::memchr2(quote, b'\\', rest)?;
        if text.get(at) == Some(&quote) {
            return Some((at, is_escaped));
        }
        is_escaped = true;
        at += 2;
    }
}

/// A text without Go's escapes; `None` if one of them is wrong.
fn unquoted(quoted: &[u8]) -> Option<Value> {
    let mut unquoted = Vec::with_capacity(quoted.len());
    let mut rest = quoted;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at_checked(at)?;
        unquoted.extend_from_slice(plain);
        rest = unescape(escape.get(1..)?, &mut unquoted)?;
    }
    unquoted.extend_from_slice(rest);
    Some(match String::from_utf8(unquoted) {
        Ok(text) => Value::Text(text.into()),
        Err(error) => Value::Bytes(error.into_bytes().into()),
    })
}

/// Appends what the escape at the start stands for, and returns what follows it.
fn unescape<'a>(escape: &'a [u8], into: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (name, rest) = escape.split_first()?;
    let simple = match name {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b'\\' | b'"' | b'\'' => *name,
        b'x' => {
            let (number, rest) = number(rest, 2, 16)?;
            into.push(u8::try_from(number).ok()?);
            return Some(rest);
        }
        b'0'..=b'7' => {
            let (number, rest) = number(escape, 3, 8)?;
            into.push(u8::try_from(number).ok()?);
            return Some(rest);
        }
        b'u' | b'U' => {
            let digits = if *name == b'u' { 4 } else { 8 };
            let (number, rest) = number(rest, digits, 16)?;
            let character = char::from_u32(number)?;
            into.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(rest);
        }
        _ => return None,
    };
    into.push(simple);
    Some(rest)
}

fn number(text: &[u8], digits: usize, radix: u32) -> Option<(u32, &[u8])> {
    let (number, rest) = text.split_at_checked(digits)?;
    let is_digit = |byte: &u8| char::from(*byte).is_digit(radix);
    let number = std::str::from_utf8(number)
        .ok()
        .filter(|number| number.bytes().all(|byte| is_digit(&byte)))?;
    Some((u32::from_str_radix(number, radix).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_budget::MemoryBudget;
    use crate::meter::Client;

    fn parsed(labels: &[u8]) -> Result<Vec<Field>, String> {
        let whole = Bytes::copy_from_slice(labels);
        let mut meter = Meter::new(MemoryBudget::new(1 << 20).reserve(), Client::default());
        let mut fields = Vec::new();
        parse(&whole, &whole, &mut fields, &mut meter).map(|()| fields)
    }

    fn texts(labels: &str) -> Vec<(String, String)> {
        let text = |(name, value): &Field| match value {
            Value::Text(value) => (name.to_string(), value.to_string()),
            other => panic!("{other:?}"),
        };
        parsed(labels.as_bytes())
            .unwrap()
            .iter()
            .map(text)
            .collect()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn labels_are_read_as_clients_write_them() {
        for (labels, expected) in [
            // promtail
            (
                r#"{job="demo", level="info"}"#,
                &[("job", "demo"), ("level", "info")][..],
            ),
            // winston
            (
                r#"{level="info",job="w"}"#,
                &[("level", "info"), ("job", "w")],
            ),
            ("{}", &[]),
            (" { } ", &[]),
            (r#"{a="", }"#, &[("a", "")]),
            (
                "\t{\n a = \"é}\" ,\r\n__b9__=\"=,\"}",
                &[("a", "é}"), ("__b9__", "=,")],
            ),
            (
                r#"{"k8s.pod"="p",'é'='"',x=`\n`}"#,
                &[("k8s.pod", "p"), ("é", "\""), ("x", "\\n")],
            ),
        ] {
            assert_eq!(texts(labels), owned(expected), "{labels}");
        }
    }

    #[test]
    fn escapes_are_those_of_go() {
        let labels = r#"{a="\a\b\f\n\r\t\v\\\"\'|\x41\102\u00e9\U0001F600"}"#;
        let expected = "\u{7}\u{8}\u{c}\n\r\t\u{b}\\\"'|AB\u{e9}\u{1f600}";
        assert_eq!(texts(labels), owned(&[("a", expected)]));
    }

    #[test]
    fn a_value_that_is_not_utf8_is_kept_as_bytes() {
        let bytes = |bytes: &'static [u8]| Value::Bytes(Bytes::from_static(bytes));
        let fields = parsed(b"{a=\"\\xff\\303\\251\",b=\"\xfe\"}").unwrap();
        let expected = [
            ("a".into(), bytes(b"\xff\xc3\xa9")),
            ("b".into(), bytes(b"\xfe")),
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn what_are_no_labels_is_an_error_with_its_place() {
        for (labels, expected) in [
            (&b""[..], "a brace at byte 0"),
            (b"job=\"a\"", "a brace at byte 0"),
            (b"{", "the name of a label at byte 1"),
            (b"{,}", "the name of a label at byte 1"),
            (b"{=\"a\"}", "the name of a label at byte 1"),
            (b"{\"a}", "the name of a label at byte 1"),
            (b"{\xff=\"a\"}", "the name of a label at byte 1"),
            (b"{a}", "an equals sign at byte 2"),
            (b"{a!=\"b\"}", "an equals sign at byte 2"),
            (b"{a=b}", "a quoted value at byte 3"),
            (b"{a=~\"b\"}", "a quoted value at byte 3"),
            (b"{a=\"b}", "a quoted value at byte 3"),
            (b"{a=\"b\\\"}", "a quoted value at byte 3"),
            (b"{a=`b}", "a quoted value at byte 3"),
            (b"{a=\"\\q\"}", "a quoted value at byte 3"),
            (b"{a=\"\\x4\"}", "a quoted value at byte 3"),
            (b"{a=\"\\x+4\"}", "a quoted value at byte 3"),
            (b"{a=\"\\400\"}", "a quoted value at byte 3"),
            (b"{a=\"\\08\"}", "a quoted value at byte 3"),
            (b"{a=\"\\ud800\"}", "a quoted value at byte 3"),
            (b"{a=\"\\U00110000\"}", "a quoted value at byte 3"),
            (b"{a=\"b\" c=\"d\"}", "a comma or a brace at byte 7"),
            (b"{a=\"b\",", "the name of a label at byte 7"),
            (b"{a=\"b\"} x", "the end at byte 8"),
        ] {
            let error = parsed(labels).unwrap_err();
            assert!(
                error.starts_with(&format!("expected {expected} ")),
                "{error}"
            );
        }
    }

    #[test]
    fn there_are_at_most_as_many_as_a_record_may_have() {
        let labels = |count| format!("{{{}}}", "a=\"\",".repeat(count));
        assert_eq!(texts(&labels(ATTRIBUTES_MAX)).len(), ATTRIBUTES_MAX);
        let error = parsed(labels(1 << 20).as_bytes()).unwrap_err();
        assert!(error.contains("1024"), "{error}");
    }

    #[test]
    fn unescaped_values_are_charged() {
        let whole = Bytes::from(format!("{{a=\"{}\"}}", "\\n".repeat(1000)));
        for (memory, is_read) in [(1999, false), (2000, true)] {
            let mut meter = Meter::new(MemoryBudget::new(memory).reserve(), Client::default());
            let read = parse(&whole, &whole, &mut Vec::new(), &mut meter);
            assert_eq!(read.is_ok(), is_read);
            assert_eq!(meter.is_stopped(), !is_read);
        }
    }
}
