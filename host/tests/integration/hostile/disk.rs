//! What a node keeps on disk is its user's alone, whatever the umask and
//! whatever was there before.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use super::measure::Measure;
use crate::support::{Cluster, Consul, Process, SOON, TRIES, eventually, guest};

const NOBODY: u32 = 65534;

/// Runs a program under the umask that takes nothing away.
fn with_open_umask(program: &Command) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "umask 0; exec \"$0\" \"$@\""]);
    command.arg(program.get_program()).args(program.get_args());
    let variables = program.get_envs();
    command.envs(variables.filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(program.get_current_dir().unwrap());
    command
}

/// A node that keeps everything that a node can keep.
fn node(cluster: &Cluster) -> Command {
    let file = guest("misbehave");
    let manifest = json!({
        "source": format!("file://{}", file.display()),
        "permissions": {"dirs": [{"host": "own", "guest": "/own", "write": true}]},
    });
    let mut command = cluster.command();
    command
        .args(["node", "--listen", "127.0.0.1:0", "--name", "a"])
        .args(["--ack", "journal", "--embedded-coordinator"])
        .args([&cluster.consul.address, "--data-dir"])
        .arg(data_dir(cluster))
        .args(["--plugin", &manifest.to_string(), "--plugin-dir"])
        .arg(file.parent().unwrap());
    command
}

fn data_dir(cluster: &Cluster) -> PathBuf {
    cluster.folder.path().join("data")
}

/// Starts the node; again on another port if another program took it.
async fn started() -> Cluster {
    for _ in 0..TRIES {
        let mut cluster = Cluster::empty(Consul::within_a_node(), &[]);
        if start(&mut cluster).await {
            return cluster;
        }
    }
    panic!("{TRIES} nodes ended");
}

async fn start(cluster: &mut Cluster) -> bool {
    let mut command = with_open_umask(&node(cluster));
    let mut process = Process::start("a", cluster.folder.path(), &mut command);
    eventually("it listens on three ports, or ends", SOON, || {
        let ports = process.ports();
        let is_decided = ports.len() == 3 || process.has_ended();
        async move { is_decided.then_some(()).ok_or(format!("{ports:?}")) }
    })
    .await;
    if process.has_ended() {
        return false;
    }
    cluster.adopt("sluice", "a", process).await;
    cluster.leader().await;
    true
}

/// Writes to the journal, the dead letters, the sink's files and the keys.
async fn is_busy(cluster: &Cluster, round: u32) {
    let node = cluster.node(0);
    assert_eq!(node.log(&format!("one {round}")).await.0, 200);
    assert_eq!(node.log(&format!("write /own/{round}")).await.0, 200);
    assert_eq!(node.log("trap").await.0, 200);
    // Only when another record is confirmed is the first one known to be guilty.
    assert_eq!(node.log(&format!("after {round}")).await.0, 200);
    let key = format!("kv/round/{round}");
    cluster.consul.put(&key, "x").await;
    node.until("the record is a dead letter", |status| {
        status["counters"]["dead_lettered"] == 1
    })
    .await;
    let written = data_dir(cluster).join(format!("files/own/{round}"));
    eventually("the sink has written", SOON, || async {
        written
            .exists()
            .then_some(())
            .ok_or_else(|| node.process.stdout())
    })
    .await;
}

/// Everything below, the folder itself included.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(walk(&path)),
            false => found.push(path),
        }
    }
    found
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

/// Everything that others have a right on, but what the sink wrote.
fn open_to_others(data: &Path) -> Vec<String> {
    let files = data.join("files");
    walk(data)
        .into_iter()
        .filter(|path| !path.starts_with(&files) && mode(path) & 0o077 != 0)
        .map(|path| format!("{:o} {}", mode(&path), path.display()))
        .collect()
}

#[tokio::test]
async fn a_data_directory_is_closed_to_others_and_closed_again_if_it_was_open() {
    let mut cluster = started().await;
    let data = data_dir(&cluster);
    is_busy(&cluster, 1).await;
    assert_eq!(open_to_others(&data), Vec::<String>::new());
    let names = [
        "lock",
        "epoch",
        "sessions",
        "dead-letters",
        "plugin/last-good.json",
        "compiled.key",
        "coordinator/coordinator.redb",
    ];
    for name in names {
        assert_eq!(mode(&data.join(name)), 0o600, "{name}");
    }
    for name in ["", "plugin", "compiled", "journal", "coordinator"] {
        assert_eq!(mode(&data.join(name)), 0o700, "{name}");
    }
    // What sinks write follows the umask.
    assert_eq!(mode(&data.join("files")), 0o777);
    assert_eq!(mode(&data.join("files/own")), 0o777);
    assert_eq!(mode(&data.join("files/own/1")), 0o666);

    // As an earlier version has left it, and with a link that leads out.
    let mut node = cluster.nodes.remove(0);
    assert_eq!(node.process.terminate().await.code(), Some(0));
    for path in walk(&data) {
        fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
    }
    let outside = cluster.folder.path().join("outside");
    fs::write(&outside, "").unwrap();
    fs::set_permissions(&outside, Permissions::from_mode(0o666)).unwrap();
    std::os::unix::fs::symlink(&outside, data.join("link")).unwrap();
    assert!(start(&mut cluster).await);
    is_busy(&cluster, 2).await;
    fs::remove_file(data.join("link")).unwrap();
    assert_eq!(open_to_others(&data), Vec::<String>::new());
    assert_eq!(mode(&outside), 0o666);
    assert_eq!(mode(&data.join("files/own/1")), 0o777);
}

/// Puts something elsewhere, and a link in its place.
fn link_elsewhere(data: &Path, elsewhere: &Path, name: &str) {
    fs::rename(data.join(name), elsewhere.join(name)).unwrap();
    std::os::unix::fs::symlink(elsewhere.join(name), data.join(name)).unwrap();
}

#[tokio::test]
async fn what_the_operator_has_linked_to_another_disk_is_used() {
    let mut cluster = started().await;
    let data = data_dir(&cluster);
    is_busy(&cluster, 1).await;
    let mut node = cluster.nodes.remove(0);
    assert_eq!(node.process.terminate().await.code(), Some(0));
    let elsewhere = cluster.folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let linked = [
        "journal",
        "dead-letters",
        "coordinator/coordinator.redb",
        "files",
    ];
    fs::create_dir(elsewhere.join("coordinator")).unwrap();
    for name in linked {
        link_elsewhere(&data, &elsewhere, name);
    }
    assert!(start(&mut cluster).await);
    is_busy(&cluster, 2).await;
    for name in linked {
        assert!(data.join(name).is_symlink(), "{name}");
    }
    assert!(elsewhere.join("files/own/2").exists());
    assert_eq!(cluster.consul.value("round/1").await.unwrap(), "x");
    let said = cluster.node(0).process.stderr();
    assert!(!said.contains("other users can read"), "{said}");
}

/// Whether another user can run this.
fn can_nobody(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().unwrap().success()
}

fn is_root() -> bool {
    let is_root = rustix::process::getuid().is_root();
    if !is_root {
        eprintln!("not run: only root can act as another user");
    }
    is_root
}

#[tokio::test]
async fn another_user_reads_nothing_and_holds_no_lock() {
    if !is_root() {
        return;
    }
    let cluster = started().await;
    is_busy(&cluster, 1).await;
    let folder = cluster.folder.path();
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    let control = folder.join("control");
    fs::write(&control, "").unwrap();
    fs::set_permissions(&control, Permissions::from_mode(0o644)).unwrap();
    let control = control.display().to_string();
    assert!(can_nobody("cat", &[&control]), "the test can read at all");
    assert!(can_nobody("flock", &["-n", "-s", &control, "true"]));
    let measure = Measure::of(&cluster).with_journal();
    let data = data_dir(&cluster);
    let attack = async {
        for path in walk(&data) {
            let path = path.display().to_string();
            assert!(!can_nobody("cat", &[&path]), "{path}");
            assert!(!can_nobody("ls", &[&path]), "{path}");
            assert!(!can_nobody("flock", &["-n", "-s", &path, "true"]), "{path}");
        }
    };
    measure.attack("another user of the machine", attack).await;
}

#[tokio::test]
async fn a_data_directory_of_another_user_is_used_with_a_warning() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("sluice");
    fs::copy(env!("CARGO_BIN_EXE_sluice"), &program).unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    for path in [folder.path(), &data, &program] {
        fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    }
    let mut command = Command::new(&program);
    command
        .args(["coordinator", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(&data)
        .uid(NOBODY)
        .gid(NOBODY);
    let process = Process::start("foreign", folder.path(), &mut command);
    eventually("it listens", SOON, || async {
        match process.ports().is_empty() {
            true => Err(process.stderr()),
            false => Ok(()),
        }
    })
    .await;
    let said = process.stderr();
    assert!(said.contains("other users can read or change"), "{said}");
    assert_eq!(mode(&data), 0o777);
    assert_eq!(mode(&data.join("coordinator.redb")), 0o600);
}
