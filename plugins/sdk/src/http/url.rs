//! Where requests go.

use std::fmt::{self, Display};

use serde::Deserialize;

/// The URL of a destination: `http` or `https`, without credentials. Displays
/// without its query, which may hold a secret, so it can be shown in errors.
///
/// As a field of a config it is parsed from a string.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Url {
    is_tls: bool,
    authority: String,
    path: String,
    /// With its question mark, or empty.
    query: String,
}

impl Url {
    /// Parses a URL.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = "expected a URL such as https://logs.example.com/ingest";
        let scheme = text.split_once("://");
        let (is_tls, rest) = match scheme {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err(expected.to_owned()),
        };
        let is_wrong = |c: char| c.is_whitespace() || c.is_control() || !c.is_ascii();
        if rest.contains(is_wrong) {
            return Err(format!(
                "the URL holds a character that must be percent-encoded; {expected}"
            ));
        }
        if rest.contains('#') {
            return Err(format!("the URL has a fragment; {expected}"));
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if authority.contains('@') {
            return Err("the URL holds credentials: let the node fill them in by \
                        permissions.headers of the manifest and --secret"
                .to_owned());
        }
        if authority.is_empty() || authority.starts_with(':') {
            return Err(format!("the URL names no host; {expected}"));
        }
        let (path, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self {
            is_tls,
            authority: authority.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
        })
    }

    /// A URL below this one: `path` is appended to this one's path, with one slash
    /// between, and may have a query, which replaces this one's.
    #[must_use]
    pub fn join(&self, path: &str) -> Self {
        let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
        let base = self.path.trim_end_matches('/');
        let query = if query.is_empty() { &self.query } else { query };
        Self {
            path: format!("{base}/{}", path.trim_start_matches('/')),
            query: query.to_owned(),
            ..self.clone()
        }
    }

    /// `https://logs.example.com:8443`, as it is written in permissions.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme(), self.authority)
    }

    /// `http` or `https`.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        if self.is_tls { "https" } else { "http" }
    }

    /// The host, and the port if there is one.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The path without the query, at least `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path with the query.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        format!("{}{}", self.path, self.query)
    }
}

impl Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme(), self.authority, self.path)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

impl TryFrom<String> for Url {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (text, origin, path, shown) in [
            ("http://a", "http://a", "/", "http://a/"),
            (
                "https://a:8443?x=1",
                "https://a:8443",
                "/?x=1",
                "https://a:8443/",
            ),
            (
                "https://a/b/c?t=s",
                "https://a",
                "/b/c?t=s",
                "https://a/b/c",
            ),
            (
                "http://[::1]:80/",
                "http://[::1]:80",
                "/",
                "http://[::1]:80/",
            ),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!(url.origin(), origin);
            assert_eq!(url.path_and_query(), path);
            assert_eq!(url.to_string(), shown);
        }
    }

    #[test]
    fn wrong_urls_are_explained() {
        for (text, said) in [
            ("", "expected a URL"),
            ("logs.example.com", "expected a URL"),
            ("ftp://a/", "expected a URL"),
            ("http://", "names no host"),
            ("http:///a", "names no host"),
            ("http://:80/", "names no host"),
            ("http://u:p@a/", "permissions.headers"),
            ("http://a/b c", "percent-encoded"),
            ("http://a/\u{e4}", "percent-encoded"),
            ("http://a/#b", "fragment"),
        ] {
            let error = Url::parse(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
            assert!(!error.contains("u:p"), "{error}");
        }
    }

    #[test]
    fn paths_are_joined_with_one_slash() {
        for (base, path, expected) in [
            ("http://a", "/_bulk", "/_bulk"),
            ("http://a/p/", "_bulk", "/p/_bulk"),
            ("http://a/p?x=1", "/_bulk", "/p/_bulk?x=1"),
            ("http://a/p?x=1", "/_bulk?y=2", "/p/_bulk?y=2"),
        ] {
            let url = Url::parse(base).unwrap().join(path);
            assert_eq!(url.path_and_query(), expected);
        }
    }
}
