//! A long list as JSON, made part by part.

use bytes::Bytes;
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::answer_body::Parts;

/// A part ends with the item that makes it longer than this, in bytes.
const PART: usize = 16 * 1024;
const INDENT: &str = "    ";

/// The JSON of a list. `write` appends the JSON of the next item, or returns
/// `None` after the last one.
pub(super) fn list(
    is_pretty: bool,
    mut write: impl FnMut(&mut Vec<u8>) -> Option<()> + Send + 'static,
) -> Parts {
    let (between, end) = match is_pretty {
        true => (format!(",\n{INDENT}"), "\n]\n"),
        false => (",".to_owned(), "]"),
    };
    let mut before = match is_pretty {
        true => format!("[\n{INDENT}"),
        false => "[".to_owned(),
    };
    let mut has_ended = false;
    Box::new(std::iter::from_fn(move || {
        let mut part = Vec::with_capacity(2 * PART);
        while part.len() < PART && !has_ended {
            let start = part.len();
            part.extend_from_slice(before.as_bytes());
            match write(&mut part) {
                Some(()) => before.clone_from(&between),
                None => {
                    part.truncate(start);
                    part.extend_from_slice(end.as_bytes());
                    has_ended = true;
                }
            }
        }
        (!part.is_empty()).then(|| Bytes::from(part))
    }))
}

/// Appends an item of such a list. The shapes hold only text, numbers and maps
/// with text keys, so writing one does not fail.
pub(super) fn item(is_pretty: bool, item: &impl Serialize, part: &mut Vec<u8>) -> Option<()> {
    if !is_pretty {
        return serde_json::to_writer(part, item).ok();
    }
    let mut alone = Vec::new();
    let formatter = PrettyFormatter::with_indent(INDENT.as_bytes());
    item.serialize(&mut Serializer::with_formatter(&mut alone, formatter))
        .ok()?;
    // Line feeds in texts are escaped, so these are all of the form.
    for byte in alone {
        part.push(byte);
        if byte == b'\n' {
            part.extend_from_slice(INDENT.as_bytes());
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn made(is_pretty: bool, items: Vec<Value>) -> Vec<Bytes> {
        let mut items = items.into_iter();
        list(is_pretty, move |part| item(is_pretty, &items.next()?, part)).collect()
    }

    #[test]
    fn a_list_made_part_by_part_is_the_same_as_one_made_at_once() {
        let items: Vec<Value> = (0..3000)
            .map(|number| json!({ "Key": format!("k\n{number}"), "Value": null }))
            .collect();
        let parts = made(false, items.clone());
        assert!(parts.len() > 2, "{}", parts.len());
        assert_eq!(parts.concat(), serde_json::to_vec(&items).unwrap());

        let mut pretty = Vec::new();
        let formatter = PrettyFormatter::with_indent(INDENT.as_bytes());
        items
            .serialize(&mut Serializer::with_formatter(&mut pretty, formatter))
            .unwrap();
        pretty.push(b'\n');
        assert_eq!(made(true, items).concat(), pretty);
    }
}
