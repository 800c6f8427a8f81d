//! Requests.

use super::Url;
use super::headers::check_header;

/// A request that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub(super) method: String,
    pub(super) url: Url,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// A request with this method, in upper case.
    #[must_use]
    pub fn new(method: &str, url: &Url) -> Self {
        Self {
            method: method.to_owned(),
            url: url.clone(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// A `POST` request.
    #[must_use]
    pub fn post(url: &Url) -> Self {
        Self::new("POST", url)
    }

    /// A `PUT` request.
    #[must_use]
    pub fn put(url: &Url) -> Self {
        Self::new("PUT", url)
    }

    /// A `GET` request.
    #[must_use]
    pub fn get(url: &Url) -> Self {
        Self::new("GET", url)
    }

    /// Adds a header. One that [`check_header`] refuses
    /// makes sending fail.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body. Its length is sent, too.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Compresses the body as it is now, and says so in `content-encoding`.
    #[cfg(feature = "gzip")]
    #[must_use]
    pub fn gzip(mut self) -> Self {
        self.body = super::gzip::compress(&self.body);
        self.header("content-encoding", "gzip")
    }

    /// The method and the URL without its query, for errors.
    pub(super) fn target(&self) -> String {
        format!("{} {}", self.method, self.url)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if !self.method.chars().all(|c| c.is_ascii_alphabetic()) || self.method.is_empty() {
            return Err(format!("{:?} is not a method", self.method));
        }
        let mut headers = self.headers.iter();
        headers.try_for_each(|(name, value)| check_header(name, value))
    }
}
