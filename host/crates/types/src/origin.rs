//! Origins: where a web page comes from, or an HTTP request goes.

use std::fmt;
use std::str::FromStr;

use http::header::HOST;
use http::uri::{self, Authority, PathAndQuery};
use http::{HeaderValue, Request, Uri};
use thiserror::Error;

use crate::host::{Host, HostError, port as port_of};

/// Scheme, host and port, as RFC 6454 defines it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    scheme: Scheme,
    host: Host,
    port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Scheme {
    Http,
    Https,
}

/// Why a text is not an origin.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum OriginError {
    /// The scheme is missing, or another one.
    #[error("it does not begin with http:// or https://")]
    Scheme,
    /// There is more than a host and a port.
    #[error("it is not only a scheme, a host and a port, as in https://logs.example.com:8443")]
    More,
    /// The host is not one.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl Scheme {
    const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// RFC 9110, sections 4.2.1 and 4.2.2.
    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    fn of(name: &str) -> Option<Self> {
        [Self::Http, Self::Https]
            .into_iter()
            .find(|scheme| name.eq_ignore_ascii_case(scheme.name()))
    }
}

impl Origin {
    /// The origin of a request, unless the target names no host.
    #[must_use]
    pub fn of(target: &Uri) -> Option<Self> {
        let scheme = Scheme::of(target.scheme_str()?)?;
        Self::new(scheme, target.authority()?).ok()
    }

    fn new(scheme: Scheme, authority: &Authority) -> Result<Self, OriginError> {
        // What is not the host must be a port: no name or password in front, nothing after a bracket.
        let rest = authority.as_str().strip_prefix(authority.host());
        let port = match rest.ok_or(OriginError::More)? {
            "" => scheme.port(),
            rest => rest
                .strip_prefix(':')
                .and_then(port_of)
                .ok_or(OriginError::More)?,
        };
        let host = authority.host().parse()?;
        Ok(Self { scheme, host, port })
    }

    /// Whether this is at the host and port of an authority. Without a port, it
    /// is that of this origin's scheme.
    #[must_use]
    pub fn is_at(&self, authority: &str) -> bool {
        let authority = authority.parse().ok();
        let origin = authority.and_then(|authority| Self::new(self.scheme, &authority).ok());
        origin.is_some_and(|origin| origin == *self)
    }

    /// Gives a request this origin in its one form, in the target and the header
    /// `Host`. Without a path, it is `/`.
    ///
    /// # Errors
    /// The target is not one.
    pub fn put_into<T>(&self, request: &mut Request<T>) -> Result<(), http::Error> {
        let scheme = match self.scheme {
            Scheme::Http => uri::Scheme::HTTP,
            Scheme::Https => uri::Scheme::HTTPS,
        };
        let authority = match self.port == self.scheme.port() {
            true => self.host.to_string(),
            false => format!("{}:{}", self.host, self.port),
        };
        request
            .headers_mut()
            .insert(HOST, HeaderValue::try_from(authority.as_str())?);
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", PathAndQuery::as_str);
        let target = Uri::builder()
            .scheme(scheme)
            .authority(authority)
            .path_and_query(path);
        *request.uri_mut() = target.build()?;
        Ok(())
    }

    /// The host.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let (scheme, rest) = text.split_once("://").ok_or(OriginError::Scheme)?;
        let scheme = Scheme::of(scheme).ok_or(OriginError::Scheme)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let authority: Authority = rest.parse().map_err(|_| OriginError::More)?;
        Self::new(scheme, &authority)
    }
}

impl fmt::Display for Origin {
    /// Without a port if it is the scheme's own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.host)?;
        if self.port == self.scheme.port() {
            return Ok(());
        }
        write!(f, ":{}", self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_origin_has_one_form() {
        for (text, shown) in [
            ("https://logs.example.com", "https://logs.example.com"),
            ("HTTPS://Logs.Example.com:443/", "https://logs.example.com"),
            ("http://logs.example.com:443", "http://logs.example.com:443"),
            ("http://10.0.0.1:80", "http://10.0.0.1"),
            ("https://[2001:DB8::0:1]:9200", "https://[2001:db8::1]:9200"),
            ("https://logs.example.com.", "https://logs.example.com"),
        ] {
            let origin: Origin = text.parse().unwrap();
            assert_eq!(origin.to_string(), shown);
            assert_eq!(shown.parse(), Ok(origin));
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in [
            "",
            "logs.example.com",
            "ftp://logs.example.com",
            "https://",
            "https://logs.example.com/path",
            "https://logs.example.com?a=b",
            "https://me@logs.example.com",
            "https://me:secret@logs.example.com:443",
            "https://logs.example.com:",
            "https://logs.example.com:0",
            "https://logs.example.com:99999",
            "https://logs example.com",
            "https://*.example.com",
            "https://2001:db8::1",
            "https://[2001:db8::1%25eth0]",
            "https://täst.example",
            "//logs.example.com",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_authority_is_compared_with_its_port() {
        let is_at = |origin: &str, authority| origin.parse::<Origin>().unwrap().is_at(authority);
        assert!(is_at("http://a:3000", "A:3000"));
        assert!(is_at("https://a", "a"));
        assert!(is_at("https://a", "a:443"));
        assert!(is_at("http://[::1]:3000", "[::1]:3000"));
        assert!(!is_at("http://a:3000", "a:3001"));
        assert!(!is_at("http://a:3000", "a"));
        assert!(!is_at("http://a:3000", "b:3000"));
        assert!(!is_at("http://a:3000", ""));
    }

    #[test]
    fn a_target_has_the_origin_that_is_connected_to() {
        let of =
            |target: &str| Origin::of(&target.parse().unwrap()).map(|origin| origin.to_string());
        let expected = Some("https://logs.example.com".to_owned());
        assert_eq!(of("https://logs.example.com/a?b"), expected);
        assert_eq!(of("https://LOGS.example.com:443/"), expected);
        assert_eq!(of("https://me@logs.example.com/"), None);
        assert_eq!(of("https://logs.example.com:/"), None);
        assert_eq!(of("/path"), None);
        assert_eq!(of("ws://logs.example.com/"), None);
    }
}
