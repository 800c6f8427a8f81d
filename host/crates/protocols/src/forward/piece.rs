//! What Docker adds to each piece of a line that it sends in pieces, of 16 KiB
//! each.

use sluice_types::record::{LogRecord, Text, Value};

/// The attribute that says that a record is a piece.
pub(super) const MESSAGE: &str = "partial_message";
const ID: &str = "partial_id";
const ORDINAL: &str = "partial_ordinal";
const LAST: &str = "partial_last";

/// Which part of which line a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The same for all pieces of a line, and different from those of others.
    pub(super) id: Text,
    /// Counts the pieces of a line, from 1.
    pub(super) ordinal: u64,
    pub(super) is_last: bool,
}

/// The piece that a record is, if it says all of it. Docker before 19.03 does not
/// say to which line a piece belongs.
pub(super) fn of(record: &LogRecord) -> Option<Piece> {
    let mut id = None;
    let mut ordinal = None;
    let mut is_last = false;
    let mut is_piece = false;
    for (name, value) in &record.attributes {
        match (&**name, value) {
            (MESSAGE, value) => is_piece = is_true(value),
            (ID, Value::Text(text)) => id = Some(text),
            (ORDINAL, Value::Text(text)) => ordinal = text.parse().ok(),
            (ORDINAL, Value::Integer(number)) => ordinal = u64::try_from(*number).ok(),
            (LAST, value) => is_last = is_true(value),
            _ => {}
        }
    }
    let piece = |id: &Text, ordinal| Piece {
        id: id.clone(),
        ordinal,
        is_last,
    };
    is_piece.then_some(piece(id?, ordinal?))
}

/// Whether an attribute says something about a piece only.
pub(super) fn is_about(name: &str) -> bool {
    [MESSAGE, ID, ORDINAL, LAST].contains(&name)
}

/// Docker writes everything as text.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Boolean(boolean) => *boolean,
        Value::Text(text) => &**text == "true",
        _ => false,
    }
}
