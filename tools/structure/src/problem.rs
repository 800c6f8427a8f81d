//! What a check reports, and what stops the whole run.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A violation of a rule.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Problem {
    /// Relative to the root of the workspace.
    path: PathBuf,
    line: usize,
    /// What is wrong, and the remedy.
    text: String,
}

impl Problem {
    pub(crate) fn new(path: &Path, line: usize, text: String) -> Self {
        Self {
            path: path.to_owned(),
            line,
            text,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.text)
    }
}

/// Why a tree cannot be checked.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("read {}: {cause}", path.display())]
    Read {
        path: PathBuf,
        cause: std::io::Error,
    },
    #[error("parse {}: {cause}", path.display())]
    Manifest {
        path: PathBuf,
        cause: toml::de::Error,
    },
    #[error("find a [workspace] with members in {}", path.display())]
    NoWorkspace { path: PathBuf },
    #[error("find the file of `mod {name}` at {}:{line}", path.display())]
    NoModule {
        path: PathBuf,
        line: usize,
        name: String,
    },
}

/// Reads a file of text.
///
/// # Errors
///
/// The file cannot be read.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|cause| Error::Read {
        path: path.to_owned(),
        cause,
    })
}
