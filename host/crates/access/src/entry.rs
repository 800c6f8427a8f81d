//! The form of the file of tokens.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use sluice_types::size;

use crate::scope::Scope;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    #[serde(default, rename = "token")]
    pub(crate) tokens: Vec<Entry>,
}

/// One client.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// The digest of its token in hexadecimal.
    pub(crate) sha256: Option<String>,
    /// The name in its certificate.
    pub(crate) certificate: Option<String>,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) streams: Option<Vec<String>>,
    pub(crate) records_per_second: Option<u64>,
    #[serde(default, deserialize_with = "bytes")]
    pub(crate) bytes_per_second: Option<u64>,
}

/// A number of bytes, or a text with a unit.
fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    struct Bytes;
    impl Visitor<'_> for Bytes {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a size like 64KiB or 16MiB")
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<u64, E> {
            u64::try_from(number).map_err(|_| E::custom("a size cannot be negative"))
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<u64, E> {
            Ok(number)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
            let size = size::parse(text).map_err(E::custom)?;
            u64::try_from(size).map_err(E::custom)
        }
    }
    from.deserialize_any(Bytes).map(Some)
}
