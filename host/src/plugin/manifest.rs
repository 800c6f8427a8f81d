//! What a user writes into `<c>/plugin`: which sink to run, and how.

use std::fmt;
use std::str::FromStr;

use serde_json::value::RawValue;

use super::manifest_error::{MAX_MANIFEST_BYTES, ManifestError};
use super::manifest_json::ManifestJson;
use super::permissions::{LimitsWanted, Permissions};
use super::rollout_wanted::RolloutWanted;
use super::source::Source;
use crate::minisign::Signature;

/// A sink with its configuration, and what it asks for. Written as JSON, or as
/// the bare source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Where the component comes from.
    pub source: Source,
    /// The SHA-256 that the component must have, in lower-case hex.
    pub sha256: Option<String>,
    /// The signature of the component.
    pub signature: Option<Signature>,
    /// JSON text for the sink's `open`; empty if there is none.
    pub config: String,
    /// What the sink may reach.
    pub permissions: Permissions,
    /// What the sink may use at most.
    pub limits: LimitsWanted,
    /// How the nodes adopt it.
    pub rollout: RolloutWanted,
}

impl Manifest {
    /// A manifest that only names a source.
    #[must_use]
    pub fn of(source: Source) -> Self {
        Self {
            source,
            sha256: None,
            signature: None,
            config: String::new(),
            permissions: Permissions::default(),
            limits: LimitsWanted::default(),
            rollout: RolloutWanted::default(),
        }
    }

    /// Reads the value of the key; `None` if it is empty, which asks for
    /// nothing.
    ///
    /// # Errors
    /// It is not a manifest; the error says what to change.
    pub fn from_value(value: &[u8]) -> Result<Option<Self>, ManifestError> {
        let text = std::str::from_utf8(value).map_err(|_| ManifestError::NotText)?;
        match text.trim() {
            "" => Ok(None),
            text => text.parse().map(Some),
        }
    }

    /// The SHA-256 that the component must have, as the manifest or its source
    /// says.
    #[must_use]
    pub fn pinned(&self) -> Option<&str> {
        self.sha256.as_deref().or_else(|| self.source.sha256())
    }

    /// Whether its writes should take as long: it asks for the same directories and
    /// servers, and for as many writes at a time.
    pub(super) fn has_write_times_of(&self, other: &Self) -> bool {
        let (own, others) = (&self.permissions, &other.permissions);
        own.dirs == others.dirs
            && own.http == others.http
            && own.tcp == others.tcp
            && self.limits.concurrency == other.limits.concurrency
    }

    /// `None` if the configuration is no JSON, which a manifest that was read cannot have.
    pub(super) fn to_json(&self) -> Option<ManifestJson> {
        let config = (!self.config.is_empty())
            .then(|| RawValue::from_string(self.config.clone()))
            .transpose();
        let mut json = ManifestJson::of(self.source.to_string());
        json.sha256.clone_from(&self.sha256);
        json.signature = self.signature.as_ref().map(Signature::to_string);
        json.config = config.ok()?;
        json.permissions = self.permissions.clone();
        json.limits = self.limits;
        json.rollout = self.rollout;
        Some(json)
    }

    fn with_checked_digest(self) -> Result<Self, ManifestError> {
        match (&self.sha256, self.source.sha256()) {
            (None, _) if self.source.needs_digest() => {
                Err(ManifestError::NoDigest(self.source.to_string()))
            }
            (Some(given), Some(own)) if given != own => Err(ManifestError::OtherDigest {
                source_name: self.source.to_string(),
                given: given.clone(),
            }),
            _ => Ok(self),
        }
    }
}

impl FromStr for Manifest {
    type Err = ManifestError;

    fn from_str(text: &str) -> Result<Self, ManifestError> {
        let text = text.trim();
        if text.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge(text.len()));
        }
        if text.starts_with('"') {
            let source: String = serde_json::from_str(text).map_err(ManifestError::Shape)?;
            return Self::of(source.parse()?).with_checked_digest();
        }
        // Text that begins like JSON must be JSON.
        if !text.starts_with(['{', '[']) {
            return Self::of(text.parse()?).with_checked_digest();
        }
        let json: ManifestJson = serde_json::from_str(text).map_err(ManifestError::Shape)?;
        json.check()?;
        let config = json.config.map(|config| config.get().to_owned());
        let signature = json.signature.map(|text| text.parse()).transpose();
        let manifest = Self {
            source: json.source.parse()?,
            sha256: json.sha256.map(|digest| digest.to_ascii_lowercase()),
            signature: signature.map_err(ManifestError::Signature)?,
            config: config.unwrap_or_default(),
            permissions: json.permissions,
            limits: json.limits,
            rollout: json.rollout,
        };
        manifest.with_checked_digest()
    }
}

impl fmt::Display for Manifest {
    /// Writes JSON, or the bare source if there is nothing else.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::of(self.source.clone()) {
            return self.source.fmt(f);
        }
        let json = self.to_json().ok_or(fmt::Error)?;
        let text = serde_json::to_string(&json).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
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
            r#""limits":{"memory_mib":64,"write_timeout_ms":500,"concurrency":16},"#,
            r#""rollout":{"wait":"all","probation_s":0}}"#,
        );
        let manifest: Manifest = text.parse().unwrap();
        assert_eq!(manifest.config, r#"{"b": 1,"a":[2]}"#, "as it was written");
        assert!(manifest.permissions.dirs[0].write);
        assert_eq!(manifest.limits.memory_mib, Some(64));
        assert_eq!(manifest.to_string(), text);
    }

    #[test]
    fn write_times_are_those_of_the_same_destination_and_concurrency() {
        let of = |fields: &str| -> Manifest {
            format!(r#"{{"source":"builtin:stdout",{fields}}}"#)
                .parse()
                .unwrap()
        };
        let four = of(r#""limits":{"concurrency":4}"#);
        assert!(four.has_write_times_of(&of(r#""config":1,"limits":{"concurrency":4}"#)));
        assert!(!four.has_write_times_of(&of(r#""limits":{"concurrency":16}"#)));
        let elsewhere = of(r#""permissions":{"dirs":[{"host":"a","guest":"/a"}]}"#);
        assert!(!elsewhere.has_write_times_of(&of(r#""config":1"#)));
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
                r#"{"source":"builtin:stdout","limits":{"concurrency":0}}"#,
                "limits.concurrency is \"0\"; expected 1 to 16",
            ),
            (
                r#"{"source":"builtin:stdout","limits":{"concurrency":17}}"#,
                "limits.concurrency is \"17\"; expected 1 to 16",
            ),
            (
                r#"{"source":"builtin:stdout","limits":{"memory":1}}"#,
                "`memory`",
            ),
            (r#"{"source":"builtin:stdout","signature":"x"}"#, ".minisig"),
        ] {
            let error = refused(text);
            assert!(error.contains(named), "{text}: {error}");
        }
        assert!(Manifest::from_value(&[0xff]).is_err());
        let large = Manifest::from_value(&vec![b'x'; MAX_MANIFEST_BYTES + 1]);
        assert!(matches!(large, Err(ManifestError::TooLarge(_))));
    }

    #[test]
    fn a_component_of_a_web_server_must_be_pinned() {
        let url = "https://example.com/a.wasm";
        let digest = "ab".repeat(32);
        for text in [
            url.to_owned(),
            format!("\"{url}\""),
            format!(r#"{{"source":"{url}"}}"#),
        ] {
            let error = refused(&text);
            assert!(error.contains("sha256") && error.contains(url), "{error}");
        }
        let pinned = format!(r#"{{"source":"{url}","sha256":"{digest}"}}"#);
        let manifest: Manifest = pinned.parse().unwrap();
        assert_eq!(manifest.to_string(), pinned);
        assert_eq!(manifest.pinned(), Some(&*digest));
    }

    #[test]
    fn a_source_that_is_a_digest_is_not_contradicted() {
        let (digest, other) = ("ab".repeat(32), "cd".repeat(32));
        let manifest: Manifest = format!("kv:{digest}").parse().unwrap();
        assert_eq!(manifest.pinned(), Some(&*digest));
        let with = |sha256: &str| format!(r#"{{"source":"kv:{digest}","sha256":"{sha256}"}}"#);
        with(&digest).parse::<Manifest>().unwrap();
        assert!(refused(&with(&other)).contains(&other));
    }

    #[test]
    fn a_roll_out_waits_for_known_nodes_and_a_bounded_time() {
        let with = |rollout: &str| format!(r#"{{"source":"builtin:stdout","rollout":{rollout}}}"#);
        let error = refused(&with(r#"{"wait":"none"}"#));
        assert!(error.contains("`none`"), "{error}");
        let error = refused(&with(r#"{"probation_s":3601}"#));
        assert!(error.contains("rollout.probation_s"), "{error}");
        for (rollout, probation_s) in [("{}", Some(30)), (r#"{"probation_s":0}"#, None)] {
            let manifest: Manifest = with(rollout).parse().unwrap();
            let probation = manifest.rollout.probation();
            assert_eq!(probation.map(|time| time.as_secs()), probation_s);
        }
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
