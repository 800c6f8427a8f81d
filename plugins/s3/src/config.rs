//! The manifest's `config` for this sink.

use serde::Deserialize;
use sluice_sink::Failure;
use sluice_sink::http::settings::{BodyKib, Compression, Concurrency, Headers, TimeoutMs};
use sluice_sink::http::{Url, check_header};

use crate::key::{Content, Template};
use crate::place::Place;

/// The longest name of a bucket in any store, in bytes.
const MAX_BUCKET: usize = 255;

/// The config object. An absent field has its default.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Of the store, without the bucket.
    url: Url,
    bucket: Bucket,
    #[serde(default)]
    style: Style,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    key: Template,
    #[serde(default = "gzip")]
    pub(crate) compression: Compression,
    content_type: Option<String>,
    pub(crate) storage_class: Option<StorageClass>,
    #[serde(default)]
    pub(crate) headers: Headers,
    #[serde(default)]
    pub(crate) max_object_kib: ObjectKib,
    #[serde(default)]
    pub(crate) concurrency: Concurrency,
    #[serde(default)]
    pub(crate) timeout_ms: TimeoutMs,
}

const fn gzip() -> Compression {
    Compression::Gzip
}

/// Where the bucket's name is in a URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Style {
    /// In front of the key.
    #[default]
    Path,
    /// In front of the host.
    Virtual,
}

/// The name of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Bucket(String);

impl TryFrom<String> for Bucket {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let is_right = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let is_name = (1..=MAX_BUCKET).contains(&name.len())
            && name.chars().all(is_right)
            && !name.starts_with('.');
        let expected = "expected a name of letters, digits, '-', '_' and '.'";
        is_name.then_some(Self(name)).ok_or(expected.to_owned())
    }
}

/// A storage class, such as `STANDARD_IA`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct StorageClass(String);

impl StorageClass {
    pub(crate) fn name(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for StorageClass {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let is_right = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let is_name = !name.is_empty() && name.chars().all(is_right);
        let expected = "expected a name such as STANDARD_IA";
        is_name.then_some(Self(name)).ok_or(expected.to_owned())
    }
}

/// The size of an object in KiB, before it is compressed: 16 MiB by default, which is
/// more than a batch has.
type ObjectKib = BodyKib<{ 16 << 10 }>;

impl Config {
    /// Where objects lie. Checks what the types do not.
    ///
    /// # Errors
    /// What is wrong with which field.
    pub(crate) fn place(&self) -> Result<Place, Failure> {
        if self.url.path_and_query() != self.url.path() {
            let problem = "expected no query";
            return Err(Failure::config("url", problem));
        }
        let keys = self.key.check(&self.prefix);
        keys.map_err(|problem| Failure::config("key", format!("{problem}, with the prefix")))?;
        check_header("content-type", self.content_type())
            .map_err(|problem| Failure::config("content_type", problem))?;
        match self.style {
            Style::Path => Ok(Place::in_path(&self.url, &self.bucket.0)),
            Style::Virtual => Place::in_host(&self.url, &self.bucket.0)
                .map_err(|problem| Failure::config("url", problem)),
        }
    }

    /// The key of an object.
    pub(crate) fn key(&self, content: &Content<'_>) -> String {
        let extension = match self.compression {
            Compression::None => "ndjson",
            Compression::Gzip => "ndjson.gz",
        };
        self.key.key(&self.prefix, content, extension)
    }

    /// The type of an object: what it is as a file.
    pub(crate) fn content_type(&self) -> &str {
        let own = match self.compression {
            Compression::None => "application/x-ndjson",
            Compression::Gzip => "application/gzip",
        };
        self.content_type.as_deref().unwrap_or(own)
    }
}
