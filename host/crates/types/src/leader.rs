//! Who leads, as it stands in the leader's key.

use serde::{Deserialize, Serialize};

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LeaderValue {
    /// `{"node":…,"address":"host:port"}`.
    #[default]
    Json,
    /// The bare host name, for first-generation producers, who post to port
    /// 3000 there.
    Host,
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
    fn what_is_neither_is_none() {
        for value in [&b""[..], b"{}", b"\xff", b"two words"] {
            assert_eq!(LeaderAddress::from_value(value), None, "{value:?}");
        }
    }
}
