//! Servers of NATS JetStream.

use std::fmt::Write as _;
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
    routes: Vec<Port>,
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
            folder: tempfile::tempdir().unwrap(),
        };
        for place in 0..3 {
            let server = nats.start(place);
            nats.servers.push(server);
        }
        nats
    }

    fn start(&self, place: usize) -> Process {
        let program = std::env::var("NATS_SERVER")
            .expect("the variable NATS_SERVER names a nats-server, as .ci/find-nats prints it");
        let name = format!("nats-{place}");
        let mut routes = String::new();
        for port in &self.routes {
            write!(routes, "\"nats://127.0.0.1:{}\", ", port.number).unwrap();
        }
        let config = format!(
            "server_name: {name}\nlisten: \"127.0.0.1:{}\"\n\
             jetstream {{ store_dir: \"{}\", sync_interval: always }}\n\
             cluster {{ name: logs, listen: \"127.0.0.1:{}\", routes: [{routes}] }}\n",
            self.clients[place].number,
            self.folder.path().join(&name).display(),
            self.routes[place].number,
        );
        let file = self.folder.path().join(format!("{name}.conf"));
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(program);
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
