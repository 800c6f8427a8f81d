//! Servers of NATS JetStream.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::{Port, Process, SOON, eventually};

/// How long an answer is waited for, which may never come while there is no leader.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// Servers that form a cluster, or one alone. Their state outlives a restart.
#[derive(Debug)]
pub(crate) struct Nats {
    pub(crate) servers: Vec<Process>,
    clients: Vec<Port>,
    /// None if there is one server alone.
    routes: Vec<Port>,
    /// More lines of their configuration.
    further: String,
    folder: TempDir,
}

impl Nats {
    /// Three servers.
    pub(crate) async fn cluster() -> Self {
        let ports: [Port; 6] = Port::claim_row();
        let mut clients: Vec<_> = ports.into_iter().collect();
        let routes = clients.split_off(3);
        let mut nats = Self {
            servers: Vec::new(),
            clients,
            routes,
            further: String::new(),
            folder: tempfile::tempdir().unwrap(),
        };
        for place in 0..3 {
            let server = nats.start(place);
            nats.servers.push(server);
        }
        nats
    }

    /// One server, with these further lines in its configuration.
    pub(crate) fn alone(further: &str) -> Self {
        let mut nats = Self {
            servers: Vec::new(),
            clients: vec![Port::claim()],
            routes: Vec::new(),
            further: further.to_owned(),
            folder: tempfile::tempdir().unwrap(),
        };
        nats.servers.push(nats.start(0));
        nats
    }

    fn start(&self, place: usize) -> Process {
        let name = format!("nats-{place}");
        let at = |port: &Port| format!("127.0.0.1:{}", port.number);
        let config = NatsConfig {
            name: name.clone(),
            clients: at(&self.clients[place]),
            routes: self.routes.get(place).map(at).unwrap_or_default(),
            cluster: self.routes.iter().map(at).collect(),
            store: self.folder.path().join(&name),
            further: self.further.clone(),
        };
        let file = config.write_to(self.folder.path());
        let mut command = Command::new(nats_server());
        command.arg("-c").arg(file);
        Process::start(&name, self.folder.path(), &mut command)
    }

    /// What `--journal` names.
    pub(crate) fn url(&self) -> String {
        let addresses = self.clients.iter();
        let addresses = addresses.map(|port| format!("127.0.0.1:{}", port.number));
        format!("nats://{}", addresses.collect::<Vec<_>>().join(","))
    }

    /// Asks JetStream's API, as any client of NATS could. An error says that there was no
    /// answer.
    pub(crate) async fn api(&self, subject: &str, body: &Value) -> Result<Value, String> {
        let address = format!("127.0.0.1:{}", self.clients[0].number);
        let stream = eventually("NATS listens", SOON, || async {
            let connected = TcpStream::connect(&address).await;
            connected.map_err(|error| error.to_string())
        })
        .await;
        let mut stream = BufReader::new(stream);
        let body = body.to_string();
        let asking = format!(
            "CONNECT {{\"verbose\":false,\"pedantic\":false}}\r\nSUB inbox 1\r\n\
             PUB $JS.API.{subject} inbox {}\r\n{body}\r\n",
            body.len()
        );
        stream.write_all(asking.as_bytes()).await.unwrap();
        let mut line = String::new();
        while !line.starts_with("MSG inbox") {
            line.clear();
            let reading = stream.read_line(&mut line);
            let read = tokio::time::timeout(ANSWER_LIMIT, reading).await;
            let read = read.map_err(|_| "no answer".to_owned())?.unwrap();
            assert!(read > 0, "NATS closes the connection");
        }
        line.clear();
        stream.read_line(&mut line).await.unwrap();
        Ok(serde_json::from_str(&line).unwrap())
    }

    /// Freezes servers, or has them go on.
    pub(crate) fn signal(&self, places: &[usize], signal: Signal) {
        for place in places {
            self.servers[*place].signal(signal);
        }
    }

    /// Stops all servers and starts them again.
    pub(crate) async fn restart(&mut self) {
        for server in &mut self.servers {
            server.signal(Signal::KILL);
            server.wait(SOON).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let servers = (0..self.servers.len()).map(|place| self.start(place));
        self.servers = servers.collect();
    }
}

/// A server of a JetStream cluster, as a replicated journal needs it.
#[derive(Clone, Debug)]
pub(crate) struct NatsConfig {
    pub(crate) name: String,
    /// The address for clients.
    pub(crate) clients: String,
    /// The address for the other servers.
    pub(crate) routes: String,
    /// The addresses that all servers have for each other; none if it is alone.
    pub(crate) cluster: Vec<String>,
    pub(crate) store: PathBuf,
    /// More lines.
    pub(crate) further: String,
}

impl NatsConfig {
    /// Writes the configuration to a file in this folder, and returns its path.
    pub(crate) fn write_to(&self, folder: &Path) -> PathBuf {
        let Self {
            name,
            clients,
            routes,
            cluster,
            store,
            further,
        } = self;
        let cluster: Vec<_> = cluster
            .iter()
            .map(|at| format!("\"nats://{at}\""))
            .collect();
        let cluster = match cluster.is_empty() {
            true => String::new(),
            false => format!(
                "cluster {{ name: logs, listen: \"{routes}\", routes: [{}] }}\n",
                cluster.join(", ")
            ),
        };
        let text = format!(
            "server_name: {name}\nlisten: \"{clients}\"\n\
             jetstream {{ store_dir: \"{}\", sync_interval: always }}\n{cluster}{further}",
            store.display(),
        );
        let file = folder.join(format!("{name}.conf"));
        std::fs::write(&file, text).expect("write a configuration");
        file
    }
}

/// The `nats-server` program.
pub(crate) fn nats_server() -> PathBuf {
    std::env::var_os("NATS_SERVER")
        .expect("the variable NATS_SERVER names a nats-server, as .ci/find-nats prints it")
        .into()
}
