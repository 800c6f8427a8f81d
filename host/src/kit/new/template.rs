//! What is in the folder of a new sink.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use sluice_types::files;
use thiserror::Error;

use super::Name;

/// All files that folders are made of, by their paths: `python/stdout/app.py`,
/// `wasi/http.wit`, `sluice-sink/src/lib.rs`, and `sink.wit`. `host/build.rs` makes
/// the list, in the order of the paths.
mod embedded {
    include!(concat!(env!("OUT_DIR"), "/templates.rs"));
}

/// The name that stands for the sink's in the files.
const PLACEHOLDER: &str = "my-sink";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    Rust,
    Python,
    #[value(name = "js", alias = "javascript")]
    JavaScript,
    C,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Writes lines to the node's stdout
    Stdout,
    /// Posts batches as NDJSON to a URL
    Http,
}

#[derive(Debug, Error)]
pub(crate) enum NewError {
    #[error(
        "make a sink in C that sends HTTP requests: there is no template for that, because the \
         bindings of wasi:http have more than 7000 lines; choose --lang rust, python or js"
    )]
    HttpInC,
    #[error("make {}: it is a folder with files in it; choose another name", .0.display())]
    NotEmpty(PathBuf),
    #[error("make {}: there is something else of that name", .0.display())]
    NoFolder(PathBuf),
    #[error("make {}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
}

/// Where files of the program go: those below the first path to the second.
type Part = (&'static str, &'static str);

/// The files of a new sink.
#[derive(Debug)]
pub(crate) struct Template {
    /// Path in the folder, and content.
    files: Vec<(String, &'static [u8])>,
}

impl Template {
    /// # Errors
    /// There is no such template.
    pub(crate) fn new(language: Language, kind: Kind) -> Result<Self, NewError> {
        let mut files: Vec<_> = parts(language, kind)?.iter().flat_map(below).collect();
        files.sort_unstable();
        Ok(Self { files })
    }

    /// The README of the sink `name`.
    pub(super) fn readme(&self, name: &Name) -> String {
        let file = self.files.iter().find(|(path, _)| path == "README.md");
        let content = file.map(|(_, content)| named(content, name));
        String::from_utf8(content.unwrap_or_default()).unwrap_or_default()
    }

    /// Writes the files of the sink `name` into `folder`.
    ///
    /// # Errors
    /// The folder is not empty, or a file cannot be written.
    pub(crate) fn write(&self, name: &Name, folder: &Path) -> Result<(), NewError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |cause| NewError::Write { path, cause }
        };
        make_empty(folder)?;
        for (path, content) in &self.files {
            let path = folder.join(path);
            let parent = path.parent().unwrap_or(folder);
            files::shared_dir(parent).map_err(failed(parent))?;
            files::write_shared(&path, &named(content, name)).map_err(failed(&path))?;
        }
        Ok(())
    }
}

fn parts(language: Language, kind: Kind) -> Result<Vec<Part>, NewError> {
    const DEPS: [Part; 2] = [("wasi/", "wit/deps/"), ("sink.wit", "wit/deps/sink.wit")];
    let parts = match (language, kind) {
        (Language::Rust, kind) => {
            let own = match kind {
                Kind::Stdout => ("rust/stdout/", ""),
                Kind::Http => ("rust/http/", ""),
            };
            vec![("rust/common/", ""), own, ("sluice-sink/", "sluice-sink/")]
        }
        // componentize-py brings what Python itself needs of WASI.
        (Language::Python, Kind::Stdout) => vec![
            ("python/common/", ""),
            ("python/stdout/", ""),
            ("sink.wit", "wit/sink.wit"),
        ],
        (Language::Python, Kind::Http) => [
            vec![("python/common/", ""), ("python/http/", "")],
            DEPS.into(),
        ]
        .concat(),
        (Language::JavaScript, kind) => {
            let own = match kind {
                Kind::Stdout => ("javascript/stdout/", ""),
                Kind::Http => ("javascript/http/", ""),
            };
            [vec![("javascript/common/", ""), own], DEPS.into()].concat()
        }
        (Language::C, Kind::Stdout) => [vec![("c/", "")], DEPS.into()].concat(),
        (Language::C, Kind::Http) => return Err(NewError::HttpInC),
    };
    Ok(parts)
}

fn below(&(from, to): &Part) -> impl Iterator<Item = (String, &'static [u8])> + use<> {
    embedded::FILES.iter().filter_map(move |(path, content)| {
        let rest = path.strip_prefix(from)?;
        // In the repository, a file with its real name would be about the
        // templates themselves.
        let rest = if rest == "gitignore" {
            ".gitignore"
        } else {
            rest
        };
        Some((format!("{to}{rest}"), *content))
    })
}

/// Makes sure that there is such a folder, with nothing in it.
fn make_empty(folder: &Path) -> Result<(), NewError> {
    match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(NewError::NotEmpty(folder.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(NewError::NoFolder(folder.to_owned()))
        }
        Err(cause) => Err(NewError::Write {
            path: folder.to_owned(),
            cause,
        }),
    }
}

/// The content with the sink's name, also as it is written in an identifier.
fn named(content: &[u8], name: &Name) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(content) else {
        return content.to_owned();
    };
    let identifier = |name: &str| name.replace('-', "_");
    text.replace(PLACEHOLDER, name.as_str())
        .replace(&identifier(PLACEHOLDER), &identifier(name.as_str()))
        .into_bytes()
}

#[cfg(test)]
mod tests;
