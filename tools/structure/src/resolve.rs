//! Finds the file that defines what a path refers to. Follows re-exports, so
//! that an import through a face leads to the file behind it.

use crate::scope::{ImportedName, Path};
use crate::source::{Module, Source};

/// What a path refers to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Found {
    /// An index of [`Source::modules`].
    Module(usize),
    Item(Item),
    /// Something in another crate.
    Elsewhere,
}

/// A name, and the module that defines it, an index of [`Source::modules`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Item {
    pub(crate) module: usize,
    pub(crate) name: String,
}

/// Looks names up in the modules of one package.
#[derive(Debug)]
pub(crate) struct Resolver<'s> {
    source: &'s Source,
    /// What is being looked up, so that imports that refer to each other do not
    /// loop.
    under_way: Vec<(usize, String)>,
}

impl<'s> Resolver<'s> {
    pub(crate) const fn new(source: &'s Source) -> Self {
        Self {
            source,
            under_way: Vec::new(),
        }
    }

    /// What `path` refers to when it is written in `module`.
    pub(crate) fn path(&mut self, module: usize, path: &Path) -> Found {
        let mut segments = path.segments.iter();
        let Some(first) = segments.next() else {
            return Found::Elsewhere;
        };
        let mut found = self.first(module, first);
        for segment in segments {
            match found {
                Found::Module(inside) => found = self.step(inside, segment),
                Found::Item(_) | Found::Elsewhere => break,
            }
        }
        found
    }

    /// What `name` refers to in `module`; `None` if it is not known there.
    pub(crate) fn name(&mut self, module: usize, name: &str) -> Option<Found> {
        let here = self.module(module)?;
        if let Some(child) = here.children.get(name) {
            return Some(Found::Module(*child));
        }
        if here.scope.definitions.contains(name) {
            return Some(item(module, name));
        }
        let looked_up = (module, name.to_owned());
        if self.under_way.contains(&looked_up) {
            return None;
        }
        self.under_way.push(looked_up);
        let found = self.imported(module, here, name);
        self.under_way.pop();
        found
    }

    /// Whether `module` defines, declares or imports `name` by that name.
    pub(crate) fn is_own(&self, module: usize, name: &str) -> bool {
        self.module(module).is_some_and(|here| {
            here.children.contains_key(name)
                || here.scope.definitions.contains(name)
                || here.scope.import_of(name).is_some()
        })
    }

    fn module(&self, module: usize) -> Option<&'s Module> {
        self.source.modules.get(module)
    }

    fn first(&mut self, module: usize, segment: &str) -> Found {
        let here = self.module(module);
        match segment {
            "crate" => here.map_or(Found::Elsewhere, |here| Found::Module(here.root)),
            "self" | "super" => self.step(module, segment),
            _ => self
                .name(module, segment)
                .or_else(|| self.library(segment))
                .unwrap_or(Found::Elsewhere),
        }
    }

    /// The library of the package, which its programs refer to by name.
    fn library(&self, segment: &str) -> Option<Found> {
        let (name, root) = self.source.library.as_ref()?;
        (name == segment).then_some(Found::Module(*root))
    }

    fn step(&mut self, module: usize, segment: &str) -> Found {
        let parent = self.module(module).and_then(|here| here.parent);
        match segment {
            "self" => Found::Module(module),
            "super" => parent.map_or(Found::Elsewhere, Found::Module),
            // Items that a macro defines are not known, so assume that it
            // exists.
            _ => self
                .name(module, segment)
                .unwrap_or_else(|| item(module, segment)),
        }
    }

    fn imported(&mut self, module: usize, here: &'s Module, name: &str) -> Option<Found> {
        if let Some(import) = here.scope.import_of(name) {
            return Some(self.path(module, &import.path));
        }
        here.scope
            .imports
            .iter()
            .filter(|import| import.name == ImportedName::All)
            .find_map(|import| match self.path(module, &import.path) {
                Found::Module(inside) => self.name(inside, name),
                Found::Item(_) | Found::Elsewhere => None,
            })
    }
}

fn item(module: usize, name: &str) -> Found {
    Found::Item(Item {
        module,
        name: name.to_owned(),
    })
}
