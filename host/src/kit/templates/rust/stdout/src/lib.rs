//! Writes each record as one line on the node's stdout.
//!
//! Config: `{"format": "text"}`, the default, or `{"format": "json"}`.

use serde::Deserialize;
use sluice_sink::{Batch, Delivery, Failure, Refusals, Sink, stdout};

/// The manifest's `config`. An absent field has its default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    format: Format,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Text,
    Json,
}

struct Lines(Config);

impl Sink for Lines {
    type Config = Config;

    fn open(config: Config) -> Result<Self, Failure> {
        Ok(Self(config))
    }

    fn write(&mut self, batch: &Batch, _delivery: Delivery) -> Result<Refusals, Failure> {
        // The host makes the lines. Each record is one line, whatever its body
        // contains.
        let lines = match self.0.format {
            Format::Text => batch.text_lines(),
            Format::Json => batch.json_lines(),
        };
        stdout::write(&lines)?;
        // The host acknowledges everything that is not refused.
        Ok(Refusals::none())
    }
}

sluice_sink::export!(Lines);

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sink::testing::{batch, close_stdout, open, printed, record};

    fn written(config: &str) -> String {
        let mut sink = open::<Lines>(config).unwrap();
        let refusals = sink.write(&batch([record("a\nb"), record("c")]));
        assert_eq!(refusals, Ok(Refusals::none()));
        printed()
    }

    #[test]
    fn each_record_is_a_line() {
        assert_eq!(written(""), "a\\nb\nc\n");
        let lines = written(r#"{"format": "json"}"#);
        assert_eq!(lines.matches(r#""body":"a\nb""#).count(), 1);
        assert_eq!(lines.lines().count(), 2);
    }

    #[test]
    fn a_wrong_config_is_refused_for_good() {
        let failure = open::<Lines>(r#"{"format": "xml"}"#).err().unwrap();
        assert!(!failure.is_retryable() && failure.reason().contains("xml"));
    }

    #[test]
    fn a_failed_write_is_tried_again() {
        let mut sink = open::<Lines>("").unwrap();
        close_stdout();
        let failure = sink.write(&batch([record("a")])).unwrap_err();
        assert!(failure.is_retryable());
    }
}
