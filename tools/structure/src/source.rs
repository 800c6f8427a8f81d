//! The source files of a package, and the tree of modules that they make.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::creation_calls::creation_calls;
use crate::lexer::{Kind, tokens};
use crate::manifest::Package;
use crate::parser::{self, Parsed};
use crate::problem::{Error, read};
use crate::scope::{Child, Function, Scope};
use crate::test_code::without_tests;

/// The parsed source of a package.
#[derive(Debug)]
pub(crate) struct Source {
    /// The library: its name in the paths of other targets, and its root
    /// module.
    pub(crate) library: Option<(String, usize)>,
    pub(crate) files: Vec<File>,
    pub(crate) modules: Vec<Module>,
}

/// A source file that is not a test.
#[derive(Debug)]
pub(crate) struct File {
    /// Relative to the root of the workspace.
    pub(crate) path: PathBuf,
    /// Without its tests.
    pub(crate) lines: usize,
    pub(crate) functions: Vec<Function>,
    /// String literals outside tests, with their lines.
    pub(crate) literals: Vec<(String, usize)>,
    /// The calls outside tests that create a file or a directory.
    pub(crate) creations: Vec<(String, usize)>,
    /// Whether it only declares modules and re-exports names.
    pub(crate) is_face: bool,
}

/// A module. Parents, roots and children are indexes of [`Source::modules`].
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) parent: Option<usize>,
    pub(crate) root: usize,
    /// An index of [`Source::files`].
    pub(crate) file: usize,
    pub(crate) children: BTreeMap<String, usize>,
    pub(crate) scope: Scope,
}

/// Reads the files of `package`, whose workspace is at `root`.
///
/// # Errors
///
/// A file cannot be read, or a declared module has no file.
pub(crate) fn read_package(root: &Path, package: &Package) -> Result<Source, Error> {
    let mut reader = Reader {
        root,
        files: Vec::new(),
        modules: Vec::new(),
    };
    let mut library = None;
    if let Some(path) = &package.library {
        let module = reader.file(path.clone(), None, &folder_of(path))?;
        library = Some((package.name.replace('-', "_"), module));
    }
    for path in &package.programs {
        reader.file(path.clone(), None, &folder_of(path))?;
    }
    Ok(Source {
        library,
        files: reader.files,
        modules: reader.modules,
    })
}

struct Reader<'r> {
    root: &'r Path,
    files: Vec<File>,
    modules: Vec<Module>,
}

impl Reader<'_> {
    /// Reads the file of a module; its children are in `folder`.
    fn file(
        &mut self,
        path: PathBuf,
        parent: Option<usize>,
        folder: &Path,
    ) -> Result<usize, Error> {
        let text = read(&self.root.join(&path))?;
        let tokens = tokens(&text);
        let code = without_tests(&tokens);
        let Parsed { scope, functions } = parser::parse(&code.tokens);
        let literals = code.tokens.iter().filter(|token| token.kind == Kind::Text);
        self.files.push(File {
            path,
            lines: text.lines().count() - code.test_lines,
            functions,
            literals: literals
                .map(|token| (token.text.to_owned(), token.line))
                .collect(),
            creations: creation_calls(&code.tokens),
            is_face: scope.is_face(),
        });
        self.module(scope, self.files.len() - 1, parent, folder)
    }

    fn module(
        &mut self,
        mut scope: Scope,
        file: usize,
        parent: Option<usize>,
        folder: &Path,
    ) -> Result<usize, Error> {
        let index = self.modules.len();
        let children = std::mem::take(&mut scope.children);
        let root = parent.and_then(|parent| self.modules.get(parent));
        self.modules.push(Module {
            parent,
            root: root.map_or(index, |parent| parent.root),
            file,
            children: BTreeMap::new(),
            scope,
        });
        for child in children {
            let name = child.name.clone();
            let child = self.child(child, file, index, folder)?;
            if let Some(module) = self.modules.get_mut(index) {
                module.children.insert(name, child);
            }
        }
        Ok(index)
    }

    fn child(
        &mut self,
        child: Child,
        file: usize,
        parent: usize,
        folder: &Path,
    ) -> Result<usize, Error> {
        let own_folder = folder.join(&child.name);
        if let Some(scope) = child.inline {
            return self.module(scope, file, Some(parent), &own_folder);
        }
        let declared = self.files.get(file).map(|file| file.path.clone());
        let declared = declared.unwrap_or_default();
        if let Some(path) = child.file {
            let path = folder_of(&declared).join(path);
            let folder = folder_of(&path);
            return self.file(path, Some(parent), &folder);
        }
        let candidates = [
            folder.join(format!("{}.rs", child.name)),
            own_folder.join("mod.rs"),
        ];
        let found = candidates
            .into_iter()
            .find(|path| self.root.join(path).is_file());
        let path = found.ok_or(Error::NoModule {
            path: declared,
            line: child.line,
            name: child.name,
        })?;
        self.file(path, Some(parent), &own_folder)
    }
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_owned()
}
