//! Components from web servers, registries and Consul.

use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::get;
use futures_util::stream;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

use crate::support::{Cluster, Consul, Options, Registry, SOON, eventually, guest};

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The default sink with so many bytes in a custom section.
fn component(padding: usize) -> Vec<u8> {
    let mut component = fs::read(guest("stdout")).unwrap();
    if padding > 0 {
        component.push(0);
        leb128(&mut component, padding + 2);
        component.extend([1, b'x']);
        component.resize(component.len() + padding, 7);
    }
    component
}

fn leb128(out: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        if number == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

/// A web server with components.
struct Web {
    origin: String,
    /// How many requests of a body that does not end are under way.
    hanging: Arc<AtomicUsize>,
}

/// Counts while it exists.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Web {
    async fn start(components: &[(&str, Vec<u8>)]) -> Self {
        let hanging = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&hanging);
        let hang = move || async move {
            counter.fetch_add(1, Ordering::Relaxed);
            let counted = Counted(counter);
            Body::from_stream(stream::once(async move {
                let _counted = counted;
                std::future::pending::<Result<Bytes, Infallible>>().await
            }))
        };
        let endless = || async {
            let piece = Bytes::from(vec![7; 1 << 20]);
            Body::from_stream(stream::repeat_with(move || {
                Ok::<_, Infallible>(piece.clone())
            }))
        };
        let mut router = Router::new()
            .route("/hang", get(hang))
            .route("/endless", get(endless))
            .route("/loop", get(|| async { Redirect::temporary("/loop") }))
            .route("/moved", get(|| async { Redirect::permanent("/good") }))
            .route("/denied", get(|| async { StatusCode::FORBIDDEN }));
        for (name, component) in components {
            let component = Bytes::from(component.clone());
            router = router.route(&format!("/{name}"), get(|| async { component }));
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { origin, hanging }
    }

    async fn hang(&self, count: usize) {
        eventually("the requests that hang", SOON, || async {
            match self.hanging.load(Ordering::Relaxed) {
                now if now == count => Ok(()),
                now => Err(now.to_string()),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn components_come_from_web_servers() {
    let (good, large) = (component(0), component(50 << 20));
    let cut = good[..good.len() / 2].to_vec();
    let web = Web::start(&[
        ("good", good.clone()),
        ("large", large.clone()),
        ("cut", cut.clone()),
        ("text", b"no component".to_vec()),
        ("module", b"\0asm\x01\0\0\0".to_vec()),
        ("world", b"\0asm\x0d\0\x01\0".to_vec()),
    ])
    .await;
    let cluster = Cluster::start(1, &[]).await;
    let node = cluster.node(0);
    let manifest = |name: &str, digest: &str| {
        json!({"source": format!("{}/{name}", web.origin), "sha256": digest}).to_string()
    };
    cluster.ask(&format!("{}/good", web.origin)).await;
    cluster.all_complain("must be pinned by its digest").await;
    let digest = sha256(&good);
    for (name, digest, expected) in [
        ("cut", &*digest, "but the manifest says"),
        ("none", &*digest, "404"),
        ("denied", &*digest, "403"),
        ("loop", &*digest, "redirected more than 5 times"),
        ("endless", &*digest, "more than 67108864 bytes"),
        (
            "text",
            &sha256(b"no component"),
            "not a WebAssembly component",
        ),
        ("cut", &sha256(&cut), "not a whole one"),
        (
            "module",
            &sha256(b"\0asm\x01\0\0\0"),
            "--target wasm32-wasip2",
        ),
        ("world", &sha256(b"\0asm\x0d\0\x01\0"), "sluice:sink"),
    ] {
        cluster.ask(&manifest(name, digest)).await;
        cluster.all_complain(expected).await;
    }
    // One that takes long is given up for another one.
    cluster.ask(&manifest("hang", &digest)).await;
    web.hang(1).await;
    cluster.ask(&manifest("moved", &digest)).await;
    cluster.all_run(&format!("{}/moved", web.origin)).await;
    web.hang(0).await;
    assert_eq!(node.log("from the web").await.0, 200);
    node.wrote("from the web").await;
    cluster.ask(&manifest("large", &sha256(&large))).await;
    cluster.all_run(&format!("{}/large", web.origin)).await;
}

impl Cluster {
    /// Runs `sluice plugin push`. Returns its exit code, and what it printed.
    async fn push(&self, file: &Path, to: &str, docker: Option<PathBuf>) -> (Option<i32>, String) {
        let mut command = self.command();
        command.args(["plugin", "push", "--to", to]).arg(file);
        command.env("DOCKER_CONFIG", docker.unwrap_or("none".into()));
        let running = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = running.await.unwrap();
        let printed = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(printed).unwrap())
    }

    /// Writes a file, and pushes it, which succeeds. Returns the source and the
    /// manifest.
    async fn pushes(
        &self,
        component: &[u8],
        to: &str,
        docker: Option<PathBuf>,
    ) -> (String, String) {
        let file = self.folder.path().join("pushed.wasm");
        fs::write(&file, component).unwrap();
        let (code, printed) = self.push(&file, to, docker).await;
        assert_eq!(code, Some(0), "{printed}");
        assert!(printed.contains(&sha256(component)), "{printed}");
        let line = |name: &str| {
            let mut lines = printed.lines();
            let found = lines.find_map(|line| line.strip_prefix(name));
            found.unwrap().trim().to_owned()
        };
        (line("source:"), line("manifest:"))
    }
}

#[tokio::test]
async fn components_come_from_consul() {
    let large = component(1 << 20);
    let cluster = Cluster::start(2, &[]).await;
    let digest = sha256(&large);
    cluster.ask(&format!("kv:{digest}")).await;
    cluster
        .all_complain("sluice plugin push FILE --to kv")
        .await;
    let (source, manifest) = cluster.pushes(&large, "kv", None).await;
    assert_eq!((&source, &manifest), (&format!("kv:{digest}"), &source));
    cluster.ask(&format!("{manifest}\n")).await;
    cluster.all_run(&source).await;

    let other = component(600 << 10);
    let (source, _) = cluster.pushes(&other, "kv", None).await;
    let piece = format!("kv/sluice/blobs/{}/0", sha256(&other));
    cluster.consul.put(&piece, "damaged").await;
    cluster.ask(&source).await;
    cluster.all_complain("not complete, or was changed").await;
    cluster.pushes(&other, "kv", None).await;
    cluster.ask(&format!(" {source}")).await;
    cluster.all_run(&source).await;

    for (content, expected) in [
        (b"\0asm\x01\0\0\0".to_vec(), "core WebAssembly module"),
        (b"text".to_vec(), "not a WebAssembly component"),
        (component(5 << 20), "4194304"),
    ] {
        let file = cluster.folder.path().join("refused.wasm");
        fs::write(&file, content).unwrap();
        let (code, printed) = cluster.push(&file, "kv", None).await;
        assert_eq!(code, Some(1), "{printed}");
        assert!(printed.contains(expected), "{printed}");
    }
    let missing = Path::new("missing.wasm");
    for (to, expected) in [("kv", 1), ("file:///tmp", 2)] {
        let (code, printed) = cluster.push(missing, to, None).await;
        assert_eq!(code, Some(expected), "{printed}");
    }
}

#[tokio::test]
async fn components_come_from_registries() {
    let mut registry = Registry::start().await;
    let docker = registry.credentials("wrong");
    let mut cluster = Cluster::empty(Consul::start().await, &[]);
    let options = || Options {
        variables: vec![("DOCKER_CONFIG".to_owned(), docker.display().to_string())],
        ..Options::default()
    };
    cluster.add_with("a", options()).await;
    cluster.leader().await;
    let destination = format!("oci://{}/sinks/stdout:1.0", registry.address);

    let component = component(0);
    let file = cluster.folder.path().join("stdout.wasm");
    fs::write(&file, &component).unwrap();
    for (config, expected) in [(None, "docker login"), (Some(docker.clone()), "expired")] {
        let (code, printed) = cluster.push(&file, &destination, config).await;
        assert_eq!(code, Some(1), "{printed}");
        assert!(printed.contains(expected), "{printed}");
    }
    cluster.ask(&destination).await;
    cluster.all_complain("they are wrong, have expired").await;

    registry.credentials("secret");
    let pushed = cluster.pushes(&component, &destination, Some(docker.clone()));
    let (source, manifest) = pushed.await;
    // The same component has the same manifest.
    let again = cluster.pushes(&component, &destination, Some(docker.clone()));
    assert_eq!(again.await.0, source);
    cluster.ask(&format!("{destination}\n")).await;
    cluster.all_run(&destination).await;
    let status = cluster.node(0).status().await.unwrap();
    let active = &status["plugin"]["active"];
    assert_eq!(active["sha256"], sha256(&component), "{active}");
    cluster.ask(&manifest).await;
    cluster.all_run(&source).await;
    assert_eq!(cluster.node(0).log("from a registry").await.0, 200);

    no_other_artifact_runs(&cluster, &registry).await;

    // What is in the data directory runs without the registry.
    registry.process.kill();
    cluster.ask(&manifest).await;
    cluster.all_run(&source).await;
    cluster.nodes[0].process.terminate().await;
    cluster.nodes.clear();
    cluster.add_with("a", options()).await;
    cluster.leader().await;
    cluster.all_run(&source).await;
    cluster.ask(&destination).await;
    cluster.all_complain("Connection refused").await;
    assert_eq!(cluster.node(0).log("without it").await.0, 200);
}

async fn no_other_artifact_runs(cluster: &Cluster, registry: &Registry) {
    let artifact = registry.manifest("sinks/stdout", "1.0").await;
    assert_eq!(
        artifact["config"]["mediaType"],
        "application/vnd.wasm.config.v0+json"
    );
    let with = |path: &str, value: Value| {
        let mut manifest = artifact.clone();
        *manifest.pointer_mut(path).unwrap() = value;
        manifest
    };
    let layer = artifact["layers"][0].clone();
    let text = artifact.to_string();
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": artifact["mediaType"],
            "digest": format!("sha256:{}", sha256(text.as_bytes())),
            "size": text.len(),
            "platform": {"architecture": "wasm", "os": "wasip2"},
        }],
    });
    registry.put("sinks/stdout", "same", &artifact).await;
    let image = "application/vnd.oci.image.config.v1+json";
    for (tag, manifest, expected) in [
        (
            "image",
            with("/config/mediaType", image.into()),
            "not a WebAssembly artifact",
        ),
        ("layers", with("/layers", json!([layer, layer])), "2 layers"),
        (
            "layer",
            with("/layers/0/mediaType", "application/x-tar".into()),
            "application/x-tar",
        ),
        ("index", index, "an index of several"),
    ] {
        registry.put("sinks/stdout", tag, &manifest).await;
        let source = format!("oci://{}/sinks/stdout:{tag}", registry.address);
        cluster.ask(&source).await;
        cluster.all_complain(expected).await;
    }
    let missing = format!("oci://{}/sinks/stdout:missing", registry.address);
    cluster.ask(&missing).await;
    cluster.all_complain("no such tag or digest").await;
}
