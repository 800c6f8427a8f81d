//! The headers with secrets that a manifest asks for.

use axum::http::header::HeaderName;

use super::permissions::Permissions;
use sluice_sandbox::SecretHeader;
use sluice_types::origin::Origin;

/// Headers that say how a request is sent, not what it is.
const OF_THE_TRANSPORT: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What is wrong with them: the field, its value, what was expected.
pub(super) type Mistake = (&'static str, String, &'static str);

/// Reads the headers that a manifest asks for.
///
/// # Errors
/// Names the first mistake.
pub(super) fn headers_wanted(permissions: &Permissions) -> Result<Vec<SecretHeader>, Mistake> {
    let mut wanted = Vec::new();
    for (text, headers) in &permissions.headers {
        let origin = listed_origin(permissions, "permissions.headers", text)?;
        for (name, value) in headers {
            let header = name.parse::<HeaderName>().ok();
            let header = header.filter(|header| !OF_THE_TRANSPORT.contains(&header.as_str()));
            let header = header.ok_or_else(|| {
                let expected = "expected the name of a header such as Authorization";
                ("permissions.headers", name.clone(), expected)
            })?;
            if !value.prefix.chars().all(|c| matches!(c, ' '..='~')) {
                let expected = "expected printable ASCII";
                return Err(("permissions.headers prefix", value.prefix.clone(), expected));
            }
            wanted.push(SecretHeader {
                origin: origin.clone(),
                header,
                prefix: value.prefix.clone(),
                secret: value.secret.clone(),
            });
        }
    }
    Ok(wanted)
}

/// Reads an origin that permissions.http lists as well.
///
/// # Errors
/// It is none of these.
pub(super) fn listed_origin(
    permissions: &Permissions,
    field: &'static str,
    text: &str,
) -> Result<Origin, Mistake> {
    let origin = text.parse::<Origin>().ok();
    let origin = origin.filter(|origin| permissions.http.contains(origin));
    let expected = "expected an origin that permissions.http lists";
    origin.ok_or_else(|| (field, text.to_owned(), expected))
}
