//! The one form of paths and queries that AWS signatures are made of.

/// What AWS leaves as it is; RFC 3986 calls it unreserved.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Encodes each byte that is not unreserved, and not one of those to keep.
fn encode(bytes: &[u8], kept: &[u8]) -> String {
    let mut encoded = String::with_capacity(bytes.len());
    for byte in bytes {
        match is_unreserved(*byte) || kept.contains(byte) {
            true => encoded.push(char::from(*byte)),
            false => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Resolves `%` and two digits. Any other `%` stands for itself.
fn decode(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.split_at_checked(2).filter(|_| *first == b'%');
        let escaped = escaped.and_then(|(digits, after)| {
            let byte = hex::decode(digits).ok()?.pop()?;
            Some((byte, after))
        });
        let (byte, after) = escaped.unwrap_or((*first, after));
        decoded.push(byte);
        rest = after;
    }
    decoded
}

/// A path of S3: each segment is encoded once, and none is left out.
pub(super) fn path_encoded_once(path: &str) -> String {
    let segments = path.split('/').map(|segment| encode(&decode(segment), &[]));
    segments.collect::<Vec<_>>().join("/")
}

/// A path of any other service: without empty segments, `.` and `..`, and what is
/// encoded in the request is encoded once more.
pub(super) fn path_encoded_twice(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(encode(other.as_bytes(), &[])),
        }
    }
    let mut normal = format!("/{}", segments.join("/"));
    if path.ends_with('/') && !segments.is_empty() {
        normal.push('/');
    }
    normal
}

/// The parameters, sorted by name and value, each with its `=`.
pub(super) fn canonical_query(query: &str) -> String {
    let encoded = |text| encode(&decode(text), &[]);
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    let mut parameters: Vec<_> = parameters
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
        .map(|(name, value)| (encoded(name), encoded(value)))
        .collect();
    parameters.sort_unstable();
    let parameters = parameters.iter();
    let parameters = parameters.map(|(name, value)| format!("{name}={value}"));
    parameters.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_s3_is_encoded_once() {
        for (path, canonical) in [
            ("/", "/"),
            ("/test.txt", "/test.txt"),
            ("/test$file.text", "/test%24file.text"),
            ("/test%24file.text", "/test%24file.text"),
            ("/a%2fb/c%2Fd", "/a%2Fb/c%2Fd"),
            ("//a//./../b/", "//a//./../b/"),
            ("/a+b=c~d_e-f", "/a%2Bb%3Dc~d_e-f"),
            ("/%e4%20%", "/%E4%20%25"),
            ("/%zz%4", "/%25zz%254"),
        ] {
            assert_eq!(path_encoded_once(path), canonical, "{path}");
        }
    }

    #[test]
    fn a_path_of_another_service_is_normal_and_encoded_twice() {
        for (path, canonical) in [
            ("/", "/"),
            ("//", "/"),
            ("/a/./b/../c", "/a/c"),
            ("/../a//b/", "/a/b/"),
            ("/a%20b", "/a%2520b"),
            ("/a:b", "/a%3Ab"),
        ] {
            assert_eq!(path_encoded_twice(path), canonical, "{path}");
        }
    }

    #[test]
    fn a_query_is_sorted_and_encoded() {
        for (query, canonical) in [
            ("", ""),
            ("lifecycle", "lifecycle="),
            ("prefix=J&max-keys=2", "max-keys=2&prefix=J"),
            ("b=2&a=2&a=1&&a", "a=&a=1&a=2&b=2"),
            ("a=%2f/&%c3%a4=b%20c", "%C3%A4=b%20c&a=%2F%2F"),
            ("a=b=c", "a=b%3Dc"),
        ] {
            assert_eq!(canonical_query(query), canonical, "{query}");
        }
    }
}
