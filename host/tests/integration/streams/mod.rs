//! Streams other than the default one: they come and go with their keys.

mod asked;
mod doors;
mod life;
mod page;
mod spread;

use std::time::Duration;

use serde_json::Value;

use crate::support::{Cluster, SOON, eventually};

/// The key of a stream's manifest, as a path of Consul's API.
fn key_of(stream: &str) -> String {
    format!("kv/sluice/streams/{stream}/plugin")
}

impl Cluster {
    async fn create(&self, stream: &str, manifest: &str) {
        self.consul.put(&key_of(stream), manifest).await;
    }

    /// What a node says of a stream; `None` if it does not have it.
    async fn stream_at(&self, place: usize, stream: &str) -> Option<Value> {
        let url = format!("http://{}/api/v1/streams", self.node(place).address);
        let answer = self.http.get(url).send().await.ok()?;
        let listed: Value = answer.json().await.ok()?;
        let mut streams = listed["streams"].as_array()?.iter();
        streams.find(|it| it["name"] == stream).cloned()
    }

    /// Waits until a node leads a stream and all others know that; its place.
    async fn leads(&self, stream: &str, within: Duration) -> usize {
        eventually(&format!("a node leads {stream}"), within, || async {
            let mut leader = None;
            for place in 0..self.nodes.len() {
                let found = self
                    .stream_at(place, stream)
                    .await
                    .ok_or("it is not there")?;
                match found["role"].as_str() {
                    Some("leader") => leader = Some(place),
                    _ if found["leader"].is_null() => return Err(format!("{found}")),
                    _ => {}
                }
            }
            leader.ok_or_else(|| "nobody leads".to_owned())
        })
        .await
    }

    /// Sends a message to a stream at a node, and follows a redirect.
    async fn send_to(&self, place: usize, stream: &str, text: &str) -> (u16, String) {
        let address = &self.node(place).address;
        let url = format!("http://{address}/streams/{stream}/api/v1/log");
        let answer = self.http.post(url).body(text.to_owned()).send();
        let mut answer = answer.await.unwrap();
        if let Some(leader) = answer.headers().get("location") {
            let leader = leader.to_str().unwrap().to_owned();
            let sent = self.http.post(leader).body(text.to_owned()).send().await;
            match sent {
                Ok(there) => answer = there,
                // It was killed.
                Err(error) => return (0, error.to_string()),
            }
        }
        let status = answer.status().as_u16();
        (status, answer.text().await.unwrap_or_default())
    }

    /// Waits until a node has begun to close a stream.
    async fn is_closing(&self, place: usize, stream: &str) {
        eventually("it closes", SOON, || async {
            match self.stream_at(place, stream).await {
                None => Ok(()),
                Some(stream) => Err(stream.to_string()),
            }
        })
        .await;
    }

    /// Waits until a node has no such stream.
    async fn is_gone(&self, place: usize, stream: &str) {
        eventually("the stream is gone", SOON, || async {
            match self.send_to(place, stream, "late").await {
                (404, _) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    /// Sends a message to a stream until it is acknowledged.
    async fn is_taken(&self, place: usize, stream: &str, text: &str) {
        eventually(&format!("{stream} takes {text}"), SOON, || async {
            match self.send_to(place, stream, text).await {
                (200, _) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    /// Waits until one record waits in a stream's queue.
    async fn has_waiting(&self, place: usize, stream: &str) {
        let sample = format!("sluice_queue_records{{stream=\"{stream}\"}} ");
        eventually("it waits", SOON, || async {
            match self.node(place).sample(&sample).await.as_deref() {
                Some("1") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
}
