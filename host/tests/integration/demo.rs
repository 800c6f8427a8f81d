//! `sluice demo`, by what it prints. It needs no Consul.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::{Process, SOON, eventually, http};

/// A demo with a temporary folder of its own.
#[derive(Debug)]
struct Demo {
    process: Process,
    folder: TempDir,
    /// The coordinator.
    consul: String,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let ports = free_ports();
        Self::on(ports, arguments)
    }

    /// Nodes from `port` on, the coordinator after them.
    fn on(port: u16, arguments: &[&str]) -> Self {
        let consul = format!("127.0.0.1:{}", port + NODES);
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command
            .args(["demo", "--interval", "100ms", "--port", &port.to_string()])
            .args(["--coordinator", &consul])
            .args(arguments);
        Self::run(&mut command, consul)
    }

    fn run(command: &mut Command, consul: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tmp")).unwrap();
        command
            .env("TMPDIR", folder.path().join("tmp"))
            // What is set for other nodes is not for these.
            .env("SLUICE_LISTEN", "127.0.0.1:1")
            .env("SLUICE_CLUSTER", "other")
            .env("CONSUL_HTTP_ADDR", "nowhere.test:1");
        let process = Process::start("demo", folder.path(), command);
        Self {
            process,
            folder,
            consul,
        }
    }

    /// Waits for a line that has this in it.
    async fn says(&self, text: &str) -> String {
        eventually(&format!("the demo says {text:?}"), SOON, || async {
            let said = self.process.stdout();
            let found = said.lines().find(|line| line.contains(text));
            found.map(str::to_owned).ok_or(said.clone())
        })
        .await
    }

    /// The process of the node that leads first, once it does.
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

    /// The exit code, once it has ended by itself.
    async fn end(&mut self) -> Option<i32> {
        self.process.wait(Duration::from_secs(40)).await.code()
    }

    fn is_folder_removed(&self) -> bool {
        let left = std::fs::read_dir(self.folder.path().join("tmp")).unwrap();
        left.count() == 0
    }
}

const NODES: u16 = 3;

/// So many ports in a row, and one more, that are free at the moment.
fn free_ports() -> u16 {
    loop {
        let first = rand::random_range(10_000..30_000);
        if (first..=first + NODES).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return first;
        }
    }
}

fn pid_after(line: &str, before: &str) -> Pid {
    let rest = line.split_once(before).unwrap().1;
    let number = rest.split(' ').next().unwrap().parse().unwrap();
    Pid::from_raw(number).unwrap()
}

async fn are_gone(processes: &[Pid]) {
    eventually("the nodes are gone", Duration::from_secs(5), || async {
        // Of one that nobody has waited for, no arguments are left.
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
    let mut demo = Demo::start(&["--for", "10s"]);
    kill_process(demo.leader().await, Signal::KILL).unwrap();
    demo.says("was killed with SIGKILL; it starts again").await;
    demo.says("leads now (epoch 2)").await;
    let code = demo.end().await;
    let said = demo.process.stdout();
    assert_eq!(code, Some(0), "{said}");
    demo.says("every one was acknowledged and is in an output")
        .await;
    assert!(demo.is_folder_removed());
    // Nobody needs to look at colours in a file.
    assert!(!said.contains('\u{1b}'), "{said}");
}

#[tokio::test]
async fn ctrl_c_leaves_nothing_behind() {
    let mut demo = Demo::start(&[]);
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
    let mut demo = Demo::start(&[]);
    let leader = demo.leader().await;
    let nodes = demo.nodes().await;
    // The message under way is not answered, and this node does not end.
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
    let mut demo = Demo::start(&[]);
    let nodes = demo.nodes().await;
    demo.process.kill();
    are_gone(&nodes).await;
}

#[tokio::test]
async fn ports_in_use_are_named_with_a_command_that_works() {
    let port = free_ports();
    let _node = TcpListener::bind(("127.0.0.1", port + 1)).unwrap();
    let _consul = TcpListener::bind(("127.0.0.1", port + NODES)).unwrap();
    let mut demo = Demo::on(port, &["--for", "5s"]);
    assert_eq!(demo.end().await, Some(1));
    let said = demo.process.stderr();
    let coordinator = format!("port {} of the coordinator is in use", port + NODES);
    assert!(said.contains(&coordinator), "{said}");
    assert!(
        said.contains(&format!("port {} of a node is in use", port + 1)),
        "{said}"
    );
    assert!(demo.is_folder_removed());

    let other = said.lines().last().unwrap().trim();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec {other}")]);
    let mut demo = Demo::run(&mut command, String::new());
    assert_eq!(demo.end().await, Some(0), "{}", demo.process.stderr());
}
