//! The origin of a web page.

use std::str::FromStr;

use axum::http::HeaderValue;
use axum::http::uri::Authority;
use thiserror::Error;

/// A scheme, a host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// `http` or `https`.
    scheme: String,
    /// In lower case.
    host: String,
    port: u16,
}

/// The text is no origin.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("expected an origin like https://app.example.com or http://localhost:8080")]
pub(crate) struct NotAnOrigin;

impl FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let (scheme, rest) = text.split_once("://").ok_or(NotAnOrigin)?;
        let default_port = default_port(scheme).ok_or(NotAnOrigin)?;
        let authority: Authority = rest.parse().map_err(|_| NotAnOrigin)?;
        let has_user = rest.contains('@');
        if has_user || authority.host().is_empty() {
            return Err(NotAnOrigin);
        }
        Ok(Self {
            scheme: scheme.to_owned(),
            host: authority.host().to_ascii_lowercase(),
            port: port_of(&authority, default_port).ok_or(NotAnOrigin)?,
        })
    }
}

impl Origin {
    /// Reads the value of the header `Origin`.
    pub(super) fn parse_value(value: &HeaderValue) -> Option<Self> {
        value.to_str().ok()?.parse().ok()
    }

    /// Whether the value of the header `Origin` is this one.
    pub(super) fn is(&self, value: &HeaderValue) -> bool {
        Self::parse_value(value).is_some_and(|origin| origin == *self)
    }

    /// Whether a page of this origin is from the host that the header `Host`
    /// names. A proxy may speak HTTPS in front of a node that does not, so the
    /// scheme counts only for the port where none is given.
    pub(super) fn is_at(&self, host: &HeaderValue) -> bool {
        let authority: Option<Authority> = host.to_str().ok().and_then(|host| host.parse().ok());
        let port = default_port(&self.scheme);
        authority.zip(port).is_some_and(|(authority, port)| {
            authority.host().eq_ignore_ascii_case(&self.host)
                && port_of(&authority, port) == Some(self.port)
        })
    }
}

/// The port of an authority; `None` if it has one that is not a number.
fn port_of(authority: &Authority, default: u16) -> Option<u16> {
    match authority.port_u16() {
        Some(port) => Some(port),
        None => (authority.as_str() == authority.host()).then_some(default),
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        text.parse().unwrap()
    }

    #[test]
    fn an_origin_has_one_meaning() {
        assert_eq!(origin("https://A.example"), origin("https://a.example:443"));
        assert_eq!(origin("http://a"), origin("http://a:80"));
        assert_ne!(origin("http://a"), origin("https://a"));
        assert_eq!(origin("http://[::1]:3000").host, "[::1]");
        for wrong in [
            "",
            "null",
            "*",
            "a",
            "http://",
            "ftp://a",
            "http://a/",
            "http://a/b",
            "http://u@a",
            "http://a:x",
            "http://a:99999",
            "http://a b",
            "http://a?b",
            "http://a#b",
        ] {
            assert_eq!(wrong.parse::<Origin>(), Err(NotAnOrigin), "{wrong}");
        }
    }

    #[test]
    fn a_host_is_compared_with_its_port() {
        let is_at = |text: &str, host| origin(text).is_at(&HeaderValue::from_static(host));
        assert!(is_at("http://a:3000", "A:3000"));
        assert!(is_at("https://a", "a"));
        assert!(is_at("https://a", "a:443"));
        assert!(is_at("http://[::1]:3000", "[::1]:3000"));
        assert!(!is_at("http://a:3000", "a:3001"));
        assert!(!is_at("http://a:3000", "a"));
        assert!(!is_at("http://a:3000", "b:3000"));
        assert!(!is_at("http://a:3000", ""));
    }
}
