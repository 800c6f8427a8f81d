//! What there is to try, as commands to copy.

use std::time::Duration;

use super::DemoArgs;
use super::{COORDINATOR, INTERVAL, NODES, PORT};
use crate::cli::units;

/// What the commands name.
#[derive(Debug)]
pub(super) struct Guide {
    /// How this program is called.
    pub(super) program: String,
    /// The coordinator, `host:port`.
    pub(super) consul: String,
}

/// Who leads at the moment.
#[derive(Debug)]
pub(super) struct Leading<'a> {
    pub(super) node: &'a str,
    /// `host:port`.
    pub(super) address: &'a str,
    pub(super) pid: u32,
}

impl Guide {
    /// What is shown once it all works.
    pub(super) fn text(&self, leading: &Leading<'_>, within: &str) -> String {
        let Self { program, consul } = self;
        let Leading { node, address, pid } = leading;
        let json = r#"{"source":"builtin:stdout","config":{"format":"json"}}"#;
        format!(
            r#"
  The first message was acknowledged {within} after the start. {node} leads. In another terminal:

  Kill the leader, and see another node take over and no message get lost:
    kill -9 {pid}
  Swap the sink for one that prints JSON, and swap it back:
    CONSUL_HTTP_ADDR={consul} {program} plugin use builtin:stdout --config '{{"format":"json"}}'
    CONSUL_HTTP_ADDR={consul} {program} plugin use builtin:stdout
  The same by Consul's own means, with the consul command or without:
    CONSUL_HTTP_ADDR={consul} consul kv put sluice/plugin '{json}'
    curl -X PUT -d '{json}' http://{consul}/v1/kv/sluice/plugin
    curl -X DELETE http://{consul}/v1/kv/sluice/plugin
  Look at it:
    CONSUL_HTTP_ADDR={consul} {program} status
    http://{address}/api/v1/status
  Send a message of your own:
    curl -L -d hello http://{address}/api/v1/log

  Ctrl-C ends it all.

"#
        )
    }
}

/// How this program can be called from anywhere.
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

/// The command that starts this demo.
pub(super) fn command(args: &DemoArgs) -> String {
    let mut command = format!("{} demo", program());
    let mut flag = |name: &str, value: String, default: &str| {
        if value != default {
            command.push_str(&format!(" --{name} {value}"));
        }
    };
    flag("nodes", args.nodes.to_string(), NODES);
    if units::duration(INTERVAL) != Ok(args.interval) {
        flag("interval", millis(args.interval), "");
    }
    flag("port", args.port.to_string(), PORT);
    flag("coordinator", args.coordinator.to_string(), COORDINATOR);
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
            coordinator: COORDINATOR.parse().unwrap(),
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
