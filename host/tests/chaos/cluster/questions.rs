//! Requests to members, and waiting for their answers.

use serde_json::Value;

use super::{Cluster, Kind, NODES, PATIENCE, REJOINED, SERVERS};
use crate::support::{SOON, START_LIMIT, eventually};

impl Cluster {
    /// Waits for a node that leads and may acknowledge.
    pub(crate) async fn leader(&self) -> String {
        eventually("a node leads", SOON, || self.leads()).await
    }

    /// The node that leads now, if any does.
    pub(crate) async fn leader_now(&self) -> Option<String> {
        self.leads().await.ok()
    }

    pub(super) async fn leads(&self) -> Result<String, String> {
        let mut roles = Vec::new();
        for name in NODES {
            match self.status(name).await {
                Ok(status) if status["role"] == "leader" => return Ok(name.to_owned()),
                Ok(status) => roles.push(format!("{name}: {}", status["role"])),
                Err(error) => roles.push(format!("{name}: {error}")),
            }
        }
        Err(roles.join(", "))
    }

    /// The status that a node reports.
    pub(crate) async fn status(&self, node: &str) -> Result<Value, String> {
        let address = self.lan.named(node).address;
        self.get(format!("http://{address}:3000/api/v1/status"))
            .await
    }

    /// Waits until a node knows that it does not lead.
    pub(crate) async fn follows(&self, node: &str) {
        eventually(&format!("{node} follows"), SOON, || async {
            let status = self.status(node).await?;
            match status["role"] == "follower" {
                true => Ok(()),
                false => Err(status.to_string()),
            }
        })
        .await;
    }

    /// Sends a node a message, and ignores the status of the answer.
    pub(crate) async fn post(&self, node: &str, text: &str) {
        let address = self.lan.named(node).address;
        let url = format!("http://{address}:3000/api/v1/log");
        let answer = self.http.post(url).body(text.to_owned()).send().await;
        answer.expect("an answer");
    }

    /// Waits until a server leads Consul.
    pub(crate) async fn consul_leader(&self) -> String {
        eventually("Consul has a leader", SOON, || self.leads_consul()).await
    }

    /// The server that leads Consul now, if any does.
    pub(crate) async fn consul_leader_now(&self) -> Option<String> {
        self.leads_consul().await.ok()
    }

    async fn leads_consul(&self) -> Result<String, String> {
        let mut errors = Vec::new();
        for name in self.running(Kind::Server) {
            let address = self.lan.named(&name).address;
            let url = format!("http://{address}:8500/v1/status/leader");
            let leader = match self.get(url).await {
                Ok(leader) => leader,
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            };
            for server in self.servers() {
                if leader == format!("{}:8300", self.lan.named(server).address) {
                    return Ok((*server).to_owned());
                }
            }
            errors.push(format!("{name} names {leader}"));
        }
        Err(errors.join(", "))
    }

    /// Waits until Consul serves reads and writes through this host.
    pub(crate) async fn consul_answers(&self, host: &str) {
        let address = self.lan.named(host).address;
        eventually("Consul answers", START_LIMIT, || async {
            let url = format!("http://{address}:8500/v1/kv/anything");
            let read = self.http.get(format!("{url}?consistent"));
            let write = self.http.put(url).body("written");
            for request in [read, write] {
                let answer = request.timeout(PATIENCE).send().await;
                let answer = answer.map_err(|error| error.to_string())?;
                if ![200, 404].contains(&answer.status().as_u16()) {
                    return Err(answer.status().to_string());
                }
            }
            Ok(())
        })
        .await;
    }

    /// Waits until Consul has exactly this many sessions.
    pub(crate) async fn holds_sessions(&self, count: usize) {
        let address = self.lan.named(SERVERS[0]).address;
        eventually("there are as many sessions as expected", SOON, || async {
            let url = format!("http://{address}:8500/v1/session/list");
            let sessions = self.get(url).await?;
            match sessions.as_array().map(Vec::len) {
                Some(found) if found == count => Ok(()),
                _ => Err(sessions.to_string()),
            }
        })
        .await;
    }

    pub(super) async fn get(&self, url: String) -> Result<Value, String> {
        let answer = self.http.get(url).timeout(PATIENCE).send().await;
        let body = answer.map_err(|error| error.to_string())?.bytes().await;
        serde_json::from_slice(&body.map_err(|e| e.to_string())?).map_err(|e| e.to_string())
    }

    /// Waits until every node is ready to serve its role.
    pub(crate) async fn all_are_ready(&self) {
        for node in NODES {
            let address = self.lan.named(node).address;
            eventually(&format!("{node} is ready"), REJOINED, || async {
                let ready = self.http.get(format!("http://{address}:3000/readyz"));
                let answer = ready.timeout(PATIENCE).send().await;
                match answer.map_err(|error| error.to_string())?.status() {
                    reqwest::StatusCode::OK => Ok(()),
                    status => Err(status.to_string()),
                }
            })
            .await;
        }
    }
}
