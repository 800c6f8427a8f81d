//! `https:` and `http:`: components on web servers.

use std::fmt;

use reqwest::Url;

/// The address of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl(Url);

impl HttpUrl {
    pub(super) const SCHEMES: [&'static str; 2] = ["https", "http"];

    /// Parses a whole source. A name or a password would be shown in the status,
    /// and a fragment is not sent, so there must be none.
    pub(super) fn parse(source: &str) -> Option<Self> {
        let url = Url::parse(source).ok()?;
        let is_plain = Self::SCHEMES.contains(&url.scheme())
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none();
        is_plain.then_some(Self(url))
    }

    /// The address.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}
