//! What to try, as commands to copy.

use std::time::Duration;

use super::args::{DEFAULT_COORDINATOR, DEFAULT_INTERVAL, DEFAULT_NODES, DEFAULT_PORT, DemoArgs};
use crate::cli::units;

/// What the commands refer to.
#[derive(Debug)]
pub(super) struct Guide {
    /// This program, as a shell finds it.
    pub(super) program: String,
    /// The coordinator, `host:port`.
    pub(super) consul: String,
}

#[derive(Debug)]
pub(super) struct Leader<'a> {
    pub(super) node: &'a str,
    /// `host:port`.
    pub(super) address: &'a str,
    pub(super) pid: u32,
}

impl Guide {
    /// Printed after the first message is acknowledged.
    pub(super) fn text(&self, leader: &Leader<'_>, within: &str) -> String {
        let Self { program, consul } = self;
        let Leader { node, address, pid } = leader;
        let json = r#"{"source":"builtin:stdout","config":{"format":"json"}}"#;
        format!(
            r#"
  The first message was acknowledged {within} after the start. {node} leads. In another terminal:

  Kill the leader: another node takes over, and no message is lost:
    kill -9 {pid}
  Swap the sink for one that prints JSON, and swap it back:
    CONSUL_HTTP_ADDR={consul} {program} plugin use builtin:stdout --config '{{"format":"json"}}'
    CONSUL_HTTP_ADDR={consul} {program} plugin use builtin:stdout
  The same through Consul, with the consul command or without:
    CONSUL_HTTP_ADDR={consul} consul kv put sluice/plugin '{json}'
    curl -X PUT -d '{json}' http://{consul}/v1/kv/sluice/plugin
    curl -X DELETE http://{consul}/v1/kv/sluice/plugin
  See the state of the cluster:
    CONSUL_HTTP_ADDR={consul} {program} status
    http://{address}/api/v1/status
  Send a message of your own:
    curl -L -d hello http://{address}/api/v1/log

  Ctrl-C ends the demo.

"#
        )
    }
}

/// This program, quoted for a shell in any directory.
pub(super) fn program() -> String {
    let called = std::env::args().next().unwrap_or_default();
    let path = match called.contains('/') {
        true => std::env::current_exe().map_or(called, |path| path.display().to_string()),
        false => called,
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    match path.chars().all(is_plain) {
        true => path,
        false => format!("'{}'", path.replace('\'', r"'\''")),
    }
}

/// The command that starts a demo with these flags.
pub(super) fn command(args: &DemoArgs) -> String {
    let mut command = format!("{} demo", program());
    let mut flag = |name: &str, value: String, default: &str| {
        if value != default {
            command.push_str(&format!(" --{name} {value}"));
        }
    };
    flag("nodes", args.nodes.to_string(), DEFAULT_NODES);
    if units::duration(DEFAULT_INTERVAL) != Ok(args.interval) {
        flag("interval", millis(args.interval), "");
    }
    flag("port", args.port.to_string(), DEFAULT_PORT);
    flag(
        "coordinator",
        args.coordinator.to_string(),
        DEFAULT_COORDINATOR,
    );
    if let Some(time) = args.time {
        flag("for", millis(time), "");
    }
    command
}

fn millis(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("{}s", time.as_secs()),
        _ => format!("{}ms", time.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_what_differs_from_the_defaults() {
        let mut args = DemoArgs {
            nodes: 3,
            interval: Duration::from_secs(1),
            port: 3000,
            coordinator: DEFAULT_COORDINATOR.parse().unwrap(),
            time: None,
        };
        assert!(command(&args).ends_with(" demo"));
        args.port = 3010;
        args.coordinator.set_port(8501);
        args.interval = Duration::from_millis(250);
        args.time = Some(Duration::from_secs(30));
        assert!(
            command(&args).ends_with(
                " demo --interval 250ms --port 3010 --coordinator 127.0.0.1:8501 --for 30s"
            ),
            "{}",
            command(&args)
        );
    }
}
