//! The commands that start the members of a cluster.

use std::process::Command;

use serde_json::json;

use super::{Cluster, Kind, LEASE, Member};
use crate::support::{guest, program};

impl Cluster {
    /// The command that starts this member's next process.
    pub(super) fn command(&self, member: &Member) -> Command {
        let name = &member.name;
        let Some(gate) = &member.gate else {
            return self.consul_command(member);
        };
        // The sink prints each message and is slow for one in 20, so that
        // faults hit writes that are in progress.
        let sink = guest("misbehave");
        let source = format!("file://{}", sink.display());
        let manifest = json!({"source": source, "config": "dawdle 1 in 20"}).to_string();
        let acks = self
            .folder
            .path()
            .join(format!("{name}.{}.acks", member.lives));
        let mut command = member.host.command(env!("CARGO_BIN_EXE_sluice"));
        command
            .args(["node", "--listen", "0.0.0.0:3000", "--name", name])
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
