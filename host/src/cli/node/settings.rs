//! The flags of a node as they are shown: with their values, and without secrets.

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use serde_json::Value;

use crate::diagnostics::{Redaction, Setting};

/// The flag with a manifest.
const PLUGIN: &str = "plugin";

/// The settings in effect: those of `matches`, by the flags of `command`.
pub(in crate::cli) fn settings(command: &Command, matches: &ArgMatches) -> Vec<Setting> {
    let redaction = Redaction::default();
    let flags = command.get_arguments().filter_map(|flag| {
        let name = flag.get_long()?;
        let id = flag.get_id().as_str();
        let values = matches.try_get_raw(id).ok().flatten()?;
        let values: Vec<_> = values
            .map(|value| value.to_string_lossy().into_owned())
            .collect();
        let value = values.join(", ");
        Some(Setting {
            name: name.to_owned(),
            value: match name {
                PLUGIN => match redaction.manifest(&value) {
                    Value::String(source) => source,
                    manifest => manifest.to_string(),
                },
                _ => redaction.text(&value),
            },
            source: source(matches.value_source(id)).to_owned(),
        })
    });
    flags.collect()
}

const fn source(source: Option<ValueSource>) -> &'static str {
    match source {
        Some(ValueSource::CommandLine) => "flag",
        Some(ValueSource::EnvVariable) => "variable",
        _ => "file or default",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::node::NodeArgs;
    use clap::Args;

    #[test]
    fn settings_are_shown_without_secrets() {
        let command = NodeArgs::augment_args(Command::new("node"));
        let manifest = r#"{"source":"builtin:stdout","config":{"password":"hunter2"}}"#;
        let given = [
            "node",
            "--name",
            "a",
            "--plugin",
            manifest,
            "--allow-http",
            "https://logs.example.com",
            "--listen",
            "127.0.0.1:1,127.0.0.1:2",
        ];
        let matches = command.clone().try_get_matches_from(given).unwrap();
        let shown = settings(&command, &matches);
        let of = |name: &str| {
            let found = shown.iter().find(|setting| setting.name == name);
            found.map(|setting| (setting.value.as_str(), setting.source.as_str()))
        };
        assert_eq!(of("name"), Some(("a", "flag")));
        assert_eq!(of("listen"), Some(("127.0.0.1:1, 127.0.0.1:2", "flag")));
        assert_eq!(of("lease").unwrap().0, "1s");
        assert_eq!(of("audit-log"), None);
        let (plugin, _) = of("plugin").unwrap();
        assert!(!plugin.contains("hunter2") && plugin.contains("builtin:stdout"));
    }
}
