//! What survives a restart.

use std::time::Duration;

use serde_json::{Value, json};

use crate::subject::Subject;

on_both!(keys_and_indexes_survive, a_wait_goes_on_after_a_restart);

async fn keys_and_indexes_survive(it: Subject) {
    let mut it = it.made_durable().await;
    it.put("/v1/kv/a/1?flags=7", "one").await.is_true();
    it.set("a/2", "two").await;
    it.set("gone", "x").await;
    it.delete("/v1/kv/gone").await.is_true();
    it.delete("/v1/kv/a/2").await.is_true();
    let before = (
        it.entry("a/1").await,
        it.index("/v1/kv/a/?recurse").await,
        it.index("/v1/kv/?recurse").await,
    );
    it.server.restart().await;
    let after = (
        it.entry("a/1").await,
        it.index("/v1/kv/a/?recurse").await,
        it.index("/v1/kv/?recurse").await,
    );
    assert_eq!(after, before);
    assert_eq!(it.entry("gone").await, Value::Null);
    it.set("a/2", "again").await;
    assert!(it.entry("a/2").await["ModifyIndex"].as_u64() > Some(before.2));
    let index = it.index("/v1/kv/a/1").await;
    it.put(&format!("/v1/kv/a/1?cas={index}"), "cas")
        .await
        .is_true();
}

async fn a_wait_goes_on_after_a_restart(it: Subject) {
    let mut it = it.made_durable().await;
    it.set("k", "1").await;
    let index = it.index("/v1/kv/k").await;
    let path = format!("/v1/kv/k?index={index}&wait=20s&raw");
    let cut_off = it.request(reqwest::Method::GET, &path).send();
    let cut_off = tokio::spawn(cut_off);
    tokio::time::sleep(Duration::from_millis(300)).await;
    it.server.restart().await;
    // The server is killed, so the connection breaks without an answer.
    assert!(cut_off.await.unwrap().is_err());
    let change = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        it.set("k", "2").await;
    };
    let (reply, ()) = tokio::join!(it.get(&path), change);
    reply.says(200, "2");
    assert!(
        reply.took > Duration::from_millis(300),
        "it waited: {:?}",
        reply.took
    );
    assert_eq!(json!(reply.index()), it.entry("k").await["ModifyIndex"]);
}
