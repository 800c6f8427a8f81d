//! A registry for artifacts.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Port, Process, START_LIMIT, eventually, http};

/// The user `me` with the password `secret`, by bcrypt.
const PASSWORDS: &str = "me:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

/// Debian's `docker-registry`, which only `me` can use.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) address: String,
    pub(crate) process: Process,
    folder: TempDir,
    http: reqwest::Client,
    _port: Port,
}

impl Registry {
    pub(crate) async fn start() -> Self {
        let (port, folder) = (Port::claim(), tempfile::tempdir().unwrap());
        let address = format!("127.0.0.1:{}", port.number);
        let passwords = folder.path().join("htpasswd");
        fs::write(&passwords, PASSWORDS).unwrap();
        // JSON is YAML.
        let config = json!({
            "version": "0.1",
            "storage": {"filesystem": {"rootdirectory": folder.path().join("storage")}},
            "http": {"addr": address},
            "auth": {"htpasswd": {"realm": "test", "path": passwords}},
        });
        let file = folder.path().join("config.yml");
        fs::write(&file, config.to_string()).unwrap();
        let mut command = Command::new(program());
        let command = command.arg("serve").arg(&file);
        let registry = Self {
            process: Process::start("registry", folder.path(), command),
            address,
            folder,
            http: http(),
            _port: port,
        };
        let url = format!("http://{}/v2/", registry.address);
        eventually("the registry answers", START_LIMIT, || async {
            let answer = registry.http.get(&url).send().await;
            answer.map(drop).map_err(|error| error.to_string())
        })
        .await;
        registry
    }

    /// A directory for `DOCKER_CONFIG` with this password.
    pub(crate) fn credentials(&self, password: &str) -> PathBuf {
        let folder = self.folder.path().join("docker");
        fs::create_dir_all(&folder).unwrap();
        let auths = json!({ &self.address: {"username": "me", "password": password} });
        let config = json!({ "auths": auths }).to_string();
        fs::write(folder.join("config.json"), config).unwrap();
        folder
    }

    /// The manifest with this tag.
    pub(crate) async fn manifest(&self, repository: &str, tag: &str) -> Value {
        let request = self.http.get(self.url(repository, tag));
        let request = request.header("accept", "application/vnd.oci.image.manifest.v1+json");
        let answer = request.basic_auth("me", Some("secret")).send().await;
        answer.unwrap().json().await.unwrap()
    }

    /// Puts a manifest, of the media type that it names.
    pub(crate) async fn put(&self, repository: &str, tag: &str, manifest: &Value) {
        let request = self.http.put(self.url(repository, tag));
        let request = request.header("content-type", manifest["mediaType"].as_str().unwrap());
        let request = request.basic_auth("me", Some("secret"));
        let answer = request.body(manifest.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    }

    fn url(&self, repository: &str, tag: &str) -> String {
        format!("http://{}/v2/{repository}/manifests/{tag}", self.address)
    }
}

/// The `docker-registry` program.
fn program() -> PathBuf {
    std::env::var_os("DOCKER_REGISTRY").map_or("docker-registry".into(), PathBuf::from)
}
