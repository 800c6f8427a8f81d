//! Grants: what a sink gets beyond clocks, random numbers, stdout and stderr.

use std::os::fd::{AsRawFd, OwnedFd};

use sluice_types::endpoint::Endpoint;
use sluice_types::origin::Origin;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use super::directory::Directory;
use super::grant_error::GrantError;
use super::network::{SecretHeader, Signing};

/// What each instance of a sink can reach beyond clocks, random numbers, stdout
/// and stderr.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Directories of the host.
    pub directories: Vec<Directory>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// The origins of HTTP requests.
    pub http: Vec<Origin>,
    /// The headers with secrets that the node adds to them.
    pub headers: Vec<SecretHeader>,
    /// The signatures that the node adds to them, at most one per origin.
    pub signing: Vec<Signing>,
    /// The endpoints of TCP connections.
    pub tcp: Vec<Endpoint>,
}

impl Grants {
    /// Opens the directories. Blocks for as long as the slowest disk.
    pub(super) fn open(&self) -> Result<Granted, GrantError> {
        let open = |directory: &Directory| Ok((directory.open()?, directory.clone()));
        Ok(Granted {
            directories: self
                .directories
                .iter()
                .map(open)
                .collect::<Result<_, _>>()?,
            environment: self.environment.clone(),
        })
    }
}

/// Grants for one instance, with its directories open.
pub(super) struct Granted {
    directories: Vec<(OwnedFd, Directory)>,
    environment: Vec<(String, String)>,
}

impl Granted {
    /// Adds everything to the sandbox of one instance.
    pub(super) fn give(&self, wasi: &mut WasiCtxBuilder) -> Result<(), GrantError> {
        for (open, directory) in &self.directories {
            // Refers to the opened directory even if its path has changed since.
            let opened = format!("/proc/self/fd/{}", open.as_raw_fd());
            let permissions = if directory.write {
                FsPerms::ReadWrite
            } else {
                FsPerms::ReadOnly
            };
            wasi.preopened_dir(opened, &directory.guest, permissions)
                .map_err(|cause| GrantError::Give {
                    path: directory.path(),
                    cause,
                })?;
        }
        for (name, value) in &self.environment {
            wasi.env(name, value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_reach_the_sandbox() {
        let root = tempfile::tempdir().unwrap();
        let grants = Grants {
            directories: vec![Directory {
                root: root.path().to_owned(),
                below: vec!["a".to_owned()],
                create: true,
                guest: "/logs".to_owned(),
                write: true,
            }],
            environment: vec![("TZ".to_owned(), "UTC".to_owned())],
            ..Grants::default()
        };
        let granted = grants.open().unwrap();
        granted.give(&mut WasiCtxBuilder::new()).unwrap();
    }
}
