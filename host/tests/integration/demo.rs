//! `sluice demo`: what it prints and what it leaves behind. It needs no Consul.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::{Port, Process, SOON, START_LIMIT, TRIES, Turn, eventually, http};

/// A demo with a temporary folder of its own.
#[derive(Debug)]
struct Demo {
    process: Process,
    folder: TempDir,
    /// The coordinator's address.
    consul: String,
    _ports: Ports,
    _turn: Turn,
}

/// The ports of the nodes, then that of the coordinator.
type Ports = [Port; NODES as usize + 1];

impl Demo {
    /// Tries again on other ports if another program took one.
    async fn start(arguments: &[&str]) -> Self {
        for _ in 0..TRIES {
            let mut demo = Self::on(Port::claim_row(), arguments);
            if demo.has_its_ports().await {
                return demo;
            }
        }
        panic!("{TRIES} demos found their ports in use");
    }

    async fn has_its_ports(&mut self) -> bool {
        let process = std::cell::RefCell::new(&mut self.process);
        eventually("the demo runs its nodes, or ends", START_LIMIT, || async {
            let mut process = process.borrow_mut();
            let (has_ended, said) = (process.has_ended(), process.stdout());
            match said.contains("n3 runs as process") {
                true => Ok(true),
                false if has_ended => {
                    let error = process.stderr();
                    assert!(error.contains("is in use"), "{said}{error}");
                    Ok(false)
                }
                false => Err(said),
            }
        })
        .await
    }

    fn on(ports: Ports, arguments: &[&str]) -> Self {
        let [first, .., coordinator] = ports.each_ref().map(|port| port.number);
        let consul = format!("127.0.0.1:{coordinator}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command
            .args(["demo", "--interval", "100ms", "--port", &first.to_string()])
            .args(["--coordinator", &consul])
            .args(arguments);
        Self::run(&mut command, consul, ports)
    }

    fn run(command: &mut Command, consul: String, ports: Ports) -> Self {
        let turn = Turn::beside_others();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tmp")).unwrap();
        command
            .env("TMPDIR", folder.path().join("tmp"))
            // The demo must ignore settings that are meant for other nodes.
            .env("SLUICE_LISTEN", "127.0.0.1:1")
            .env("SLUICE_CLUSTER", "other")
            .env("CONSUL_HTTP_ADDR", "nowhere.test:1");
        let process = Process::start("demo", folder.path(), command);
        Self {
            process,
            folder,
            consul,
            _ports: ports,
            _turn: turn,
        }
    }

    /// Waits for a line with this text, and returns the line.
    async fn says(&self, text: &str) -> String {
        eventually(&format!("the demo says {text:?}"), SOON, || async {
            let said = self.process.stdout();
            let found = said.lines().find(|line| line.contains(text));
            found.map(str::to_owned).ok_or(said.clone())
        })
        .await
    }

    /// Waits for the first leader, and returns its process.
    async fn leader(&self) -> Pid {
        pid_after(&self.says("    kill -9 ").await, "kill -9 ")
    }

    /// The processes of all nodes.
    async fn nodes(&self) -> Vec<Pid> {
        let mut nodes = Vec::new();
        for node in ["n1", "n2", "n3"] {
            let line = self.says(&format!("{node} runs as process ")).await;
            nodes.push(pid_after(&line, "process "));
        }
        nodes
    }

    /// Waits until the demo exits by itself, and returns its exit code.
    async fn end(&mut self) -> Option<i32> {
        self.process.wait(Duration::from_secs(40)).await.code()
    }

    fn is_folder_removed(&self) -> bool {
        let left = std::fs::read_dir(self.folder.path().join("tmp")).unwrap();
        left.count() == 0
    }
}

const NODES: u16 = 3;

fn pid_after(line: &str, before: &str) -> Pid {
    let rest = line.split_once(before).unwrap().1;
    let number = rest.split(' ').next().unwrap().parse().unwrap();
    Pid::from_raw(number).unwrap()
}

async fn are_gone(processes: &[Pid]) {
    eventually("the nodes are gone", Duration::from_secs(5), || async {
        // A zombie has no arguments, so it does not count.
        let runs = |pid: &&Pid| {
            let arguments = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
            String::from_utf8_lossy(&arguments.unwrap_or_default()).contains("--parent")
        };
        match processes.iter().find(runs) {
            None => Ok(()),
            Some(pid) => Err(format!("{pid:?} runs")),
        }
    })
    .await;
}

#[tokio::test]
async fn a_killed_leader_costs_no_message() {
    let mut demo = Demo::start(&["--for", "10s"]).await;
    kill_process(demo.leader().await, Signal::KILL).unwrap();
    demo.says("was killed with SIGKILL; it starts again").await;
    demo.says("leads now (epoch 2)").await;
    let code = demo.end().await;
    let said = demo.process.stdout();
    assert_eq!(code, Some(0), "{said}");
    demo.says("every one was acknowledged and is in an output")
        .await;
    assert!(demo.is_folder_removed());
    // Output to a file has no colours.
    assert!(!said.contains('\u{1b}'), "{said}");
}

#[tokio::test]
async fn ctrl_c_leaves_nothing_behind() {
    let mut demo = Demo::start(&[]).await;
    demo.leader().await;
    let nodes = demo.nodes().await;
    let swap = http()
        .put(format!("http://{}/v1/kv/sluice/plugin", demo.consul))
        .body(r#"{"source":"builtin:stdout","config":{"format":"json"}}"#);
    assert_eq!(swap.send().await.unwrap().status(), 200);
    demo.says(" sink     | {").await;
    demo.process.signal(Signal::INT);
    assert_eq!(demo.end().await, Some(0), "{}", demo.process.stdout());
    demo.says("every one was acknowledged and is in an output")
        .await;
    are_gone(&nodes).await;
    assert!(demo.is_folder_removed());
}

#[tokio::test]
async fn a_second_ctrl_c_ends_at_once() {
    let mut demo = Demo::start(&[]).await;
    let leader = demo.leader().await;
    let nodes = demo.nodes().await;
    // Now neither the message in flight nor this node finishes.
    kill_process(leader, Signal::STOP).unwrap();
    demo.process.signal(Signal::INT);
    demo.says("a second signal stops at once").await;
    demo.process.signal(Signal::INT);
    let code = demo.process.wait(Duration::from_secs(5)).await.code();
    assert_eq!(code, Some(130));
    are_gone(&nodes).await;
    assert!(demo.is_folder_removed());
}

#[tokio::test]
async fn a_killed_demo_takes_its_nodes_along() {
    let mut demo = Demo::start(&[]).await;
    let nodes = demo.nodes().await;
    demo.process.kill();
    are_gone(&nodes).await;
}

#[tokio::test]
async fn ports_in_use_are_named_with_a_command_that_works() {
    let ports: Ports = Port::claim_row();
    let [_, node, _, coordinator] = ports.each_ref().map(|port| port.number);
    let _node = TcpListener::bind(("127.0.0.1", node)).unwrap();
    let _consul = TcpListener::bind(("127.0.0.1", coordinator)).unwrap();
    let mut demo = Demo::on(ports, &["--for", "5s"]);
    assert_eq!(demo.end().await, Some(1));
    let said = demo.process.stderr();
    for expected in [
        format!("port {coordinator} of the coordinator is in use"),
        format!("port {node} of a node is in use"),
    ] {
        assert!(said.contains(&expected), "{said}");
    }
    assert!(demo.is_folder_removed());

    for _ in 0..TRIES {
        let said = demo.process.stderr();
        let (_, other) = said.trim().rsplit_once("On other ports: ").unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec {other}")]);
        demo = Demo::run(&mut command, String::new(), Port::claim_row());
        let code = demo.end().await;
        let said = demo.process.stderr();
        // Another program may have taken one of the suggested ports too.
        if !said.contains("is in use") {
            assert_eq!(code, Some(0), "{said}");
            return;
        }
    }
    panic!("{TRIES} demos found their ports in use");
}
