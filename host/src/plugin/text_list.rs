//! Lists of values that documents write as texts.

use std::fmt::Display;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes each value as its text.
pub(super) fn serialize<T: Display, S: Serializer>(
    list: &[T],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(list.iter().map(T::to_string))
}

/// Reads each value; an error quotes the text.
pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: FromStr<Err: Display>,
    D: Deserializer<'de>,
{
    let texts = Vec::<String>::deserialize(deserializer)?;
    let read = |text: &String| {
        let value = text.parse();
        value.map_err(|error| D::Error::custom(format!("{text:?}: {error}")))
    };
    texts.iter().map(read).collect()
}
