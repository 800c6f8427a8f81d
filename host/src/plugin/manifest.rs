//! What a user writes into `<c>/plugin`: which sink, and with what.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use super::source::{Source, SourceError};

/// The most directories that a sink is given: each is an open file.
const DIRECTORIES: usize = 16;

/// A sink with its config, and what it asks for. Written as JSON, or as the
/// bare source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Where the component comes from.
    pub source: Source,
    /// The digest that it must have, in lower-case hex.
    pub sha256: Option<String>,
    /// JSON text for the sink's `open`; empty if there is none.
    pub config: String,
    /// What it wants to reach.
    pub permissions: Permissions,
    /// What it wants to use at most.
    pub limits: LimitsWanted,
}

/// What a manifest asks for beyond clocks, random numbers, stdout and stderr.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Permissions {
    /// Origins of HTTP requests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<String>,
    /// Addresses of TCP connections.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tcp: Vec<String>,
    /// Directories.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dirs: Vec<DirectoryWanted>,
    /// Environment variables.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// A directory that a manifest asks for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryWanted {
    /// On the host: relative to the node's `<data-dir>/files`, or absolute.
    pub host: String,
    /// The name that the sink knows it by.
    pub guest: String,
    /// Whether the sink may write.
    #[serde(default)]
    pub write: bool,
}

/// What a manifest asks to use at most; the node's own limits go before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsWanted {
    /// Linear memory, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u32>,
    /// The time for one call, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_timeout_ms: Option<u64>,
    /// How many writes may run at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
}

/// Why a text is no manifest.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// Not UTF-8.
    #[error("read the manifest: it is not UTF-8 text")]
    NotText,
    /// Not JSON of the right shape.
    #[error(
        "read the manifest: {0}; expected a source like builtin:stdout, or JSON like \
         {{\"source\": \"file:///plugins/a.wasm\", \"config\": {{}}}}"
    )]
    Shape(serde_json::Error),
    /// Not a source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A field with a value that makes no sense.
    #[error("read the manifest: {field} is {value:?}; {expected}")]
    Field {
        /// Which.
        field: &'static str,
        /// What it holds.
        value: String,
        /// What it should.
        expected: &'static str,
    },
    /// A field that this version can not honour.
    #[error("use the manifest: {field} is not supported by this version of Sluice; {remedy}")]
    Unsupported {
        /// Which.
        field: &'static str,
        /// What to do.
        remedy: &'static str,
    },
}

/// The JSON form.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "is_default")]
    permissions: Permissions,
    #[serde(default, skip_serializing_if = "is_default")]
    limits: LimitsWanted,
    #[serde(default, skip_serializing_if = "is_default")]
    rollout: PluginController,
}

/// How a new sink is brought to the nodes.
#[derive(Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct PluginController {
    wait: Option<WaitFor>,
    probation_s: Option<u64>,
}

#[derive(PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum WaitFor {
    Leader,
    All,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Manifest {
    /// A manifest that only names a source.
    #[must_use]
    pub fn of(source: Source) -> Self {
        Self {
            source,
            sha256: None,
            config: String::new(),
            permissions: Permissions::default(),
            limits: LimitsWanted::default(),
        }
    }

    /// Reads the value of a key; `None` if it is blank.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn from_value(value: &[u8]) -> Result<Option<Self>, ManifestError> {
        let text = std::str::from_utf8(value).map_err(|_| ManifestError::NotText)?;
        match text.trim() {
            "" => Ok(None),
            text => text.parse().map(Some),
        }
    }
}

impl FromStr for Manifest {
    type Err = ManifestError;

    fn from_str(text: &str) -> Result<Self, ManifestError> {
        let text = text.trim();
        if text.starts_with('"') {
            let source: String = serde_json::from_str(text).map_err(ManifestError::Shape)?;
            return Ok(Self::of(source.parse()?));
        }
        // What begins like JSON is judged as JSON.
        if !text.starts_with(['{', '[']) {
            return Ok(Self::of(text.parse()?));
        }
        let wire: Wire = serde_json::from_str(text).map_err(ManifestError::Shape)?;
        wire.check()?;
        Ok(Self {
            source: wire.source.parse()?,
            sha256: wire.sha256.map(|digest| digest.to_ascii_lowercase()),
            config: wire
                .config
                .map_or_else(String::new, |config| config.get().to_owned()),
            permissions: wire.permissions,
            limits: wire.limits,
        })
    }
}

impl fmt::Display for Manifest {
    /// As JSON, or as the bare source if there is nothing else.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::of(self.source.clone()) {
            return self.source.fmt(f);
        }
        let config = (!self.config.is_empty())
            .then(|| RawValue::from_string(self.config.clone()))
            .transpose()
            .map_err(|_| fmt::Error)?;
        let wire = Wire {
            source: self.source.to_string(),
            sha256: self.sha256.clone(),
            signature: None,
            config,
            permissions: self.permissions.clone(),
            limits: self.limits,
            rollout: PluginController::default(),
        };
        let text = serde_json::to_string(&wire).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

impl Wire {
    fn check(&self) -> Result<(), ManifestError> {
        if let Some(digest) = &self.sha256 {
            let is_digest = digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit());
            require(
                is_digest,
                "sha256",
                digest,
                "expected the 64 hex digits that sha256sum prints",
            )?;
        }
        if self.signature.is_some() {
            return Err(ManifestError::Unsupported {
                field: "signature",
                remedy: "leave it out, and pin the component with sha256",
            });
        }
        if !self.permissions.http.is_empty() || !self.permissions.tcp.is_empty() {
            return Err(ManifestError::Unsupported {
                field: "network access (permissions.http, permissions.tcp)",
                remedy: "leave it out: sinks reach directories and stdout only",
            });
        }
        if self.rollout.wait == Some(WaitFor::All) || self.rollout.probation_s.is_some() {
            return Err(ManifestError::Unsupported {
                field: "rollout (beyond {\"wait\": \"leader\"})",
                remedy: "leave it out: the leader switches as soon as it has opened the sink",
            });
        }
        self.check_directories()?;
        for (name, value) in &self.permissions.env {
            let is_name = !name.is_empty() && !name.contains(['=', '\0']);
            require(
                is_name,
                "permissions.env",
                name,
                "expected names without '='",
            )?;
            require(
                !value.contains('\0'),
                "permissions.env",
                value,
                "expected values without NUL",
            )?;
        }
        let LimitsWanted {
            memory_mib,
            write_timeout_ms,
            concurrency,
        } = self.limits;
        let at_least_one = "expected 1 or more";
        require(
            memory_mib != Some(0),
            "limits.memory_mib",
            "0",
            at_least_one,
        )?;
        require(
            write_timeout_ms != Some(0),
            "limits.write_timeout_ms",
            "0",
            at_least_one,
        )?;
        require(
            concurrency != Some(0),
            "limits.concurrency",
            "0",
            at_least_one,
        )
    }

    fn check_directories(&self) -> Result<(), ManifestError> {
        let dirs = self.permissions.dirs.len();
        require(
            dirs <= DIRECTORIES,
            "permissions.dirs",
            &format!("{dirs} directories"),
            "expected at most 16",
        )?;
        let mut guests = BTreeSet::new();
        for DirectoryWanted { host, guest, .. } in &self.permissions.dirs {
            require(
                is_plain(host) && host.split('/').any(|name| !matches!(name, "" | ".")),
                "permissions.dirs host",
                host,
                "expected a path without '..', relative to the node's <data-dir>/files, or absolute",
            )?;
            require(
                guest.starts_with('/') && is_plain(guest),
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
}

fn is_plain(path: &str) -> bool {
    !path.contains('\0') && path.split('/').all(|name| name != "..")
}

fn require(
    is_so: bool,
    field: &'static str,
    value: &str,
    expected: &'static str,
) -> Result<(), ManifestError> {
    if is_so {
        return Ok(());
    }
    let value = value.chars().take(200).collect();
    Err(ManifestError::Field {
        field,
        value,
        expected,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        text.parse::<Manifest>().unwrap_err().to_string()
    }

    #[test]
    fn a_bare_source_is_a_manifest() {
        let stdout = Manifest::of("builtin:stdout".parse().unwrap());
        for text in [
            "builtin:stdout",
            " builtin:stdout\n",
            r#""builtin:stdout""#,
            r#"{"source":"builtin:stdout"}"#,
            r#"{"source":"builtin:stdout","config":null,"rollout":{"wait":"leader"}}"#,
        ] {
            let read = Manifest::from_value(text.as_bytes()).unwrap().unwrap();
            assert_eq!(read, stdout, "{text}");
        }
        assert_eq!(stdout.to_string(), "builtin:stdout");
        assert_eq!(Manifest::from_value(b" \n").unwrap(), None);
    }

    #[test]
    fn every_field_is_read_and_written() {
        let text = concat!(
            r#"{"source":"file:///p/a.wasm","#,
            r#""sha256":"00000000000000000000000000000000000000000000000000000000000000ab","#,
            r#""config":{"b": 1,"a":[2]},"#,
            r#""permissions":{"dirs":[{"host":"audit","guest":"/logs","write":true}],"#,
            r#""env":{"TZ":"UTC"}},"#,
            r#""limits":{"memory_mib":64,"write_timeout_ms":500,"concurrency":1}}"#,
        );
        let manifest: Manifest = text.parse().unwrap();
        assert_eq!(manifest.config, r#"{"b": 1,"a":[2]}"#, "as it was written");
        assert!(manifest.permissions.dirs[0].write);
        assert_eq!(manifest.limits.memory_mib, Some(64));
        assert_eq!(manifest.to_string(), text);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, named) in [
            (r#"{"source":"builtin:stdout","sorce":1}"#, "`sorce`"),
            (r#"{"source":"builtin:stdout""#, "EOF"),
            (r#"{"config":{}}"#, "`source`"),
            (r#"["builtin:stdout"]"#, "expected a source"),
            ("stdout", "\"stdout\""),
            (r#"{"source":"builtin:stdout","sha256":"abc"}"#, "64 hex"),
            (
                r#"{"source":"builtin:stdout","limits":{"memory_mib":0}}"#,
                "limits.memory_mib",
            ),
            (
                r#"{"source":"builtin:stdout","limits":{"memory":1}}"#,
                "`memory`",
            ),
            (
                r#"{"source":"builtin:stdout","permissions":{"tcp":["h:1"]}}"#,
                "network",
            ),
            (
                r#"{"source":"builtin:stdout","signature":"x"}"#,
                "signature",
            ),
            (
                r#"{"source":"builtin:stdout","rollout":{"wait":"all"}}"#,
                "rollout",
            ),
        ] {
            let error = refused(text);
            assert!(error.contains(named), "{text}: {error}");
        }
        assert!(Manifest::from_value(&[0xff]).is_err());
    }

    #[test]
    fn directories_must_be_plain_and_told_apart() {
        let with = |dirs: &str| {
            format!(r#"{{"source":"builtin:stdout","permissions":{{"dirs":[{dirs}]}}}}"#)
        };
        for (dirs, named) in [
            (r#"{"host":"../x","guest":"/a"}"#, "../x"),
            (r#"{"host":"/var/../etc","guest":"/a"}"#, ".."),
            (r#"{"host":"","guest":"/a"}"#, "host"),
            (r#"{"host":"./","guest":"/a"}"#, "host"),
            (r#"{"host":"a","guest":"logs"}"#, "absolute"),
            (r#"{"host":"a","guest":"/x/../y"}"#, "guest"),
            (
                r#"{"host":"a","guest":"/l"},{"host":"b","guest":"/l/"}"#,
                "once",
            ),
            (r#"{"host":"a","guest":"/l","wirte":true}"#, "`wirte`"),
        ] {
            let error = refused(&with(dirs));
            assert!(error.contains(named), "{dirs}: {error}");
        }
    }
}
