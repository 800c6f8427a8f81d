//! The manifest's `config` for this sink.

use serde::Deserialize;

/// The format of a line.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// The body with escaped control characters.
    #[default]
    Text,
    /// A JSON object with all fields of the record.
    Json,
}

/// The config object. An absent field has its default.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) format: Format,
}

impl Config {
    /// Parses the JSON text that `open` gets. Empty text means defaults.
    ///
    /// # Errors
    /// What is wrong with the text, for the author of the manifest.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(text).map_err(|error| {
            format!("config: {error}; expected {{\"format\":\"text\"}} or {{\"format\":\"json\"}}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_config_means_text() {
        assert_eq!(
            Config::parse(""),
            Ok(Config {
                format: Format::Text
            })
        );
        assert_eq!(
            Config::parse("{}"),
            Ok(Config {
                format: Format::Text
            })
        );
    }

    #[test]
    fn json_format_is_understood() {
        let config = Config::parse(r#"{"format":"json"}"#);
        assert_eq!(
            config,
            Ok(Config {
                format: Format::Json
            })
        );
    }

    #[test]
    fn mistakes_are_named() {
        let unknown = Config::parse(r#"{"fromat":"json"}"#).unwrap_err();
        assert!(unknown.contains("fromat"), "{unknown}");
        let wrong = Config::parse(r#"{"format":"xml"}"#).unwrap_err();
        assert!(wrong.contains("xml") && wrong.contains("json"), "{wrong}");
    }
}
