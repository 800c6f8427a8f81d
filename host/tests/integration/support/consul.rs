//! Consul, or the embedded coordinator instead.

use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::Value;
use tempfile::TempDir;

use super::{Port, Process, START_LIMIT, TRIES, Turn, deploy, http, program};

/// The two kinds of coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Consul,
    Embedded,
}

impl Kind {
    /// The kind that the variable `COORDINATOR` names for all tests, or this
    /// test's usual kind.
    fn wanted_or(usual: Self) -> Self {
        match std::env::var("COORDINATOR").as_deref() {
            Err(_) | Ok("") => usual,
            Ok("consul") => Self::Consul,
            Ok("embedded") => Self::Embedded,
            Ok(other) => panic!("COORDINATOR is {other:?}: expected consul or embedded"),
        }
    }

    /// Whether to run a test of what only Consul has.
    pub(crate) fn is_consul_for(what: &str) -> bool {
        let is_consul = Self::wanted_or(Self::Consul) == Self::Consul;
        if !is_consul {
            // Written directly, because the test's output is captured.
            let mut stderr = std::io::stderr();
            writeln!(
                stderr,
                "not run: this is about {what}, which only a real Consul has"
            )
            .unwrap();
        }
        is_consul
    }
}

#[derive(Debug)]
pub(crate) struct Consul {
    pub(crate) address: String,
    pub(crate) kind: Kind,
    http: reqwest::Client,
    ports: [Port; 4],
    /// Keeps its state over a restart.
    durable: bool,
    folder: TempDir,
    process: Option<Process>,
    /// The certificate and the key, if it serves HTTPS and requires tokens.
    guard: Option<(String, String)>,
    _turn: Turn,
}

impl Consul {
    /// Either kind, without state on disk, for tests that do not depend on it.
    /// Usually the embedded coordinator, because it starts faster.
    pub(crate) async fn start() -> Self {
        Self::of(Kind::wanted_or(Kind::Embedded), false).await
    }

    /// A dev agent of Consul, for tests of elections, swaps and outages. It
    /// loses its state when it stops.
    pub(crate) async fn agent() -> Self {
        Self::of(Kind::wanted_or(Kind::Consul), false).await
    }

    /// A single Consul server with its state on disk.
    pub(crate) async fn server() -> Self {
        Self::of(Kind::wanted_or(Kind::Consul), true).await
    }

    /// Starts it, again on other ports if it does not come up.
    pub(crate) async fn of(kind: Kind, durable: bool) -> Self {
        let mut refusals = Vec::new();
        for _ in 0..TRIES {
            let mut consul = Self::stopped(kind, durable);
            match consul.comes_up().await {
                Ok(()) => return consul,
                Err(reason) => refusals.push(reason),
            }
        }
        panic!("{kind:?} did not come up: {}", refusals.join("\n"));
    }

    fn stopped(kind: Kind, durable: bool) -> Self {
        let turn = Turn::beside_others();
        let ports = Port::claim_row();
        Self {
            address: format!("127.0.0.1:{}", ports[0].number),
            kind,
            http: http(),
            ports,
            durable,
            folder: tempfile::tempdir().unwrap(),
            process: None,
            guard: None,
            _turn: turn,
        }
    }

    /// Stands for the coordinator that a node will serve at this address.
    pub(crate) fn within_a_node() -> Self {
        Self::stopped(Kind::Embedded, true)
    }

    /// A dev agent that also serves HTTPS, and denies requests without a token.
    pub(crate) async fn guarded(certificate: &str, key: &str) -> Self {
        let mut consul = Self::of(Kind::Consul, false).await;
        consul.guard = Some((certificate.to_owned(), key.to_owned()));
        consul.restart().await;
        consul
    }

    /// A token with only the rights that a node needs, by the policy in
    /// docs/deploy.
    pub(crate) async fn least_token(&self) -> String {
        let rules = std::fs::read_to_string(deploy("node-policy.hcl")).unwrap();
        let policy = serde_json::json!({ "Name": "node", "Rules": rules }).to_string();
        self.put("acl/policy", &policy).await;
        let token = serde_json::json!({ "Policies": [{ "Name": "node" }] }).to_string();
        let made = self.put("acl/token", &token).await;
        let made: Value = serde_json::from_str(&made).unwrap();
        made["SecretID"].as_str().unwrap().to_owned()
    }

    pub(crate) fn https_port(&self) -> u16 {
        self.ports[3].number
    }

    /// Starts it on the same ports as before. Tries again while another program
    /// has one of them.
    pub(crate) async fn restart(&mut self) {
        let deadline = Instant::now() + START_LIMIT;
        while let Err(reason) = self.comes_up().await {
            assert!(Instant::now() < deadline, "{reason}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Starts it and waits until it can be used.
    ///
    /// # Errors
    /// It exits or is too slow; the error has its log.
    async fn comes_up(&mut self) -> Result<(), String> {
        self.stop();
        let mut command = match self.kind {
            Kind::Consul => self.agent_command(),
            Kind::Embedded => self.embedded_command(),
        };
        let mut process = Process::start("consul", self.folder.path(), &mut command);
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let is_own = process.ports().contains(&self.ports[0].number);
            // Another program may answer on the port.
            let missing = match is_own {
                true => self.is_usable().await.err(),
                false => Some("it does not listen".to_owned()),
            };
            let Some(missing) = missing else {
                self.process = Some(process);
                return Ok(());
            };
            if process.has_ended() || Instant::now() > deadline {
                let (out, err) = (process.stdout(), process.stderr());
                return Err(format!(
                    "{missing} within {START_LIMIT:?}; its log:\n{out}{err}"
                ));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn is_usable(&self) -> Result<(), String> {
        let leader = self.get("status/leader").await?;
        let checks = self.get("health/state/passing").await?;
        let is_led = leader.as_str().is_some_and(|leader| !leader.is_empty());
        match is_led && checks.to_string().contains("serfHealth") {
            true => Ok(()),
            false => Err(format!("leader {leader}, health {checks}")),
        }
    }

    fn embedded_command(&self) -> Command {
        let data = self.folder.path().join("data");
        if !self.durable && data.exists() {
            std::fs::remove_dir_all(&data).expect("forget the state");
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command
            .args(["coordinator", "--listen", &self.address, "--data-dir"])
            .arg(data);
        command
    }

    fn agent_command(&self) -> Command {
        let [http, server, serf, https] = self.ports.each_ref().map(|port| port.number);
        let mut command = Command::new(program());
        command.arg("agent");
        if self.durable {
            let data = self.folder.path().join("data");
            command
                .args(["-server", "-bootstrap-expect=1", "-data-dir"])
                .arg(data);
            command.args(["-hcl", "performance { raft_multiplier = 1 }"]);
        } else {
            command.arg("-dev");
        }
        command
            .args([
                "-bind=127.0.0.1",
                "-client=127.0.0.1",
                "-node=agent",
                "-log-level=warn",
            ])
            .args([
                format!("-http-port={http}"),
                format!("-server-port={server}"),
            ])
            .args([
                format!("-serf-lan-port={serf}"),
                "-serf-wan-port=-1".to_owned(),
            ])
            .args(["-dns-port=-1", "-grpc-port=-1"]);
        if let Some((certificate, key)) = &self.guard {
            command.arg(format!("-https-port={https}"));
            command.args(["-hcl", &format!("cert_file = \"{certificate}\"")]);
            command.args(["-hcl", &format!("key_file = \"{key}\"")]);
            let acl = format!(
                "acl {{ enabled = true, default_policy = \"deny\", \
                 tokens {{ master = \"{MASTER}\", agent = \"{MASTER}\" }} }}"
            );
            command.args(["-hcl", &acl]);
        }
        command
    }

    /// Kills the process.
    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        self.process.as_ref().expect("Consul runs").signal(signal);
    }

    pub(crate) fn pid(&self) -> rustix::process::Pid {
        self.process.as_ref().expect("Consul runs").pid()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/v1/{path}", self.address)
    }

    /// `GET /v1/<path>`, as JSON.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, String> {
        let url = self.url(path);
        let answer = self
            .http
            .get(url)
            .header("x-consul-token", MASTER)
            .send()
            .await
            .map_err(|error| error.to_string())?;
        let (status, body) = (
            answer.status(),
            answer.bytes().await.map_err(|e| e.to_string())?,
        );
        match status.as_u16() {
            404 => Ok(Value::Null),
            200 => serde_json::from_slice(&body).map_err(|error| error.to_string()),
            status => Err(format!("{status}: {}", String::from_utf8_lossy(&body))),
        }
    }

    pub(crate) async fn put(&self, path: &str, body: &str) -> String {
        let url = self.url(path);
        let answer = self
            .http
            .put(url)
            .header("x-consul-token", MASTER)
            .body(body.to_owned())
            .send()
            .await
            .unwrap();
        assert!(
            answer.status().is_success(),
            "PUT {path}: {}",
            answer.status()
        );
        answer.text().await.unwrap()
    }

    pub(crate) async fn delete(&self, path: &str) {
        let url = self.url(path);
        let answer = self.http.delete(url).send().await.unwrap();
        assert!(
            answer.status().is_success(),
            "DELETE {path}: {}",
            answer.status()
        );
    }

    /// A key's entry; null if there is none.
    pub(crate) async fn key(&self, key: &str) -> Result<Value, String> {
        Ok(self
            .get(&format!("kv/{key}"))
            .await?
            .get(0)
            .cloned()
            .unwrap_or(Value::Null))
    }

    /// A key's value as text; empty if there is none.
    pub(crate) async fn value(&self, key: &str) -> Result<String, String> {
        let entry = self.key(key).await?;
        let value = entry["Value"].as_str().unwrap_or_default();
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(value)
            .unwrap();
        Ok(String::from_utf8(bytes).unwrap())
    }
}

/// The token with all rights, if tokens are required.
const MASTER: &str = "11111111-2222-3333-4444-555555555555";

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::support::{SOON, eventually};

    #[tokio::test]
    async fn a_server_whose_port_is_taken_is_started_again() {
        for kind in [Kind::Consul, Kind::Embedded] {
            let mut server = Consul::stopped(kind, false);
            let taken = TcpListener::bind(&server.address).unwrap();
            let reason = server.comes_up().await.unwrap_err();
            assert!(reason.contains("in use"), "{reason}");
            let folder = server.folder.path();
            let logs = ["consul.out", "consul.err"].map(|name| folder.join(name));
            let refusals = || {
                let said = |log| std::fs::read_to_string(log).unwrap_or_default();
                let said = logs.each_ref().map(said).concat();
                said.matches("in use").count()
            };
            let before = refusals();
            let free = async {
                eventually("it is refused again", SOON, || async {
                    (refusals() > before).then_some(()).ok_or(String::new())
                })
                .await;
                drop(taken);
            };
            tokio::join!(server.restart(), free);
            server.is_usable().await.unwrap();
        }
    }
}
