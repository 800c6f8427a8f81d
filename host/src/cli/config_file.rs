//! `--config FILE`: a TOML file whose values replace the flags' defaults, so
//! that flags and `SLUICE_*` variables take precedence.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Command;
use thiserror::Error;
use toml::{Table, Value};

/// Why the file cannot be used.
#[derive(Debug, Error)]
pub(super) enum ConfigFileError {
    #[error("read the configuration file {}", .file.display())]
    Read {
        file: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("parse the configuration file {}", .file.display())]
    Parse {
        file: PathBuf,
        #[source]
        cause: Box<toml::de::Error>,
    },
    #[error(
        "use the configuration file {}: there is no setting {key:?}; use the \
         flags of sluice {subcommand} without the leading dashes", .file.display()
    )]
    Unknown {
        file: PathBuf,
        key: String,
        subcommand: String,
    },
    #[error(
        "use the configuration file {}: {key} must be text, a number, true, false, or a list of \
         strings", .file.display()
    )]
    Shape { file: PathBuf, key: String },
}

/// Makes the values of the file, if one is given, the defaults of the command.
///
/// # Errors
/// The file cannot be read or has a setting that the subcommand lacks.
pub(super) fn apply(
    command: Command,
    arguments: impl Iterator<Item = OsString>,
) -> Result<Command, ConfigFileError> {
    let Some((subcommand, file)) = named(arguments) else {
        return Ok(command);
    };
    let takes_a_file = |sub: &Command| sub.get_arguments().any(|arg| arg.get_id() == "config");
    if !command
        .find_subcommand(&subcommand)
        .is_some_and(takes_a_file)
    {
        return Ok(command);
    }
    let text = std::fs::read_to_string(&file).map_err(|cause| ConfigFileError::Read {
        file: file.clone(),
        cause,
    })?;
    let table: Table = text.parse().map_err(|cause| ConfigFileError::Parse {
        file: file.clone(),
        cause: Box::new(cause),
    })?;
    let mut values = Vec::new();
    for (key, value) in table {
        let flag = key.replace('_', "-");
        let id = command
            .find_subcommand(&subcommand)
            .and_then(|sub| {
                sub.get_arguments()
                    .find(|arg| arg.get_long() == Some(&flag))
            })
            .map(|arg| arg.get_id().clone());
        let Some(id) = id else {
            return Err(ConfigFileError::Unknown {
                file,
                key,
                subcommand,
            });
        };
        let texts = texts(value).ok_or_else(|| ConfigFileError::Shape {
            file: file.clone(),
            key,
        })?;
        values.push((id, texts));
    }
    Ok(command.mut_subcommand(subcommand, |sub| {
        values.into_iter().fold(sub, |sub, (id, texts)| {
            sub.mut_arg(id, |arg| arg.default_values(texts).required(false))
        })
    }))
}

/// The subcommand, and the file from `--config` or `SLUICE_CONFIG`.
fn named(arguments: impl Iterator<Item = OsString>) -> Option<(String, PathBuf)> {
    let mut arguments = arguments
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned());
    let subcommand = arguments.next()?;
    let mut file = std::env::var("SLUICE_CONFIG")
        .ok()
        .filter(|file| !file.is_empty());
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            break;
        } else if argument == "--config" {
            file = arguments.next();
        } else if let Some(value) = argument.strip_prefix("--config=") {
            file = Some(value.to_owned());
        }
    }
    Some((subcommand, file?.into()))
}

fn texts(value: Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Integer(integer) => Some(vec![integer.to_string()]),
        Value::Boolean(boolean) => Some(vec![boolean.to_string()]),
        Value::Array(values) => values
            .into_iter()
            .map(|value| value.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    }
}
