//! Who a node is to the servers of a replicated journal: certificates, passwords, keys
//! and credentials, each with a real server, and what the status says about wrong ones.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Authority, Cluster, Consul, Nats, Options, SOON, eventually};

/// What a node may do, as docs/replicated-journal.md lists it.
const PERMISSIONS: &str = r#"{
    publish: ["sluice.sluice.>", "$JS.API.STREAM.CREATE.*", "$JS.API.STREAM.UPDATE.*",
        "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.PURGE.*", "$JS.API.STREAM.MSG.GET.*",
        "$JS.API.DIRECT.GET.*"]
    subscribe: ["_INBOX.>"]
}"#;

/// A node with this journal and these variables.
async fn node(journal: &str, variables: &[(&str, &str)]) -> Cluster {
    let arguments = ["--ack", "journal", "--journal", journal];
    let mut cluster = Cluster::empty(Consul::start().await, &arguments);
    let variables = variables.iter();
    let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let options = Options {
        variables: variables.collect(),
        ..Options::default()
    };
    cluster.add_with("a", options).await;
    cluster.leader().await;
    cluster
}

/// Waits until a message is acknowledged.
async fn is_taken(cluster: &Cluster) {
    eventually("a message is acknowledged", SOON, || async {
        match cluster.node(0).log("a message").await {
            (200, _) => Ok(()),
            (status, body) => Err(format!("{status} {body}")),
        }
    })
    .await;
}

/// Waits until the status names the server, and has each of these words.
async fn is_refused(cluster: &Cluster, server: &str, words: &[&str]) {
    eventually("the status says why", SOON, || async {
        let status = cluster.node(0).status().await?;
        let error = status["journal"]["error"].as_str().unwrap_or_default();
        match error.contains(server) && words.iter().all(|word| error.contains(word)) {
            true => Ok(()),
            false => Err(status["journal"].to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn certificates_and_passwords_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "right");
    let other = Authority::new(folder.path(), "other");
    let server = authority.issue("server");
    let nats = Nats::alone(&format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\" }}\n\
         authorization {{ users: [ {{ user: sluice, password: secret, permissions: {PERMISSIONS} }} ] }}\n",
        server.certificate.display(),
        server.key.display(),
    ));
    let url = nats.url();
    let address = url.strip_prefix("nats://").unwrap();
    let (ca, wrong_ca) = (authority.file(), other.file());
    let user = ("NATS_USER", "sluice");
    let variables = [("NATS_CA", ca.as_str()), user, ("NATS_PASSWORD", "secret")];
    is_taken(&node(&format!("tls://{address}"), &variables).await).await;
    // The server asks for TLS, whatever the scheme says.
    let with_user = format!("nats://sluice:secret@{address}");
    is_taken(&node(&with_user, &[("NATS_CA", &ca)]).await).await;

    let wrong = node(&with_user, &[("NATS_CA", &wrong_ca)]).await;
    is_refused(&wrong, address, &["certificate", "check NATS_CA"]).await;
    let variables = [("NATS_CA", ca.as_str()), user, ("NATS_PASSWORD", "wrong")];
    let wrong = node(&url, &variables).await;
    is_refused(
        &wrong,
        address,
        &["authorization violation", "NATS_PASSWORD"],
    )
    .await;
}

#[tokio::test]
async fn a_certificate_is_shown_to_a_server_that_asks_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "right");
    let (server, client) = (authority.issue("server"), authority.issue("client"));
    let ca = authority.file();
    let nats = Nats::alone(&format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{ca}\", verify: true }}\n",
        server.certificate.display(),
        server.key.display(),
    ));
    let certificate = client.certificate.display().to_string();
    let key = client.key.display().to_string();
    let own = [
        ("NATS_CA", ca.as_str()),
        ("NATS_CERT", &certificate),
        ("NATS_KEY", &key),
    ];
    is_taken(&node(&nats.url(), &own).await).await;
    let address = nats.url().replace("nats://", "");
    let without = node(&nats.url(), &own[..1]).await;
    is_refused(&without, &address, &["NATS_CERT"]).await;
}

#[tokio::test]
async fn a_key_is_enough_and_only_the_right_one() {
    let (right, wrong) = (KeyPair::new_user(), KeyPair::new_user());
    let user = right.public_key();
    let nats = Nats::alone(&format!(
        "authorization {{ users: [ {{ nkey: {user}, permissions: {PERMISSIONS} }} ] }}\n"
    ));
    let folder = tempfile::tempdir().unwrap();
    let file = |name, key: &KeyPair| {
        let path = folder.path().join(name);
        std::fs::write(&path, key.seed().unwrap() + "\n").unwrap();
        path.display().to_string()
    };
    let (right, wrong) = (file("right", &right), file("wrong", &wrong));
    is_taken(&node(&nats.url(), &[("NATS_NKEY", &right)]).await).await;
    let refused = node(&nats.url(), &[("NATS_NKEY", &wrong)]).await;
    let address = nats.url().replace("nats://", "");
    is_refused(
        &refused,
        &address,
        &["authorization violation", "NATS_NKEY"],
    )
    .await;
}

#[tokio::test]
async fn credentials_choose_the_account_and_are_read_again() {
    let accounts = Accounts::new();
    let nats = Nats::alone(&accounts.configuration());
    let file = accounts.credentials(false);
    let cluster = node(&nats.url(), &[("NATS_CREDS", &file)]).await;
    let address = nats.url().replace("nats://", "");
    is_refused(
        &cluster,
        &address,
        &["authorization violation", "NATS_CREDS"],
    )
    .await;
    fs::rename(accounts.credentials(true), &file).unwrap();
    is_taken(&cluster).await;
}

/// An operator with an account, and an account that the server does not know.
struct Accounts {
    operator: KeyPair,
    /// The account of the servers themselves.
    system: KeyPair,
    account: KeyPair,
    unknown: KeyPair,
    folder: TempDir,
}

impl Accounts {
    fn new() -> Self {
        Self {
            operator: KeyPair::new_operator(),
            system: KeyPair::new_account(),
            account: KeyPair::new_account(),
            unknown: KeyPair::new_account(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// The lines for a server that trusts the operator.
    fn configuration(&self) -> String {
        let operator = &self.operator;
        let own = token(
            operator,
            &operator.public_key(),
            json!({"type": "operator"}),
        );
        let account = |account: &KeyPair, storage: i64| {
            // -1 is no limit.
            let limits = json!({
                "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
                "wildcards": true, "conn": -1, "leaf": -1, "mem_storage": 0,
                "disk_storage": storage, "streams": storage, "consumer": storage,
            });
            let claims = json!({"type": "account", "limits": limits});
            let public = account.public_key();
            let token = token(operator, &public, claims);
            format!("{public}: {token}")
        };
        format!(
            "operator: {own}\nsystem_account: {}\nresolver: MEMORY\n\
             resolver_preload: {{\n{}\n{}\n}}\n",
            self.system.public_key(),
            account(&self.system, 0),
            account(&self.account, -1),
        )
    }

    /// A file with credentials for a new user, of the account that the server knows or
    /// of the other one.
    fn credentials(&self, is_known: bool) -> String {
        let account = if is_known {
            &self.account
        } else {
            &self.unknown
        };
        let user = KeyPair::new_user();
        let claims = json!({"type": "user", "subs": -1, "data": -1, "payload": -1});
        let token = token(account, &user.public_key(), claims);
        let seed = user.seed().unwrap();
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        let path = self.folder.path().join(format!("{is_known}.creds"));
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

/// A JWT about `subject` with these claims, signed by `issuer`.
fn token(issuer: &KeyPair, subject: &str, mut claims: Value) -> String {
    claims["version"] = json!(2);
    let body = json!({
        "jti": subject, "iat": 1_700_000_000, "iss": issuer.public_key(), "sub": subject,
        "name": subject, "nats": claims,
    });
    let head = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let text = format!("{}.{}", encode(&head), encode(&body));
    let signature = issuer.sign(text.as_bytes()).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}
