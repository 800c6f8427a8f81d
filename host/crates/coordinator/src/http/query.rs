//! The parts of a URL: decoded paths, parameters, and what a blocking query
//! waits for.

use std::time::Duration;

use super::problem::Problem;
use crate::duration;
use crate::hub::Blocking;

/// How long a blocking query waits if it does not say.
const DEFAULT_WAIT: Duration = Duration::from_secs(300);
/// The longest wait that a query can ask for.
const MAX_WAIT: Duration = Duration::from_secs(600);
/// Up to this fraction (1/16) of the wait is added at random, so that queries
/// that start together do not all end together.
const JITTER_FRACTION: u32 = 16;

/// The decoded parameters, in order.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let decoded = pairs.filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name, true)?, decode(value, true)?))
        });
        Self(decoded.collect())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let named = self.0.iter().find(|(key, _)| key == name);
        named.map(|(_, value)| value.as_str())
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.as_str())
    }

    /// The parameter as a number, if it is there.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if is_plain => Ok(Some(number)),
            _ if is_plain => Err(Problem::internal(format!(
                "strconv.ParseUint: parsing {text:?}: value out of range"
            ))),
            _ => Err(Problem::internal(format!(
                "strconv.ParseUint: parsing {text:?}: invalid syntax"
            ))),
        }
    }

    /// What a read blocks on; `None` if it returns at once.
    pub(super) fn blocking(&self) -> Result<Option<Blocking>, Problem> {
        if self.has("stale") && self.has("consistent") {
            return Err(Problem::bad_request(
                "Cannot specify ?stale with ?consistent, conflicting semantics.",
            ));
        }
        let wait = match self.get("wait") {
            None => Duration::ZERO,
            Some(text) => {
                duration::parse(text).ok_or_else(|| Problem::bad_request("Invalid wait time"))?
            }
        };
        let index = self
            .number("index")
            .map_err(|_| Problem::bad_request("Invalid index"))?;
        let index = index.filter(|index| *index > 0);
        let wait = match wait {
            Duration::ZERO => DEFAULT_WAIT,
            wait => wait.min(MAX_WAIT),
        };
        let jitter = (wait / JITTER_FRACTION).mul_f64(rand::random_range(0.0..1.0));
        Ok(index.map(|index| Blocking {
            index,
            max_wait: wait + jitter,
        }))
    }

    /// Refuses any datacenter but the coordinator's own.
    pub(super) fn check_datacenter(&self, own: &str) -> Result<(), Problem> {
        match self.get("dc") {
            None | Some("") => Ok(()),
            Some(datacenter) if datacenter == own => Ok(()),
            Some(_) => Err(Problem::internal("No path to datacenter")),
        }
    }
}

/// Decodes percent-encoding. Returns `None` if a sequence is invalid or the
/// result is not UTF-8.
pub(super) fn decode(text: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            b'+' if plus_is_space => b' ',
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// The path without empty parts, `.` and `..`; `None` if it has none of them.
pub(super) fn cleaned(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let mut clean = format!("/{}", parts.join("/"));
    if path.ends_with('/') && !parts.is_empty() {
        clean.push('/');
    }
    (clean != path).then_some(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse("keys&separator=%2F&cas=&tag=a&tag=b+c");
        assert!(query.has("keys") && !query.has("recurse"));
        assert_eq!(query.get("separator"), Some("/"));
        assert_eq!(query.all("tag").collect::<Vec<_>>(), ["a", "b c"]);
        assert!(query.number("cas").is_err());
        assert_eq!(query.number("flags").unwrap(), None);
    }

    #[test]
    fn paths_are_cleaned_and_decoded() {
        assert_eq!(cleaned("/v1/kv/a/b"), None);
        assert_eq!(cleaned("/v1/kv/a/"), None);
        assert_eq!(cleaned("/v1/kv//a//b").unwrap(), "/v1/kv/a/b");
        assert_eq!(cleaned("/v1/./kv/../kv/a/").unwrap(), "/v1/kv/a/");
        assert_eq!(decode("a%2Fb%20c+d", false).unwrap(), "a/b c+d");
        assert_eq!(decode("%zz", false), None);
        assert_eq!(decode("%ff", false), None);
    }
}
