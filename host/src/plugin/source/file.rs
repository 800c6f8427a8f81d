//! `file:`: components in the plugin directories of this node.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use super::beneath;
use super::error::{MAX_COMPONENT_BYTES, SourceError};
use sluice_types::stamp::Stamp;

/// The absolute path of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginFile(PathBuf);

impl PluginFile {
    pub(super) const SCHEME: &'static str = "file";

    /// The file at this path, which must be absolute.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Parses `///absolute/path`.
    pub(super) fn parse(rest: &str) -> Option<Self> {
        let path = rest.strip_prefix("//")?;
        path.starts_with('/').then(|| Self(path.into()))
    }

    /// The state of the file, if it is below one of the directories.
    pub(in crate::plugin) fn stamp(&self, plugin_dirs: &[PathBuf]) -> Option<Stamp> {
        let data = self.open(plugin_dirs).ok()?.metadata().ok()?;
        Some(Stamp::from(&data))
    }

    /// Reads the file if it is below one of the directories.
    pub(in crate::plugin) fn read(&self, plugin_dirs: &[PathBuf]) -> Result<Vec<u8>, SourceError> {
        let read_error = |cause| self.read_error(cause);
        let file = self.open(plugin_dirs)?;
        let size = file.metadata().map_err(read_error)?.len();
        if size > MAX_COMPONENT_BYTES {
            return Err(SourceError::TooLarge {
                file: self.0.clone(),
                size,
            });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        // The file may grow while it is read.
        file.take(MAX_COMPONENT_BYTES)
            .read_to_end(&mut bytes)
            .map_err(read_error)?;
        Ok(bytes)
    }

    /// Opens the file in the first of the directories that has it. Looks at
    /// nothing outside of them, so that an error says nothing about it.
    fn open(&self, plugin_dirs: &[PathBuf]) -> Result<File, SourceError> {
        let mut error = SourceError::NotInPluginDir {
            file: self.0.clone(),
            allowed: plugin_dirs.to_vec(),
        };
        for directory in plugin_dirs {
            let Some(below) = self.below(directory) else {
                continue;
            };
            match beneath::open(directory, &below) {
                Ok(file) => return Ok(file),
                Err(cause) if beneath::is_outside(&cause) => {
                    error = SourceError::LeadsOut(self.0.clone());
                }
                Err(cause) => error = self.read_error(cause),
            }
        }
        Err(error)
    }

    /// The file's path below the directory, if it is written as one below the
    /// directory or below what the directory is a link to.
    fn below(&self, directory: &Path) -> Option<PathBuf> {
        let as_given = std::path::absolute(directory).map(|path| without_dots(&path));
        let names = [as_given, fs::canonicalize(directory)];
        let file = without_dots(&self.0);
        let mut names = names.into_iter().flatten();
        names.find_map(|name| file.strip_prefix(name).ok().map(Path::to_owned))
    }

    fn read_error(&self, cause: io::Error) -> SourceError {
        SourceError::Read {
            file: self.0.clone(),
            cause,
        }
    }
}

/// The path with `..` taken back, without a look at the disk.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            component => plain.push(component),
        }
    }
    plain
}

impl fmt::Display for PluginFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", Self::SCHEME, self.0.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn files_come_from_the_plugin_directories_only() {
        let folder = tempfile::tempdir().unwrap();
        let (inside, secret) = (folder.path().join("plugins"), folder.path().join("secret"));
        fs::create_dir(&inside).unwrap();
        fs::write(&secret, "x").unwrap();
        fs::write(inside.join("a.wasm"), "a").unwrap();
        symlink(&secret, inside.join("link.wasm")).unwrap();
        let alias = folder.path().join("alias");
        symlink(&inside, &alias).unwrap();
        let dots = folder.path().join("x/../plugins");
        fs::create_dir(folder.path().join("y")).unwrap();
        let dotted_alias = folder.path().join("y/../alias");
        for (allowed, named) in [
            (&inside, &inside),
            (&inside, &dots),
            (&alias, &alias),
            (&alias, &inside),
            (&dotted_alias, &alias),
        ] {
            let file = PluginFile(named.join("a.wasm"));
            let allowed = [folder.path().join("none"), allowed.clone()];
            assert_eq!(file.read(&allowed).unwrap(), b"a");
            assert!(file.stamp(&allowed).is_some());
        }
        let outside = || {
            [
                secret.clone(),
                inside.join("../secret"),
                folder.path().join("plugins-too/a.wasm"),
                inside.join("link.wasm"),
            ]
            .map(|path| {
                let file = PluginFile(path);
                let allowed = [inside.clone()];
                assert_eq!(file.stamp(&allowed), None);
                file.read(&allowed).unwrap_err()
            })
        };
        let is_known = |errors: &[SourceError]| {
            matches!(
                errors,
                [
                    SourceError::NotInPluginDir { .. },
                    SourceError::NotInPluginDir { .. },
                    SourceError::NotInPluginDir { .. },
                    SourceError::LeadsOut(_)
                ]
            )
        };
        assert!(is_known(&outside()), "{:?}", outside());
        // The errors do not tell whether there is a file.
        let texts = || outside().map(|error| error.to_string());
        let before = texts();
        fs::remove_file(&secret).unwrap();
        assert_eq!(texts(), before);
    }

    #[test]
    fn a_directory_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let read = PluginFile(folder.path().to_owned()).read(&[folder.path().to_owned()]);
        assert!(matches!(read, Err(SourceError::Read { .. })), "{read:?}");
    }

    #[test]
    fn a_stamp_tells_a_changed_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wasm");
        let file = PluginFile(path.clone());
        let stamp = || file.stamp(&[folder.path().to_owned()]);
        assert_eq!(stamp(), None);
        fs::write(&path, "a").unwrap();
        let before = stamp();
        assert!(before.is_some());
        assert_eq!(stamp(), before);
        fs::write(&path, "ab").unwrap();
        assert_ne!(stamp(), before);
    }
}
