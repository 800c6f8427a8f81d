//! Components of every version of the WIT run beside each other.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::{Cluster, Turn, guest};
use crate::swap::swaps_lose_nothing;

/// The window that the kept Python component was compressed with, as a power of two.
const WINDOW_LOG: u32 = 27;

/// The time to compile a component with an interpreter for the first time.
const COMPILE_LIMIT: Duration = Duration::from_secs(180);

/// The default sink as it was for `sluice:sink@0.1.0`.
pub(crate) fn old_sink() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/components/stdout-0.1.0.wasm")
}

/// Copies a component to where nodes may load it, and returns its source.
fn placed(cluster: &Cluster, component: &Path) -> String {
    let file = cluster.plugins().join(component.file_name().unwrap());
    fs::copy(component, &file).unwrap();
    format!("file://{}", file.display())
}

#[tokio::test]
async fn sinks_of_both_versions_are_swapped_under_load() {
    let cluster = Cluster::on_consul(3, &[]).await;
    let old = placed(&cluster, &old_sink());
    swaps_lose_nothing(&cluster, [&old, "builtin:stdout"]).await;
}

#[tokio::test]
async fn a_python_sink_of_the_first_version_is_swapped_under_load() {
    // The compiler runs at low priority and has 18 MB to compile.
    let _turn = Turn::alone();
    let cluster = Cluster::on_consul(1, &[]).await;
    let old = old_python_sink(&cluster);
    runs_within(&cluster, COMPILE_LIMIT, &old).await;
    swaps_lose_nothing(&cluster, [&old, "builtin:stdout"]).await;
}

/// Asks for a sink, and waits until the first node runs it.
async fn runs_within(cluster: &Cluster, limit: Duration, source: &str) {
    cluster.ask(source).await;
    let node = cluster.node(0);
    node.until_within(limit, "the sink runs", |status| {
        let active = &status["plugin"]["active"];
        active["source"] == source && active["state"] == "running"
    })
    .await;
}

/// Unpacks a Python sink that prints bodies, for `sluice:sink@0.1.0`, and returns its
/// source.
fn old_python_sink(cluster: &Cluster) -> String {
    let packed = old_sink().with_file_name("python-0.1.0.wasm.zst");
    let file = cluster.plugins().join("python-0.1.0.wasm");
    let mut decoder = zstd::Decoder::new(File::open(packed).unwrap()).unwrap();
    decoder.window_log_max(WINDOW_LOG).unwrap();
    io::copy(&mut decoder, &mut File::create(&file).unwrap()).unwrap();
    format!("file://{}", file.display())
}

/// Builds the newer Python sink, which is too large to be kept here as well.
/// `COMPONENTIZE_PY` is the program, if it is not on the path:
/// `pip install componentize-py==0.25.1`.
#[tokio::test]
#[ignore = "needs componentize-py"]
async fn python_sinks_of_both_versions_are_swapped_under_load() {
    let cluster = Cluster::on_consul(1, &[]).await;
    let old = old_python_sink(&cluster);
    let new = new_python_sink(&cluster);
    for source in [&old, &new] {
        runs_within(&cluster, COMPILE_LIMIT, source).await;
    }
    swaps_lose_nothing(&cluster, [&old, &new]).await;
}

/// A Python sink that prints bodies, for `sluice:sink@0.2.0`.
const NEW_PYTHON: &str = "\
import sys
from wit_world import exports
class Sink(exports.Sink):
    def open(self, config): pass
    def close(self): pass
    def write(self, delivery, batch):
        sys.stdout.buffer.write(batch.text_lines())
        sys.stdout.flush()
        return []
";

/// Builds it, and returns its source.
fn new_python_sink(cluster: &Cluster) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("app.py"), NEW_PYTHON).unwrap();
    let component = folder.path().join("python-0.2.0.wasm");
    let program = std::env::var_os("COMPONENTIZE_PY");
    let status = Command::new(program.unwrap_or_else(|| "componentize-py".into()))
        .current_dir(folder.path())
        .arg("--wit-path")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/0.2"))
        .args(["--world", "log-sink", "componentize", "app", "-o"])
        .arg(&component)
        .status();
    assert!(status.unwrap().success(), "the Python sink did not build");
    placed(cluster, &component)
}

#[tokio::test]
async fn the_same_source_can_change_its_version() {
    let cluster = Cluster::on_consul(1, &[]).await;
    let node = cluster.node(0);
    let source = placed(&cluster, &old_sink());
    cluster.ask(&source).await;
    cluster.all_run(&source).await;
    assert_eq!(node.log("one").await.0, 200);
    let file = source.trim_start_matches("file://");
    let before = node.status().await.unwrap()["plugin"]["active"]["sha256"].clone();
    fs::copy(guest("stdout"), format!("{file}.new")).unwrap();
    fs::rename(format!("{file}.new"), file).unwrap();
    node.until("the new component runs", |status| {
        let active = &status["plugin"]["active"];
        active["sha256"] != before && active["state"] == "running"
    })
    .await;
    assert_eq!(node.log("two").await.0, 200);
    node.wrote("one\ntwo\n").await;
}
