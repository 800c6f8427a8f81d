//! Answers, and what they mean.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;

use super::retry_after::wait;
use super::verdict::Verdict;
use crate::Failure;

/// How much of an answer an error shows, in characters.
const SHOWN: usize = 200;

/// What a destination answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names, in lower case, and values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// As much as [`Client::max_answer`](super::Client::max_answer) permits.
    pub body: Vec<u8>,
    /// Whether the body was longer than that.
    pub is_cut: bool,
    /// The request that it answers, without what may be secret.
    pub(super) target: String,
}

impl Answer {
    /// The value of the first header of this name, given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(found, _)| found == name)?;
        std::str::from_utf8(value).ok()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// It is something else. Retryable: what has become of the records is unknown.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let cut = if self.is_cut {
                ", which was cut off"
            } else {
                ""
            };
            let said = self.describe();
            Failure::retryable(format!("{said}; failed to read the answer{cut}: {error}"))
        })
    }

    /// How long the destination wants to be left alone, by `retry-after`.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        wait(self.header("retry-after")?, SystemTime::now())
    }

    /// This answer if the destination took the request, by [`Verdict::of`].
    ///
    /// # Errors
    /// What the destination said: retryable, with its `retry-after`, or permanent.
    pub fn check(self) -> Result<Self, Failure> {
        self.check_with(Verdict::of)
    }

    /// The same by other rules.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_with(self, rules: impl FnOnce(u16) -> Verdict) -> Result<Self, Failure> {
        match rules(self.status) {
            Verdict::Taken => Ok(self),
            Verdict::Retry => Err(Failure::retry(self.describe(), self.retry_after())),
            Verdict::Refuse => Err(Failure::permanent(self.describe())),
        }
    }

    /// Request, status and the beginning of the answer, on one line.
    #[must_use]
    pub fn describe(&self) -> String {
        let status = self.status;
        let mut said = format!("{} answered {status}", self.target);
        if let (300..=399, Some(place)) = (status, self.header("location")) {
            let place = place.split('?').next().unwrap_or_default();
            said.push_str(&format!(" (a redirect to {place}, which is not followed)"));
        }
        let text = self.text();
        let text = text.trim();
        if !text.is_empty() {
            said.push_str(": ");
            let shown = text.chars().take(SHOWN);
            said.extend(shown.map(|c| if c.is_control() { ' ' } else { c }));
            if text.chars().nth(SHOWN).is_some() {
                said.push('…');
            }
        }
        said
    }

    /// Whether the destination asks that nothing follows for a while.
    pub(super) fn asks_to_wait(&self) -> bool {
        let may_come_again = Verdict::of(self.status) == Verdict::Retry;
        self.status == 429 || (may_come_again && self.header("retry-after").is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        let header = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
        Answer {
            status,
            headers: headers.iter().map(header).collect(),
            body: body.as_bytes().to_vec(),
            is_cut: false,
            target: "POST https://a/b".to_owned(),
        }
    }

    #[test]
    fn statuses_are_classified() {
        let kind = |status| match answer(status, &[], "").check() {
            Ok(_) => "taken",
            Err(failure) if failure.is_retryable() => "later",
            Err(_) => "never",
        };
        for (statuses, expected) in [
            (&[200, 201, 202, 204, 299][..], "taken"),
            (&[408, 425, 429, 500, 502, 503, 504, 507, 599], "later"),
            (&[301, 302, 307, 401, 403, 404, 407], "later"),
            (&[400, 402, 405, 409, 410, 413, 415, 422, 431], "never"),
        ] {
            for status in statuses {
                assert_eq!(kind(*status), expected, "{status}");
            }
        }
    }

    #[test]
    fn the_destination_says_how_long_to_wait() {
        let busy = answer(429, &[("retry-after", "7")], "slow down");
        let failure = busy.check().unwrap_err();
        let expected = Failure::retry_after(
            "POST https://a/b answered 429: slow down",
            Duration::from_secs(7),
        );
        assert_eq!(failure, expected);
        let other = answer(503, &[("retry-after", "never")], "");
        assert_eq!(other.retry_after(), None);
    }

    #[test]
    fn rules_can_be_changed() {
        let gone = answer(409, &[], "there already").check_with(|_| Verdict::Taken);
        assert!(gone.is_ok());
    }

    #[test]
    fn an_error_shows_one_short_line() {
        let long = answer(400, &[], &format!("a\nb\u{1b}{}", "\u{e4}".repeat(300)));
        let said = long.describe();
        assert!(
            said.contains("answered 400: a b ") && said.ends_with("\u{e4}…"),
            "{said}"
        );
        assert_eq!(
            said.chars().count(),
            "POST https://a/b answered 400: ".len() + 201
        );
        let moved = answer(302, &[("location", "https://c/d?token=x")], "");
        assert_eq!(
            moved.describe(),
            "POST https://a/b answered 302 (a redirect to https://c/d, which is not followed)"
        );
    }

    #[test]
    fn an_answer_that_is_not_json_says_so() {
        let html = answer(200, &[], "<html>").json::<Vec<u8>>().unwrap_err();
        assert!(html.is_retryable());
        assert!(
            html.reason().contains("failed to read the answer"),
            "{html:?}"
        );
        assert_eq!(answer(200, &[], "[1]").json::<Vec<u8>>(), Ok(vec![1]));
    }
}
