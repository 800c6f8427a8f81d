//! Answers in plain text, for protocols whose clients act on the status and at
//! most show the text to somebody.

use std::fmt::Write as _;

use crate::answer::{Answer, Verdict};
use crate::rejected::Rejections;

/// Of how many rejections the reasons are told.
const TOLD_MAX: usize = 10;
const TEXT: &str = "text/plain; charset=utf-8";

/// The answer for this verdict on records that the protocol calls `noun`.
pub(crate) fn answer(verdict: &Verdict<'_>, noun: &str) -> Answer {
    let text = |status, text: &str| Answer::new(status, TEXT, format!("{text}\n"));
    match verdict {
        Verdict::Settled { total, rejections } => text(200, &settled(*total, rejections, noun)),
        Verdict::Busy(reason) | Verdict::Unknown(reason) => {
            text(503, reason).retried_after_a_second()
        }
        Verdict::Stopping => text(503, "this node is stopping").retried_after_a_second(),
        Verdict::NoToken => text(401, "a token is required"),
        Verdict::WrongToken => text(403, "the token is wrong"),
        Verdict::Malformed(reason) => text(400, reason),
        Verdict::Unsupported(reason) => text(415, reason),
        Verdict::TooLarge(reason) => text(413, reason),
    }
}

/// `OK`, or how many were refused, and the first reasons. Places count from 1, as
/// lines of a file do.
fn settled(total: usize, rejections: &Rejections, noun: &str) -> String {
    if rejections.total == 0 {
        return "OK".to_owned();
    }
    let mut text = format!("{} of {total} refused", rejections.total);
    for rejection in rejections.listed.iter().take(TOLD_MAX) {
        // Writing to a text cannot fail.
        _ = write!(
            text,
            "\n{noun} {}: {}",
            rejection.index.saturating_add(1),
            rejection.reason
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rejected::Rejected;

    #[test]
    fn only_an_answer_that_is_settled_is_a_success() {
        let rejections = Rejections::default();
        let settled = Verdict::Settled {
            total: 1,
            rejections: &rejections,
        };
        let expected = Answer::new(200, TEXT, "OK\n");
        assert_eq!(answer(&settled, "line"), expected);
        for (verdict, status, is_retried) in [
            (Verdict::Busy("full"), 503, true),
            (Verdict::Stopping, 503, true),
            (Verdict::Unknown("no answer"), 503, true),
            (Verdict::NoToken, 401, false),
            (Verdict::WrongToken, 403, false),
            (Verdict::Malformed("no"), 400, false),
            (Verdict::Unsupported("no"), 415, false),
            (Verdict::TooLarge("no"), 413, false),
        ] {
            let answer = answer(&verdict, "line");
            assert_eq!(answer.status, status, "{verdict:?}");
            let retry_after = ("retry-after", "1".to_owned());
            assert_eq!(answer.headers.contains(&retry_after), is_retried);
            assert!(answer.body.len() > 2);
        }
    }

    #[test]
    fn the_first_reasons_are_told_with_their_places() {
        let mut rejected = Rejected::default();
        for place in 0..500 {
            rejected.push(2 * place, &format!("no {place}"));
        }
        let rejections = rejected.merge(Vec::new());
        let settled = Verdict::Settled {
            total: 1000,
            rejections: &rejections,
        };
        let text = String::from_utf8(answer(&settled, "entry").body).unwrap();
        assert!(text.starts_with("500 of 1000 refused\nentry 1: no 0\nentry 3: no 1\n"));
        assert_eq!(text.lines().count(), 1 + TOLD_MAX);
    }
}
