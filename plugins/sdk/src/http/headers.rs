//! Which headers a request may have.

/// Headers that the client or the host sets by itself.
const RESERVED: [&str; 8] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Whether a sink may send this header: use it in `open` for headers that come from
/// the config.
///
/// # Errors
/// What is wrong with it.
pub fn check_header(name: &str, value: &str) -> Result<(), String> {
    // RFC 9110, 5.6.2.
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(is_token) {
        return Err(format!("{name:?} is not the name of a header"));
    }
    let mut reserved = RESERVED.iter();
    if reserved.any(|known| known.eq_ignore_ascii_case(name)) {
        return Err(format!("the header {name:?} is set by the node"));
    }
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(format!(
            "the value of the header {name:?} holds a control character"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_cannot_be_sent_are_refused() {
        assert_eq!(check_header("X-Scope-OrgID", "a\tb \u{e4}"), Ok(()));
        for (name, value) in [
            ("", "a"),
            ("a b", "a"),
            ("a:", "a"),
            ("Host", "a"),
            ("Transfer-Encoding", "chunked"),
            ("a", "b\r\nc: d"),
            ("a", "\u{0}"),
        ] {
            assert!(check_header(name, value).is_err(), "{name:?}: {value:?}");
        }
    }
}
