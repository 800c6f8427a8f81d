//! What a hostile sink, or a hostile manifest, costs the node that has it. The
//! attacks of sinks are lines of `ATTACKS` in the sink `sluice-hostile`.
//!
//! They are made twice. With `--ack sink`, an innocent message would wait behind
//! the hostile one for its sink, so the innocent client asks for the status.
//! With `--ack journal` it sends messages, which wait for no sink.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use serde_json::{Value, json};

use super::alone;
use super::measure::{Innocent, Measure};
use crate::sink::verdict;
use crate::support::{Cluster, Node, Options, SOON, eventually, guest, sluice};

/// The memory that the manifest asks for, in MiB.
const MEMORY_MIB: u64 = 64;
/// For a node to find the record that breaks the sink among those that wait.
const SETTLED_LIMIT: Duration = Duration::from_secs(60);

/// A node whose stderr nobody reads, and its cluster.
async fn unread(arguments: &[&str]) -> (Cluster, OwnedFd) {
    let manifest = json!({
        "source": format!("file://{}", guest("hostile").display()),
        "permissions": {"dirs": [{"host": "own", "guest": "/own", "write": true}]},
        "limits": {"memory_mib": MEMORY_MIB},
    });
    let manifest = manifest.to_string();
    let mut cluster = alone(0, arguments).await;
    let stderr = cluster.folder.path().join("a.err");
    mknodat(CWD, &stderr, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let unread = open(&stderr, flags, Mode::empty()).unwrap();
    let folder = guest("hostile").parent().unwrap().display().to_string();
    let own = ["--plugin", &manifest, "--plugin-dir", &folder];
    cluster.add_with("a", Options::with(&own)).await;
    // Nobody else may wait for a writer.
    fs::remove_file(stderr).unwrap();
    cluster.leader().await;
    (cluster, unread)
}

/// The attacks that the sink knows, and whether each breaks it.
async fn attacks(node: &Node) -> Vec<(String, bool)> {
    assert_eq!(node.log("list the attacks").await.0, 200);
    node.wrote("these are all attacks\n").await;
    let said = node.process.stdout();
    let attacks = said.lines().filter_map(|line| {
        let (ending, name) = line.strip_prefix("attack that ")?.split_once(": ")?;
        Some((name.to_owned(), ending == "Breaks"))
    });
    let attacks: Vec<_> = attacks.collect();
    assert!(!attacks.is_empty(), "{said}");
    attacks
}

#[tokio::test]
async fn no_attack_of_a_sink_takes_more_memory_than_its_limit() {
    let (cluster, _unread) = unread(&[]).await;
    let node = cluster.node(0);
    many_files(&cluster.folder.path().join("data/a/files/own/many"));
    let measure = Measure::of(&cluster).innocent(Innocent::Asks);
    let mut faults = Vec::new();
    for (attack, breaks) in attacks(node).await {
        let (measured, (status, body)) = measure.measured(&attack, verdict(node, &attack)).await;
        let expected = if breaks { 422 } else { 200 };
        assert_eq!(status, expected, "{attack}: {body}");
        faults.extend(measured.faults);
        assert_eq!(node.log("after").await.0, 200, "{attack}");
    }
    assert!(faults.is_empty(), "{faults:#?}");
    node.wrote("held ").await;
    for limit in ["memory", "stack", "handles", "stderr"] {
        let hits = node.refused(limit).await;
        assert!(hits > 0, "no attack reached the limit of {limit}");
    }
}

#[tokio::test]
async fn no_attack_of_a_sink_delays_a_message_to_the_journal() {
    let (cluster, _unread) = unread(&["--ack", "journal"]).await;
    let node = cluster.node(0);
    many_files(&cluster.folder.path().join("data/a/files/own/many"));
    let measure = Measure::of(&cluster).with_journal();
    let mut faults = Vec::new();
    for (attack, breaks) in attacks(node).await {
        let name = format!("{attack}, before the journal");
        let (measured, ()) = measure
            .measured(&name, is_settled(node, &attack, breaks))
            .await;
        faults.extend(measured.faults);
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Sends an attack to the journal, and waits until the sink has survived it or
/// the record is a dead letter.
async fn is_settled(node: &Node, attack: &str, breaks: bool) {
    let dead = |status: &Value| status["counters"]["dead_lettered"].as_u64().unwrap();
    let before = dead(&node.status().await.unwrap());
    assert_eq!(node.log(attack).await.0, 200);
    let survived = format!("survived {attack}\n");
    eventually(&format!("{attack} is over"), SETTLED_LIMIT, || async {
        let status = node.status().await?;
        let is_over = match breaks {
            true => dead(&status) > before,
            false => node.process.stdout().contains(&survived),
        };
        if is_over {
            Ok(())
        } else {
            Err(status.to_string())
        }
    })
    .await;
}

/// Fills a directory with files of long names.
fn many_files(directory: &Path) {
    fs::create_dir_all(directory).unwrap();
    for number in 0..20_000 {
        fs::File::create(directory.join(format!("{number:0200}"))).unwrap();
    }
    // The journal is not to wait for these.
    rustix::fs::sync();
}

#[tokio::test]
async fn tables_count_against_the_limit_before_the_first_call_on_every_node() {
    let cluster = Cluster::start(2, &["--plugin-dir", "."]).await;
    let file = cluster.folder.path().join("tables.wasm");
    fs::write(&file, with_tables(&fs::read(guest("hostile")).unwrap())).unwrap();
    let manifest = json!({
        "source": format!("file://{}", file.display()),
        "limits": {"memory_mib": MEMORY_MIB},
    });
    let manifest = manifest.to_string();
    let attack = async {
        cluster.consul.put("kv/sluice/plugin", &manifest).await;
        for node in &cluster.nodes {
            node.until("the sink is refused", |status| {
                let error = status["plugin"]["error"].as_str().unwrap_or_default();
                error.contains("memory limit of 64 MiB")
            })
            .await;
        }
    };
    Measure::of(&cluster).attack("many tables", attack).await;
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
    let attack = async {
        for value in [garbage, unknown, long] {
            reaches_no_terminal(&cluster, &value).await;
        }
    };
    let measure = Measure::of(&cluster);
    measure.attack("garbage for a manifest", attack).await;
    assert_eq!(node.log("after").await.0, 200);
}

/// Asks for a sink with this value, and looks at everything that shows it.
async fn reaches_no_terminal(cluster: &Cluster, value: &str) {
    cluster.consul.put("kv/sluice/plugin", value).await;
    let index = eventually("the key was written", SOON, || async {
        let (_, out, _) = sluice(cluster, &["plugin", "status", "--json"]).await;
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
    let node = cluster.node(0);
    node.until("the status says it", |status| {
        status["plugin"]["error"].as_str().is_some_and(is_plain)
    })
    .await;
    for command in [&["status"][..], &["plugin", "status"]] {
        let with_json = [command, &["--json"]].concat();
        for command in [command, &with_json] {
            let (_, out, err) = sluice(cluster, command).await;
            assert!(is_plain(&out) && is_plain(&err), "{out:?} {err:?}");
        }
    }
}

/// Whether a terminal would only show the text.
fn is_plain(text: &str) -> bool {
    !text.contains(|c: char| c.is_control() && c != '\n' || c == '\u{202e}')
}
