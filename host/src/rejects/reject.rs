//! One reject.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use sluice_protocols::rejected::{EXCERPT_BYTES, head};
use sluice_types::clock::timestamp;
use sluice_types::excerpt::{REASON_CHARS, excerpt};

/// Something that a decoder rejected.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Reject {
    /// When it was rejected, in RFC 3339.
    pub(crate) time: String,
    /// What the client was taken to speak.
    pub(crate) protocol: String,
    /// Where it came from.
    pub(crate) client: Option<IpAddr>,
    pub(crate) reason: String,
    /// Its first 1 KiB, if they are text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    /// Its first 1 KiB in base64, if they are not text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base64: Option<String>,
}

impl Reject {
    /// What is rejected now. `source` is all of it, or its beginning.
    pub(super) fn new(protocol: &str, client: Option<IpAddr>, reason: &str, source: &[u8]) -> Self {
        let source = head(source);
        let is_cut = source.len() == EXCERPT_BYTES;
        let text = as_text(source, is_cut).map(str::to_owned);
        Self {
            time: timestamp(),
            protocol: protocol.to_owned(),
            client: client.map(|client| client.to_canonical()),
            reason: excerpt(reason, REASON_CHARS).into_owned(),
            base64: text.is_none().then(|| STANDARD.encode(source)),
            text,
        }
    }
}

/// The bytes as a text, without a last character that is cut. Control characters
/// are none: each would take six bytes of JSON.
fn as_text(bytes: &[u8], is_cut: bool) -> Option<&str> {
    let text = match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if is_cut && error.error_len().is_none() => {
            let whole = bytes.get(..error.valid_up_to()).unwrap_or_default();
            str::from_utf8(whole).unwrap_or_default()
        }
        Err(_) => return None,
    };
    let is_text = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    text.chars().all(is_text).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &[u8]) -> (Option<String>, Option<String>) {
        let reject = Reject::new("gelf", None, "no", source);
        (reject.text, reject.base64)
    }

    #[test]
    fn what_is_text_is_shown_as_such_and_all_else_in_base64() {
        assert_eq!(
            shown(b"{\"a\":\t1}\r\n"),
            (Some("{\"a\":\t1}\r\n".into()), None)
        );
        assert_eq!(shown(b""), (Some(String::new()), None));
        for bytes in [&b"\x93\xa1a\xff"[..], b"a\0b", b"\x1b[31m", b"\xc3"] {
            assert_eq!(shown(bytes), (None, Some(STANDARD.encode(bytes))));
        }
    }

    #[test]
    fn however_long_it_is_a_reject_takes_little() {
        let long = "é".repeat(1 << 20);
        let reject = Reject::new("gelf", None, &long, format!("x{long}").as_bytes());
        let text = reject.text.as_deref().unwrap();
        assert_eq!(text.len(), EXCERPT_BYTES - 1, "half a character is cut off");
        assert!(reject.reason.chars().count() <= REASON_CHARS);
        let (_, base64) = shown(&[0xff; 1 << 20]);
        assert_eq!(
            STANDARD.decode(base64.unwrap()).unwrap().len(),
            EXCERPT_BYTES
        );
        for byte in 0..=255 {
            let reject = Reject::new("gelf", None, "", &[byte; 1 << 20]);
            let json = serde_json::to_string(&reject).unwrap();
            assert!(
                json.len() < 2 * EXCERPT_BYTES + 200,
                "{byte}: {}",
                json.len()
            );
            assert_eq!(serde_json::from_str::<Reject>(&json).unwrap(), reject);
        }
    }
}
