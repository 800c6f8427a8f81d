use super::*;
use crate::plugin::digest::sha256;
use crate::plugin::{Blobs, PluginConfig};
use sluice_sandbox::{CompileLimits, CompileProgram, Compiler, NetworkCeiling, Refusals};
use sluice_types::keys::ClusterKeys;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A node's preparer, as after its start.
fn preparer(folder: &Path) -> Arc<Preparer> {
    preparer_with(folder, Compiler::InProcess)
}

/// A preparer whose compiler is a shell script that runs in the folder.
fn preparer_with_script(folder: &Path, script: &str) -> Arc<Preparer> {
    let script = format!("cd {} && {script}", folder.display());
    let program = CompileProgram {
        program: "/bin/sh".into(),
        arguments: ["-c", &script, "compiler"].map(str::to_owned).into(),
        variables: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        limits: CompileLimits {
            memory: 64 << 20,
            time: Duration::from_secs(60),
        },
    };
    preparer_with(folder, Compiler::Child(program))
}

fn preparer_with(folder: &Path, compiler: Compiler) -> Arc<Preparer> {
    let config = PluginConfig {
        default: "builtin:stdout".parse().unwrap(),
        dirs: vec![folder.to_owned()],
        trust: Trust::default(),
        compiled_key: None,
        allowed_dirs: Vec::new(),
        network: NetworkCeiling::default(),
        secrets: Vec::new(),
        max_memory: 64 << 20,
        compiler,
        cache: 1 << 20,
    };
    let null = fs::File::options().write(true).open("/dev/null").unwrap();
    let stdout = NodeStdout::new(null.into()).unwrap();
    let data_dir = folder.join("data");
    fs::create_dir_all(&data_dir).unwrap();
    Arc::new(
        config
            .preparer(
                &data_dir,
                stdout,
                Duration::from_secs(5),
                Refusals::new(|_| ()),
                no_blobs(),
            )
            .unwrap(),
    )
}

/// The components of a Consul that is not there.
fn no_blobs() -> Blobs {
    // Another test may have installed it.
    drop(rustls::crypto::ring::default_provider().install_default());
    let config = sluice_consul::Config::from_variables(|_| None);
    let client = sluice_consul::Client::new(config.unwrap()).unwrap();
    Blobs::new(client, ClusterKeys::new("sluice"))
}

/// A source that is in the folder and no component.
fn source_in(folder: &Path) -> Manifest {
    let file = folder.join("a.wasm");
    fs::write(&file, "a").unwrap();
    format!("file://{}", file.display()).parse().unwrap()
}

/// The names of the notes and components that a preparer has on disk.
fn plugin_files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("data/plugin")).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_component_is_not_compiled_twice_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = source_in(folder.path());
    let script = "mkdir running && sleep 0.3 && rmdir running && echo refused >&2; exit 3";
    let preparer = preparer_with_script(folder.path(), script);
    let prepare = || Arc::clone(&preparer).prepare(manifest.clone(), Trial::AskedAt(1));
    let ((_, first), (_, second)) = tokio::join!(prepare(), prepare());
    for error in [first.unwrap_err(), second.unwrap_err()] {
        assert!(error.one_line().ends_with(": refused"), "{error:?}");
    }
    assert_eq!(
        plugin_files(folder.path()),
        [""; 0],
        "a refusal leaves no note"
    );
}

#[tokio::test]
async fn what_is_superseded_leaves_no_note() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = source_in(folder.path());
    let preparer = preparer_with_script(folder.path(), "exec sleep 600");
    let preparing = tokio::spawn(preparer.prepare(manifest, Trial::AskedAt(1)));
    until("a note is there", || {
        !plugin_files(folder.path()).is_empty()
    })
    .await;
    preparing.abort();
    until("the note is gone", || {
        plugin_files(folder.path()).is_empty()
    })
    .await;
}

#[tokio::test]
async fn what_the_node_was_killed_over_is_compiled_only_for_another_request() {
    let folder = tempfile::tempdir().unwrap();
    let component = crate::plugin::Builtin::Stdout.component();
    let file = folder.path().join("a.wasm");
    fs::write(&file, component).unwrap();
    let manifest: Manifest = format!("file://{}", file.display()).parse().unwrap();
    let prepare = async |trial| {
        let preparer = preparer(folder.path());
        preparer.prepare(manifest.clone(), trial).await.1
    };
    // Killed in the middle.
    let identity = Identity {
        source: manifest.source.to_string(),
        sha256: sha256(component),
    };
    let notes = preparer(folder.path()).notes.clone();
    std::mem::forget(notes.begin(&identity, 7).unwrap());

    // The leader's sink, or the last good one, is no new request either.
    for index in [7, 0, 7] {
        let error = prepare(Trial::AskedAt(index)).await.unwrap_err();
        assert!(matches!(&error, PluginError::Interrupted { .. }), "{error}");
    }
    prepare(Trial::AskedAt(8)).await.unwrap();
    let component = format!("{}.wasm", identity.sha256);
    assert_eq!(plugin_files(folder.path()), [component.as_str()]);
    // Killed just after it was compiled: code is no reason for doubts.
    std::mem::forget(preparer(folder.path()).notes.begin(&identity, 7).unwrap());
    prepare(Trial::AskedAt(7)).await.unwrap();
    assert_eq!(plugin_files(folder.path()), [component.as_str()]);
}

/// A web server, and the manifest of the component that it should have.
async fn web_server(component: &[u8]) -> (TcpListener, Manifest) {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/a.wasm", server.local_addr().unwrap());
    let manifest = serde_json::json!({"source": url, "sha256": sha256(component)});
    (server, manifest.to_string().parse().unwrap())
}

#[tokio::test]
async fn what_is_in_the_store_is_not_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let component = Builtin::Stdout.component();
    let (server, manifest) = web_server(component).await;
    tokio::spawn(async move {
        // It answers once, and is gone.
        let (mut stream, _) = server.accept().await.unwrap();
        let mut request = [0; 1024];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
            component.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(component).await.unwrap();
    });
    for _ in 0..2 {
        // As after a restart.
        let preparer = preparer(folder.path());
        let (_, candidate) = preparer.prepare(manifest.clone(), Trial::AskedAt(1)).await;
        assert_eq!(candidate.unwrap().identity().sha256, sha256(component));
    }
}

#[tokio::test]
async fn a_slow_download_holds_up_nobody_and_ends_when_it_is_not_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let preparer = preparer(folder.path());
    let (server, manifest) = web_server(b"never sent").await;
    let slow = tokio::spawn(Arc::clone(&preparer).prepare(manifest, Trial::AskedAt(1)));
    let (mut stream, _) = server.accept().await.unwrap();
    let builtin = "builtin:stdout".parse().unwrap();
    preparer
        .prepare(builtin, Trial::AskedAt(2))
        .await
        .1
        .unwrap();
    assert!(!slow.is_finished());
    slow.abort();
    // The connection ends.
    let mut request = Vec::new();
    stream.read_to_end(&mut request).await.unwrap();
    assert!(request.starts_with(b"GET /a.wasm"));
}

#[tokio::test]
async fn another_component_than_the_pinned_one_is_neither_run_nor_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (server, manifest) = web_server(b"the right one").await;
    tokio::spawn(async move {
        let (mut stream, _) = server.accept().await.unwrap();
        let mut request = [0; 1024];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\n\r\nanother")
            .await
            .unwrap();
    });
    let preparer = preparer(folder.path());
    let (_, refused) = preparer.prepare(manifest, Trial::AskedAt(1)).await;
    let error = refused.unwrap_err();
    assert!(matches!(error, PluginError::Digest { .. }), "{error:?}");
    assert_eq!(plugin_files(folder.path()), [""; 0]);
}
