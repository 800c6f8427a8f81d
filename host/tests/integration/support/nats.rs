//! Servers of NATS JetStream.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::{Port, Process, SOON};

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
