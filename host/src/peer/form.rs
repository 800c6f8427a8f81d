//! The two forms of a signed request, and how a node says which one it takes.

use axum::http::HeaderMap;
use axum::http::header::WWW_AUTHENTICATE;

/// The challenge in a `401` of a node that takes the current form. Nodes of the
/// version before send none.
pub(crate) const CHALLENGE: &str = "Sluice-Signature version=\"2\"";

/// A form of signed requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The signature covers the receiving node and the digest and length of the
    /// body, and is good for one request.
    Current,
    /// The form of the version before, in [`super::old_signature`].
    Old,
}

impl Form {
    /// The form that a node takes, from the headers of its `401`.
    pub(super) fn of_refusal(headers: &HeaderMap) -> Self {
        match headers.get(WWW_AUTHENTICATE) {
            Some(challenge) if challenge.as_bytes() == CHALLENGE.as_bytes() => Self::Current,
            _ => Self::Old,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_node_that_sends_no_challenge_takes_the_old_form() {
        let mut headers = HeaderMap::new();
        assert_eq!(Form::of_refusal(&headers), Form::Old);
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        assert_eq!(Form::of_refusal(&headers), Form::Old);
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
        assert_eq!(Form::of_refusal(&headers), Form::Current);
    }
}
