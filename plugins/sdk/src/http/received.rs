//! What a destination of a test gets.

/// A request that a destination got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// In upper case.
    pub method: String,
    /// With the query.
    pub path: String,
    /// As they were sent.
    pub headers: Vec<(String, String)>,
    /// As it was sent: see [`content`](Self::content).
    pub body: Vec<u8>,
}

impl Received {
    /// The value of the first header of this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body, expanded if it is compressed with gzip.
    ///
    /// # Panics
    /// It is not what `content-encoding` says.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        match self.header("content-encoding") {
            None => self.body.clone(),
            #[cfg(feature = "gzip")]
            Some("gzip") => {
                const MOST: usize = 1 << 30;
                let expanded = super::gzip::expand(&self.body, MOST);
                expanded.unwrap_or_else(|| unreachable!("the body is not gzip"))
            }
            Some(other) => unreachable!("{other} cannot be expanded"),
        }
    }

    /// The [content](Self::content) as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.content()).into_owned()
    }
}
