//! A client's request that a node relays to the leader, and the leader's answer.
//!
//! Both have the same form: the length of a JSON document in four bytes, big
//! endian, the document, and a body as it is. The signature of the request covers
//! all of it.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::{BufMut, Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The bytes of the length.
const LENGTH: usize = 4;

/// The head of a relayed request. It carries no credential: the node that relays
/// it has checked that.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct RelayedHead {
    pub(crate) method: String,
    /// The path with its query.
    pub(crate) target: String,
    /// The headers that are not for one hop only, with names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The client's address.
    pub(crate) client: Option<IpAddr>,
    /// The client's name, if the node that relays the request knows it.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// How long the client still waits, in milliseconds.
    pub(crate) wait_ms: u64,
    /// How much of that may pass before the request is taken in, in
    /// milliseconds.
    pub(crate) park_ms: u64,
}

/// The head of the leader's answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum AnswerHead {
    /// The answer for the client.
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
    },
    /// The client's connection is to be closed without an answer.
    Close,
    /// The node does not lead, and took nothing.
    NotLeader,
    /// The node took nothing, for this reason.
    NotTaken(String),
    /// The client has sent more than its quota, and nothing was taken. It may send again
    /// after so many milliseconds.
    Quota { wait_ms: u64 },
}

impl AnswerHead {
    /// The client must wait so long.
    pub(crate) fn quota(wait: Duration) -> Self {
        // At least one, so that it is over when the client comes again.
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Self::Quota {
            wait_ms: wait_ms.saturating_add(1),
        }
    }
}

/// The headers that are text.
pub(crate) fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let texts = headers
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
    texts.collect()
}

/// The headers again, without those that no header can be.
pub(crate) fn from_pairs(pairs: Vec<(String, String)>) -> HeaderMap {
    let header = |(name, value): (String, String)| {
        let name = HeaderName::try_from(name).ok()?;
        Some((name, HeaderValue::try_from(value).ok()?))
    };
    let mut headers = HeaderMap::new();
    for (name, value) in pairs.into_iter().filter_map(header) {
        headers.append(name, value);
    }
    headers
}

/// A head and a body in one.
#[must_use]
pub(crate) fn join(head: &impl Serialize, body: &[u8]) -> Bytes {
    // Texts and numbers always have a JSON form.
    let head = serde_json::to_vec(head).unwrap_or_default();
    let length = u32::try_from(head.len()).unwrap_or(u32::MAX);
    let mut joined = BytesMut::with_capacity(LENGTH + head.len() + body.len());
    joined.put_u32(length);
    joined.put_slice(&head);
    joined.put_slice(body);
    joined.freeze()
}

/// The head and the body again; `None` if they are in another form.
#[must_use]
pub(crate) fn split<H: DeserializeOwned>(joined: &Bytes) -> Option<(H, Bytes)> {
    let (length, _) = joined.split_first_chunk::<LENGTH>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let start = LENGTH.checked_add(length)?;
    let head = serde_json::from_slice(joined.get(LENGTH..start)?).ok()?;
    Some((head, joined.slice(start..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_joined_is_split_again() {
        let head = RelayedHead {
            method: "POST".to_owned(),
            target: "/v1/logs?a=b".to_owned(),
            headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
            client: Some(IpAddr::from([192, 0, 2, 1])),
            name: Some("web".to_owned()),
            wait_ms: 9000,
            park_ms: 5000,
        };
        for body in [&b""[..], b"a body"] {
            let joined = join(&head, body);
            let (split_head, split_body) = split::<RelayedHead>(&joined).unwrap();
            assert_eq!((split_head, &split_body[..]), (head.clone(), body));
        }
    }

    #[test]
    fn what_is_cut_or_lies_about_its_length_is_refused() {
        let joined = join(&AnswerHead::Close, b"");
        for length in 0..joined.len() {
            assert_eq!(split::<AnswerHead>(&joined.slice(..length)), None);
        }
        let long = Bytes::from_static(&[0xFF, 0xFF, 0xFF, 0xFF, b'{', b'}']);
        assert_eq!(split::<AnswerHead>(&long), None);
    }
}
