//! The server under test, and its answers.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Consul, Kind, SOON, eventually, http};

/// A Consul, or the embedded coordinator.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) server: Consul,
    http: reqwest::Client,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
    /// From the request to the end of the body.
    pub(crate) took: Duration,
}

impl Subject {
    pub(crate) async fn consul() -> Self {
        Self::on(Consul::of(Kind::Consul, false).await).await
    }

    pub(crate) async fn embedded() -> Self {
        Self::on(Consul::of(Kind::Embedded, false).await).await
    }

    /// The same kind of server, with its state on disk.
    pub(crate) async fn made_durable(self) -> Self {
        Self::on(Consul::of(self.server.kind, true).await).await
    }

    async fn on(server: Consul) -> Self {
        let subject = Self {
            server,
            http: http(),
        };
        // A real agent registers its node a moment after it starts, and that
        // changes indexes.
        eventually("the node is known", SOON, || async {
            let reply = subject.get("/v1/catalog/nodes").await;
            match reply.json()[0]["TaggedAddresses"]["lan"].is_string() {
                true => Ok(()),
                false => Err(reply.text()),
            }
        })
        .await;
        subject
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}{path}", self.server.address);
        self.http.request(method, url)
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> Reply {
        Reply::of(self.request(method, path).body(body)).await
    }

    pub(crate) async fn get(&self, path: impl AsRef<str>) -> Reply {
        Reply::of(self.request(Method::GET, path.as_ref())).await
    }

    pub(crate) async fn put(&self, path: &str, body: impl Into<reqwest::Body>) -> Reply {
        self.ask(Method::PUT, path, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        Reply::of(self.request(Method::DELETE, path)).await
    }

    /// Writes a key, which must succeed.
    pub(crate) async fn set(&self, key: &str, value: &str) {
        self.put(&format!("/v1/kv/{key}"), value.to_owned())
            .await
            .is_true();
    }

    /// A key's entry; null if there is none.
    pub(crate) async fn entry(&self, key: &str) -> Value {
        let reply = self.get(&format!("/v1/kv/{key}")).await;
        match reply.status.as_u16() {
            404 => Value::Null,
            _ => reply.json()[0].clone(),
        }
    }

    /// The index in the answer for a path.
    pub(crate) async fn index(&self, path: &str) -> u64 {
        self.get(path).await.index()
    }

    /// Creates a session, and returns its id.
    pub(crate) async fn session(&self, body: Value) -> String {
        let reply = self.put("/v1/session/create", body.to_string()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["ID"].as_str().unwrap().to_owned()
    }

    /// Creates a session without a lock-delay, bound to nothing but the node.
    pub(crate) async fn plain_session(&self) -> String {
        self.session(json!({ "LockDelay": "0s" })).await
    }

    pub(crate) async fn has_session(&self, id: &str) -> bool {
        let list = self.get("/v1/session/list").await.json();
        let all = list.as_array().unwrap();
        all.iter().any(|session| session["ID"] == id)
    }

    /// Runs a transaction of these operations on keys.
    pub(crate) async fn transact(&self, steps: Value) -> Reply {
        let steps = steps.as_array().unwrap().iter();
        let wrapped: Vec<_> = steps.map(|step| json!({ "KV": step })).collect();
        self.put("/v1/txn", Value::Array(wrapped).to_string()).await
    }

    /// The node's name.
    pub(crate) async fn node(&self) -> String {
        let own = self.get("/v1/agent/self").await.json();
        own["Config"]["NodeName"].as_str().unwrap().to_owned()
    }
}

impl Reply {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let begun = Instant::now();
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.unwrap().to_vec();
        Self {
            status,
            headers,
            body,
            took: begun.elapsed(),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn index(&self) -> u64 {
        let index = self.header("X-Consul-Index");
        index.expect("an index").parse().unwrap()
    }

    #[track_caller]
    pub(crate) fn is_true(&self) {
        self.says(200, "true");
    }

    #[track_caller]
    pub(crate) fn is_false(&self) {
        self.says(200, "false");
    }

    /// The status and the text are exactly these.
    #[track_caller]
    pub(crate) fn says(&self, status: u16, text: &str) {
        assert_eq!((self.status.as_u16(), self.text().trim()), (status, text));
    }

    /// The status is this, and the text starts with `text`.
    #[track_caller]
    pub(crate) fn begins(&self, status: u16, text: &str) {
        let is_so = self.status.as_u16() == status && self.text().starts_with(text);
        assert!(is_so, "{} {}", self.status, self.text());
    }

    /// The transaction was rolled back for these reasons.
    #[track_caller]
    pub(crate) fn failed(&self, errors: &[(u64, &str)]) {
        assert_eq!(self.status, 409, "{}", self.text());
        let reply = self.json();
        assert_eq!(reply["Results"], Value::Null);
        let found: Vec<_> = reply["Errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| {
                let step = error["OpIndex"].as_u64().unwrap();
                (step, error["What"].as_str().unwrap())
            })
            .collect();
        assert_eq!(found, errors);
    }

    /// The transaction was committed. Returns its results.
    #[track_caller]
    pub(crate) fn committed(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{}", self.text());
        let reply = self.json();
        assert_eq!(reply["Errors"], Value::Null);
        let results = reply["Results"].as_array().unwrap().iter();
        results.map(|result| result["KV"].clone()).collect()
    }
}
