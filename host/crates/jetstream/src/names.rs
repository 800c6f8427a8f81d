//! Names of streams and subjects.

/// A text as a token of subjects and names of streams.
pub(crate) fn token(text: &str) -> String {
    let mut token = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => token.push(char::from(byte)),
            other => token.push_str(&format!("={other:02x}")),
        }
    }
    token
}
