//! The name of a new sink.

use std::str::FromStr;

use thiserror::Error;

/// In bytes. It becomes the name of files.
const LONGEST: usize = 64;

/// Names that Cargo or rustc refuse for a crate, or that the crate of a new sink
/// could not be told apart from.
const TAKEN: [&str; 54] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "pub",
    "ref",
    "return",
    "serde",
    "sluice-sink",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "use",
    "where",
    "while",
    "yield",
];

/// A name that is a folder, a package and a file everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(String);

#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum NameError {
    #[error(
        "a name begins with a letter from a to z; then come such letters, digits and hyphens, at \
         most {LONGEST} in all"
    )]
    Form,
    #[error("the name means something else in Rust; choose another")]
    Taken,
}

impl Name {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let has_form = text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(is_inside)
            && text.len() <= LONGEST;
        match has_form {
            false => Err(NameError::Form),
            true if TAKEN.contains(&text) => Err(NameError::Taken),
            true => Ok(Self(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_everywhere() {
        for name in ["a", "my-sink", "loki2", "x-"] {
            assert_eq!(name.parse::<Name>().unwrap().as_str(), name);
        }
        let long = "a".repeat(LONGEST + 1);
        let wrong = [
            "", "2loki", "-a", "My", "a_b", "a b", "../a", "a/b", "ä", "a.b", &long,
        ];
        for name in wrong {
            assert_eq!(name.parse::<Name>(), Err(NameError::Form), "{name}");
        }
        for name in ["serde", "fn", "sluice-sink", "test"] {
            assert_eq!(name.parse::<Name>(), Err(NameError::Taken), "{name}");
        }
    }
}
