//! Reads the tokens of one file: its modules, and the lengths of its functions.

use crate::lexer::{Kind, Token};
use crate::scope::{Child, Function, Path, Scope};
use crate::test_code::{group, is_closing, is_opening};
use crate::use_tree;

/// Keywords that are followed by the name of a new item.
const DEFINING: [&str; 8] = [
    "const", "enum", "fn", "static", "struct", "trait", "type", "union",
];

/// The content of a file.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) scope: Scope,
    pub(crate) functions: Vec<Function>,
}

/// Parses the tokens of a file, from which the tests were removed.
pub(crate) fn parse(tokens: &[Token<'_>]) -> Parsed {
    let mut parser = Parser {
        tokens,
        at: 0,
        functions: Vec::new(),
    };
    let scope = parser.scope();
    Parsed {
        scope,
        functions: parser.functions,
    }
}

struct Parser<'t, 'a> {
    tokens: &'t [Token<'a>],
    /// The index of the next token.
    at: usize,
    functions: Vec<Function>,
}

impl<'t, 'a> Parser<'t, 'a> {
    /// Reads up to the brace that closes the module, or to the end of the file.
    fn scope(&mut self) -> Scope {
        let mut scope = Scope::default();
        let mut depth = 0_usize;
        let mut file = None;
        while let Some(token) = self.peek(0) {
            if is_closing(token) && depth == 0 {
                break;
            }
            if token.is("#") {
                file = self.attribute(&mut scope).or(file);
            } else if token.is("pub") {
                self.visibility();
            } else if token.is("use") && !self.peek(1).is_some_and(|next| next.is("<")) {
                self.imports(&mut scope);
            } else if let Some(name) = self.module_name() {
                self.child(&mut scope, name, file.take());
            } else {
                depth = depth_after(depth, token);
                self.code(&mut scope, depth == 0);
            }
        }
        scope
    }

    /// The token this many places ahead.
    fn peek(&self, ahead: usize) -> Option<&'t Token<'a>> {
        self.tokens.get(self.at + ahead)
    }

    fn rest(&self) -> &'t [Token<'a>] {
        self.tokens.get(self.at..).unwrap_or_default()
    }

    /// The name of the `mod` item that comes next.
    fn module_name(&self) -> Option<&'t Token<'a>> {
        self.peek(0).filter(|token| token.is("mod"))?;
        let ends = |token: &&Token<'_>| token.is(";") || token.is("{");
        self.peek(2).filter(ends)?;
        self.peek(1)
    }

    fn child(&mut self, scope: &mut Scope, name: &Token<'_>, file: Option<String>) {
        let is_inline = self.peek(2).is_some_and(|token| token.is("{"));
        self.at += 3;
        let inline = is_inline.then(|| self.scope());
        self.at += usize::from(is_inline);
        scope.children.push(Child {
            name: name.text.to_owned(),
            line: name.line,
            file,
            inline,
        });
    }

    fn visibility(&mut self) {
        self.at += 1;
        if self.peek(0).is_some_and(|token| token.is("(")) {
            self.at += group(self.rest());
        }
    }

    fn imports(&mut self, scope: &mut Scope) {
        self.at += 1;
        let rest = self.rest();
        let length = rest.iter().position(|token| token.is(";"));
        let tree = rest.get(..length.unwrap_or(rest.len())).unwrap_or_default();
        scope.imports.extend(use_tree::imports(tree));
        self.at += tree.len() + 1;
    }

    /// Reads an attribute: the paths in it, including quoted ones. Returns the
    /// file that a `#[path]` names.
    fn attribute(&mut self, scope: &mut Scope) -> Option<String> {
        self.at += 1;
        if self.peek(0).is_some_and(|token| token.is("!")) {
            self.at += 1;
        }
        let end = self.at + group(self.rest());
        let is_path = self.peek(1).is_some_and(|token| token.is("path"));
        let mut file = None;
        while let Some(token) = self.peek(0).filter(|_| self.at < end) {
            let text = token.text.trim_matches('"');
            if token.kind == Kind::Text && is_path {
                file = Some(text.to_owned());
            } else if token.kind == Kind::Text && is_quoted_path(text) {
                scope.paths.push(Path {
                    segments: text.split("::").map(str::to_owned).collect(),
                    line: token.line,
                });
            }
            let path = self.path().filter(|path| path.segments.len() > 1);
            self.at += path.as_ref().map_or(1, |path| path.segments.len() * 2 - 1);
            scope.paths.extend(path);
        }
        file
    }

    /// Reads one token, or one path, of code.
    fn code(&mut self, scope: &mut Scope, is_item_level: bool) {
        self.function();
        if is_item_level {
            scope.definitions.extend(self.definition());
        }
        let Some(path) = self.path() else {
            self.at += 1;
            return;
        };
        if let Some(first) = path.segments.first() {
            scope.words.entry(first.clone()).or_insert(path.line);
        }
        self.at += path.segments.len() * 2 - 1;
        if path.segments.len() > 1 {
            scope.paths.push(path);
        }
    }

    /// The path that starts here, unless it is the continuation of an earlier
    /// one.
    fn path(&self) -> Option<Path> {
        let first = self.peek(0).filter(|token| token.kind == Kind::Word)?;
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        if before.is_some_and(|token| token.is("::") || token.is(".")) {
            return None;
        }
        let mut segments = vec![first.text.to_owned()];
        let is_word = |token: &&Token<'_>| token.kind == Kind::Word;
        while self
            .peek(segments.len() * 2 - 1)
            .is_some_and(|token| token.is("::"))
            && let Some(next) = self.peek(segments.len() * 2).filter(is_word)
        {
            segments.push(next.text.to_owned());
        }
        Some(Path {
            segments,
            line: first.line,
        })
    }

    /// The name of the item that starts here.
    fn definition(&self) -> Option<String> {
        let keyword = self.peek(0)?;
        if keyword.is("macro_rules") {
            return self.peek(2).map(|name| name.text.to_owned());
        }
        let is_defining = keyword.kind == Kind::Word && DEFINING.contains(&keyword.text);
        let skipped = usize::from(self.peek(1)?.is("mut"));
        let name = self.peek(1 + skipped)?;
        (is_defining && name.kind == Kind::Word).then(|| name.text.to_owned())
    }

    /// Measures the function that starts here.
    fn function(&mut self) {
        let Some((keyword, name)) = self.peek(0).zip(self.peek(1)) else {
            return;
        };
        if !keyword.is("fn") || name.kind != Kind::Word {
            return;
        }
        if let Some(end) = end_of_body(self.rest()) {
            self.functions.push(Function {
                name: name.text.to_owned(),
                line: keyword.line,
                lines: end.line + 1 - keyword.line,
            });
        }
    }
}

fn depth_after(depth: usize, token: &Token<'_>) -> usize {
    if is_opening(token) {
        depth + 1
    } else {
        depth.saturating_sub(usize::from(is_closing(token)))
    }
}

/// The brace that closes the body of the function that starts here; `None` if
/// it has no body.
fn end_of_body<'t, 'a>(tokens: &'t [Token<'a>]) -> Option<&'t Token<'a>> {
    let mut at = 0;
    loop {
        let rest = tokens.get(at..)?;
        let token = rest.first()?;
        if token.is(";") {
            return None;
        }
        let length = if is_opening(token) { group(rest) } else { 1 };
        at += length;
        if token.is("{") {
            return tokens.get(at - 1);
        }
    }
}

/// Whether a string in an attribute refers to something in this crate, as in
/// `#[serde(with = "super::duration")]`.
fn is_quoted_path(text: &str) -> bool {
    let is_word =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
    text.contains("::") && text.split("::").all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::tokens;

    fn read(source: &str) -> Parsed {
        parse(&tokens(source))
    }

    #[test]
    fn modules_keep_their_names_apart() {
        let parsed =
            read("mod a; #[path = \"x.rs\"] mod b; mod c { use d::E; fn f() {} } fn g() {}");
        let children = &parsed.scope.children;
        assert_eq!(children[0].name, "a");
        assert_eq!(children[1].file.as_deref(), Some("x.rs"));
        let inline = children[2].inline.as_ref().unwrap();
        assert_eq!(inline.imports.len(), 1);
        assert!(inline.definitions.contains("f"));
        assert_eq!(parsed.scope.definitions.len(), 1);
        assert!(parsed.scope.definitions.contains("g"));
    }

    #[test]
    fn only_items_of_the_module_are_its_definitions() {
        let parsed = read(
            "pub(crate) struct A; impl A { const B: u8 = 1; fn c() { struct D; } } \
             static mut E: u8 = 0; pub const fn f() {} macro_rules! g { () => {} }",
        );
        let definitions: Vec<_> = parsed
            .scope
            .definitions
            .iter()
            .map(String::as_str)
            .collect();
        assert_eq!(definitions, ["A", "E", "f", "fn", "g"]);
    }

    #[test]
    fn paths_are_found_in_bodies_macros_and_attributes() {
        let parsed = read(
            "#[command(help = a::HELP)] #[serde(with = \"super::b\", rename = \"c d\")] \
             fn f() { g!(\"x\", crate::h::I::j()); k.l::<m::N>(); <O as p::Q>::R }",
        );
        let paths: Vec<_> = parsed
            .scope
            .paths
            .iter()
            .map(|p| p.segments.join("::"))
            .collect();
        assert_eq!(
            paths,
            ["a::HELP", "super::b", "crate::h::I::j", "m::N", "p::Q"]
        );
    }

    #[test]
    fn imports_inside_functions_count() {
        let parsed = read("fn f() -> impl A + use<'_> { use crate::b::C; C }");
        assert_eq!(parsed.scope.imports.len(), 1);
    }

    #[test]
    fn functions_are_measured_from_the_keyword_to_the_brace() {
        let parsed = read(
            "trait A { fn a(); }\n/// Doc.\npub fn b<const N: usize>(\n) -> [u8; { 2 }]\nwhere\n\
             {\n    fn c() {}\n}\n",
        );
        let found: Vec<_> = parsed
            .functions
            .iter()
            .map(|f| (f.name.as_str(), f.line, f.lines))
            .collect();
        assert_eq!(found, [("b", 3, 6), ("c", 7, 1)]);
    }

    #[test]
    fn a_face_declares_and_imports_and_nothing_else() {
        assert!(
            read("#![allow(a)] mod b; pub(in crate::c) use b::C; use d::E;")
                .scope
                .is_face()
        );
        assert!(!read("mod b; fn f() {}").scope.is_face());
        assert!(!read("mod b { a!(); }").scope.is_face());
    }
}
