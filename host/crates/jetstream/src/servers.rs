//! Which servers keep the journal.

use std::fmt;

use async_nats::ServerAddr;
use thiserror::Error;

/// The variable that names the servers where the flag does not.
const NATS_URL: &str = "NATS_URL";

/// The servers of one JetStream cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct Servers(pub(crate) Vec<ServerAddr>);

/// A text names no servers.
#[derive(Debug, Error)]
pub enum ServersError {
    /// `nats:` was given, and the variable is not set.
    #[error("the variable NATS_URL is not set")]
    NoVariable,
    /// One of the addresses cannot be read. It is not shown: it may hold a password.
    #[error("server {number} is not nats://host[:port] or tls://host[:port]")]
    Address {
        /// Its position in the list, from 1.
        number: usize,
    },
}

impl Servers {
    /// Whether this value of `--journal` names servers rather than a directory.
    #[must_use]
    pub fn are_named_by(text: &str) -> bool {
        text == "nats:" || text.starts_with("nats://") || text.starts_with("tls://")
    }

    /// Reads `nats://a,b:4223`, `tls://a,b`, or `nats:` for the servers of `NATS_URL`.
    /// The scheme of the first one counts for those without.
    ///
    /// # Errors
    /// It is none of these.
    pub fn from_text(text: &str) -> Result<Self, ServersError> {
        let variable;
        let text = match text {
            "nats:" => {
                variable = std::env::var(NATS_URL).map_err(|_| ServersError::NoVariable)?;
                variable.trim()
            }
            text => text,
        };
        let scheme = text.split_once("://").map_or("nats", |(scheme, _)| scheme);
        let read = |(index, address): (usize, &str)| {
            let address = address.trim();
            let address = match address.contains("://") {
                true => address.to_owned(),
                false => format!("{scheme}://{address}"),
            };
            let is_known = address.starts_with("nats://") || address.starts_with("tls://");
            let parsed = address.parse::<ServerAddr>().ok();
            let number = index + 1;
            let parsed = parsed.filter(|parsed| is_known && !parsed.host().is_empty());
            parsed.ok_or(ServersError::Address { number })
        };
        let servers: Result<_, _> = text.split(',').enumerate().map(read).collect();
        Ok(Self(servers?))
    }
}

/// Who a URL says that this node is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum UrlUser {
    /// A user with a password.
    Named(String, String),
    /// A user alone is a token.
    Token(String),
}

impl Servers {
    /// What the first URL that names a user says.
    pub(crate) fn user(&self) -> Option<UrlUser> {
        let mut users = self.0.iter().filter_map(|server| {
            let user = decoded(server.username()?);
            Some(match server.password() {
                Some(password) => UrlUser::Named(user, decoded(password)),
                None => UrlUser::Token(user),
            })
        });
        users.next()
    }
}

/// A part of a URL without its percent encoding.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let byte = after.get(..2).map(|hex| u8::from_str_radix(hex, 16));
        match (byte, after.get(2..)) {
            (Some(Ok(byte)), Some(behind)) => {
                bytes.push(byte);
                rest = behind;
            }
            _ => {
                bytes.push(b'%');
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Without users and passwords.
impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, server) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{}:{}", server.host(), server.port())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_with_one_scheme_for_all() {
        let servers = Servers::from_text("tls://u:p@a,b:4223").map(|servers| servers.0);
        let servers = servers.unwrap_or_default();
        assert!(servers.iter().all(ServerAddr::tls_required));
        assert_eq!(Servers(servers).to_string(), "a:4222,b:4223");
        let user = |text| {
            Servers::from_text(text)
                .ok()
                .and_then(|servers| servers.user())
        };
        let named = |user: &str, password: &str| UrlUser::Named(user.into(), password.into());
        assert!(user("nats://a,u:p%40%2Fq@b") == Some(named("u", "p@/q")));
        assert!(user("nats://t%25@a") == Some(UrlUser::Token("t%".to_owned())));
        assert!(user("nats://a,b").is_none());
        for wrong in ["nats://", "http://a", "nats://a,,b"] {
            assert!(Servers::from_text(wrong).is_err(), "{wrong}");
        }
        assert!(!Servers::are_named_by("/var/lib/nats"));
    }
}
