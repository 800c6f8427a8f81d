//! A network for one test: each host is a network namespace, and a bridge
//! connects them all. Creating it needs root and iproute2; without them, the
//! test fails.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::Turn;

/// The prefix of the names of all namespaces and devices.
const PREFIX: &str = "slc";
/// The last part of the test's own address on the network.
const SELF: u8 = 1;

/// A host: a namespace with one address.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) address: Ipv4Addr,
    namespace: String,
}

impl Host {
    /// A command that runs a program on this host. `ip` executes the program in
    /// its place, so the child is the program itself.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.namespace])
            .arg(program.as_ref());
        command
    }
}

/// The bridge with its hosts. Several networks can exist at a time, unless a
/// test needs the machine for itself.
#[derive(Debug)]
pub(crate) struct Lan {
    id: String,
    network: Network,
    hosts: Vec<Host>,
    /// Pairs of hosts; packets from the first to the second are dropped.
    cuts: BTreeSet<(String, String)>,
    _turn: Turn,
}

impl Lan {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let turn = Turn::beside_others();
        sweep();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let lan = Self {
            id: format!("{PREFIX}{}x{count}", std::process::id()),
            network: Network::claim(),
            hosts: Vec::new(),
            cuts: BTreeSet::new(),
            _turn: turn,
        };
        // The bridge has a namespace too, so that the machine's own packet
        // filter does not apply to it.
        let switch = lan.switch();
        ip(&["netns", "add", &switch]);
        ip(&["-n", &switch, "link", "add", "name", "br", "type", "bridge"]);
        ip(&["-n", &switch, "link", "set", "dev", "br", "up"]);
        lan.plug(&["name", &lan.id], "self");
        ip(&["link", "set", "dev", &lan.id, "up"]);
        let address = format!("{}/24", lan.address(SELF));
        ip(&["address", "add", &address, "dev", &lan.id]);
        lan
    }

    /// A new host; `place` is the last part of its address.
    pub(crate) fn host(&mut self, name: &str, place: u8) -> Host {
        let host = Host {
            name: name.to_owned(),
            address: self.address(place),
            namespace: format!("{}-{name}", self.id),
        };
        let inside = ["-n", &host.namespace];
        ip(&["netns", "add", &host.namespace]);
        self.hosts.push(host.clone());
        self.plug(&["name", "eth0", "netns", &host.namespace], name);
        let address = format!("{}/24", host.address);
        let within = |arguments: &[&str]| ip(&[&inside, arguments].concat());
        within(&["address", "add", &address, "dev", "eth0"]);
        within(&["link", "set", "dev", "lo", "up"]);
        within(&["link", "set", "dev", "eth0", "up"]);
        // Makes room for rules that go before the host's own addresses.
        within(&["rule", "add", "priority", "10", "lookup", "local"]);
        within(&["rule", "del", "priority", "0"]);
        host
    }

    /// The address of the test itself.
    pub(crate) fn own_address(&self) -> Ipv4Addr {
        self.address(SELF)
    }

    /// Silently drops what `from` sends to `to` from now on.
    pub(crate) fn cut_one_way(&mut self, from: &str, to: &str) {
        if self.cuts.insert((from.to_owned(), to.to_owned())) {
            self.rule("add", from, to);
        }
    }

    /// Undoes all cuts between the two.
    pub(crate) fn join(&mut self, one: &str, other: &str) {
        for (from, to) in [(one, other), (other, one)] {
            if self.cuts.remove(&(from.to_owned(), to.to_owned())) {
                self.rule("del", from, to);
            }
        }
    }

    fn rule(&self, act: &str, from: &str, to: &str) {
        let (from, to) = (self.named(from), self.named(to));
        let (inside, sender) = (&to.namespace, from.address.to_string());
        ip(&[
            "-n",
            inside,
            "rule",
            act,
            "from",
            &sender,
            "iif",
            "eth0",
            "priority",
            "1",
            "blackhole",
        ]);
    }

    pub(crate) fn named(&self, name: &str) -> &Host {
        let host = self.hosts.iter().find(|host| host.name == name);
        host.unwrap_or_else(|| panic!("there is no host {name}"))
    }

    fn address(&self, place: u8) -> Ipv4Addr {
        let [a, b, c] = self.network.prefix;
        Ipv4Addr::new(a, b, c, place)
    }

    fn switch(&self) -> String {
        format!("{}-switch", self.id)
    }

    /// Connects a new device to the bridge.
    fn plug(&self, device: &[&str], name: &str) {
        let switch = self.switch();
        let port = format!("to-{name}");
        let cable = ["link", "add", "name", &port, "netns", &switch];
        ip(&[&cable[..], &["type", "veth", "peer"], device].concat());
        ip(&[
            "-n", &switch, "link", "set", "dev", &port, "master", "br", "up",
        ]);
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        remove(&self.id);
    }
}

/// Removes what killed runs left behind.
fn sweep() {
    for namespace in namespaces() {
        let Some((id, _)) = namespace.split_once('-') else {
            continue;
        };
        let pid = id
            .strip_prefix(PREFIX)
            .and_then(|rest| Some(rest.split_once('x')?.0));
        if let Some(pid) = pid.and_then(|pid| pid.parse::<u32>().ok())
            && !is_test(pid)
        {
            remove(id);
        }
    }
}

/// Whether this process is one of these tests.
fn is_test(pid: u32) -> bool {
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    let name = program.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with("chaos")
}

/// Removes a network, and kills every process that still runs on it.
fn remove(id: &str) {
    let mine = |namespace: &String| namespace.split_once('-').is_some_and(|(own, _)| own == id);
    for namespace in namespaces().into_iter().filter(mine) {
        let pids = try_ip(&["netns", "pids", &namespace]).unwrap_or_default();
        for pid in pids.lines().filter_map(|pid| pid.trim().parse().ok()) {
            if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                // It may have exited meanwhile.
                _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        if let Err(error) = try_ip(&["netns", "del", &namespace]) {
            eprintln!("{error}");
        }
    }
    // The kernel may have removed it together with its peer.
    drop(try_ip(&["link", "del", "dev", id]));
}

fn namespaces() -> Vec<String> {
    let listed = try_ip(&["netns", "list"]).unwrap_or_default();
    let names = listed.lines().filter_map(|line| line.split(' ').next());
    names
        .filter(|name| name.starts_with(PREFIX))
        .map(str::to_owned)
        .collect()
}

/// A network that no device of this machine has an address in, and no other
/// test uses.
#[derive(Debug)]
struct Network {
    prefix: [u8; 3],
    _claim: UnixListener,
}

impl Network {
    fn claim() -> Self {
        let taken = try_ip(&["-4", "-o", "address"]).unwrap_or_default();
        loop {
            let prefix = [10, rand::random_range(64..128), rand::random_range(0..=255)];
            let [a, b, c] = prefix;
            let name = SocketAddr::from_abstract_name(format!("sluice-test-network-{a}.{b}.{c}"));
            let claim = UnixListener::bind_addr(&name.expect("a short name"));
            if let Ok(claim) = claim
                && !taken.contains(&format!(" {a}.{b}.{c}."))
            {
                return Self {
                    prefix,
                    _claim: claim,
                };
            }
        }
    }
}

fn ip(arguments: &[&str]) {
    if let Err(error) = try_ip(arguments) {
        panic!("{error}\nThese tests create network namespaces, which needs root and iproute2.");
    }
}

fn try_ip(arguments: &[&str]) -> Result<String, String> {
    let said = |error: &dyn std::fmt::Display| format!("ip {}: {error}", arguments.join(" "));
    let output = Command::new("ip").args(arguments).output();
    let output = output.map_err(|error| said(&error))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(said(&text(&output.stderr))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::*;
    use crate::support::{Process, SOON, eventually};

    /// Sends a byte from the test to the host and waits for the echo.
    async fn echoes(stream: &mut TcpStream, within: Duration) -> bool {
        stream.write_all(b"x").await.unwrap();
        let echo = timeout(within, stream.read_u8()).await;
        echo.is_ok_and(|byte| byte.unwrap() == b'x')
    }

    /// Bash on `from` echoes everything it receives from `to`.
    fn echo(lan: &Lan, folder: &Path, from: &str, to: Ipv4Addr, port: u16) -> Process {
        let script = format!("exec 3<>/dev/tcp/{to}/{port}; cat <&3 >&3");
        let mut command = lan.named(from).command("bash");
        Process::start("echo", folder, command.args(["-c", &script]))
    }

    #[tokio::test]
    async fn a_cut_loses_what_one_side_sends_until_it_is_healed() {
        let folder = tempfile::tempdir().unwrap();
        let mut lan = Lan::new();
        lan.host("one", 11);
        let own = lan.own_address();
        // The test itself stands in for a second host. It can be cut off only
        // as a sender: it has no namespace for a rule.
        lan.hosts.push(Host {
            name: "self".to_owned(),
            address: own,
            namespace: String::new(),
        });
        let listener = TcpListener::bind((own, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let _echo = echo(&lan, folder.path(), "one", own, port);
        let (mut stream, from) = timeout(SOON, listener.accept()).await.unwrap().unwrap();
        assert_eq!(from.ip(), lan.named("one").address);
        assert!(echoes(&mut stream, SOON).await);
        lan.cut_one_way("self", "one");
        lan.cut_one_way("self", "one");
        assert!(!echoes(&mut stream, Duration::from_secs(1)).await);
        lan.join("one", "self");
        let late = timeout(SOON, stream.read_u8()).await.expect("an echo");
        assert_eq!(late.unwrap(), b'x');
        assert!(echoes(&mut stream, SOON).await);
    }

    #[tokio::test]
    async fn what_a_killed_run_left_is_swept_away() {
        let folder = tempfile::tempdir().unwrap();
        let mut lan = Lan::new();
        let host = lan.host("left", 11);
        // As if a process that no longer exists had created it.
        let gone = format!("{PREFIX}4194305x0-left");
        ip(&["netns", "add", &gone]);
        let stray = Host {
            namespace: gone.clone(),
            ..host.clone()
        };
        let mut sleep = stray.command("sleep");
        let mut process = Process::start("sleep", folder.path(), sleep.arg("1000"));
        eventually("the process is in the namespace", SOON, || async {
            match try_ip(&["netns", "pids", &gone])?.as_str() {
                "" => Err("nobody is".to_owned()),
                _ => Ok(()),
            }
        })
        .await;
        sweep();
        process.wait(SOON).await;
        let left = namespaces();
        assert!(!left.contains(&gone), "{left:?}");
        assert!(left.contains(&host.namespace), "{left:?}");
        let id = lan.id.clone();
        drop(lan);
        let left = namespaces();
        assert!(!left.iter().any(|name| name.starts_with(&id)), "{left:?}");
    }
}
