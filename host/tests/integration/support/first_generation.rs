//! The protocol of the first-generation system: its producer, and one of its
//! nodes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use base64::Engine as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{Consul, SOON, eventually};

pub(crate) const LEADER_KEY: &str = "service/distributed-logger/leader";
const PORT: u16 = 3000;

/// Posts to `http://<host>:3000/api/v1/log` as that producer does, on a new
/// connection. Returns the status and the body of the answer.
pub(crate) async fn post_log(host: &str, text: &str) -> Result<(u16, String), String> {
    let said = async {
        let mut stream = TcpStream::connect((host, PORT)).await?;
        let request = format!(
            "POST /api/v1/log HTTP/1.1\r\nHost: {host}:{PORT}\r\nUser-Agent: Go-http-client/1.1\r\n\
             Content-Length: {}\r\nContent-Type: text/plain\r\nAccept-Encoding: gzip\r\n\
             Connection: close\r\n\r\n{text}",
            text.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let said = tokio::time::timeout(Duration::from_secs(10), said).await;
    let answer = said
        .map_err(|_| "no answer in time".to_owned())?
        .map_err(|error| error.to_string())?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(answer.clone())?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((status.ok_or(answer.clone())?, body.to_owned()))
}

/// Its producer: asks Consul for the leader, posts once, and never retries.
#[derive(Debug)]
pub(crate) struct OldProducer {
    next: u64,
    /// The numbers that were answered with `200`.
    pub(crate) acknowledged: Vec<u64>,
}

impl OldProducer {
    pub(crate) fn new() -> Self {
        Self {
            next: 1,
            acknowledged: Vec::new(),
        }
    }

    /// Does what that producer does every 5 s. Returns the host and its answer,
    /// if there was one.
    pub(crate) async fn tick(&mut self, consul: &Consul) -> Option<(String, u16, String)> {
        let entry = consul.key(LEADER_KEY).await.ok()?;
        entry["Session"].as_str()?;
        let host = decoded(&entry);
        let number = self.next;
        self.next += 1;
        let (status, body) = post_log(&host, &format!("Message: {number}")).await.ok()?;
        if status == 200 {
            self.acknowledged.push(number);
        }
        Some((host, status, body))
    }

    /// Posts until this host has acknowledged this many messages.
    pub(crate) async fn reaches(&mut self, consul: &Consul, host: &str, count: usize) {
        let producer = tokio::sync::Mutex::new((self, 0));
        let what = format!("the producer reaches {host}");
        eventually(&what, SOON, || async {
            let mut producer = producer.lock().await;
            let said = producer.0.tick(consul).await;
            if said == Some((host.to_owned(), 200, "OK".to_owned())) {
                producer.1 += 1;
            }
            match producer.1 >= count {
                true => Ok(()),
                false => Err(format!("{said:?}")),
            }
        })
        .await;
    }
}

/// One of its nodes: repeatedly tries to take the lock with `?acquire`, and
/// knows no epochs, flags or leases.
#[derive(Debug)]
pub(crate) struct OldNode {
    session: String,
    state: Arc<OldState>,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Debug, Default)]
struct OldState {
    leads: AtomicBool,
    lines: Mutex<Vec<String>>,
}

impl OldNode {
    pub(crate) async fn start(consul: &Consul, host: &str) -> Self {
        let session = json!({ "Name": host, "TTL": "15s", "LockDelay": "2s" }).to_string();
        let session: Value =
            serde_json::from_str(&consul.put("session/create", &session).await).unwrap();
        let session = session["ID"].as_str().unwrap().to_owned();
        let state = Arc::new(OldState::default());
        let listener = TcpListener::bind((host, PORT)).await.unwrap();
        let routes = Router::new()
            .route("/api/v1/log", post(OldState::log))
            .with_state(Arc::clone(&state));
        let serving = tokio::spawn(async move {
            axum::serve(listener, routes).await.unwrap();
        });
        let url = format!(
            "http://{}/v1/kv/{LEADER_KEY}?acquire={session}",
            consul.address
        );
        let (candidate, host) = (Arc::clone(&state), host.to_owned());
        let http = super::http();
        let campaign = tokio::spawn(async move {
            loop {
                let answer = http.put(&url).body(host.clone()).send().await;
                let text = match answer {
                    Ok(answer) => answer.text().await.unwrap_or_default(),
                    Err(_) => String::new(),
                };
                let leads = text.trim() == "true";
                candidate.leads.store(leads, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        Self {
            session,
            state,
            tasks: [serving, campaign],
        }
    }

    pub(crate) async fn until_it_leads(&self) {
        eventually("the old node leads", SOON, || async {
            match self.state.leads.load(Ordering::SeqCst) {
                true => Ok(()),
                false => Err("it does not".to_owned()),
            }
        })
        .await;
    }

    /// Stops cleanly: releases the lock and destroys its session.
    pub(crate) async fn stop(&self, consul: &Consul) {
        self.state.leads.store(false, Ordering::SeqCst);
        for task in &self.tasks {
            task.abort();
        }
        let release = format!("kv/{LEADER_KEY}?release={}", self.session);
        consul.put(&release, "").await;
        consul
            .put(&format!("session/destroy/{}", self.session), "")
            .await;
    }

    /// Stops without releasing the lock. The session is destroyed at once, as
    /// Consul does after the TTL.
    pub(crate) async fn die(&self, consul: &Consul) {
        for task in &self.tasks {
            task.abort();
        }
        consul
            .put(&format!("session/destroy/{}", self.session), "")
            .await;
    }

    /// The messages that it has acknowledged.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.state.lines.lock().unwrap().clone()
    }
}

impl OldState {
    async fn log(State(state): State<Arc<Self>>, body: String) -> (StatusCode, &'static str) {
        if !state.leads.load(Ordering::SeqCst) {
            return (StatusCode::BAD_REQUEST, "Not Leader");
        }
        state.lines.lock().unwrap().push(body);
        (StatusCode::OK, "OK")
    }
}

impl Drop for OldNode {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn decoded(entry: &Value) -> String {
    let value = entry["Value"].as_str().unwrap_or_default();
    let bytes = base64::engine::general_purpose::STANDARD.decode(value);
    String::from_utf8(bytes.unwrap()).unwrap()
}
