//! Where objects lie.

use sluice_sink::http::Url;

/// A bucket by its URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place(Url);

impl Place {
    /// `https://host/bucket`.
    pub(crate) fn in_path(store: &Url, bucket: &str) -> Self {
        Self(store.join(bucket))
    }

    /// `https://bucket.host`.
    ///
    /// # Errors
    /// This is no URL.
    pub(crate) fn in_host(store: &Url, bucket: &str) -> Result<Self, String> {
        let (scheme, host, path) = (store.scheme(), store.authority(), store.path());
        Url::parse(&format!("{scheme}://{bucket}.{host}{path}")).map(Self)
    }

    /// The URL of an object.
    pub(crate) fn url(&self, key: &str) -> Url {
        self.0.join(&encoded(key))
    }
}

/// The key in the one form that signatures are made of.
fn encoded(key: &str) -> String {
    let mut text = String::with_capacity(key.len());
    for byte in key.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        match is_plain {
            true => text.push(char::from(byte)),
            false => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_in_the_path_or_in_the_host() {
        let store = Url::parse("https://s3.example.com:9000/base/").unwrap();
        let shown = |place: Place| place.url("a b/c+\u{e4}~.x").to_string();
        assert_eq!(
            shown(Place::in_path(&store, "logs")),
            "https://s3.example.com:9000/base/logs/a%20b/c%2B%C3%A4~.x"
        );
        assert_eq!(
            shown(Place::in_host(&store, "logs").unwrap()),
            "https://logs.s3.example.com:9000/base/a%20b/c%2B%C3%A4~.x"
        );
    }
}
