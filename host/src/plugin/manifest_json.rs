//! The JSON form of a manifest, and the rules for its fields.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::digest::is_sha256;
use super::manifest_error::ManifestError;
use super::permissions::{DirectoryWanted, LimitsWanted, Permissions};
use super::rollout_wanted::{MAX_PROBATION_S, RolloutWanted};
use super::signing_wanted::signing_wanted;
use sluice_sandbox::MAX_CONCURRENCY;

/// The most directories of a sink: each is an open file.
const MAX_DIRECTORIES: usize = 16;
/// The most destinations of a sink.
const MAX_DESTINATIONS: usize = 64;
/// How much of a value an error shows, in characters.
const MAX_SHOWN: usize = 200;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ManifestJson {
    pub(super) source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) signature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) config: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) permissions: Permissions,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) limits: LimitsWanted,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) rollout: RolloutWanted,
    /// The node that should lead the stream: nothing that the sink is made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pin: Option<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl ManifestJson {
    /// The JSON form of a manifest that only names a source.
    pub(super) fn of(source: String) -> Self {
        Self {
            source,
            sha256: None,
            signature: None,
            config: None,
            permissions: Permissions::default(),
            limits: LimitsWanted::default(),
            rollout: RolloutWanted::default(),
            pin: None,
        }
    }

    /// # Errors
    /// A field has a value that makes no sense, or asks for what this version
    /// cannot do.
    pub(super) fn check(&self) -> Result<(), ManifestError> {
        self.check_digest()?;
        self.check_directories()?;
        self.check_environment()?;
        self.check_destinations()?;
        self.check_limits()?;
        self.check_rollout()
    }

    fn check_digest(&self) -> Result<(), ManifestError> {
        let Some(digest) = &self.sha256 else {
            return Ok(());
        };
        let expected = "expected the 64 hex digits that sha256sum prints";
        require(is_sha256(digest), "sha256", digest, expected)
    }

    fn check_rollout(&self) -> Result<(), ManifestError> {
        let probation = self.rollout.probation_s.unwrap_or_default();
        require(
            probation <= MAX_PROBATION_S,
            "rollout.probation_s",
            &probation.to_string(),
            "expected at most 3600, or 0 for no probation",
        )
    }

    fn check_directories(&self) -> Result<(), ManifestError> {
        let dirs = self.permissions.dirs.len();
        require(
            dirs <= MAX_DIRECTORIES,
            "permissions.dirs",
            &format!("{dirs} directories"),
            "expected at most 16",
        )?;
        let mut guests = BTreeSet::new();
        for DirectoryWanted { host, guest, .. } in &self.permissions.dirs {
            require(
                has_no_dots(host) && host.split('/').any(|name| !matches!(name, "" | ".")),
                "permissions.dirs host",
                host,
                "expected a path without '..', relative to the node's <data-dir>/files, or absolute",
            )?;
            require(
                guest.starts_with('/') && has_no_dots(guest),
                "permissions.dirs guest",
                guest,
                "expected an absolute path without '..', for example /logs",
            )?;
            require(
                guests.insert(guest.trim_end_matches('/')),
                "permissions.dirs guest",
                guest,
                "expected each guest path once",
            )?;
        }
        Ok(())
    }

    fn check_environment(&self) -> Result<(), ManifestError> {
        let field = "permissions.env";
        for (name, value) in &self.permissions.env {
            let is_name = !name.is_empty() && !name.contains(['=', '\0']);
            require(is_name, field, name, "expected names without '='")?;
            let is_value = !value.contains('\0');
            require(is_value, field, value, "expected values without NUL")?;
        }
        Ok(())
    }

    fn check_destinations(&self) -> Result<(), ManifestError> {
        let Permissions { http, tcp, .. } = &self.permissions;
        let count = http.len() + tcp.len();
        require(
            count <= MAX_DESTINATIONS,
            "permissions.http and permissions.tcp",
            &format!("{count} destinations"),
            "expected at most 64",
        )?;
        // It reads the headers, too.
        match signing_wanted(&self.permissions) {
            Ok(_) => Ok(()),
            Err((field, value, expected)) => require(false, field, &value, expected),
        }
    }

    fn check_limits(&self) -> Result<(), ManifestError> {
        let LimitsWanted {
            memory_mib,
            write_timeout_ms,
            concurrency,
        } = self.limits;
        for (is_zero, field) in [
            (memory_mib == Some(0), "limits.memory_mib"),
            (write_timeout_ms == Some(0), "limits.write_timeout_ms"),
        ] {
            require(!is_zero, field, "0", "expected 1 or more")?;
        }
        let writes = concurrency.map_or(1, |wanted| usize::try_from(wanted).unwrap_or(usize::MAX));
        require(
            (1..=MAX_CONCURRENCY).contains(&writes),
            "limits.concurrency",
            &writes.to_string(),
            "expected 1 to 16 writes at a time",
        )
    }
}

/// Whether the path has no `..` and no NUL.
fn has_no_dots(path: &str) -> bool {
    !path.contains('\0') && path.split('/').all(|name| name != "..")
}

fn require(
    is_valid: bool,
    field: &'static str,
    value: &str,
    expected: &'static str,
) -> Result<(), ManifestError> {
    if is_valid {
        return Ok(());
    }
    let value = value.chars().take(MAX_SHOWN).collect();
    Err(ManifestError::Field {
        field,
        value,
        expected,
    })
}
