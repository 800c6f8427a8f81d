//! Decodes bulk requests: lines that say what to do, each followed by the line
//! with the document.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use sluice_types::excerpt::{REASON_CHARS, excerpt};
use sluice_types::record::{LogRecord, Text};

use super::action::{ActionLine, ActionReader};
use super::document::{DocumentReader, Meta};
use super::items::{Action, Items};
use crate::decoded::{Decoded, Decoding};
use crate::error::DecodeError;
use crate::meter::Meter;

/// The least bytes that a document with its action is expected to take.
const DOCUMENT_BYTES_MIN: usize = 64;

/// What a bulk request held.
#[derive(Debug, Default)]
pub struct Bulk {
    /// The records, and what was rejected.
    pub decoded: Decoded,
    /// All documents, for the answer.
    pub items: Items,
    /// Whether the client sends the whole request again, up to 400 times, if any
    /// item is refused: winston-elasticsearch 0.19 does.
    pub resends_all: bool,
}

/// A body whose lines are texts, at least most of them.
enum Lines<'a> {
    /// As it is usual. The lines share its memory.
    Text(&'a Text),
    /// At least one line is not UTF-8.
    Bytes(&'a Bytes),
}

/// A line as a part of a text: of the whole body if that is one.
struct Line<'a> {
    whole: Cow<'a, Text>,
    place: Range<usize>,
}

/// Decodes a body with at most `most` documents. `index` is the one of documents
/// that name none.
///
/// # Errors
/// The body is empty, or a line is no action: what follows it could be anything.
/// Elasticsearch refuses such requests as a whole too.
pub fn decode(
    body: &Bytes,
    index: Option<&str>,
    observed: u64,
    most: usize,
    meter: &mut Meter,
) -> Result<Bulk, DecodeError> {
    let text = Text::try_from(body.clone());
    let lines = match &text {
        Ok(text) => Lines::Text(text),
        Err(_) => Lines::Bytes(body),
    };
    let mut actions = ActionReader::new(index, meter);
    let mut documents = DocumentReader::new(observed);
    let mut decoding = Decoding::new(meter, most);
    let mut items = Items::default();
    let mut places = Places::of(body);
    decoding.expect(places.expected_documents());
    while let Some(place) = places.next() {
        if decoding.is_stopped() {
            break;
        }
        if is_blank(body, &place) {
            continue;
        }
        let action = place.clone();
        let said = lines
            .at(place)
            .and_then(|line| actions.read(&line.whole, line.text(), decoding.meter()));
        let said = said.map_err(|reason| no_action(places.count, &reason))?;
        items.push(said.action, decoding.meter());
        let document = match said.action {
            Action::Delete => Err("nothing is ever deleted here"),
            _ => places.next().ok_or("its document is missing"),
        };
        let source = document.clone().unwrap_or(action);
        let is_read = decoding.read(|meter| {
            document
                .map_err(str::to_owned)
                .and_then(|place| read(&mut documents, &lines, place, said, meter))
        });
        if !is_read {
            decoding.show(body.get(source).unwrap_or_default());
            items.refuse_last();
        }
    }
    if items.is_empty() && !decoding.is_stopped() {
        return Err(DecodeError::Malformed(
            "the request has no documents".into(),
        ));
    }
    Ok(Bulk {
        decoded: decoding.finish(body.len()),
        items,
        resends_all: actions.has_attempts(),
    })
}

fn is_blank(body: &Bytes, place: &Range<usize>) -> bool {
    let line = body.get(place.clone()).unwrap_or_default();
    line.trim_ascii().is_empty()
}

/// Reads the document in the line at this place.
fn read<'a>(
    documents: &mut DocumentReader<'a>,
    lines: &Lines<'a>,
    place: Range<usize>,
    said: &ActionLine,
    meter: &mut Meter,
) -> Result<LogRecord, String> {
    let meta = Meta {
        index: said.index.as_ref(),
        id: said.id.as_ref(),
        is_update: said.action == Action::Update,
    };
    match lines {
        Lines::Text(whole) => {
            let line = whole.get(place).unwrap_or_default();
            documents.read(whole, line, meta, meter)
        }
        Lines::Bytes(_) => {
            let line = lines.at(place)?;
            documents
                .another()
                .read(&line.whole, line.text(), meta, meter)
        }
    }
}

fn no_action(line: usize, reason: &str) -> DecodeError {
    DecodeError::Malformed(format!(
        "line {line} is not an action like {{\"create\":{{}}}}: {}",
        excerpt(reason, REASON_CHARS)
    ))
}

impl<'a> Lines<'a> {
    /// The line at this place of the body.
    fn at(&self, place: Range<usize>) -> Result<Line<'a>, String> {
        match self {
            Self::Text(whole) => Ok(Line {
                whole: Cow::Borrowed(whole),
                place,
            }),
            Self::Bytes(body) => {
                let line = body.get(place).unwrap_or_default();
                let line = Text::try_from(body.slice_ref(line))
                    .map_err(|error| format!("not UTF-8: {error}"))?;
                Ok(Line {
                    place: 0..line.len(),
                    whole: Cow::Owned(line),
                })
            }
        }
    }
}

impl Line<'_> {
    fn text(&self) -> &str {
        self.whole.get(self.place.clone()).unwrap_or_default()
    }
}

/// The places of the lines in a body, without their ends.
struct Places<'a> {
    body: &'a [u8],
    /// Where the next line begins.
    next: usize,
    /// How many lines came so far.
    count: usize,
}

impl<'a> Places<'a> {
    const fn of(body: &'a [u8]) -> Self {
        Self {
            body,
            next: 0,
            count: 0,
        }
    }

    /// How many documents there are if all are like the first one.
    fn expected_documents(&self) -> usize {
        let mut lines = memchr::memchr_iter(b'\n', self.body);
        let first = lines.nth(1).unwrap_or(self.body.len());
        self.body.len() / (first + 1).max(DOCUMENT_BYTES_MIN) + 1
    }
}

impl Iterator for Places<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let rest = self.body.get(self.next..).filter(|rest| !rest.is_empty())?;
        let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let start = self.next;
        self.next = start + length + 1;
        self.count += 1;
        let line = rest.get(..length).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        Some(start..start + line.len())
    }
}
