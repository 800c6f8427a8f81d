//! Secrets: what the node adds to the requests of sinks, which never see it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderValue;
use http::header::HeaderName;
use sluice_types::error_chain::chain;
use sluice_types::origin::Origin;
use sluice_types::stamp::Stamp;
use thiserror::Error;
use tokio::task::spawn_blocking;

/// How often the file of a secret that is used is looked at.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a request waits for a file that is looked at.
const READ_LIMIT: Duration = Duration::from_secs(1);
/// The largest secret, in bytes.
const MAX_SECRET: usize = 16 << 10;

/// A secret as the node's flags name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFile {
    /// Its name in manifests.
    pub name: String,
    /// What holds it.
    pub file: PathBuf,
    /// What it is for.
    pub used: SecretUse,
    /// The origins that it is sent to, and no others.
    pub origins: Vec<Origin>,
}

/// What a secret is for. A key that signs must not be a header, which some
/// destinations show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretUse {
    /// It is sent in a header.
    #[default]
    InHeaders,
    /// It signs requests, and is never sent.
    ToSign,
}

/// A header with a secret, as a manifest asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretHeader {
    /// The origin whose requests get it.
    pub origin: Origin,
    /// The header's name.
    pub header: HeaderName,
    /// The text in front of the secret, such as `Bearer `.
    pub prefix: String,
    /// The secret's name.
    pub secret: String,
}

/// Why a secret cannot be used.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("read the secret {name} from {}", .file.display())]
    Read {
        /// The secret's name.
        name: String,
        /// Its file.
        file: PathBuf,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// It cannot be a header.
    #[error(
        "use the secret {name} from {}: it must be one line of at most {MAX_SECRET} bytes without \
         control characters", .file.display()
    )]
    Text {
        /// The secret's name.
        name: String,
        /// Its file.
        file: PathBuf,
    },
    /// Two secrets have the same name.
    #[error("use the secret {0}: there are two of this name")]
    Twice(String),
}

/// The secrets of a node, by their names.
#[derive(Clone, Default)]
pub struct Secrets(Arc<BTreeMap<String, Secret>>);

struct Secret {
    named: SecretFile,
    state: Mutex<State>,
}

struct State {
    text: String,
    stamp: Option<Stamp>,
    checked_at: Instant,
    /// While a thread looks at the file, which can take as long as a disk.
    is_read: bool,
}

impl fmt::Debug for Secrets {
    /// Only the names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

impl Secrets {
    /// Reads all of them.
    ///
    /// # Errors
    /// Names the secret that cannot be used.
    pub fn read(files: &[SecretFile]) -> Result<Self, SecretError> {
        let mut secrets = BTreeMap::new();
        for named in files {
            let state = State {
                stamp: Stamp::of(&named.file),
                text: named.read()?,
                checked_at: Instant::now(),
                is_read: false,
            };
            let secret = Secret {
                named: named.clone(),
                state: Mutex::new(state),
            };
            if secrets.insert(named.name.clone(), secret).is_some() {
                return Err(SecretError::Twice(named.name.clone()));
            }
        }
        Ok(Self(Arc::new(secrets)))
    }

    /// Whether the node uses this secret so for requests to this origin.
    #[must_use]
    pub fn allow(&self, name: &str, used: SecretUse, origin: &Origin) -> bool {
        let secret = self.0.get(name).map(|secret| &secret.named);
        secret.is_some_and(|named| named.used == used && named.origins.contains(origin))
    }

    /// The value of a header for this origin; `None` if the node does not send the
    /// secret there, or the text makes no header.
    pub(super) async fn value(&self, header: &SecretHeader) -> Option<HeaderValue> {
        let (name, origin) = (&header.secret, &header.origin);
        let text = self.text(name, SecretUse::InHeaders, origin).await?;
        let mut value = HeaderValue::try_from(format!("{}{text}", header.prefix)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// The keys to sign requests to this origin with; `None` if the node has none.
    pub(super) async fn keys(&self, name: &str, origin: &Origin) -> Option<String> {
        self.text(name, SecretUse::ToSign, origin).await
    }

    async fn text(&self, name: &str, used: SecretUse, origin: &Origin) -> Option<String> {
        if !self.allow(name, used, origin) {
            return None;
        }
        if self.0.get(name)?.is_due() {
            let (secrets, name) = (self.clone(), name.to_owned());
            let reading = spawn_blocking(move || secrets.0.get(&name).map(Secret::refresh));
            // If it fails or takes long, the secret of before is used.
            drop(tokio::time::timeout(READ_LIMIT, reading).await);
        }
        Some(self.0.get(name)?.state().text.clone())
    }
}

impl SecretFile {
    /// The text of the file, without the end of its line.
    fn read(&self) -> Result<String, SecretError> {
        let (name, file) = (|| self.name.clone(), || self.file.clone());
        let text = read_text(&self.file).map_err(|cause| SecretError::Read {
            name: name(),
            file: file(),
            cause,
        })?;
        let text = text.trim_end_matches(['\r', '\n']);
        let is_usable = !text.is_empty() && HeaderValue::from_str(text).is_ok();
        match is_usable && text.len() <= MAX_SECRET {
            true => Ok(text.to_owned()),
            false => Err(SecretError::Text {
                name: name(),
                file: file(),
            }),
        }
    }
}

/// Reads a little more than the largest secret, so that a larger one is noticed.
fn read_text(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    let most = u64::try_from(MAX_SECRET)
        .unwrap_or(u64::MAX)
        .saturating_add(3);
    File::open(file)?.take(most).read_to_string(&mut text)?;
    Ok(text)
}

impl Secret {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether its file must be looked at. Only the first that asks is told so.
    fn is_due(&self) -> bool {
        let mut state = self.state();
        let is_due = !state.is_read && state.checked_at.elapsed() >= CHECK_INTERVAL;
        state.is_read |= is_due;
        is_due
    }

    /// Looks at the file once. Blocks for as long as the disk.
    fn refresh(&self) {
        self.read_again();
        let mut state = self.state();
        state.checked_at = Instant::now();
        state.is_read = false;
    }

    /// Reads the file if it has changed.
    fn read_again(&self) {
        let found = Stamp::of(&self.named.file);
        if found == self.state().stamp {
            return;
        }
        match self.named.read() {
            Ok(text) => {
                let mut state = self.state();
                state.text = text;
                state.stamp = found;
                tracing::info!(secret = self.named.name, "a secret has changed");
            }
            Err(error) => {
                let error = chain(&error);
                tracing::warn!(error, "using the secret as it was before");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const ORIGIN: &str = "https://logs.example.com";

    fn file(folder: &Path, text: &str) -> SecretFile {
        let file = folder.join("token");
        fs::write(&file, text).unwrap();
        SecretFile {
            name: "token".to_owned(),
            file,
            used: SecretUse::InHeaders,
            origins: vec![ORIGIN.parse().unwrap()],
        }
    }

    fn header(origin: &str) -> SecretHeader {
        SecretHeader {
            origin: origin.parse().unwrap(),
            header: http::header::AUTHORIZATION,
            prefix: "Bearer ".to_owned(),
            secret: "token".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_secret_is_read_again_when_its_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let named = file(folder.path(), "first\n");
        let secrets = Secrets::read(std::slice::from_ref(&named)).unwrap();
        let value = async || secrets.value(&header(ORIGIN)).await.unwrap();
        assert_eq!(value().await, "Bearer first");
        assert!(value().await.is_sensitive());
        let check_at = |at| secrets.0["token"].state().checked_at = at;
        let due = || check_at(Instant::now().checked_sub(CHECK_INTERVAL).unwrap());
        check_at(Instant::now() + Duration::from_secs(3600));
        fs::write(&named.file, "the second").unwrap();
        assert_eq!(value().await, "Bearer first", "not looked at yet");
        due();
        assert_eq!(value().await, "Bearer the second");
        // Nothing that can be used: the secret of before.
        fs::write(&named.file, "").unwrap();
        due();
        assert_eq!(value().await, "Bearer the second");
        fs::remove_file(&named.file).unwrap();
        due();
        assert_eq!(value().await, "Bearer the second");
    }

    #[tokio::test]
    async fn a_secret_goes_to_its_origins_only() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::read(&[file(folder.path(), "x")]).unwrap();
        for other in [
            "http://logs.example.com",
            "https://logs.example.com:8443",
            "https://a",
        ] {
            assert_eq!(secrets.value(&header(other)).await, None, "{other}");
        }
        let mut unknown = header(ORIGIN);
        unknown.secret = "other".to_owned();
        assert_eq!(secrets.value(&unknown).await, None);
    }

    #[tokio::test]
    async fn a_key_that_signs_is_never_a_header_and_no_header_signs() {
        let folder = tempfile::tempdir().unwrap();
        let origin: Origin = ORIGIN.parse().unwrap();
        let mut named = file(folder.path(), "AKID:SECRET");
        let secrets = Secrets::read(std::slice::from_ref(&named)).unwrap();
        assert_eq!(secrets.keys("token", &origin).await, None);
        named.used = SecretUse::ToSign;
        let secrets = Secrets::read(&[named]).unwrap();
        assert_eq!(secrets.value(&header(ORIGIN)).await, None);
        let keys = secrets.keys("token", &origin).await;
        assert_eq!(keys.as_deref(), Some("AKID:SECRET"));
    }

    #[test]
    fn what_cannot_be_a_header_is_refused_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "\n", "two\nlines", "nul\0", &"x".repeat(MAX_SECRET + 1)] {
            let named = file(folder.path(), text);
            assert!(matches!(
                Secrets::read(&[named]),
                Err(SecretError::Text { .. })
            ));
        }
        let named = file(folder.path(), "hunter2");
        let twice = Secrets::read(&[named.clone(), named.clone()]);
        assert!(matches!(twice, Err(SecretError::Twice(_))));
        let shown = format!("{:?}", Secrets::read(std::slice::from_ref(&named)).unwrap());
        assert_eq!(shown, r#"["token"]"#);
        fs::remove_file(&named.file).unwrap();
        assert!(matches!(
            Secrets::read(&[named]),
            Err(SecretError::Read { .. })
        ));
    }
}
