//! The default sink: writes one line per record to stdout.
//!
//! Config: `{"format":"text"}` (the default) writes the body only,
//! `{"format":"json"}` the whole record. In both formats a record is exactly one
//! line, whatever its body contains. The host makes the lines, as the WIT defines
//! them: `text-lines` and `json-lines`.
//!
//! The sink does not flush: the host acknowledges a record only after everything
//! written to stdout has left the node.

use serde::Deserialize;
use sluice_sink::{Batch, Delivery, Failure, Refusals, Sink, stdout};

/// The manifest's `config`. An absent field has its default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    format: Format,
}

/// The format of a line.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// The body with escaped control characters.
    #[default]
    Text,
    /// A JSON object with all fields of the record.
    Json,
}

struct Stdout {
    format: Format,
}

impl Sink for Stdout {
    type Config = Config;

    fn open(config: Config) -> Result<Self, Failure> {
        let Config { format } = config;
        Ok(Self { format })
    }

    fn write(&mut self, batch: &Batch, _delivery: Delivery) -> Result<Refusals, Failure> {
        let lines = match self.format {
            Format::Text => batch.text_lines(),
            Format::Json => batch.json_lines(),
        };
        stdout::write(&lines)?;
        Ok(Refusals::none())
    }
}

sluice_sink::export!(Stdout);

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sink::testing::{batch, close_stdout, open, printed, record};

    fn written(config: &str) -> String {
        let mut sink = open::<Stdout>(config).unwrap();
        let refusals = sink.write(&batch([record("a\nb"), record("c")]));
        assert_eq!(refusals, Ok(Refusals::none()));
        printed()
    }

    #[test]
    fn empty_config_means_text() {
        for config in ["", " ", "{}", r#"{"format":"text"}"#] {
            assert_eq!(written(config), "a\\nb\nc\n", "{config}");
        }
    }

    #[test]
    fn json_format_is_understood() {
        let lines = written(r#"{"format":"json"}"#);
        assert!(lines.starts_with(r#"{"epoch":1,"sequence":1,"timestamp":"#));
        assert!(lines.contains(r#""body":"a\nb""#));
        assert_eq!(lines.lines().count(), 2);
    }

    #[test]
    fn mistakes_are_named() {
        let mistake = |config| open::<Stdout>(config).err().unwrap().reason().to_owned();
        let unknown = mistake(r#"{"fromat":"json"}"#);
        assert!(
            unknown.contains("fromat") && unknown.contains("`format`"),
            "{unknown}"
        );
        let wrong = mistake(r#"{"format":"xml"}"#);
        let named = ["config.format", "xml", "`text`", "`json`"];
        assert!(named.iter().all(|name| wrong.contains(name)), "{wrong}");
    }

    #[test]
    fn a_closed_stdout_is_worth_another_attempt() {
        let mut sink = open::<Stdout>("").unwrap();
        close_stdout();
        let failure = sink.write(&batch([record("a")])).unwrap_err();
        assert!(failure.is_retryable() && failure.reason().starts_with("stdout: "));
        assert_eq!(printed(), "");
    }
}
