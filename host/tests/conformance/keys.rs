//! Keys: writing, reading, listing, deleting, and their indexes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::subject::Subject;

on_both!(
    a_key_is_shown_as_it_was_written,
    a_missing_key_is_not_found,
    writing_the_same_again_changes_nothing,
    compare_and_set,
    deleting,
    keys_with_separator,
    lists_have_the_index_of_their_latest_change,
    indexes_after_deleting_and_making_again,
    values_have_a_limit,
    keys_may_be_called_anything,
);

async fn a_key_is_shown_as_it_was_written(it: Subject) {
    it.put("/v1/kv/a/b?flags=42", "hello").await.is_true();
    let reply = it.get("/v1/kv/a/b").await;
    let entry = reply.json();
    let index = entry[0]["ModifyIndex"].clone();
    let expected = json!([{
        "LockIndex": 0, "Key": "a/b", "Flags": 42, "Value": "aGVsbG8=",
        "CreateIndex": index, "ModifyIndex": index,
    }]);
    assert_eq!(entry, expected);
    assert_eq!(Value::from(reply.index()), index);
    assert_eq!(reply.header("X-Consul-KnownLeader"), Some("true"));
    assert_eq!(reply.header("X-Consul-LastContact"), Some("0"));
    assert_eq!(reply.header("Content-Type"), Some("application/json"));

    let raw = it.get("/v1/kv/a/b?raw").await;
    raw.says(200, "hello");
    assert_eq!(raw.index(), reply.index());
    assert_eq!(raw.header("Content-Type"), Some("text/plain"));
    assert_eq!(raw.header("X-Content-Type-Options"), Some("nosniff"));

    it.put("/v1/kv/a/b", vec![0_u8, 255, 10]).await.is_true();
    let entry = it.entry("a/b").await;
    assert_eq!(
        (&entry["Value"], &entry["Flags"]),
        (&json!("AP8K"), &json!(0))
    );
    assert!(entry["ModifyIndex"].as_u64() > index.as_u64());
    assert_eq!(entry["CreateIndex"], index);

    // An empty value is null, not an empty string.
    it.put("/v1/kv/empty", "").await.is_true();
    assert_eq!(it.entry("empty").await["Value"], Value::Null);
    let raw = it.get("/v1/kv/empty?raw").await;
    assert_eq!((raw.status.as_u16(), raw.body.len()), (200, 0));

    for mode in ["consistent", "stale"] {
        it.get(&format!("/v1/kv/a/b?raw&{mode}"))
            .await
            .begins(200, "");
    }
    let pretty = it.get("/v1/kv/a/b?pretty").await.text();
    assert!(pretty.contains("\n        \"Key\": \"a/b\",\n"), "{pretty}");
}

async fn a_missing_key_is_not_found(it: Subject) {
    for path in [
        "/v1/kv/none",
        "/v1/kv/none?raw",
        "/v1/kv/none?recurse",
        "/v1/kv/none?keys",
    ] {
        let reply = it.get(path).await;
        reply.says(404, "");
        assert!(reply.index() >= 1, "{path}");
        assert_eq!(reply.header("X-Consul-KnownLeader"), Some("true"), "{path}");
    }
    // The index of a missing key is that of the latest write to any key.
    it.set("other", "1").await;
    assert_eq!(
        it.index("/v1/kv/none").await,
        it.index("/v1/kv/other").await
    );
    assert_eq!(
        it.index("/v1/kv/none?recurse").await,
        it.index("/v1/kv/other").await
    );
}

async fn writing_the_same_again_changes_nothing(it: Subject) {
    it.put("/v1/kv/k?flags=1", "v").await.is_true();
    let before = it.entry("k").await;
    it.put("/v1/kv/k?flags=1", "v").await.is_true();
    assert_eq!(it.entry("k").await, before);
    it.put("/v1/kv/k?flags=2", "v").await.is_true();
    assert!(it.entry("k").await["ModifyIndex"].as_u64() > before["ModifyIndex"].as_u64());
}

async fn compare_and_set(it: Subject) {
    it.put("/v1/kv/k?cas=7", "a").await.is_false();
    it.put("/v1/kv/k?cas=0", "a").await.is_true();
    it.put("/v1/kv/k?cas=0", "b").await.is_false();
    let index = it.index("/v1/kv/k").await;
    it.put(&format!("/v1/kv/k?cas={}", index - 1), "b")
        .await
        .is_false();
    it.put(&format!("/v1/kv/k?cas={}", index + 1), "b")
        .await
        .is_false();
    it.put(&format!("/v1/kv/k?cas={index}&flags=3"), "b")
        .await
        .is_true();
    it.put(&format!("/v1/kv/k?cas={index}"), "c")
        .await
        .is_false();
    let entry = it.entry("k").await;
    assert_eq!(
        (&entry["Value"], &entry["Flags"]),
        (&json!("Yg=="), &json!(3))
    );
}

async fn deleting(it: Subject) {
    it.delete("/v1/kv/none").await.is_true();
    it.delete("/v1/kv/none?cas=5").await.is_true();
    for key in ["d/1", "d/2", "d/3", "dd"] {
        it.set(key, "x").await;
    }
    let index = it.index("/v1/kv/d/1").await;
    it.delete("/v1/kv/d/1?cas=0").await.is_false();
    it.delete(&format!("/v1/kv/d/1?cas={}", index + 1))
        .await
        .is_false();
    it.delete(&format!("/v1/kv/d/1?cas={index}"))
        .await
        .is_true();
    it.delete("/v1/kv/d/2").await.is_true();
    assert_eq!(it.get("/v1/kv/d?keys").await.json(), json!(["d/3", "dd"]));
    it.delete("/v1/kv/d/?recurse").await.is_true();
    assert_eq!(it.get("/v1/kv/d?keys").await.json(), json!(["dd"]));
    it.delete("/v1/kv/?recurse").await.is_true();
    // A list of all keys always exists; a list of all values does not.
    it.get("/v1/kv/?keys").await.says(200, "[]");
    it.get("/v1/kv/?recurse").await.says(404, "");
}

async fn keys_with_separator(it: Subject) {
    for key in ["s/a", "s/b/c", "s/b/d", "s/e", "top"] {
        it.set(key, "1").await;
    }
    let listed = [
        ("/v1/kv/s/?keys", json!(["s/a", "s/b/c", "s/b/d", "s/e"])),
        ("/v1/kv/s/?keys&separator=/", json!(["s/a", "s/b/", "s/e"])),
        ("/v1/kv/s?keys&separator=/", json!(["s/"])),
        ("/v1/kv/?keys&separator=/", json!(["s/", "top"])),
        ("/v1/kv/s/b?keys&separator=c", json!(["s/b/c", "s/b/d"])),
        (
            "/v1/kv/s/?keys&separator=",
            json!(["s/a", "s/b/c", "s/b/d", "s/e"]),
        ),
        // Only keys, even with `recurse`.
        ("/v1/kv/s/b?keys&recurse", json!(["s/b/c", "s/b/d"])),
    ];
    for (path, keys) in listed {
        assert_eq!(it.get(path).await.json(), keys, "{path}");
    }
    let all = it.get("/v1/kv/s/b?recurse&raw").await.json();
    let found: Vec<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["Key"])
        .collect();
    assert_eq!(found, ["s/b/c", "s/b/d"]);
}

async fn lists_have_the_index_of_their_latest_change(it: Subject) {
    it.set("r/1", "1").await;
    it.set("r/2", "1").await;
    it.set("q", "1").await;
    let (second, other) = (it.index("/v1/kv/r/2").await, it.index("/v1/kv/q").await);
    assert!(other > second);
    for list in [
        "/v1/kv/r/?recurse",
        "/v1/kv/r/?keys",
        "/v1/kv/r?keys&separator=/",
    ] {
        assert_eq!(it.index(list).await, second, "{list}");
    }
    assert_eq!(it.index("/v1/kv/?recurse").await, other);
    // An empty list has the index of the latest write to any key.
    assert_eq!(it.index("/v1/kv/x/?recurse").await, other);
}

async fn indexes_after_deleting_and_making_again(it: Subject) {
    it.set("r/1", "1").await;
    it.set("r/2", "1").await;
    let before = it.index("/v1/kv/r/?recurse").await;
    it.delete("/v1/kv/r/2").await.is_true();
    let deleted = it.index("/v1/kv/r/?recurse").await;
    assert!(deleted > before, "a list without the key is a later one");
    assert_eq!(it.index("/v1/kv/r/2").await, deleted);
    // Writes elsewhere change neither index.
    it.set("q", "1").await;
    assert_eq!(it.index("/v1/kv/r/?recurse").await, deleted);
    it.delete("/v1/kv/r/?recurse").await.is_true();
    let emptied = it.index("/v1/kv/r/?recurse").await;
    assert!(emptied > deleted);
    it.set("q", "2").await;
    assert_eq!(it.index("/v1/kv/r/?recurse").await, emptied);
    it.set("r/2", "1").await;
    let entry = it.entry("r/2").await;
    assert_eq!(entry["CreateIndex"], entry["ModifyIndex"], "a new key");
    assert_eq!(
        entry["ModifyIndex"].as_u64(),
        Some(it.index("/v1/kv/r/?recurse").await)
    );
    assert!(entry["ModifyIndex"].as_u64() > Some(emptied));
}

async fn values_have_a_limit(it: Subject) {
    let largest = "x".repeat(512 * 1024);
    it.put("/v1/kv/big", largest.clone()).await.is_true();
    assert_eq!(it.get("/v1/kv/big?raw").await.body.len(), largest.len());
    let reply = it.put("/v1/kv/big", largest.clone() + "x").await;
    reply.begins(
        413,
        "Request body(524289 bytes) too large, max size: 524288 bytes.",
    );

    let step = |value: &str| json!([{ "KV": { "Verb": "set", "Key": "big", "Value": value } }]);
    let frame = step("").to_string().len();
    let fits = "eHh4".repeat((512 * 1024 - frame) / 4);
    let reply = it.put("/v1/txn", step(&fits).to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let beyond = step(&(fits + "eHh4")).to_string();
    let length = beyond.len();
    let reply = it.put("/v1/txn", beyond).await;
    reply.begins(413, &format!("Request body({length} bytes) too large"));
}

async fn keys_may_be_called_anything(it: Subject) {
    it.put("/v1/kv/%C3%A4%20x%2Fy", "1").await.is_true();
    assert_eq!(it.get("/v1/kv/?keys").await.json(), json!(["ä x/y"]));
    assert_eq!(it.entry("%C3%A4%20x/y").await["Key"], "ä x/y");
    it.get("/v1/kv/").await.says(400, "Missing key name");
    it.put("/v1/kv/", "x").await.says(400, "Missing key name");
    it.delete("/v1/kv/").await.says(400, "Missing key name");
    // Empty path segments cause a redirect.
    let reply = it.ask(Method::PUT, "/v1/kv/a//b", "x").await;
    assert_eq!(reply.status, 301);
    assert_eq!(reply.header("Location"), Some("/v1/kv/a/b"));
}
