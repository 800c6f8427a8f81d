//! The commands that start the members of a cluster.

use std::process::Command;

use serde_json::json;

use super::{Ack, Cluster, Kind, LEASE, Member, NATS};
use crate::support::nats::{NatsConfig, nats_server};
use crate::support::{guest, program};

impl Cluster {
    /// The command that starts this member's next process.
    pub(super) fn command(&self, member: &Member) -> Command {
        match member.kind {
            Kind::Node => self.node_command(member),
            Kind::Nats => self.nats_command(member),
            Kind::Server | Kind::Agent => self.consul_command(member),
        }
    }

    fn node_command(&self, member: &Member) -> Command {
        let name = &member.name;
        // The sink prints each message and is slow for some of them, so that
        // faults hit writes that are in progress. It must be able to catch up with
        // a journal.
        let config = match self.ack {
            Ack::Sink => "dawdle 1 in 20",
            Ack::Replicated => "dawdle 1 in 100 with ids",
        };
        let sink = guest("misbehave");
        let source = format!("file://{}", sink.display());
        let manifest = json!({"source": source, "config": config}).to_string();
        let acks = self
            .folder
            .path()
            .join(format!("{name}.{}.acks", member.lives));
        // A new machine has a new name.
        let machine = match member.lost {
            0 => name.clone(),
            lost => format!("{name}-{lost}"),
        };
        let gate = member.gate.as_ref().expect("a node has a gate");
        let mut command = member.host.command(env!("CARGO_BIN_EXE_sluice"));
        command
            .args(["node", "--listen", "0.0.0.0:3000", "--name", &machine])
            .arg(format!("--lease={}ms", LEASE.as_millis()))
            .arg("--data-dir")
            .arg(self.data(name))
            .arg("--trace-acks")
            .arg(acks)
            .arg("--plugin")
            .arg(manifest)
            .arg("--plugin-dir")
            .arg(sink.parent().expect("a folder"))
            .env("CONSUL_HTTP_ADDR", gate.address.to_string())
            .current_dir(self.folder.path());
        if self.ack == Ack::Replicated {
            command
                .args(["--ack", "journal", "--journal", &self.journal_url()])
                .args(["--journal-bytes", Self::JOURNAL_BYTES]);
        }
        command
    }

    fn nats_command(&self, member: &Member) -> Command {
        let address = member.host.address;
        let others = NATS.map(|name| format!("{}:6222", self.lan.named(name).address));
        let config = NatsConfig {
            name: member.name.clone(),
            clients: format!("{address}:4222"),
            routes: format!("{address}:6222"),
            cluster: others.to_vec(),
            store: self.data(&member.name),
            further: format!("http: \"{address}:8222\"\n"),
        };
        let file = config.write_to(self.folder.path());
        let mut command = member.host.command(nats_server());
        command.arg("-c").arg(file);
        command
    }

    fn consul_command(&self, member: &Member) -> Command {
        let address = member.host.address;
        let [.., place] = address.octets();
        let mut command = member.host.command(program());
        command
            .args(["agent", "-client=0.0.0.0", "-log-level=info"])
            .arg(format!("-bind={address}"))
            .arg(format!("-node={}", member.host.name))
            // An agent that has lost its state must remain the same Consul
            // node.
            .arg(format!("-node-id=00000000-0000-0000-0000-{place:012}"))
            .arg("-data-dir")
            .arg(self.data(&member.name))
            .args(["-hcl", "ports { dns = -1, grpc = -1, serf_wan = -1 }"])
            .args(["-hcl", "performance { raft_multiplier = 1 }"])
            .args(["-hcl", "disable_update_check = true"]);
        command.args(["-retry-interval", "1s"]);
        for server in self.servers() {
            let address = self.lan.named(server).address;
            command.arg(format!("-retry-join={address}"));
        }
        if member.kind == Kind::Server {
            let count = self.servers().len();
            command.args(["-server", &format!("-bootstrap-expect={count}")]);
        }
        command
    }
}
