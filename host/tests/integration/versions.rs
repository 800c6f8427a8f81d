//! Components of every version of the WIT run beside each other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Cluster, guest};
use crate::swap::swaps_lose_nothing;

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

/// Builds Python sinks, which are too large to be kept here. `COMPONENTIZE_PY` is
/// the program, if it is not on the path: `pip install componentize-py==0.25.1`.
#[tokio::test]
#[ignore = "needs componentize-py"]
async fn python_sinks_of_both_versions_are_swapped_under_load() {
    let cluster = Cluster::on_consul(1, &[]).await;
    let old = python(
        &cluster,
        "0.1",
        "for record in batch: sys.stdout.write(record.body + chr(10))",
    );
    let new = python(
        &cluster,
        "0.2",
        "sys.stdout.buffer.write(batch.text_lines())",
    );
    swaps_lose_nothing(&cluster, [&old, &new]).await;
    swaps_lose_nothing(&cluster, [&old, "builtin:stdout"]).await;
}

/// A Python sink for this version of the WIT that does this with a batch.
fn python(cluster: &Cluster, version: &str, write: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let app = format!(
        "import sys\n\
         from wit_world import exports\n\
         class Sink(exports.Sink):\n\
         \x20   def open(self, config): pass\n\
         \x20   def close(self): pass\n\
         \x20   def write(self, delivery, batch):\n\
         \x20       {write}\n\
         \x20       sys.stdout.flush()\n\
         \x20       return []\n"
    );
    fs::write(folder.path().join("app.py"), app).unwrap();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../wit")
        .join(version);
    let component = folder.path().join(format!("python-{version}.wasm"));
    let program = std::env::var_os("COMPONENTIZE_PY");
    let status = Command::new(program.unwrap_or_else(|| "componentize-py".into()))
        .current_dir(folder.path())
        .arg("--wit-path")
        .arg(wit)
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
