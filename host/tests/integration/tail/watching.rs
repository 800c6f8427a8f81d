//! A client that watches what passes on a node.

use serde_json::Value;
use tokio::time::timeout;

use crate::support::{Node, SOON, eventually};

/// The events of one answer.
pub(super) struct Watching {
    answer: reqwest::Response,
    /// What has arrived and was not looked at.
    rest: String,
}

/// Asks a node for what passes; returns the answer, whatever it is.
pub(super) async fn ask(node: &Node, query: &str) -> reqwest::Response {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = node.url(&format!("/api/v1/tail?{query}"));
    http.get(url).send().await.unwrap()
}

impl Watching {
    /// Watches a node, and waits until it shows what passes on the leader.
    pub(super) async fn begin(node: &Node, query: &str) -> Self {
        let answer = ask(node, query).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let mut watching = Self {
            answer,
            rest: String::new(),
        };
        watching.leader().await;
        watching
    }

    /// The next event and its data; `None` if the answer has ended as it should.
    pub(super) async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.rest.split_once("\n\n") {
                let event = event.to_owned();
                self.rest = rest.to_owned();
                let Some((name, data)) = event.split_once("\ndata: ") else {
                    assert_eq!(event, ":", "a comment");
                    continue;
                };
                let name = name.strip_prefix("event: ").unwrap().to_owned();
                return Some((name, serde_json::from_str(data).unwrap()));
            }
            let part = timeout(SOON, self.answer.chunk()).await;
            let part = part.expect("an event or a comment in time").unwrap()?;
            self.rest.push_str(std::str::from_utf8(&part).unwrap());
        }
    }

    /// The data of the next event of this name.
    pub(super) async fn event(&mut self, wanted: &str) -> Value {
        loop {
            let (name, data) = self.next().await.expect("an event");
            if name == wanted {
                return data;
            }
        }
    }

    pub(super) async fn record(&mut self) -> Value {
        self.event("record").await
    }

    /// Waits until records of a leader are shown, and returns its name.
    pub(super) async fn leader(&mut self) -> String {
        loop {
            let leader = self.event("leader").await;
            if let (Some(name), None) = (leader["leader"].as_str(), leader["error"].as_str()) {
                return name.to_owned();
            }
        }
    }

    /// Sends messages until one is seen here, and returns it. A tenure may have
    /// begun a moment ago.
    pub(super) async fn sees(&mut self, node: &Node, text: &str) -> Value {
        let sent = eventually("the message is acknowledged", SOON, || async {
            match node.log(text).await {
                (200, _) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
        sent.await;
        loop {
            let record = self.record().await;
            if record["body"] == text {
                return record;
            }
        }
    }
}
