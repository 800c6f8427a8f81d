//! Finds the calls that create files and directories.

use crate::lexer::{Kind, Token};

/// Functions of these types and modules that create something, by their last
/// two names.
const FUNCTIONS: [(&str, &str); 10] = [
    ("Database", "create"),
    ("DirBuilder", "new"),
    ("File", "create"),
    ("File", "create_new"),
    ("NamedTempFile", "new"),
    ("fs", "copy"),
    ("fs", "create_dir"),
    ("fs", "create_dir_all"),
    ("fs", "write"),
    ("tempfile", "tempdir"),
];

/// Methods and imported functions that create something.
const CALLS: [&str; 8] = [
    "create_dir",
    "create_dir_all",
    "create_new",
    "mkdirat",
    "mkdtemp",
    "tempdir",
    "tempdir_in",
    "tempfile_in",
];

/// Finds the calls that create a file or a directory.
pub(crate) fn creation_calls(tokens: &[Token<'_>]) -> Vec<(String, usize)> {
    let places = 0..tokens.len();
    let found = places.filter_map(|at| {
        let name = tokens.get(at).filter(|token| token.kind == Kind::Word)?;
        let is_called = tokens.get(at + 1)?.is("(");
        let before = |steps: usize| tokens.get(at.checked_sub(steps)?);
        let owner = before(1)
            .filter(|mark| mark.is("::"))
            .and_then(|_| before(2))
            .map_or("", |owner| owner.text);
        let is_defined = before(1).is_some_and(|word| word.is("fn"));
        // `.create(true)` is an option of opening a file.
        let is_option = name.is("create")
            && before(1).is_some_and(|mark| mark.is("."))
            && tokens.get(at + 2).is_some_and(|value| value.is("true"));
        let creates = FUNCTIONS.contains(&(owner, name.text)) || CALLS.contains(&name.text);
        (is_called && !is_defined && (creates || is_option))
            .then(|| (name.text.to_owned(), name.line))
    });
    found.collect()
}
