//! Runs the HTTP checks of registered services, one task per check.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Method, StatusCode};
use tokio::task::JoinHandle;

use super::check_target::{Registrar, Target};
use super::hub::Hub;
use super::store::CheckStatus;
use sluice_types::error_chain::chain;

/// Consul's lower bound for the interval of a check.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// Consul's lower bound for the time after which a critical service is removed.
const MIN_DEREGISTER_AFTER: Duration = Duration::from_secs(60);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of an answer's body, or of an error, that are kept as output.
const MAX_OUTPUT: usize = 4096;
/// The most bytes of a URL, its headers and its body together.
const MAX_DEFINITION: usize = 4096;

/// The request of a check, and what follows from its result.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    pub(super) url: String,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
    pub(super) interval: Duration,
    pub(super) timeout: Option<Duration>,
    /// How long a service can be critical before it is deregistered.
    pub(super) deregister_after: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Checks {
    hub: Arc<Hub>,
    http: Client,
    running: Mutex<HashMap<String, JoinHandle<()>>>,
}

impl Checks {
    pub(super) fn new(hub: Arc<Hub>) -> Result<Arc<Self>, reqwest::Error> {
        let http = client().build()?;
        Ok(Arc::new(Self {
            hub,
            http,
            running: Mutex::default(),
        }))
    }

    /// Starts a check, and stops an earlier one with the same id.
    pub(super) fn start(
        self: &Arc<Self>,
        id: String,
        service: String,
        definition: Definition,
        registrar: Registrar,
    ) {
        let checks = Arc::clone(self);
        let check = Check {
            id: id.clone(),
            service,
            definition,
            registrar,
        };
        let task = tokio::spawn(async move { checks.run(check).await });
        self.replace(&id, Some(task));
    }

    pub(super) fn stop(&self, id: &str) {
        self.replace(id, None);
    }

    pub(super) fn stop_all(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, task) in running.drain() {
            task.abort();
        }
    }

    fn replace(&self, id: &str, task: Option<JoinHandle<()>>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match task {
            Some(task) => running.insert(id.to_owned(), task),
            None => running.remove(id),
        };
        if let Some(before) = before {
            before.abort();
        }
    }

    async fn run(&self, check: Check) {
        let interval = check.definition.interval.max(MIN_INTERVAL);
        // Spreads checks that were registered together.
        tokio::time::sleep(interval.mul_f64(rand::random_range(0.0..1.0))).await;
        let mut critical_since = None;
        loop {
            let (status, output) = self.ask(&check).await;
            let reported = self
                .hub
                .write(|store, now| store.report(now, &check.id, status, output));
            if reported.await.is_err() {
                return;
            }
            if status == CheckStatus::Critical {
                let since = *critical_since.get_or_insert_with(Instant::now);
                let after = check.definition.deregister_after;
                if after.is_some_and(|after| since.elapsed() >= after.max(MIN_DEREGISTER_AFTER)) {
                    return self.deregister(&check).await;
                }
            } else {
                critical_since = None;
            }
            tokio::time::sleep(interval).await;
        }
    }

    async fn deregister(&self, check: &Check) {
        let Check { id, service, .. } = check;
        tracing::info!(
            service,
            check = id,
            "deregistering a service that was critical for too long"
        );
        let removed = self.hub.write(|store, now| store.deregister(now, service));
        let others = removed.await.unwrap_or_default();
        for other in others.iter().filter(|other| *other != id) {
            self.stop(other);
        }
        // Last, because it ends this task.
        self.stop(id);
    }

    /// A client that can only reach the machine that registered the check.
    async fn client(&self, check: &Check) -> Result<Client, String> {
        let target = check.registrar.target(&check.definition.url).await;
        match target.map_err(|error| chain(&error))? {
            Target::Address => Ok(self.http.clone()),
            Target::Name(name, addresses) => {
                let client = client().resolve_to_addrs(&name, &addresses).build();
                client.map_err(|error| chain(&error))
            }
        }
    }

    async fn ask(&self, check: &Check) -> (CheckStatus, String) {
        let definition = &check.definition;
        let Definition {
            url,
            method,
            headers,
            body,
            ..
        } = definition;
        let answer = async {
            let client = self.client(check).await?;
            let request = client
                .request(method.clone(), url)
                .header("accept", "text/plain, text/*, */*")
                .headers(headers.clone())
                .body(body.clone());
            receive(request)
                .await
                .map_err(|error| chain(&error.without_url()))
        };
        let timeout = definition.timeout.filter(|timeout| !timeout.is_zero());
        let failure = match tokio::time::timeout(timeout.unwrap_or(DEFAULT_TIMEOUT), answer).await {
            Ok(Ok((status, text))) => {
                let output = format!("HTTP {method} {url}: {status} Output: {text}");
                return (judge(status), output);
            }
            Ok(Err(failure)) => failure,
            Err(_) => "timed out waiting for an answer".to_owned(),
        };
        let verb = capitalised(method);
        let failure = shortened(failure);
        (CheckStatus::Critical, format!("{verb} {url:?}: {failure}"))
    }
}

impl Definition {
    /// Refuses a check that asks another machine than the one that registers it,
    /// and one that is too long.
    pub(super) fn admit(&self, registrar: Registrar) -> Result<(), String> {
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| name.as_str().len() + value.len());
        let length = self.url.len() + self.body.len() + headers.sum::<usize>();
        if length > MAX_DEFINITION {
            return Err(format!(
                "its URL, headers and body take more than {MAX_DEFINITION} bytes together"
            ));
        }
        registrar.admit(&self.url).map_err(|error| chain(&error))
    }
}

/// A client that goes where it is sent and nowhere else.
fn client() -> ClientBuilder {
    Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .pool_max_idle_per_host(0)
        .user_agent("Consul Health Check")
}

/// Returns the status, and the beginning of the body.
async fn receive(request: reqwest::RequestBuilder) -> reqwest::Result<(StatusCode, String)> {
    let mut answer = request.send().await?;
    let status = answer.status();
    let mut text = Vec::new();
    while text.len() < MAX_OUTPUT
        && let Some(part) = answer.chunk().await?
    {
        text.extend_from_slice(&part);
    }
    text.truncate(MAX_OUTPUT);
    Ok((
        status,
        shortened(String::from_utf8_lossy(&text).into_owned()),
    ))
}

fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_OUTPUT));
    text
}

#[derive(Debug)]
struct Check {
    id: String,
    service: String,
    definition: Definition,
    registrar: Registrar,
}

fn judge(status: StatusCode) -> CheckStatus {
    match status {
        status if status.is_success() => CheckStatus::Passing,
        StatusCode::TOO_MANY_REQUESTS => CheckStatus::Warning,
        _ => CheckStatus::Critical,
    }
}

fn capitalised(method: &Method) -> String {
    let (first, rest) = method.as_str().split_at(1);
    format!("{first}{}", rest.to_lowercase())
}
