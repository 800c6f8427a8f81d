//! What this node allows a manifest to ask for.

use std::num::NonZero;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::headers_wanted::headers_wanted;
use super::manifest::Manifest;
use super::path_list::path_list;
use super::permissions::{DirectoryWanted, LimitsWanted, Permissions};
use super::signing_wanted::signing_wanted;
use sluice_sandbox::{
    Directory, Grants, Limits, MAX_CONCURRENCY, NetworkCeiling, SecretHeader, SecretUse, Secrets,
    Setup, Signing,
};
use sluice_types::endpoint::Endpoint;
use sluice_types::origin::Origin;

/// The bounds that the node's flags set.
#[derive(Clone, Debug)]
pub(crate) struct Ceiling {
    /// The directory that relative directories are below.
    pub(crate) files: PathBuf,
    /// The other directories that absolute ones may be below.
    pub(crate) directories: Vec<PathBuf>,
    /// The destinations in the network.
    pub(crate) network: NetworkCeiling,
    /// What it adds to requests.
    pub(crate) secrets: Secrets,
    /// Linear memory, in bytes.
    pub(crate) memory: usize,
    /// The time of one call.
    pub(crate) call: Duration,
}

/// A manifest asks for what this node does not allow.
#[derive(Debug, Error)]
pub(crate) enum NotAllowed {
    #[error(
        "give the sink the directory {directory:?}: it is not below what this node allows ({}); use a \
         relative path, or start the node with --allow-dir {directory}", path_list(.allowed)
    )]
    Directory {
        directory: String,
        allowed: Vec<PathBuf>,
    },
    #[error(
        "let the sink send requests to {0}: this node does not allow it; start the node with \
         --allow-http {0}, or with --allow-http '*' for all public addresses"
    )]
    Origin(Origin),
    #[error(
        "let the sink connect to {0}: this node does not allow it; start the node with --allow-tcp {0}, \
         or with --allow-tcp '*' for all public addresses"
    )]
    Endpoint(Endpoint),
    #[error(
        "use the secret {secret} for the requests to {origin}: this node has no such secret for that; \
         start it with --secret {secret}=FILE{used},{origin}"
    )]
    Secret {
        secret: String,
        /// What follows the file in the flag.
        used: &'static str,
        origin: Origin,
    },
}

impl Ceiling {
    /// The configuration, limits and grants of a sink with this manifest.
    ///
    /// # Errors
    /// It asks for a directory or a destination that the node does not allow.
    pub(crate) fn setup(&self, manifest: &Manifest) -> Result<Setup, NotAllowed> {
        let Permissions {
            http,
            tcp,
            dirs,
            env,
            headers: _,
            sigv4: _,
        } = &manifest.permissions;
        let directories = dirs.iter().map(|wanted| self.directory(wanted));
        if let Some(origin) = http.iter().find(|origin| !self.network.http.allows(origin)) {
            return Err(NotAllowed::Origin(origin.clone()));
        }
        if let Some(endpoint) = tcp
            .iter()
            .find(|endpoint| !self.network.tcp.allows(endpoint))
        {
            return Err(NotAllowed::Endpoint(endpoint.clone()));
        }
        // They were checked when the manifest was read.
        let headers = headers_wanted(&manifest.permissions).unwrap_or_default();
        let signing = signing_wanted(&manifest.permissions).unwrap_or_default();
        for SecretHeader { secret, origin, .. } in &headers {
            self.secret(secret, SecretUse::InHeaders, origin)?;
        }
        for Signing { secret, origin, .. } in &signing {
            self.secret(secret, SecretUse::ToSign, origin)?;
        }
        Ok(Setup {
            config: manifest.config.clone(),
            limits: self.limits(manifest.limits),
            grants: Grants {
                directories: directories.collect::<Result<_, _>>()?,
                environment: env.clone().into_iter().collect(),
                http: http.clone(),
                headers,
                signing,
                tcp: tcp.clone(),
            },
        })
    }

    fn secret(&self, name: &str, used: SecretUse, origin: &Origin) -> Result<(), NotAllowed> {
        match self.secrets.allow(name, used, origin) {
            true => Ok(()),
            false => Err(NotAllowed::Secret {
                secret: name.to_owned(),
                used: match used {
                    SecretUse::InHeaders => "",
                    SecretUse::ToSign => ",sigv4",
                },
                origin: origin.clone(),
            }),
        }
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
        let concurrency = wanted
            .concurrency
            .and_then(|wanted| NonZero::new(usize::try_from(wanted).ok()?.min(MAX_CONCURRENCY)));
        Limits {
            memory: memory.min(self.memory),
            call: call.min(self.call),
            concurrency: concurrency.unwrap_or(defaults.concurrency),
            ..defaults
        }
    }

    fn directory(&self, wanted: &DirectoryWanted) -> Result<Directory, NotAllowed> {
        let host = Path::new(&wanted.host);
        let roots = || std::iter::once(&self.files).chain(&self.directories);
        let (root, below, create) = if host.is_absolute() {
            let within = roots().find_map(|root| Some((root, host.strip_prefix(root).ok()?)));
            let (root, below) = within.ok_or_else(|| NotAllowed::Directory {
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
            network: NetworkCeiling::default(),
            secrets: Secrets::default(),
            memory: 512 << 20,
            call: Duration::from_secs(15),
        }
    }

    fn directory(host: &str) -> Result<Directory, NotAllowed> {
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
    fn destinations_must_be_allowed_by_the_node() {
        let mut ceiling = ceiling();
        let wanted =
            r#"{"source":"builtin:stdout","permissions":{"http":["https://logs.example.com"]}}"#;
        let manifest: Manifest = wanted.parse().unwrap();
        let error = ceiling.setup(&manifest).unwrap_err().to_string();
        assert!(
            error.contains("--allow-http https://logs.example.com,"),
            "{error}"
        );
        let origin: Origin = "https://logs.example.com".parse().unwrap();
        ceiling.network.http.named.push(origin.clone());
        assert_eq!(ceiling.setup(&manifest).unwrap().grants.http, [origin]);
        ceiling.network.http.named.clear();
        ceiling.network.http.public = true;
        assert_eq!(ceiling.setup(&manifest).unwrap().grants.http.len(), 1);
    }

    #[test]
    fn secrets_must_be_bound_to_the_origin_by_the_node() {
        let mut ceiling = ceiling();
        ceiling.network.http.public = true;
        for (wanted, flag) in [
            (
                r#""headers":{"https://a":{"x-b":{"secret":"B"}}}"#,
                "--secret B=FILE,https://a",
            ),
            (
                r#""sigv4":{"https://a":{"secret":"AWS","region":"r"}}"#,
                "--secret AWS=FILE,sigv4,https://a",
            ),
        ] {
            let permissions = format!(r#"{{"http":["https://a"],{wanted}}}"#);
            let text = format!(r#"{{"source":"builtin:stdout","permissions":{permissions}}}"#);
            let manifest: Manifest = text.parse().unwrap();
            let error = ceiling.setup(&manifest).unwrap_err().to_string();
            assert!(error.contains(flag), "{error}");
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
        for (wanted, given) in [(None, 1), (Some(1), 1), (Some(16), 16)] {
            let limits = ceiling().limits(LimitsWanted {
                concurrency: wanted,
                ..LimitsWanted::default()
            });
            assert_eq!(limits.concurrency.get(), given);
        }
    }
}
