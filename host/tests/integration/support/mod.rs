//! Real processes for tests: Consul or the embedded coordinator, nodes, and
//! producers. They are killed on drop, and their logs are shown if the test
//! failed.

mod authority;
mod checker;
mod cluster;
mod consul;
pub(crate) mod first_generation;
mod greedy;
pub(crate) mod nats;
mod ports;
mod process;
mod producer;
mod prometheus;
mod registry;
mod turn;

pub(crate) use authority::{Authority, Issued};
pub(crate) use checker::History;
pub(crate) use cluster::{Cluster, Node, Options, sluice};
pub(crate) use consul::{Consul, Kind};
pub(crate) use greedy::greedy_component;
pub(crate) use nats::Nats;
pub(crate) use ports::{Port, TRIES};
pub(crate) use process::Process;
pub(crate) use producer::{Bench, Producer};
pub(crate) use prometheus::{Prometheus, promtool};
pub(crate) use registry::Registry;
pub(crate) use turn::Turn;

use std::future::Future;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Asks repeatedly until the answer is `Ok`. Panics with the last error after
/// this time.
pub(crate) async fn eventually<T, F>(what: &str, within: Duration, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let deadline = Instant::now() + within;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(reason) if Instant::now() > deadline => {
                panic!("{what}: not within {within:?}; last: {reason}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// For what takes a moment, and longer on a busy machine. It bounds a fail-over.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// For a process to start and serve. Many start at once when tests run side by
/// side, so this is long; it bounds nothing else.
pub(crate) const START_LIMIT: Duration = Duration::from_secs(180);

/// The path of a certificate or a key for tests. They are for `localhost` and
/// 127.0.0.1.
pub(crate) fn certificate(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/certificates");
    folder.join(name).display().to_string()
}

/// An HTTP client that follows no redirects.
pub(crate) fn http() -> reqwest::Client {
    static CLIENT: OnceLock<()> = OnceLock::new();
    CLIENT.get_or_init(|| {
        rustls::crypto::ring::default_provider()
            .install_default()
            .unwrap();
    });
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap()
}

/// The `consul` program.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("CONSUL").map_or("consul".into(), PathBuf::from)
}

/// The directory of this build's programs.
pub(crate) fn programs() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_sluice"))
        .parent()
        .unwrap()
        .to_owned()
}

fn root() -> PathBuf {
    let host = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    host.parent().unwrap().to_owned()
}

/// The path of an example in docs/deploy.
pub(crate) fn deploy(name: &str) -> PathBuf {
    root().join("docs/deploy").join(name)
}

/// The file of a component that was built for tests, by its library's name.
pub(crate) fn guest(name: &str) -> PathBuf {
    let file = format!("guests/wasm32-wasip2/release/{name}.wasm");
    let found = programs()
        .ancestors()
        .map(|directory| directory.join(&file))
        .find(|file| file.exists());
    found.unwrap_or_else(|| panic!("there is no {file} in the target directory: use `make test`"))
}
