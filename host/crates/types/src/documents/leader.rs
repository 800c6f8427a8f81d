//! The value of the leader's key, the lock.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The port of a leader whose key holds a bare host name.
const FIRST_GENERATION_PORT: u16 = 3000;

/// A leader's name and where clients reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderAddress {
    /// The node's name.
    pub node: String,
    /// `host:port`.
    pub address: String,
}

/// The form of the key's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeaderValue {
    /// `{"node":…,"address":"host:port"}`.
    #[default]
    Json,
    /// The bare host name. First-generation producers read it, and post to
    /// port 3000 there.
    Host,
}

impl LeaderValue {
    /// All forms.
    pub const ALL: [Self; 2] = [Self::Json, Self::Host];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Host => "host",
        }
    }
}

impl fmt::Display for LeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No form of the leader's value has this name.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0:?} is neither json nor host")]
pub struct UnknownLeaderValue(String);

impl FromStr for LeaderValue {
    type Err = UnknownLeaderValue;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|form| form.name() == name);
        found.ok_or_else(|| UnknownLeaderValue(name.to_owned()))
    }
}

impl LeaderAddress {
    /// The value for the key.
    #[must_use]
    pub fn to_value(&self, form: LeaderValue) -> Vec<u8> {
        match form {
            // Two strings always have a JSON form.
            LeaderValue::Json => serde_json::to_vec(self).unwrap_or_default(),
            LeaderValue::Host => {
                let host = self
                    .address
                    .rsplit_once(':')
                    .map_or(&*self.address, |(host, _)| host);
                host.as_bytes().to_vec()
            }
        }
    }

    /// Reads either form; `None` if it is neither.
    #[must_use]
    pub fn from_value(value: &[u8]) -> Option<Self> {
        if let Ok(leader) = serde_json::from_slice(value) {
            return Some(leader);
        }
        let host = std::str::from_utf8(value).ok()?.trim();
        let is_host = !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
        is_host.then(|| Self {
            node: host.to_owned(),
            address: format!("{host}:{FIRST_GENERATION_PORT}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_back() {
        let leader = LeaderAddress {
            node: "a".to_owned(),
            address: "10.0.0.1:3000".to_owned(),
        };
        assert_eq!(
            LeaderAddress::from_value(&leader.to_value(LeaderValue::Json)),
            Some(leader.clone())
        );
        let host = leader.to_value(LeaderValue::Host);
        assert_eq!(host, b"10.0.0.1");
        assert_eq!(
            LeaderAddress::from_value(&host).unwrap().address,
            "10.0.0.1:3000"
        );
    }

    #[test]
    fn forms_are_read_by_their_names() {
        for form in LeaderValue::ALL {
            assert_eq!(form.to_string().parse(), Ok(form));
        }
        let error = "JSON".parse::<LeaderValue>().unwrap_err();
        assert_eq!(error.to_string(), "\"JSON\" is neither json nor host");
    }

    #[test]
    fn what_is_neither_is_none() {
        for value in [&b""[..], b"{}", b"\xff", b"two words"] {
            assert_eq!(LeaderAddress::from_value(value), None, "{value:?}");
        }
    }
}
