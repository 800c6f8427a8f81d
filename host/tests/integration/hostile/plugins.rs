//! What a hostile sink, or a hostile manifest, costs the node that has it.
//! To add an attack, name it in [`ATTACKS`] and in the guest `hostile`.

use std::cell::Cell;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use serde_json::{Value, json};

use crate::sink::verdict;
use crate::support::{Cluster, Consul, Node, Options, SOON, eventually, guest, sluice};

/// The memory that the manifest asks for, in MiB.
const MEMORY_MIB: u64 = 64;
/// What the node may take beside the sink's memory, in MiB.
const NODE_MIB: u64 = 256;

/// The messages that make the sink attack, and whether that breaks it.
const ATTACKS: [(&str, bool); 9] = [
    ("flood stderr", false),
    ("flood stderr without line breaks", false),
    ("write all to stderr at once", true),
    ("write all to many stdouts", true),
    ("write all to files at once", true),
    ("list a directory again and again", false),
    ("ask for random bytes", true),
    ("poll one timer many times", true),
    ("pass a long path", true),
];

/// A node whose stderr nobody reads, and its cluster.
async fn unread(manifest: &str) -> (Cluster, OwnedFd) {
    let mut cluster = Cluster::empty(Consul::start().await, &[]);
    let stderr = cluster.folder.path().join("a.err");
    mknodat(CWD, &stderr, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let unread = open(&stderr, flags, Mode::empty()).unwrap();
    let folder = guest("hostile").parent().unwrap().display().to_string();
    let own = ["--plugin", manifest, "--plugin-dir", &folder];
    cluster.add_with("a", Options::with(&own)).await;
    // Nobody else may wait for a writer.
    fs::remove_file(stderr).unwrap();
    cluster.leader().await;
    (cluster, unread)
}

/// The memory of a node's process.
struct Memory(String);

impl Memory {
    /// Begins to measure.
    fn of(node: &Node) -> Self {
        let process = format!("/proc/{}", node.process.pid().as_raw_nonzero());
        // Resets the peak.
        fs::write(format!("{process}/clear_refs"), "5").unwrap();
        Self(process)
    }

    /// The peak of the resident memory, in MiB.
    fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("{}/status", self.0)).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kib = line.unwrap().split_whitespace().nth(1).unwrap();
        kib.parse::<u64>().unwrap() >> 10
    }

    fn check(&self, what: &str) -> u64 {
        let peak = self.peak();
        assert!(peak <= NODE_MIB + MEMORY_MIB, "{what}: {peak} MiB");
        peak
    }
}

/// Asks for the node's health during an attack; returns the longest answer.
async fn longest_health_check(node: &Node, attack: impl Future<Output = ()>) -> Duration {
    let url = node.health_url();
    let is_over = Cell::new(false);
    let asking = async {
        let mut longest = Duration::ZERO;
        while !is_over.get() {
            let began = Instant::now();
            assert_eq!(node.get(&url).await.unwrap().status(), 200);
            longest = longest.max(began.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        longest
    };
    let attacking = async {
        attack.await;
        is_over.set(true);
    };
    tokio::join!(attacking, asking).1
}

#[tokio::test]
async fn no_attack_of_a_sink_takes_more_memory_than_its_limit() {
    let manifest = json!({
        "source": format!("file://{}", guest("hostile").display()),
        "permissions": {"dirs": [{"host": "own", "guest": "/own", "write": true}]},
        "limits": {"memory_mib": MEMORY_MIB},
    });
    let (cluster, _unread) = unread(&manifest.to_string()).await;
    let node = cluster.node(0);
    many_files(&cluster.folder.path().join("data/a/files/own/many"));
    for (attack, breaks) in ATTACKS {
        let memory = Memory::of(node);
        let attacked = async {
            let (status, body) = verdict(node, attack).await;
            let expected = if breaks { 422 } else { 200 };
            assert_eq!(status, expected, "{attack}: {body}");
        };
        let longest = longest_health_check(node, attacked).await;
        let peak = memory.check(attack);
        println!("{attack}: {peak} MiB at most, health after {longest:?} at most");
        assert!(longest < Duration::from_secs(1), "{attack}: {longest:?}");
        assert_eq!(node.log("after").await.0, 200, "{attack}");
    }
    node.wrote("held ").await;
}

/// Fills a directory with files of long names.
fn many_files(directory: &Path) {
    fs::create_dir_all(directory).unwrap();
    for number in 0..20_000 {
        fs::File::create(directory.join(format!("{number:0200}"))).unwrap();
    }
}

#[tokio::test]
async fn tables_count_against_the_limit_before_the_first_call_on_every_node() {
    let cluster = Cluster::start(2, &["--plugin-dir", "."]).await;
    let file = cluster.folder.path().join("tables.wasm");
    fs::write(&file, with_tables(&fs::read(guest("hostile")).unwrap())).unwrap();
    let measured: Vec<_> = cluster.nodes.iter().map(Memory::of).collect();
    let manifest = json!({
        "source": format!("file://{}", file.display()),
        "limits": {"memory_mib": MEMORY_MIB},
    });
    let manifest = manifest.to_string();
    cluster.consul.put("kv/sluice/plugin", &manifest).await;
    for (node, memory) in cluster.nodes.iter().zip(measured) {
        node.until("the sink is refused", |status| {
            let error = status["plugin"]["error"].as_str().unwrap_or_default();
            error.contains("memory limit of 64 MiB")
        })
        .await;
        let peak = memory.check("tables");
        println!("tables on {}: {peak} MiB at most", node.name);
    }
    let leader = cluster.leader().await;
    assert_eq!(cluster.node(leader).log("after").await.0, 200);
}

/// The component with 300 more tables of a million elements.
fn with_tables(component: &[u8]) -> Vec<u8> {
    const TABLES: u32 = 100;
    const ELEMENTS: u32 = 1 << 20;
    const INSTANCES: u32 = 3;
    let mut tables = number(TABLES);
    for _ in 0..TABLES {
        // The type funcref, and no maximum.
        tables.extend([0x70, 0x00]);
        tables.extend(number(ELEMENTS));
    }
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    module.extend(section(4, &tables));
    let index = number(core_modules(component));
    let mut whole = component.to_vec();
    whole.extend(section(1, &module));
    for _ in 0..INSTANCES {
        // One instance, of the module, without arguments.
        let instance = [&[1, 0][..], &index, &[0]].concat();
        whole.extend(section(2, &instance));
    }
    whole
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    let length = number(u32::try_from(content.len()).unwrap());
    [&[id][..], &length, content].concat()
}

/// A number in LEB128.
fn number(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// The number of core modules in a component.
fn core_modules(component: &[u8]) -> u32 {
    const HEADER: usize = 8;
    let (mut at, mut modules) = (HEADER, 0);
    while at < component.len() {
        modules += u32::from(component[at] == 1);
        at += 1;
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = component[at];
            at += 1;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        at += length;
    }
    modules
}

#[tokio::test]
async fn garbage_for_a_manifest_reaches_no_terminal_and_leaves_the_nodes_key_small() {
    let cluster = Cluster::start(1, &[]).await;
    let node = cluster.node(0);
    let escape = "\u{1b}[31m\u{202e}";
    let garbage = format!("{escape}{}", "x".repeat(500_000));
    let unknown = format!(r#"{{"source":"builtin:stdout","{escape}":1}}"#);
    let long = format!(r#"{{"source":"file:///{}.wasm"}}"#, "x".repeat(100_000));
    for value in [garbage, unknown, long] {
        cluster.consul.put("kv/sluice/plugin", &value).await;
        let index = eventually("the key was written", SOON, || async {
            let (_, out, _) = sluice(&cluster, &["plugin", "status", "--json"]).await;
            let status: Value = serde_json::from_str(&out).map_err(|e| e.to_string())?;
            status["asked"]["index"].as_u64().ok_or(out)
        })
        .await;
        eventually("the node's key says what is wrong", SOON, || async {
            let key = cluster.consul.value("sluice/nodes/a").await?;
            let document: Value = serde_json::from_str(&key).map_err(|e| e.to_string())?;
            let error = document["error"].as_str().unwrap_or_default();
            let is_new = document["index"] == index && !error.is_empty();
            assert!(error.chars().count() <= 1000, "{error}");
            if is_new { Ok(()) } else { Err(key) }
        })
        .await;
        node.until("the status says it", |status| {
            status["plugin"]["error"].as_str().is_some_and(is_plain)
        })
        .await;
        for command in [&["status"][..], &["plugin", "status"]] {
            let with_json = [command, &["--json"]].concat();
            for command in [command, &with_json] {
                let (_, out, err) = sluice(&cluster, command).await;
                assert!(is_plain(&out) && is_plain(&err), "{out:?} {err:?}");
            }
        }
    }
    assert_eq!(node.log("after").await.0, 200);
}

/// Whether a terminal would only show the text.
fn is_plain(text: &str) -> bool {
    !text.contains(|c: char| c.is_control() && c != '\n' || c == '\u{202e}')
}
