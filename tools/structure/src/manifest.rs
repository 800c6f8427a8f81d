//! Reads what the check needs from the workspace's manifests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::{Error, read};

/// A member of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Relative to the root of the workspace.
    pub(crate) folder: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    /// The root file of its library, relative to the root of the workspace.
    pub(crate) library: Option<PathBuf>,
    /// The root files of its programs and of its build script.
    pub(crate) programs: Vec<PathBuf>,
}

/// A dependency of a package.
#[derive(Debug)]
pub(crate) struct Dependency {
    /// The name of the package, even if the dependency is renamed.
    pub(crate) package: String,
    /// The line in the manifest.
    pub(crate) line: usize,
    /// Whether only tests and benches use it.
    pub(crate) is_dev: bool,
}

/// The members of the workspace at `root`.
///
/// # Errors
///
/// A manifest cannot be read, or the one at `root` has no members.
pub(crate) fn packages(root: &Path) -> Result<Vec<Package>, Error> {
    let path = root.join("Cargo.toml");
    let text = read(&path)?;
    let workspace = parse(&path, &text)?;
    let members = table(&workspace, "workspace")
        .and_then(|table| table.get("members"))
        .and_then(|members| members.get_ref().as_array())
        .ok_or_else(|| Error::NoWorkspace { path: path.clone() })?;
    let renamed =
        table(&workspace, "workspace").and_then(|table| self::table(table, "dependencies"));
    let mut packages = Vec::new();
    for member in members
        .iter()
        .filter_map(|member| member.get_ref().as_str())
    {
        for folder in folders(root, member)? {
            packages.push(package(root, folder, renamed)?);
        }
    }
    Ok(packages)
}

/// The folders of an entry of `members`, which may end with `/*`.
fn folders(root: &Path, member: &str) -> Result<Vec<PathBuf>, Error> {
    let Some(parent) = member.strip_suffix("/*") else {
        return Ok(vec![member.into()]);
    };
    let path = root.join(parent);
    let fail = |cause| Error::Read {
        path: path.clone(),
        cause,
    };
    let mut folders = Vec::new();
    for entry in path.read_dir().map_err(fail)? {
        let folder = Path::new(parent).join(entry.map_err(fail)?.file_name());
        if root.join(&folder).join("Cargo.toml").is_file() {
            folders.push(folder);
        }
    }
    folders.sort();
    Ok(folders)
}

fn package(
    root: &Path,
    folder: PathBuf,
    workspace: Option<&DeTable<'_>>,
) -> Result<Package, Error> {
    let path = root.join(&folder).join("Cargo.toml");
    let text = read(&path)?;
    let manifest = parse(&path, &text)?;
    let name = table(&manifest, "package").and_then(|package| string(package, "name"));
    let name = name.unwrap_or_default().to_owned();
    let mut dependencies = Vec::new();
    for (table, is_dev) in dependency_tables(&manifest) {
        for (key, value) in table {
            dependencies.push(Dependency {
                package: package_of(key.get_ref(), value.get_ref(), workspace),
                line: line(&text, key),
                is_dev,
            });
        }
    }
    let library = table(&manifest, "lib").and_then(|library| string(library, "path"));
    let library = folder.join(library.unwrap_or("src/lib.rs"));
    let programs = programs(root, &folder, &manifest);
    Ok(Package {
        name,
        library: root.join(&library).is_file().then_some(library),
        programs,
        folder,
        dependencies,
    })
}

/// Every table of dependencies, including target-specific ones, and whether it
/// is for tests only.
fn dependency_tables<'m, 'i>(manifest: &'m DeTable<'i>) -> Vec<(&'m DeTable<'i>, bool)> {
    let targets = table(manifest, "target")
        .into_iter()
        .flat_map(|targets| targets.values())
        .filter_map(|target| target.get_ref().as_table());
    std::iter::once(manifest)
        .chain(targets)
        .flat_map(|holder| {
            [
                ("dependencies", false),
                ("build-dependencies", false),
                ("dev-dependencies", true),
            ]
            .into_iter()
            .filter_map(|(name, is_dev)| Some((table(holder, name)?, is_dev)))
        })
        .collect()
}

/// The package behind the name of a dependency.
fn package_of(key: &str, value: &DeValue<'_>, workspace: Option<&DeTable<'_>>) -> String {
    let own = value.as_table().and_then(|table| string(table, "package"));
    let shared = workspace
        .and_then(|workspace| table(workspace, key))
        .and_then(|table| string(table, "package"));
    own.or(shared).unwrap_or(key).to_owned()
}

/// The root files of a package's programs: those that the manifest names, and
/// those that Cargo discovers itself.
fn programs(root: &Path, folder: &Path, manifest: &DeTable<'_>) -> Vec<PathBuf> {
    let named = manifest
        .get("bin")
        .and_then(|programs| programs.get_ref().as_array());
    let named = named
        .into_iter()
        .flatten()
        .filter_map(|program| string(program.get_ref().as_table()?, "path"));
    let mut programs: BTreeSet<PathBuf> = named
        .chain(["build.rs", "src/main.rs"])
        .map(|path| folder.join(path))
        .collect();
    let further = folder.join("src/bin");
    for entry in root
        .join(&further)
        .read_dir()
        .into_iter()
        .flatten()
        .flatten()
    {
        let path = further.join(entry.file_name());
        programs.insert(path.join("main.rs"));
        programs.insert(path);
    }
    programs.retain(|path| root.join(path).is_file());
    programs.into_iter().collect()
}

fn parse<'i>(path: &Path, text: &'i str) -> Result<DeTable<'i>, Error> {
    DeTable::parse(text)
        .map(Spanned::into_inner)
        .map_err(|cause| Error::Manifest {
            path: path.to_owned(),
            cause,
        })
}

fn table<'m, 'i>(holder: &'m DeTable<'i>, name: &str) -> Option<&'m DeTable<'i>> {
    holder.get(name)?.get_ref().as_table()
}

fn string<'m>(holder: &'m DeTable<'_>, name: &str) -> Option<&'m str> {
    holder.get(name)?.get_ref().as_str()
}

/// The line of `text` that `key` starts on.
fn line<T>(text: &str, key: &Spanned<T>) -> usize {
    let before = text.get(..key.span().start).unwrap_or_default();
    1 + before.matches('\n').count()
}
