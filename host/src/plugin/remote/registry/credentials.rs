//! The credentials of the Docker configuration.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use docker_credential::{
    CredentialRetrievalError as RetrievalError, DockerCredential, get_credential_from_reader,
};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::error::Problem;

/// How long a program that keeps credentials may take.
const HELPER_LIMIT: Duration = Duration::from_secs(10);
/// The most that is read of the configuration, in bytes.
const MAX_CONFIG: u64 = 1 << 20;
/// The name by which Docker keeps the credentials of Docker Hub.
const DOCKER_HUB: (&str, &str) = ("docker.io", "https://index.docker.io/v1/");

/// Finds credentials.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    /// The configuration, whether or not it exists.
    pub(super) file: Option<PathBuf>,
    /// Held while they are looked up: a program that does not answer is started
    /// once.
    turn: Arc<Mutex<()>>,
}

/// What is known to a registry.
pub(super) enum Credential {
    Anonymous,
    Password {
        user: String,
        password: String,
    },
    /// What `docker login` got in exchange for a password.
    Identity(String),
}

impl Credentials {
    /// Those of the user of this process.
    pub(super) fn of_user() -> Self {
        let directory = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
        let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".docker"));
        let directory = directory.or_else(home);
        Self::in_file(directory.map(|directory| directory.join("config.json")))
    }

    /// Those of this configuration.
    pub(super) fn in_file(file: Option<PathBuf>) -> Self {
        let turn = Arc::default();
        Self { file, turn }
    }

    /// The credentials for a registry.
    pub(super) async fn of(&self, registry: &str) -> Result<Credential, Problem> {
        let Some(file) = self.file.clone() else {
            return Ok(Credential::Anonymous);
        };
        let server = match registry == DOCKER_HUB.0 {
            true => DOCKER_HUB.1.to_owned(),
            false => registry.to_owned(),
        };
        let (turn, path) = (Arc::clone(&self.turn), file.clone());
        let finding = async {
            let turn = turn.lock_owned().await;
            let found = spawn_blocking(move || {
                let _turn = turn;
                find(&path, &server)
            });
            found.await.unwrap_or_else(|panic| Err(panic.to_string()))
        };
        let found = timeout(HELPER_LIMIT, finding).await;
        let found = found.unwrap_or_else(|_| {
            Err(format!(
                "its credential helper does not answer within {HELPER_LIMIT:?}"
            ))
        });
        found.map_err(|reason| Problem::Credentials { file, reason })
    }
}

fn find(file: &Path, server: &str) -> Result<Credential, String> {
    let open = match File::open(file) {
        Ok(open) => open,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Credential::Anonymous),
        Err(error) => return Err(error.to_string()),
    };
    let config = BufReader::new(open.take(MAX_CONFIG));
    match get_credential_from_reader(config, server) {
        Ok(DockerCredential::UsernamePassword(user, password)) => {
            Ok(Credential::Password { user, password })
        }
        Ok(DockerCredential::IdentityToken(token)) => Ok(Credential::Identity(token)),
        Err(RetrievalError::NoCredentialConfigured) => Ok(Credential::Anonymous),
        // What it printed may be a secret.
        Err(RetrievalError::HelperFailure { helper, stdout, .. }) => {
            match stdout.contains("credentials not found") {
                true => Ok(Credential::Anonymous),
                false => Err(format!("{helper} fails")),
            }
        }
        Err(RetrievalError::ConfigReadError) => {
            Err("it is not JSON as docker login writes it".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(config: &str, server: &str) -> Result<Credential, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        std::fs::write(&file, config).unwrap();
        find(&file, server)
    }

    #[test]
    fn credentials_are_those_of_the_registry() {
        let config = r#"{"auths":{"r:5000":{"auth":"bWU6c2VjcmV0"},
            "i":{"identitytoken":"token"}}}"#;
        let own = found(config, "r:5000").unwrap();
        let is_own = matches!(own, Credential::Password { user, password }
            if user == "me" && password == "secret");
        assert!(is_own);
        let identity = found(config, "i").unwrap();
        assert!(matches!(identity, Credential::Identity(token) if token == "token"));
        assert!(matches!(found(config, "r:5001"), Ok(Credential::Anonymous)));
        let missing = find(Path::new("/nowhere/config.json"), "r");
        assert!(matches!(missing, Ok(Credential::Anonymous)));
    }

    #[test]
    fn a_broken_configuration_is_no_anonymous_one() {
        for config in [
            "{",
            r#"{"auths":{"r":{"auth":"!"}}}"#,
            r#"{"credsStore":"none-such"}"#,
        ] {
            assert!(found(config, "r").is_err(), "{config}");
        }
    }
}
