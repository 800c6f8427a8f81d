//! Finds and reads dead letters on disk, within bounds of time and size.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::peer::letters::{LetterHead, LetterPage, LetterQuery, ReadLetters};
use sluice_delivery::{DeadLetterError, DeadLetters, Letter};
use sluice_types::excerpt::excerpt;

/// How long one search reads.
const SEARCH_LIMIT: Duration = Duration::from_secs(2);
/// The most letters of a page.
const PAGE_MAX: usize = 500;
/// The most characters of each text of a letter in a page.
const TEXT_CHARS: usize = 300;
/// No more letters are read once those before have as many bytes on disk.
const READ_BYTES: u64 = 8 << 20;

/// The latest letters that the query admits, the latest first.
pub(super) fn find(
    letters: &DeadLetters,
    query: &LetterQuery,
) -> Result<LetterPage, DeadLetterError> {
    let limit = query.limit.clamp(1, PAGE_MAX);
    let since: Option<Timestamp> = query.since.as_ref().and_then(|since| since.parse().ok());
    let end = Instant::now() + SEARCH_LIMIT;
    let mut page = LetterPage::default();
    let has_more = letters.visit_latest(|letter| {
        if admits(query, since, &letter) {
            page.letters.push(head(letter));
        }
        // They come in the order of their ids, which is nearly that of their times.
        match page.letters.len() <= limit && Instant::now() < end {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    page.more = has_more;
    shorten(&mut page, limit);
    Ok(page)
}

/// The letters with these ids, until they are large enough.
pub(super) fn read(letters: &DeadLetters, ids: &[String]) -> Result<ReadLetters, DeadLetterError> {
    let mut read = ReadLetters::default();
    let mut bytes = 0;
    for id in ids {
        if bytes >= READ_BYTES {
            break;
        }
        read.looked_at += 1;
        if let Some((letter, size)) = letters.get(id)? {
            bytes += size;
            read.letters.push(letter);
        }
    }
    Ok(read)
}

/// Keeps the latest letters.
pub(super) fn shorten(page: &mut LetterPage, limit: usize) {
    // The times have one form, so they sort as texts.
    page.letters
        .sort_by(|one, other| other.place().cmp(&one.place()));
    page.more |= page.letters.len() > limit;
    page.letters.truncate(limit);
}

fn admits(query: &LetterQuery, since: Option<Timestamp>, letter: &Letter) -> bool {
    let contains = |wanted: &Option<String>, texts: &[&str]| {
        let wanted = wanted.as_deref();
        wanted.is_none_or(|wanted| texts.iter().any(|text| text.contains(wanted)))
    };
    let is_recent = |since: Timestamp| {
        let time = letter.time.parse::<Timestamp>();
        time.is_ok_and(|time| time >= since)
    };
    let is_before = |(time, id): &(String, String)| (&letter.time, &letter.id) < (time, id);
    let plugin = &letter.plugin;
    contains(&query.plugin, &[&plugin.source, &plugin.sha256])
        && contains(&query.reason, &[&letter.reason])
        && contains(&query.text, &[&letter.record.body])
        && since.is_none_or(is_recent)
        && query.before.as_ref().is_none_or(is_before)
}

fn head(letter: Letter) -> LetterHead {
    LetterHead {
        reason: excerpt(&letter.reason, TEXT_CHARS).into_owned(),
        body: excerpt(&letter.record.body, TEXT_CHARS).into_owned(),
        id: letter.id,
        time: letter.time,
        cause: letter.cause,
        plugin: letter.plugin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_delivery::Cause;
    use sluice_types::plugin::Identity;
    use sluice_types::record::{LogRecord, RecordId, Text};
    use std::sync::mpsc;

    /// So many letters, of which each is set aside a second after the one before.
    fn kept(folder: &tempfile::TempDir, count: u64, body: &str) -> DeadLetters {
        let letters = DeadLetters::open(folder.path().join("d"), u64::MAX).unwrap();
        let plugin = Identity {
            source: "file:///a.wasm".to_owned(),
            sha256: "ab".to_owned(),
        };
        for sequence in 0..count {
            let record = LogRecord {
                id: RecordId { epoch: 3, sequence },
                ..LogRecord::with_body(Text::from(format!("{body} {sequence}")), 0)
            };
            let mut letter = Letter::new(&record, Cause::Poison, "trapped", &plugin);
            letter.time = format!("2026-11-27T10:{:02}:{:02}Z", sequence / 60, sequence % 60);
            let (kept_in, kept) = mpsc::channel();
            letters.keep(
                letter,
                Box::new(move |result| kept_in.send(result).unwrap()),
            );
            kept.recv().unwrap().unwrap();
        }
        letters
    }

    fn ids(letters: &DeadLetters, query: &LetterQuery) -> (Vec<String>, bool) {
        let page = find(letters, query).unwrap();
        let ids = page.letters.into_iter().map(|letter| letter.id);
        (ids.collect(), page.more)
    }

    #[test]
    fn the_latest_letters_come_first_and_the_rest_is_said_to_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let letters = kept(&folder, 20, "a");
        let query = |limit| LetterQuery {
            limit,
            ..LetterQuery::default()
        };
        let expected = ["3-19", "3-18", "3-17"].map(str::to_owned).to_vec();
        assert_eq!(ids(&letters, &query(3)), (expected, true));
        let (all, more) = ids(&letters, &query(20));
        assert_eq!((all.len(), more), (20, false));
        assert_eq!(ids(&letters, &query(0)).0.len(), 1);
    }

    #[test]
    fn the_next_page_begins_before_the_last_letter_of_this_one() {
        let folder = tempfile::tempdir().unwrap();
        let letters = kept(&folder, 5, "a");
        let mut query = LetterQuery {
            limit: 2,
            ..LetterQuery::default()
        };
        let mut seen = Vec::new();
        loop {
            let page = find(&letters, &query).unwrap();
            query.before = page.letters.last().map(LetterHead::cursor);
            seen.extend(page.letters.into_iter().map(|letter| letter.id));
            if !page.more {
                break;
            }
        }
        assert_eq!(seen, ["3-4", "3-3", "3-2", "3-1", "3-0"]);
    }

    #[test]
    fn all_conditions_must_hold() {
        let folder = tempfile::tempdir().unwrap();
        let letters = kept(&folder, 12, "disk full");
        let some = |text: &str| Some(text.to_owned());
        let all = LetterQuery {
            plugin: some("a.wasm"),
            reason: some("trap"),
            text: some("full 1"),
            since: some("2026-11-27T10:00:05Z"),
            before: None,
            limit: 100,
        };
        assert_eq!(ids(&letters, &all).0, ["3-11", "3-10"]);
        for other in [
            LetterQuery {
                plugin: some("b.wasm"),
                ..all.clone()
            },
            LetterQuery {
                reason: some("refused"),
                ..all.clone()
            },
            LetterQuery {
                text: some("empty"),
                ..all.clone()
            },
            LetterQuery {
                since: some("2026-11-27T11:00:00Z"),
                ..all.clone()
            },
        ] {
            assert_eq!(ids(&letters, &other).0, [""; 0], "{other:?}");
        }
    }

    #[test]
    fn a_page_is_small_however_long_the_records_are_and_reading_stops_when_it_is_large() {
        let folder = tempfile::tempdir().unwrap();
        let letters = kept(&folder, 5, &"é".repeat(2 << 20));
        let query = LetterQuery {
            limit: 5,
            ..LetterQuery::default()
        };
        let page = find(&letters, &query).unwrap();
        assert!(serde_json::to_vec(&page).unwrap().len() < 5 * 1024);
        let all: Vec<_> = (0..5).map(|sequence| format!("3-{sequence}")).collect();
        let first = read(&letters, &all).unwrap();
        assert_eq!((first.letters.len(), first.looked_at), (2, 2));
        let missing = read(&letters, &["9-9".to_owned(), "3-4".to_owned()]).unwrap();
        assert_eq!((missing.letters.len(), missing.looked_at), (1, 2));
    }
}
