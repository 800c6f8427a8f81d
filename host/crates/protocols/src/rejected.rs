//! Which records of a request were not accepted, and why.

use sluice_types::excerpt::{REASON_CHARS, excerpt};
use sluice_types::rejection::{REASONS_MAX, Rejection};

/// The most rejections whose places and reasons are told to the producer.
const LISTED_MAX: usize = REASONS_MAX;
/// What a rejection takes whose reason is not told, in bytes: its place.
const PLACE_BYTES: usize = 2 * size_of::<usize>();
/// What a rejection takes in addition to its texts, in bytes: its place and the
/// structures of reason and excerpt, in lists that grow by doubling.
const REJECTION_BYTES: usize = 128;
/// Of how many rejections of a body there is an excerpt of what was sent, from the
/// first on.
pub const EXAMPLES_MAX: usize = 16;
/// The longest excerpt, in bytes.
pub const EXCERPT_BYTES: usize = 1 << 10;

/// What a decoder rejected.
#[derive(Debug, Default)]
pub struct Rejected {
    /// The places in the body, in ascending order.
    places: Vec<usize>,
    /// The reasons for the first of them.
    reasons: Vec<String>,
    /// How what was sent begins, for the first [`EXAMPLES_MAX`] of them.
    excerpts: Vec<Box<[u8]>>,
}

/// Something that a decoder rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example<'a> {
    /// The reason, in words for the producer.
    pub reason: &'a str,
    /// The first [`EXCERPT_BYTES`] of what was sent; empty if they are not known.
    pub excerpt: &'a [u8],
}

/// What was rejected of a request, by the decoder or by the sink.
#[derive(Debug, Default)]
pub struct Rejections {
    /// The first of them, in ascending order of index.
    pub listed: Vec<Rejection>,
    /// How many there are in all.
    pub total: usize,
}

impl Rejected {
    /// What adding one with this reason takes, in bytes.
    #[must_use]
    pub fn cost(&self, reason: &str) -> usize {
        match self.reasons.len() {
            ..LISTED_MAX => REJECTION_BYTES + reason.len().min(4 * REASON_CHARS),
            _ => PLACE_BYTES,
        }
    }

    /// Adds a place behind those that are there.
    pub fn push(&mut self, place: usize, reason: &str) {
        self.places.push(place);
        if self.reasons.len() < LISTED_MAX {
            let reason = excerpt(reason, REASON_CHARS);
            self.reasons.push(reason.into_owned());
        }
        if self.excerpts.len() < EXAMPLES_MAX {
            self.excerpts.push(Box::default());
        }
    }

    /// What [`Self::show`] takes for this source, in bytes.
    #[must_use]
    pub fn show_cost(&self, source: &[u8]) -> usize {
        match self.len() {
            1..=EXAMPLES_MAX => source.len().min(EXCERPT_BYTES),
            _ => 0,
        }
    }

    /// Keeps how what was sent begins, of the rejection that was added last.
    pub fn show(&mut self, source: &[u8]) {
        if self.len() <= EXAMPLES_MAX
            && let Some(last) = self.excerpts.last_mut()
        {
            *last = head(source).into();
        }
    }

    /// The first [`EXAMPLES_MAX`] of them.
    pub fn examples(&self) -> impl Iterator<Item = Example<'_>> {
        let shown = self.reasons.iter().zip(&self.excerpts);
        shown.map(|(reason, excerpt)| Example { reason, excerpt })
    }

    /// The reason for the one at this index, unless it is too far behind to be kept.
    #[must_use]
    pub fn reason(&self, index: usize) -> Option<&str> {
        self.reasons.get(index).map(String::as_str)
    }

    /// Adds those of another body, whose first record has this place.
    pub fn append(&mut self, other: Self, place: usize) {
        let places = other.places.into_iter().map(|other| place + other);
        self.places.extend(places);
        let room = LISTED_MAX.saturating_sub(self.reasons.len());
        self.reasons.extend(other.reasons.into_iter().take(room));
        let room = EXAMPLES_MAX.saturating_sub(self.excerpts.len());
        self.excerpts.extend(other.excerpts.into_iter().take(room));
    }

    /// The reason for the first one, if there is one.
    #[must_use]
    pub fn first_reason(&self) -> Option<&str> {
        self.reasons.first().map(String::as_str)
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// What it takes in memory, in bytes.
    pub fn bytes(&self) -> usize {
        let reasons = self.reasons.iter().map(String::len).sum::<usize>();
        let listed = self.reasons.len();
        let excerpts = self.excerpts.iter().map(|excerpt| excerpt.len());
        reasons
            + excerpts.sum::<usize>()
            + listed * REJECTION_BYTES
            + (self.places.len() - listed) * PLACE_BYTES
    }

    /// Adds what the sink rejected of the records that were decoded, in
    /// ascending order of index. Its indexes become places in the body.
    #[must_use]
    pub fn merge(self, by_sink: Vec<Rejection>) -> Rejections {
        let total = self.places.len() + by_sink.len();
        let mut places = self.places.iter().copied().peekable();
        let mut shift = 0;
        let moved = by_sink.into_iter().take(LISTED_MAX).map(|rejection| {
            while places
                .next_if(|place| *place <= rejection.index + shift)
                .is_some()
            {
                shift += 1;
            }
            Rejection {
                index: rejection.index + shift,
                ..rejection
            }
        });
        let mut listed: Vec<_> = moved.collect();
        let decoded = self.places.into_iter().zip(self.reasons);
        listed.extend(decoded.map(|(index, reason)| Rejection {
            index,
            reason,
            is_kept: false,
        }));
        listed.sort_by_key(|rejection| rejection.index);
        listed.truncate(LISTED_MAX);
        Rejections { listed, total }
    }
}

/// The first [`EXCERPT_BYTES`] of what was sent.
#[must_use]
pub fn head(source: &[u8]) -> &[u8] {
    source.get(..EXCERPT_BYTES).unwrap_or(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_sink(indexes: impl IntoIterator<Item = usize>) -> Vec<Rejection> {
        let rejection = |index| Rejection {
            is_kept: false,
            index,
            reason: String::new(),
        };
        indexes.into_iter().map(rejection).collect()
    }

    fn rejected(places: impl IntoIterator<Item = usize>) -> Rejected {
        let mut rejected = Rejected::default();
        for place in places {
            rejected.push(place, "no");
        }
        rejected
    }

    fn indexes(rejections: &Rejections) -> Vec<usize> {
        rejections.listed.iter().map(|r| r.index).collect()
    }

    #[test]
    fn the_sinks_rejections_find_their_place_in_the_body() {
        // Places of the body: r 0 r r 1 2, with r rejected by the decoder.
        let merged = rejected([0, 2, 3]).merge(by_sink([0, 2]));
        assert_eq!((indexes(&merged), merged.total), (vec![0, 1, 2, 3, 5], 5));
    }

    #[test]
    fn only_the_first_ones_of_all_rejections_are_listed() {
        // Every even place was rejected by the decoder, and every odd one by
        // the sink.
        let merged = rejected((0..5000).map(|n| 2 * n)).merge(by_sink(0..5000));
        assert_eq!(indexes(&merged), (0..LISTED_MAX).collect::<Vec<_>>());
        assert_eq!(merged.total, 10_000);
        let merged = rejected(0..5000).merge(by_sink(0..1));
        assert_eq!((merged.listed.len(), merged.total), (LISTED_MAX, 5001));
    }

    #[test]
    fn the_first_ones_are_shown_with_how_they_begin() {
        let mut rejected = Rejected::default();
        rejected.push(0, "never shown");
        let mut cost = 0;
        for place in 1..3 * EXAMPLES_MAX {
            let source = vec![b'x'; place * 100];
            let mut other = Rejected::default();
            other.push(0, &place.to_string());
            cost += other.show_cost(&source);
            other.show(&source);
            rejected.append(other, place);
        }
        let examples: Vec<_> = rejected.examples().collect();
        assert_eq!(examples.len(), EXAMPLES_MAX);
        assert_eq!(
            (examples[0].reason, examples[0].excerpt),
            ("never shown", &[][..])
        );
        for (place, example) in examples.iter().enumerate().skip(1) {
            assert_eq!(example.reason, place.to_string());
            assert_eq!(example.excerpt.len(), EXCERPT_BYTES.min(place * 100));
        }
        let shown: usize = examples.iter().map(|example| example.excerpt.len()).sum();
        assert!(shown < cost);
        // Neither is charged nor kept: there are enough.
        assert_eq!(rejected.show_cost(b"more"), 0);
        rejected.show(b"more");
        assert!(
            rejected
                .examples()
                .all(|example| example.excerpt != b"more")
        );
    }

    #[test]
    fn reasons_are_short_and_their_cost_is_known() {
        let mut rejected = Rejected::default();
        let long = "é".repeat(1 << 20);
        let mut cost = 0;
        for place in 0..3000 {
            cost += rejected.cost(&long);
            rejected.push(place, &long);
        }
        let merged = rejected.merge(Vec::new());
        let longest = merged.listed.iter().map(|r| r.reason.chars().count());
        assert_eq!(longest.max(), Some(REASON_CHARS));
        let kept: usize = merged.listed.iter().map(|r| r.reason.len()).sum();
        assert!(kept < cost);
    }
}
