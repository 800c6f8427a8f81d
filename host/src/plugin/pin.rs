//! The node that a manifest pins its stream to: a field of the manifest that is no part of
//! the sink.

use serde::Deserialize;

use super::manifest::Manifest;

#[derive(Deserialize)]
struct Pinned {
    pin: Option<String>,
}

/// The node that a manifest's text pins its stream to.
pub(crate) fn pin(manifest: &[u8]) -> Option<String> {
    // A manifest that only names a source is no JSON.
    let pinned: Pinned = serde_json::from_slice(manifest).ok()?;
    pinned.pin
}

/// The text of a manifest that replaces `before`, with what that pins the stream to.
pub(crate) fn keep_pin(manifest: &Manifest, before: &[u8]) -> String {
    let text = match pin(before) {
        None => None,
        pin => manifest.to_json().and_then(|mut json| {
            json.pin = pin;
            serde_json::to_string(&json).ok()
        }),
    };
    text.unwrap_or_else(|| manifest.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_that_replaces_another_keeps_its_pin() {
        let before = br#"{"source":"file:///a.wasm","pin":"b"}"#;
        assert_eq!(pin(before).as_deref(), Some("b"));
        let manifest: Manifest =
            r#"{"source":"builtin:stdout","config":{"a": 1}}"#.parse().unwrap();
        let after = keep_pin(&manifest, before);
        let expected = r#"{"source":"builtin:stdout","config":{"a": 1},"pin":"b"}"#;
        assert_eq!(after, expected);
        assert_eq!(after.parse::<Manifest>().unwrap(), manifest);
        let bare: Manifest = "builtin:stdout".parse().unwrap();
        assert_eq!(
            keep_pin(&bare, before),
            r#"{"source":"builtin:stdout","pin":"b"}"#
        );
        for before in [&b"builtin:stdout"[..], b"", b"{}"] {
            assert_eq!(keep_pin(&bare, before), "builtin:stdout");
        }
    }
}
