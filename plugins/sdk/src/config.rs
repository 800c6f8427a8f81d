//! Parses the manifest's `config`.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Failure, config_place};

/// The config of a sink that has none: `{}`, or nothing.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// Parses the text that `open` gets: JSON, or nothing.
///
/// # Errors
/// What is wrong, with the path of the field.
pub(crate) fn parse<C: DeserializeOwned>(text: &str) -> Result<C, Failure> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    // A list would be taken for the fields in their order.
    if text.trim_start().starts_with('[') {
        return Err(Failure::permanent(
            "config: expected an object, such as {}, not a list",
        ));
    }
    serde_json::from_str(text).map_err(|error| explain(text, &error))
}

fn explain(text: &str, error: &serde_json::Error) -> Failure {
    let said = error.to_string();
    let at = (error.line(), error.column());
    let place = config_place::path(text, at, said.starts_with("missing field"));
    Failure::permanent(format!("{place}: {said}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Config {
        url: String,
        #[serde(default)]
        size: u16,
        #[serde(default)]
        inner: Option<Box<Config>>,
        #[serde(default)]
        list: Vec<u8>,
        #[serde(default)]
        target: Option<crate::http::Url>,
    }

    #[test]
    fn no_config_is_an_empty_one() {
        assert_eq!(parse(""), Ok(NoConfig {}));
        assert_eq!(parse(" \n"), Ok(NoConfig {}));
        assert_eq!(parse("{}"), Ok(NoConfig {}));
        assert!(parse::<NoConfig>(r#"{"a": 1}"#).is_err());
    }

    #[test]
    fn an_error_names_the_field_and_what_is_expected() {
        for (text, place, said) in [
            ("", "config: ", "missing field `url`"),
            (r#"{"url": 7}"#, "config.url: ", "expected a string"),
            (
                r#"{"url":"a","size":70000}"#,
                "config.size: ",
                "expected u16",
            ),
            (
                r#"{"url":"a","size":"x","list":[]}"#,
                "config.size: ",
                "expected u16",
            ),
            (
                r#"{"urk":"a"}"#,
                "config: ",
                "unknown field `urk`, expected one of `url`",
            ),
            (
                r#"{"url":"a","inner":{}}"#,
                "config.inner: ",
                "missing field `url`",
            ),
            (
                r#"{"url":"a","inner":{"url":[]}}"#,
                "config.inner.url: ",
                "expected a string",
            ),
            (
                r#"{"url":"a","list":[1,2,-3]}"#,
                "config.list[2]: ",
                "expected u8",
            ),
            (
                "{\"url\":\"a\",\n\"list\":[1,\n\"2\"]}",
                "config.list[1]: ",
                "expected u8",
            ),
            (
                r#"{"url":"a","target":"b"}"#,
                "config.target: ",
                "expected a URL",
            ),
            (
                r#"{"target":"b","url":"a"}"#,
                "config.target: ",
                "expected a URL",
            ),
            (
                r#"{"url":"a","inner":{"url":"a","target":"b"}, "size": 1}"#,
                "config.inner.target: ",
                "expected a URL",
            ),
            ("[]", "config: ", "expected an object"),
            (" [\"a\"]", "config: ", "expected an object"),
            ("{\"list\":[1,", "config.list[0]: ", "EOF"),
            ("7", "config: ", "expected struct Config"),
            (r#"{"url":"a"} x"#, "config: ", "trailing characters"),
        ] {
            let error = parse::<Config>(text).unwrap_err();
            let reason = error.reason();
            assert!(reason.starts_with(place), "{text}: {reason}");
            assert!(reason.contains(said), "{text}: {reason}");
            assert!(!error.is_retryable());
        }
    }
}
