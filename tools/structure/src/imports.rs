//! Which file of a package imports which names from which other file.

use std::collections::{BTreeMap, BTreeSet};

use crate::resolve::{Found, Item, Resolver};
use crate::scope::{Import, ImportedName};
use crate::source::{Module, Source};

/// The imports between the files of a package, by importer and imported file as
/// indexes of [`Source::files`]. Faces are left out.
pub(crate) type Imports = BTreeMap<(usize, usize), Names>;

/// What one file imports from another.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub(crate) names: BTreeSet<String>,
    /// The first line that imports or uses one of them.
    pub(crate) line: usize,
}

/// Finds the imports between the files of `source`.
pub(crate) fn between_files(source: &Source) -> Imports {
    let mut finder = Finder {
        source,
        resolver: Resolver::new(source),
        imports: Imports::new(),
    };
    for (index, module) in source.modules.iter().enumerate() {
        finder.module(index, module);
    }
    finder.imports
}

struct Finder<'s> {
    source: &'s Source,
    resolver: Resolver<'s>,
    imports: Imports,
}

impl Finder<'_> {
    fn module(&mut self, index: usize, module: &Module) {
        for import in &module.scope.imports {
            let found = self.resolver.path(index, &import.path);
            match found {
                Found::Item(item) if self.is_used(index, module, import, &item) => {
                    self.add(module, &item, import.path.line);
                }
                Found::Module(inside) if import.name == ImportedName::All => {
                    self.all(index, module, inside);
                }
                _ => {}
            }
        }
        for path in &module.scope.paths {
            if let Found::Item(item) = self.resolver.path(index, path) {
                self.add(module, &item, path.line);
            }
        }
    }

    /// Whether the module itself uses the import. An import from a module
    /// inside it may be only a re-export.
    fn is_used(&self, index: usize, module: &Module, import: &Import, item: &Item) -> bool {
        match &import.name {
            ImportedName::Named(name) if self.is_inside(item.module, index) => {
                module.scope.words.contains_key(name)
            }
            _ => true,
        }
    }

    fn is_inside(&self, module: usize, outer: usize) -> bool {
        let parent = self.source.modules.get(module).and_then(|here| here.parent);
        parent.is_some_and(|parent| parent == outer || self.is_inside(parent, outer))
    }

    /// Adds the names of `inside` that the code of `module` uses. The module
    /// imports all of them.
    fn all(&mut self, index: usize, module: &Module, inside: usize) {
        for (word, line) in &module.scope.words {
            let is_own = self.resolver.is_own(index, word);
            if !is_own && let Some(Found::Item(item)) = self.resolver.name(inside, word) {
                self.add(module, &item, *line);
            }
        }
    }

    fn add(&mut self, importer: &Module, item: &Item, line: usize) {
        let files = &self.source.files;
        let is_face = |file: usize| files.get(file).is_none_or(|file| file.is_face);
        let Some(defining) = self.source.modules.get(item.module) else {
            return;
        };
        let (from, to) = (importer.file, defining.file);
        if from == to || is_face(from) || is_face(to) {
            return;
        }
        let names = self.imports.entry((from, to)).or_default();
        names.names.insert(item.name.clone());
        names.line = match names.line {
            0 => line,
            first => first.min(line),
        };
    }
}
