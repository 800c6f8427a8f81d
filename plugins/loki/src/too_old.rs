//! Answers that say how old a record may be.

use sluice_sink::time::Rfc3339;

/// What the time stands behind in an answer.
const LIMIT: &str = "oldest acceptable timestamp is: ";
/// A limit for the whole tenant (`reject_old_samples_max_age`), unlike the one that
/// each stream has.
const FOR_ALL: &str = "has timestamp too old";
/// The length of a time such as `2023-11-14T22:13:20Z`.
const TIME_LENGTH: usize = 20;

/// How old a record may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooOld<'a> {
    /// The second of the oldest time that is taken, in RFC 3339 and UTC.
    pub(crate) oldest: &'a str,
    /// Whether it holds for all streams, and not only for that of a record.
    pub(crate) is_for_all: bool,
}

impl<'a> TooOld<'a> {
    /// What the text of a `400` says, if it is about old records.
    pub(crate) fn in_answer(text: &'a str) -> Option<Self> {
        let is_for_all = text.contains(FOR_ALL);
        let from = if is_for_all { text.find(FOR_ALL)? } else { 0 };
        let (_, rest) = text.get(from..)?.split_once(LIMIT)?;
        let oldest = rest.get(..TIME_LENGTH)?;
        // In any other time zone the times cannot be compared as texts.
        let is_utc = oldest.ends_with('Z') && oldest.get(10..11) == Some("T");
        is_utc.then_some(Self { oldest, is_for_all })
    }

    /// Why a record that is older is refused.
    pub(crate) fn reason(&self) -> String {
        let place = if self.is_for_all {
            ""
        } else {
            " in its stream"
        };
        format!("too old: Loki takes nothing before {}{place}", self.oldest)
    }

    /// Whether a time, in nanoseconds since the Unix epoch, is older, by the second.
    pub(crate) fn is_met_by(&self, time: u64) -> bool {
        let mut text = Vec::with_capacity(TIME_LENGTH);
        Rfc3339::with_digits(0).push(time, &mut text);
        text.as_slice() < self.oldest.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loki_says_is_understood() {
        for (text, expected) in [
            (
                "entry for stream '{job=\"a\"}' has timestamp too old: 2023-11-14T22:13:20Z, \
                 oldest acceptable timestamp is: 2026-05-14T03:07:18Z",
                Some(("2026-05-14T03:07:18Z", true)),
            ),
            (
                "entry with timestamp 2026-10-07 01:35:32.405 +0000 UTC ignored, reason: 'entry \
                 too far behind, entry timestamp is: 2026-10-07T01:35:32Z, oldest acceptable \
                 timestamp is: 2026-10-07T03:23:59Z',\nuser 'a', total ignored: 1 out of 1 for \
                 stream: {kind=\"b\"}\n",
                Some(("2026-10-07T03:23:59Z", false)),
            ),
            (
                "oldest acceptable timestamp is: 2026-05-14T03:07:18+02:00",
                None,
            ),
            ("oldest acceptable timestamp is: soon", None),
            ("error at least one label pair is required per stream", None),
        ] {
            let found = TooOld::in_answer(text);
            let found = found.map(|limit| (limit.oldest, limit.is_for_all));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn times_are_compared_by_the_second() {
        let limit = TooOld {
            oldest: "2023-11-14T22:13:20Z",
            is_for_all: true,
        };
        let second = 1_700_000_000_000_000_000;
        assert!(limit.is_met_by(second - 1));
        assert!(!limit.is_met_by(second));
        assert!(limit.is_met_by(0));
    }
}
