//! The dead letters of a node as a JSON list. They are read from disk part by
//! part, as the client takes them: all of them would take much memory.

use axum::BoxError;
use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use sluice_delivery::DeadLetters;

/// A part ends with the letter that makes it longer than this.
const PART_BYTES: usize = 256 << 10;

/// How far the list is read.
struct Progress {
    letters: DeadLetters,
    /// The id of the last letter in it; `None` at the end.
    after: Option<String>,
}

/// The list as the body of an answer.
///
/// # Errors
/// The first letters cannot be read. If later ones cannot, the body breaks off.
pub(super) async fn body(letters: DeadLetters) -> Result<Body, BoxError> {
    let progress = Progress {
        letters,
        after: Some(String::new()),
    };
    let Some((first, progress)) = progress.next("[").await? else {
        return Ok(Body::empty());
    };
    let rest = stream::try_unfold(progress, |progress| progress.next(","));
    let all = stream::once(async { Ok::<_, BoxError>(first) }).chain(rest);
    Ok(Body::from_stream(all))
}

impl Progress {
    /// The next part, which begins with `before`.
    async fn next(mut self, before: &'static str) -> Result<Option<(Bytes, Self)>, BoxError> {
        let Some(after) = self.after.take() else {
            return Ok(None);
        };
        let letters = self.letters.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut part = before.as_bytes().to_vec();
            let last = letters.append_after(&after, PART_BYTES, &mut part)?;
            Ok::<_, BoxError>((part, last))
        });
        let (mut part, last) = read.await??;
        if last.is_none() {
            // What was behind the part before may have been removed meanwhile.
            if part == b"," {
                part.clear();
            }
            part.push(b']');
        }
        self.after = last;
        Ok(Some((part.into(), self)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use sluice_delivery::{Cause, Letter};
    use sluice_types::plugin::Identity;
    use sluice_types::record::{LogRecord, RecordId, Text};
    use std::path::Path;
    use std::sync::mpsc;

    fn keep(folder: &Path, count: u64, body: &str) -> DeadLetters {
        let letters = DeadLetters::open(folder.join("d"), 1 << 30).unwrap();
        let (reporter, reports) = mpsc::channel();
        let plugin = Identity {
            source: "builtin:stdout".to_owned(),
            sha256: String::new(),
        };
        for sequence in 1..=count {
            let record = LogRecord {
                id: RecordId { epoch: 3, sequence },
                ..LogRecord::with_body(Text::from(body), 0)
            };
            let reporter = reporter.clone();
            let report = move |kept: Result<String, String>| reporter.send(kept).unwrap();
            let letter = Letter::new(&record, Cause::Poison, "trapped", &plugin);
            letters.keep(letter, Box::new(report));
        }
        for _ in 0..count {
            reports.recv().unwrap().unwrap();
        }
        letters
    }

    /// The list, and its longest part.
    async fn list(letters: DeadLetters) -> (Vec<Letter>, usize) {
        let mut body = body(letters).await.unwrap();
        let (mut all, mut longest) = (Vec::new(), 0);
        while let Some(frame) = body.frame().await {
            let part = frame.unwrap().into_data().unwrap();
            longest = longest.max(part.len());
            all.extend_from_slice(&part);
        }
        (serde_json::from_slice(&all).unwrap(), longest)
    }

    #[tokio::test]
    async fn a_long_list_is_complete_and_made_of_short_parts() {
        let folder = tempfile::tempdir().unwrap();
        let letters = keep(folder.path(), 300, &"x".repeat(10_000));
        let mut expected = letters.list().unwrap();
        let (mut listed, longest) = list(letters).await;
        let sequence = |letter: &Letter| letter.record.sequence;
        expected.sort_by_key(sequence);
        listed.sort_by_key(sequence);
        assert_eq!(listed, expected);
        assert!(longest < PART_BYTES + 20_000, "{longest}");
    }

    #[tokio::test]
    async fn a_list_of_nothing_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let (listed, _) = list(keep(folder.path(), 0, "")).await;
        assert_eq!(listed, []);
    }
}
