//! What this node allows a manifest to ask for.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::manifest::Manifest;
use super::path_list::path_list;
use super::permissions::{DirectoryWanted, LimitsWanted};
use sluice_sandbox::{Directory, Grants, Limits, Setup};

/// The bounds that the node's flags set.
#[derive(Clone, Debug)]
pub(crate) struct Ceiling {
    /// The directory that relative directories are below.
    pub(crate) files: PathBuf,
    /// The other directories that absolute ones may be below.
    pub(crate) directories: Vec<PathBuf>,
    /// Linear memory, in bytes.
    pub(crate) memory: usize,
    /// The time of one call.
    pub(crate) call: Duration,
}

/// A manifest asks for a directory that this node does not allow.
#[derive(Debug, Error)]
#[error(
    "give the sink the directory {directory:?}: it is not below what this node allows ({}); use a \
     relative path, or start the node with --allow-dir {directory}", path_list(.allowed)
)]
pub(crate) struct DirectoryNotAllowed {
    directory: String,
    allowed: Vec<PathBuf>,
}

impl Ceiling {
    /// The configuration, limits and grants of a sink with this manifest.
    ///
    /// # Errors
    /// It asks for a directory that the node does not allow.
    pub(crate) fn setup(&self, manifest: &Manifest) -> Result<Setup, DirectoryNotAllowed> {
        let directories = manifest.permissions.dirs.iter();
        let directories = directories.map(|wanted| self.directory(wanted));
        let environment = manifest.permissions.env.clone();
        Ok(Setup {
            config: manifest.config.clone(),
            limits: self.limits(manifest.limits),
            grants: Grants {
                directories: directories.collect::<Result<_, _>>()?,
                environment: environment.into_iter().collect(),
            },
        })
    }

    /// The smaller of what is wanted and what is allowed.
    fn limits(&self, wanted: LimitsWanted) -> Limits {
        let defaults = Limits::default();
        let memory = wanted.memory_mib.map_or(defaults.memory, |mib| {
            usize::try_from(mib).map_or(usize::MAX, |mib| mib.saturating_mul(1 << 20))
        });
        let call = wanted
            .write_timeout_ms
            .map_or(defaults.call, Duration::from_millis);
        Limits {
            memory: memory.min(self.memory),
            call: call.min(self.call),
            ..defaults
        }
    }

    fn directory(&self, wanted: &DirectoryWanted) -> Result<Directory, DirectoryNotAllowed> {
        let host = Path::new(&wanted.host);
        let roots = || std::iter::once(&self.files).chain(&self.directories);
        let (root, below, create) = if host.is_absolute() {
            let within = roots().find_map(|root| Some((root, host.strip_prefix(root).ok()?)));
            let (root, below) = within.ok_or_else(|| DirectoryNotAllowed {
                directory: wanted.host.clone(),
                allowed: roots().cloned().collect(),
            })?;
            (root, below, *root == self.files)
        } else {
            (&self.files, host, true)
        };
        let names = below.components().filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        });
        Ok(Directory {
            root: root.clone(),
            below: names.collect(),
            create,
            guest: wanted.guest.clone(),
            write: wanted.write,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ceiling() -> Ceiling {
        Ceiling {
            files: "/data/a/files".into(),
            directories: vec!["/var/log/app".into()],
            memory: 512 << 20,
            call: Duration::from_secs(15),
        }
    }

    fn directory(host: &str) -> Result<Directory, DirectoryNotAllowed> {
        ceiling().directory(&DirectoryWanted {
            host: host.to_owned(),
            guest: "/logs".to_owned(),
            write: true,
        })
    }

    #[test]
    fn relative_directories_lie_in_the_nodes_own() {
        let found = directory("audit/./x").unwrap();
        assert_eq!(found.path(), Path::new("/data/a/files/audit/x"));
        assert!(found.create);
    }

    #[test]
    fn absolute_directories_lie_in_what_is_allowed() {
        let found = directory("/var/log/app/x").unwrap();
        assert_eq!(found.path(), Path::new("/var/log/app/x"));
        assert_eq!((found.root, found.create), ("/var/log/app".into(), false));
        assert!(directory("/data/a/files/x").unwrap().create);
        for beyond in ["/var/log", "/var/log/application", "/data/a", "/"] {
            let error = directory(beyond).unwrap_err().to_string();
            assert!(error.contains("--allow-dir"), "{error}");
            assert!(error.contains("/var/log/app"), "{error}");
        }
    }

    #[test]
    fn limits_are_the_smaller_of_both() {
        let limits = |memory_mib, write_timeout_ms| {
            ceiling().limits(LimitsWanted {
                memory_mib,
                write_timeout_ms,
                concurrency: None,
            })
        };
        assert_eq!(limits(None, None), Limits::default());
        let small = limits(Some(1), Some(5));
        assert_eq!((small.memory, small.call.as_millis()), (1 << 20, 5));
        let large = limits(Some(u32::MAX), Some(u64::MAX));
        assert_eq!((large.memory, large.call.as_secs()), (512 << 20, 15));
    }
}
