//! Splits the tree of a `use` item into single imports.

use crate::lexer::{Kind, Token};
use crate::scope::{Import, ImportedName, Path};
use crate::test_code::group;

/// The imports of a `use` item, given the tokens between `use` and `;`.
pub(crate) fn imports(tree: &[Token<'_>]) -> Vec<Import> {
    let mut imports = Vec::new();
    read(tree, &[], &mut imports);
    imports
}

fn read(tree: &[Token<'_>], prefix: &[String], imports: &mut Vec<Import>) {
    let mut segments = prefix.to_vec();
    for (at, token) in tree.iter().enumerate() {
        if token.is("{") {
            let rest = tree.get(at..).unwrap_or_default();
            let inner = rest.get(1..group(rest).saturating_sub(1));
            return branches(inner.unwrap_or_default(), &segments, imports);
        }
        if token.is("as") {
            let alias = tree.get(at + 1).map(|token| token.text);
            return imports.extend(import(segments, token.line, alias));
        }
        if token.kind == Kind::Word || token.is("*") {
            segments.push(token.text.to_owned());
        }
    }
    if let Some(last) = tree.last() {
        imports.extend(import(segments, last.line, None));
    }
}

/// Reads trees that are separated by commas.
fn branches(trees: &[Token<'_>], prefix: &[String], imports: &mut Vec<Import>) {
    let mut start = 0;
    let mut at = 0;
    while let Some(token) = trees.get(at) {
        if token.is(",") {
            read(trees.get(start..at).unwrap_or_default(), prefix, imports);
            start = at + 1;
        }
        at += group(trees.get(at..).unwrap_or_default());
    }
    read(trees.get(start..).unwrap_or_default(), prefix, imports);
}

fn import(mut segments: Vec<String>, line: usize, alias: Option<&str>) -> Option<Import> {
    let name = match segments.last()?.as_str() {
        "*" => {
            segments.pop();
            ImportedName::All
        }
        // `a::{self}` imports `a`.
        "self" if segments.len() > 1 => {
            segments.pop();
            ImportedName::Named(segments.last()?.clone())
        }
        last => ImportedName::Named(last.to_owned()),
    };
    let name = match alias {
        Some("_") => ImportedName::Anonymous,
        Some(alias) => ImportedName::Named(alias.to_owned()),
        None => name,
    };
    Some(Import {
        path: Path { segments, line },
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::tokens;

    fn read(tree: &str) -> Vec<String> {
        imports(&tokens(tree))
            .into_iter()
            .map(|import| {
                let path = import.path.segments.join("::");
                match import.name {
                    ImportedName::Named(name) => format!("{path} as {name}"),
                    ImportedName::Anonymous => format!("{path} as _"),
                    ImportedName::All => format!("{path}::*"),
                }
            })
            .collect()
    }

    #[test]
    fn plain_and_renamed() {
        assert_eq!(read("crate::a::B"), ["crate::a::B as B"]);
        assert_eq!(read("a::B as C"), ["a::B as C"]);
        assert_eq!(read("a::B as _"), ["a::B as _"]);
        assert_eq!(read("super::*"), ["super::*"]);
    }

    #[test]
    fn groups_nest() {
        assert_eq!(
            read("a::{self, b::{C, d::*,}, E as F, self as G}"),
            [
                "a as a",
                "a::b::C as C",
                "a::b::d::*",
                "a::E as F",
                "a as G"
            ]
        );
        assert_eq!(read("{a::B, ::c::D}"), ["a::B as B", "c::D as D"]);
    }
}
