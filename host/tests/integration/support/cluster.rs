//! Nodes on one Consul, usually of one cluster.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::{Consul, Process, SOON, START_LIMIT, Turn, eventually, http};

/// A node's process, and where it serves.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) process: Process,
    /// Where it serves clients, as `host:port`.
    pub(crate) address: String,
    pub(crate) http: reqwest::Client,
}

/// How nodes are started.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Another `sluice` than that of this build.
    pub(crate) program: Option<PathBuf>,
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) stdout: Option<Stdio>,
}

impl Options {
    pub(crate) fn with(arguments: &[&str]) -> Self {
        let arguments = arguments
            .iter()
            .map(|argument| (*argument).to_owned())
            .collect();
        Self {
            arguments,
            ..Self::default()
        }
    }
}

/// A Consul and its nodes.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) consul: Consul,
    pub(crate) nodes: Vec<Node>,
    pub(crate) folder: TempDir,
    pub(crate) http: reqwest::Client,
    pub(crate) arguments: Vec<String>,
    /// The last field, so that it outlives all processes.
    _turn: Turn,
}

impl Cluster {
    /// Starts nodes with these arguments on either kind of coordinator, and
    /// waits until one leads.
    pub(crate) async fn start(count: usize, arguments: &[&str]) -> Self {
        Self::on(Consul::start().await, count, arguments).await
    }

    /// The same on Consul.
    pub(crate) async fn on_consul(count: usize, arguments: &[&str]) -> Self {
        Self::on(Consul::agent().await, count, arguments).await
    }

    pub(crate) async fn on(consul: Consul, count: usize, arguments: &[&str]) -> Self {
        let mut cluster = Self::empty(consul, arguments);
        for name in ["a", "b", "c", "d", "e"].into_iter().take(count) {
            cluster.add(name).await;
        }
        if count > 0 {
            cluster.leader().await;
        }
        cluster
    }

    pub(crate) fn empty(consul: Consul, arguments: &[&str]) -> Self {
        Self {
            consul,
            nodes: Vec::new(),
            folder: tempfile::tempdir().unwrap(),
            http: http(),
            arguments: arguments
                .iter()
                .map(|argument| (*argument).to_owned())
                .collect(),
            _turn: Turn::beside_others(),
        }
    }

    /// Starts a node and waits until it is registered.
    pub(crate) async fn add(&mut self, name: &str) -> usize {
        self.add_with(name, Options::default()).await
    }

    pub(crate) async fn add_with(&mut self, name: &str, options: Options) -> usize {
        self.add_to("sluice", name, options).await
    }

    /// Starts a node whose options name this cluster, and waits until it is
    /// registered.
    pub(crate) async fn add_to(&mut self, cluster: &str, name: &str, options: Options) -> usize {
        let process = self.spawn(name, options);
        self.adopt(cluster, name, process).await
    }

    /// Adds a running node once it is registered.
    pub(crate) async fn adopt(&mut self, cluster: &str, name: &str, process: Process) -> usize {
        let address = self.registered_address(cluster, name).await;
        let node = Node {
            name: name.to_owned(),
            process,
            address,
            http: self.http.clone(),
        };
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Starts a node's process without waiting for anything.
    pub(crate) fn spawn(&self, name: &str, options: Options) -> Process {
        let mut command = match &options.program {
            None => self.command(),
            Some(program) => self.command_of(program.as_ref()),
        };
        command.args(["node", "--name", name]);
        let mut arguments = self.arguments.iter().chain(&options.arguments);
        // The first address is the one that is advertised.
        if !arguments.any(|argument| argument == "--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command
            .arg("--data-dir")
            .arg(self.folder.path().join("data").join(name))
            .args(&self.arguments)
            .args(&options.arguments)
            .envs(options.variables);
        match options.stdout {
            None => Process::start(name, self.folder.path(), &mut command),
            Some(stdout) => {
                Process::start_with_stdout(name, self.folder.path(), &mut command, stdout)
            }
        }
    }

    /// Where a node on port 0 serves clients. It need not be registered.
    pub(crate) async fn served_by(&self, process: &Process) -> String {
        eventually("the node serves clients", START_LIMIT, || async {
            // Only the port for clients has this route.
            for port in process.ports() {
                let address = format!("127.0.0.1:{port}");
                let status = self.http.get(format!("http://{address}/api/v1/status"));
                match status.send().await {
                    Ok(answer) if answer.status() == 200 => return Ok(address),
                    _ => {}
                }
            }
            Err(format!("it listens on {:?}", process.ports()))
        })
        .await
    }

    /// The `sluice` program, pointed at this Consul.
    pub(crate) fn command(&self) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_sluice").as_ref())
    }

    fn command_of(&self, program: &OsStr) -> Command {
        let mut command = Command::new(program);
        command
            .env("CONSUL_HTTP_ADDR", &self.consul.address)
            .current_dir(self.folder.path());
        command
    }

    async fn registered_address(&self, cluster: &str, name: &str) -> String {
        let id = format!("{cluster}-{name}");
        eventually(&format!("{name} is registered"), START_LIMIT, || async {
            let services = self
                .consul
                .get(&format!("catalog/service/{cluster}"))
                .await?;
            let found = services
                .as_array()
                .and_then(|all| all.iter().find(|s| s["ServiceID"] == id));
            let service = found.ok_or_else(|| format!("registered are {services}"))?;
            let address = format!(
                "{}:{}",
                service["ServiceAddress"].as_str().unwrap_or_default(),
                service["ServicePort"]
            );
            // The registration may be that of an earlier process.
            let mut answers = Vec::new();
            for (client, scheme) in [(&self.http, "http"), (&trusting(), "https")] {
                let asked = client.get(format!("{scheme}://{address}/healthz"));
                match asked.send().await {
                    Ok(answer) if answer.status() == 200 => return Ok(address),
                    answer => answers.push(answer),
                }
            }
            Err(format!("{address} answers {answers:?}"))
        })
        .await
    }

    /// Waits until a node leads and may acknowledge, and returns its place.
    pub(crate) async fn leader(&self) -> usize {
        self.leader_within(SOON).await
    }

    pub(crate) async fn leader_within(&self, within: Duration) -> usize {
        eventually("a node leads", within, || async {
            let mut roles = Vec::new();
            for (place, node) in self.nodes.iter().enumerate() {
                match node.status().await {
                    Ok(status) if status["role"] == "leader" => return Ok(place),
                    Ok(status) => roles.push(status["role"].to_string()),
                    Err(error) => roles.push(error),
                }
            }
            Err(roles.join(", "))
        })
        .await
    }

    /// Sends a message to the leader until it is acknowledged, and returns
    /// the place of that node. After an outage of Consul a leader may lead
    /// again for a moment, until Consul ends its session because the health
    /// check was late.
    pub(crate) async fn acknowledged(&self, text: &str) -> usize {
        eventually("the leader acknowledges", SOON, || async {
            let leader = self.leader().await;
            match self.node(leader).log(text).await {
                (200, _) => Ok(leader),
                other => Err(format!("{}: {other:?}", self.node(leader).name)),
            }
        })
        .await
    }

    /// The place of a node that does not lead, once it knows the leader.
    pub(crate) async fn follower(&self) -> usize {
        let leader = self.leader().await;
        let follower = (0..self.nodes.len())
            .find(|place| *place != leader)
            .unwrap();
        eventually("a follower knows the leader", SOON, || async {
            let status = self.nodes[follower].status().await?;
            match status["leader"]["node"] == self.nodes[leader].name {
                true => Ok(()),
                false => Err(status.to_string()),
            }
        })
        .await;
        follower
    }

    /// Waits until the leader runs the sink that the manifest in Consul asks
    /// for now.
    pub(crate) async fn runs_what_is_asked_for(&self) {
        let asked = self.consul.key("sluice/plugin").await.unwrap()["ModifyIndex"].clone();
        eventually("the sink that is asked for runs", SOON, || async {
            let value = self.consul.value("sluice/active").await?;
            let active: Value = serde_json::from_str(&value).map_err(|e| e.to_string())?;
            match active["index"] == asked && active["state"] == "running" {
                true => Ok(()),
                false => Err(value),
            }
        })
        .await;
    }

    pub(crate) fn node(&self, place: usize) -> &Node {
        &self.nodes[place]
    }

    /// Everything that the sinks of all nodes have written.
    pub(crate) fn output(&self) -> String {
        self.nodes
            .iter()
            .map(|node| node.process.stdout())
            .collect()
    }
}

impl Node {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn status(&self) -> Result<Value, String> {
        let answer = self.http.get(self.url("/api/v1/status")).send().await;
        let body = answer.map_err(|error| error.to_string())?.bytes().await;
        serde_json::from_slice(&body.map_err(|e| e.to_string())?).map_err(|e| e.to_string())
    }

    /// Waits until the status meets this condition.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        self.until_within(SOON, what, is_so).await;
    }

    pub(crate) async fn until_within(
        &self,
        within: Duration,
        what: &str,
        is_so: impl Fn(&Value) -> bool,
    ) {
        eventually(what, within, || async {
            let status = self.status().await?;
            if is_so(&status) {
                Ok(())
            } else {
                Err(status.to_string())
            }
        })
        .await;
    }

    /// `POST /api/v1/log`: the status and the body of the answer.
    pub(crate) async fn log(&self, text: &str) -> (u16, String) {
        self.post("/api/v1/log", "text/plain", text.to_owned())
            .await
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        content_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> (u16, String) {
        let request = self
            .http
            .post(self.url(path))
            .header("content-type", content_type);
        let answer = request.body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Waits until the sink has written this text.
    pub(crate) async fn wrote(&self, text: &str) {
        eventually(&format!("{} wrote {text:?}", self.name), SOON, || async {
            let stdout = self.process.stdout();
            if stdout.contains(text) {
                Ok(())
            } else {
                Err(stdout)
            }
        })
        .await;
    }

    /// Waits until the node's log has this text, which the sink wrote to its
    /// stderr.
    pub(crate) async fn guest_said(&self, text: &str) {
        eventually(
            &format!("{}'s sink said {text:?}", self.name),
            SOON,
            || async {
                let log = self.process.stderr();
                if log.contains(text) { Ok(()) } else { Err(log) }
            },
        )
        .await;
    }

    /// A metric of the stream from `GET /metrics`, by its full name.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let answer = self.http.get(self.url("/metrics")).send().await.unwrap();
        let text = answer.text().await.unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}{{stream=\"default\"}} ")));
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
            .parse()
            .unwrap()
    }

    /// The value of a sample of `GET /metrics`, if there is one.
    pub(crate) async fn sample(&self, sample: &str) -> Option<String> {
        let answer = self.http.get(self.url("/metrics")).send().await.unwrap();
        let text = answer.text().await.unwrap();
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(sample));
        value.map(str::to_owned)
    }

    /// How often the sinks of the node were refused what is of this kind.
    pub(crate) async fn refused(&self, kind: &str) -> u64 {
        let answer = self.http.get(self.url("/metrics")).send().await.unwrap();
        let text = answer.text().await.unwrap();
        let sample = format!("sluice_sink_refused_total{{kind=\"{kind}\"}} ");
        let count = text.lines().find_map(|line| line.strip_prefix(&sample));
        count.map_or(0, |count| count.parse().unwrap())
    }
}

/// Runs `sluice` with these arguments. Returns its exit code, stdout and stderr.
pub(crate) async fn sluice(cluster: &Cluster, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = cluster.command();
    command.args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A client that takes any certificate.
fn trusting() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .tls_danger_accept_invalid_certs(true)
        .build()
        .unwrap()
}
