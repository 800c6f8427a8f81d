//! The lines of a bulk request that say what to do with the next line.

use sluice_types::attributes::SharedAttributes;
use sluice_types::record::{Text, Value};

use super::items::Action;
use crate::json::scanner::{Quoted, Scanned, Scanner};
use crate::meter::Meter;

/// The attribute that has the index of a document.
pub(super) const INDEX: Text = Text::from_static("elasticsearch.index");
/// Of how many indexes the attributes are shared between documents that do not
/// follow each other.
const INDEXES_MAX: usize = 8;
/// What a list of one shared attribute takes in addition to its texts, in bytes:
/// as much as an attribute does, and as much for the list and its counters.
const SHARED_BYTES: usize = 2 * 128;

/// What an action line says.
#[derive(Clone, Debug)]
pub(super) struct ActionLine {
    pub(super) action: Action,
    /// The index as an attribute, if there is one.
    pub(super) index: Option<SharedAttributes>,
    pub(super) id: Option<Text>,
}

/// Makes the attributes that documents of an index share.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    /// The last of them that were used. The most recent one is the last.
    known: Vec<SharedAttributes>,
}

/// Reads action lines. Most are the same as the one before.
#[derive(Debug)]
pub(super) struct ActionReader {
    indexes: Indexes,
    has_attempts: bool,
    /// The index of documents that name none.
    default: Option<SharedAttributes>,
    /// The last line, if it names no document.
    last: Option<Text>,
    /// What the last line says.
    said: ActionLine,
}

impl Indexes {
    /// The attributes of documents in this index. `None` if there is no memory
    /// for them.
    pub(super) fn attributes(
        &mut self,
        index: &str,
        meter: &mut Meter,
    ) -> Option<SharedAttributes> {
        let is_it = |known: &SharedAttributes| match known.list() {
            [(_, Value::Text(text))] => **text == *index,
            _ => false,
        };
        if let Some(at) = self.known.iter().rposition(is_it) {
            return self.known.get(at).cloned();
        }
        if !meter.charge(SHARED_BYTES + INDEX.len() + index.len()) {
            return None;
        }
        let attribute = (INDEX, Value::Text(Text::from(index)));
        let attributes = SharedAttributes::new(vec![attribute]);
        if self.known.len() >= INDEXES_MAX {
            self.known.clear();
        }
        self.known.push(attributes.clone());
        Some(attributes)
    }
}

impl ActionReader {
    /// For documents that are in this index unless they name another one.
    pub(super) fn new(index: Option<&str>, meter: &mut Meter) -> Self {
        let mut indexes = Indexes::default();
        Self {
            default: index.and_then(|index| indexes.attributes(index, meter)),
            indexes,
            has_attempts: false,
            last: None,
            said: ActionLine {
                action: Action::Index,
                index: None,
                id: None,
            },
        }
    }

    /// Whether a line had a field `attempts` beside its action, as those of
    /// winston-elasticsearch have.
    pub(super) const fn has_attempts(&self) -> bool {
        self.has_attempts
    }

    /// Reads a line that is a part of `whole`. Charges the attributes that are
    /// shared, and texts that share no memory with it.
    ///
    /// # Errors
    /// What is wrong, worded for the producer.
    pub(super) fn read(
        &mut self,
        whole: &Text,
        line: &str,
        meter: &mut Meter,
    ) -> Result<&ActionLine, String> {
        if self.last.as_deref() != Some(line) {
            self.said = self.parse(whole, line, meter)?;
            let is_document = self.said.id.is_some();
            self.last = (!is_document).then(|| whole.slice_ref(line));
        }
        Ok(&self.said)
    }

    fn parse(&mut self, whole: &Text, line: &str, meter: &mut Meter) -> Result<ActionLine, String> {
        let mut found = None;
        let mut scanner = Scanner::new(line);
        scanner.enter()?;
        while let Some(name) = scanner.name()? {
            // Some clients put fields of their own beside the action.
            self.has_attempts |= name.plain() == Some("attempts");
            match name.plain().and_then(Action::of) {
                Some(action) if found.is_none() => {
                    let (index, id) = document(&mut scanner, whole, meter)?;
                    let index = match index {
                        Some(index) => self.indexes.attributes(&index, meter),
                        None => self.default.clone(),
                    };
                    found = Some(ActionLine { action, index, id });
                }
                _ => {
                    scanner.value()?;
                }
            }
        }
        scanner.end()?;
        found.ok_or_else(|| "none of create, index, update and delete is in it".to_owned())
    }
}

/// Reads which document is meant: its index and its id.
fn document(
    scanner: &mut Scanner<'_>,
    whole: &Text,
    meter: &mut Meter,
) -> Result<(Option<Text>, Option<Text>), String> {
    let (mut index, mut id) = (None, None);
    scanner.enter()?;
    while let Some(name) = scanner.name()? {
        let value = scanner.value()?;
        match name.plain() {
            Some("_index") => index = name_of(value, whole, meter)?,
            Some("_id") => id = name_of(value, whole, meter)?,
            _ => {}
        }
    }
    Ok((index, id))
}

/// A name that may be given as a number too; `None` for an empty one and for
/// null.
fn name_of(value: Scanned<'_>, whole: &Text, meter: &mut Meter) -> Result<Option<Text>, String> {
    let text = match value {
        Scanned::Text(quoted) => Quoted::text(quoted, whole, meter)?,
        Scanned::Number(number) => whole.slice_ref(number),
        Scanned::Boolean(_) | Scanned::Other(_) => return Ok(None),
    };
    Ok(Some(text).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_budget::MemoryBudget;
    use crate::meter::Client;

    fn meter() -> Meter {
        Meter::new(MemoryBudget::new(1 << 20).reserve(), Client::default())
    }

    /// The action, the index and the id that a line says.
    fn read(line: &str) -> Result<(Action, Option<String>, Option<String>), String> {
        let mut meter = meter();
        let whole = Text::from(line);
        let mut reader = ActionReader::new(Some("path"), &mut meter);
        let said = reader.read(&whole, &whole, &mut meter)?;
        Ok((
            said.action,
            said.index.as_ref().map(name),
            said.id.as_ref().map(Text::to_string),
        ))
    }

    fn name(index: &SharedAttributes) -> String {
        match index.list() {
            [(name, Value::Text(text))] if *name == INDEX => text.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_document_is_named_by_the_line_or_by_the_path() {
        let some = |text: &str| Some(text.to_owned());
        for (line, expected) in [
            (r#"{"index":{}}"#, (Action::Index, some("path"), None)),
            (
                r#"{"create":{"_index":"logs-app"}}"#,
                (Action::Create, some("logs-app"), None),
            ),
            (
                r#"{"update":{"_id":"1\u00e9","_index":"x","retry_on_conflict":3}}"#,
                (Action::Update, some("x"), some("1é")),
            ),
            (
                r#" { "delete" : { "_id" : 17 , "_type" : "_doc" } } "#,
                (Action::Delete, some("path"), some("17")),
            ),
            // winston-elasticsearch
            (
                r#"{"index":{"_index":"logs-2026.11.21","pipeline":null},"attempts":1}"#,
                (Action::Index, some("logs-2026.11.21"), None),
            ),
            // rsyslog
            (
                r#"{"index":{"_index": "logs","_type":"events"}}"#,
                (Action::Index, some("logs"), None),
            ),
            // The collector's exporter
            (
                r#"{"create":{"_index":"logs-generic-default","dynamic_templates":{"a":"b"}}}"#,
                (Action::Create, some("logs-generic-default"), None),
            ),
            (
                r#"{"index":{"_index":null,"_id":""}}"#,
                (Action::Index, some("path"), None),
            ),
        ] {
            assert_eq!(read(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn what_is_no_action_is_refused() {
        for line in [
            "",
            "{}",
            "7",
            "{\"index\":7}",
            "{\"index\":null}",
            "{\"message\":\"a document\"}",
            "{\"index\":{}",
            "{\"index\":{}} x",
            "{\"index\":{\"_id\":\"\\ud800\"}}",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }

    #[test]
    fn attributes_of_an_index_are_made_once_for_few_indexes() {
        let mut meter = meter();
        let mut indexes = Indexes::default();
        for _ in 0..1000 {
            for index in ["a", "b", "c"] {
                let attributes = indexes.attributes(index, &mut meter).unwrap();
                assert_eq!(name(&attributes), index);
            }
        }
        assert_eq!(meter.charged(), 3 * (SHARED_BYTES + INDEX.len() + 1));
    }

    #[test]
    fn many_indexes_are_charged_and_not_all_remembered() {
        let mut meter = meter();
        let mut indexes = Indexes::default();
        for number in 0..1000 {
            let index = format!("index-{number:04}");
            let attributes = indexes.attributes(&index, &mut meter).unwrap();
            assert_eq!(name(&attributes), index);
            assert!(indexes.known.len() <= INDEXES_MAX);
        }
        assert_eq!(meter.charged(), 1000 * (SHARED_BYTES + INDEX.len() + 10));
        while indexes.attributes("x", &mut meter).is_some() {
            indexes.known.clear();
        }
        assert!(meter.is_stopped());
    }

    #[test]
    fn a_line_that_names_a_document_is_not_taken_for_the_next_one() {
        let whole = Text::from("{\"index\":{\"_id\":\"1\"}}{\"index\":{}}{\"create\":{}}");
        let mut meter = meter();
        let mut reader = ActionReader::new(None, &mut meter);
        let lines = [&whole[..21], &whole[21..33], &whole[21..33], &whole[33..]];
        let said = lines.map(|line| reader.read(&whole, line, &mut meter).unwrap().clone());
        let ids = said.each_ref().map(|said| said.id.is_some());
        assert_eq!(ids, [true, false, false, false]);
        assert_eq!(said[3].action, Action::Create);
        assert!(said.iter().all(|said| said.index.is_none()));
    }
}
