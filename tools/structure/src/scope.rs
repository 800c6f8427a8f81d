//! The names that one module defines, imports and uses. Plain data, filled by
//! the parser.

use std::collections::{BTreeMap, BTreeSet};

/// The content of one module: a whole file, or a module written inside a file.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    pub(crate) definitions: BTreeSet<String>,
    pub(crate) imports: Vec<Import>,
    /// Paths of two segments or more in the code, and in its attributes.
    pub(crate) paths: Vec<Path>,
    /// The first segment of every path outside `use`, with its first line.
    pub(crate) words: BTreeMap<String, usize>,
    pub(crate) children: Vec<Child>,
}

impl Scope {
    /// Whether the module only declares modules and imports names.
    pub(crate) fn is_face(&self) -> bool {
        self.words.is_empty()
            && self
                .children
                .iter()
                .all(|child| child.inline.as_ref().is_none_or(Self::is_face))
    }

    /// The import that is called `name` here.
    pub(crate) fn import_of(&self, name: &str) -> Option<&Import> {
        self.imports
            .iter()
            .find(|import| matches!(&import.name, ImportedName::Named(own) if own == name))
    }
}

/// One name of a `use` item.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) path: Path,
    pub(crate) name: ImportedName,
}

/// The name of an import in the module that imports it.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum ImportedName {
    Named(String),
    /// `use a::B as _`
    Anonymous,
    /// `use a::*`
    All,
}

/// A path as it is written.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

/// A `mod` item.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// The file in a `#[path]` attribute.
    pub(crate) file: Option<String>,
    /// The module itself, unless it is in a file of its own.
    pub(crate) inline: Option<Scope>,
}

/// A function with a body.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// From `fn` to the closing brace.
    pub(crate) lines: usize,
}
