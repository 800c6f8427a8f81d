//! Fields that the configs of HTTP sinks have in common. Each checks itself while it
//! is parsed, so that the error names the field.
//!
//! ```
//! use serde::Deserialize;
//! use sluice_sink::http::Url;
//! use sluice_sink::http::settings::{BodyKib, Concurrency, Headers, TimeoutMs};
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     url: Url,
//!     #[serde(default)]
//!     headers: Headers,
//!     #[serde(default)]
//!     max_body_kib: BodyKib,
//!     #[serde(default)]
//!     concurrency: Concurrency,
//!     #[serde(default)]
//!     timeout_ms: TimeoutMs,
//! }
//! ```

use std::fmt;
use std::num::NonZero;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::{Client, MOST_AT_ONCE, Request, check_header};

/// How long all requests of a write may take, unless one may take longer. A node
/// ends a write after 10 s by default.
const BUDGET: Duration = Duration::from_secs(8);
/// The longest time for a request. The manifest's `limits.write_timeout_ms` is to
/// be longer.
const MAX_TIMEOUT_MS: u64 = 300_000;

/// Headers of each request: an object of names and values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Whether the header is set, its name given in any case.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let mut names = self.0.iter();
        names.any(|(set, _)| set.eq_ignore_ascii_case(name))
    }

    /// Adds the headers to a request.
    #[must_use]
    pub fn add_to(&self, request: Request) -> Request {
        let headers = self.0.iter();
        headers.fold(request, |request, (name, value)| {
            request.header(name, value)
        })
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadersVisitor)
    }
}

struct HeadersVisitor;

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = Headers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the values of headers")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Headers, M::Error> {
        let mut headers = Headers::default();
        while let Some((name, value)) = map.next_entry::<String, String>()? {
            check_header(&name, &value).map_err(M::Error::custom)?;
            headers.0.push((name, value));
        }
        Ok(headers)
    }
}

/// The size of a body in KiB, before it is compressed: at least 1, and `DEFAULT`, which
/// must not be 0, if it is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct BodyKib<const DEFAULT: u32 = 1024>(NonZero<u32>);

impl<const DEFAULT: u32> BodyKib<DEFAULT> {
    /// The size in bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        let kib = usize::try_from(self.0.get()).unwrap_or(usize::MAX);
        kib.saturating_mul(1 << 10)
    }
}

impl<const DEFAULT: u32> Default for BodyKib<DEFAULT> {
    fn default() -> Self {
        Self(NonZero::<u32>::MIN.saturating_add(DEFAULT.saturating_sub(1)))
    }
}

/// How many requests of a write may be under way at a time: from 1, the default, to
/// [`MOST_AT_ONCE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "usize")]
pub struct Concurrency(usize);

impl Concurrency {
    /// The number.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0
    }
}

impl Default for Concurrency {
    fn default() -> Self {
        Self(1)
    }
}

impl TryFrom<usize> for Concurrency {
    type Error = String;

    fn try_from(number: usize) -> Result<Self, String> {
        let is_right = (1..=MOST_AT_ONCE).contains(&number);
        let expected = || format!("expected a number from 1 to {MOST_AT_ONCE}");
        is_right.then_some(Self(number)).ok_or_else(expected)
    }
}

/// How long a request may take, in milliseconds: from 1 to 300 000, and 5000 by
/// default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct TimeoutMs(u64);

impl TimeoutMs {
    /// A client with this timeout. All requests of a write may take 8 s together, or
    /// as long as one of them.
    #[must_use]
    pub fn client(self) -> Client {
        let timeout = Duration::from_millis(self.0);
        Client::new().timeout(timeout).budget(timeout.max(BUDGET))
    }
}

impl Default for TimeoutMs {
    fn default() -> Self {
        Self(5000)
    }
}

impl TryFrom<u64> for TimeoutMs {
    type Error = String;

    fn try_from(ms: u64) -> Result<Self, String> {
        let is_right = (1..=MAX_TIMEOUT_MS).contains(&ms);
        let expected = || format!("expected a number from 1 to {MAX_TIMEOUT_MS}");
        is_right.then_some(Self(ms)).ok_or_else(expected)
    }
}

/// How bodies are compressed: `none`, the default, or `gzip`.
#[cfg(feature = "gzip")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// With gzip.
    Gzip,
}

#[cfg(feature = "gzip")]
impl Compression {
    /// Compresses the request's body as it is now.
    #[must_use]
    pub fn apply(self, request: Request) -> Request {
        match self {
            Self::None => request,
            Self::Gzip => request.gzip(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        #[serde(default)]
        headers: Headers,
        #[serde(default)]
        max_body_kib: BodyKib,
        #[serde(default)]
        concurrency: Concurrency,
        #[serde(default)]
        timeout_ms: TimeoutMs,
    }

    #[test]
    fn fields_have_defaults_and_bounds() {
        let config: Config = parse("").unwrap();
        assert_eq!(config.max_body_kib.bytes(), 1 << 20);
        assert_eq!(config.concurrency.get(), 1);
        assert_eq!(config.timeout_ms, TimeoutMs(5000));
        let text = r#"{"headers": {"X-A": "b"}, "concurrency": 16, "timeout_ms": 300000}"#;
        let config: Config = parse(text).unwrap();
        assert!(config.headers.has("x-a") && !config.headers.has("a"));
        let url = super::super::Url::parse("http://a").unwrap();
        let request = config.headers.add_to(Request::post(&url));
        assert_eq!(request.headers, [("X-A".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn an_error_names_the_field() {
        for (text, named) in [
            (
                r#"{"headers": {"host": "a", "b": "c"}}"#,
                "config.headers.host: ",
            ),
            (r#"{"headers": {"a": "b\nc"}}"#, "config.headers.a: "),
            (r#"{"headers": {"a": 1}}"#, "config.headers.a: "),
            (r#"{"headers": []}"#, "config.headers"),
            (r#"{"max_body_kib": 0}"#, "config.max_body_kib: "),
            (
                r#"{"concurrency": 17}"#,
                "config.concurrency: expected a number from 1",
            ),
            (r#"{"concurrency": 0}"#, "config.concurrency: "),
            (r#"{"timeout_ms": 300001}"#, "config.timeout_ms: "),
            (r#"{"timeout_ms": 0}"#, "config.timeout_ms: "),
        ] {
            let failure = parse::<Config>(text).unwrap_err();
            assert!(failure.reason().starts_with(named), "{failure:?}");
        }
    }
}
