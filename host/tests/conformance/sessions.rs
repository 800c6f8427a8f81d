//! Sessions: creating, showing, renewing and destroying them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::subject::{Reply, Subject};

on_both!(
    a_session_is_shown_as_it_was_made,
    what_a_session_may_not_be,
    a_session_that_is_not_there,
    ending_a_session_frees_or_deletes_its_keys,
    a_session_ends_after_twice_its_ttl,
    a_body_of_unknown_length_is_not_looked_at,
);

async fn a_session_is_shown_as_it_was_made(it: Subject) {
    let node = it.node().await;
    let id = it
        .session(json!({ "Name": "s", "TTL": "10s", "LockDelay": "0s", "Behavior": "delete" }))
        .await;
    let reply = it.get(&format!("/v1/session/info/{id}")).await;
    let index = reply.index();
    let expected = json!({
        "ID": id, "Name": "s", "Node": node, "LockDelay": 0, "Behavior": "delete", "TTL": "10s",
        "NodeChecks": ["serfHealth"], "ServiceChecks": null,
        "CreateIndex": index, "ModifyIndex": index,
    });
    assert_eq!(reply.json(), json!([expected]));
    let renewed = it.put(&format!("/v1/session/renew/{id}"), "").await;
    assert_eq!(
        (renewed.status.as_u16(), renewed.json()),
        (200, json!([expected]))
    );
    assert_eq!(it.get("/v1/session/list").await.json(), json!([expected]));
    assert_eq!(
        it.get(&format!("/v1/session/node/{node}")).await.json(),
        json!([expected])
    );
    assert_eq!(it.get("/v1/session/node/other").await.json(), json!([]));

    // Defaults, and other notations.
    let said = |body: Value, field: &'static str| {
        let it = &it;
        async move {
            let id = it.session(body).await;
            let shown = it.get(&format!("/v1/session/info/{id}")).await.json();
            shown[0][field].clone()
        }
    };
    assert_eq!(said(json!({}), "LockDelay").await, 15_000_000_000_u64);
    assert_eq!(said(json!({}), "Behavior").await, "release");
    assert_eq!(said(json!({}), "TTL").await, "");
    assert_eq!(
        said(json!({ "LockDelay": 4 }), "LockDelay").await,
        4_000_000_000_u64
    );
    assert_eq!(
        said(json!({ "LockDelay": 3_000_000_000_u64 }), "LockDelay").await,
        3_000_000_000_u64
    );
    assert_eq!(
        said(json!({ "NodeChecks": [] }), "NodeChecks").await,
        json!([])
    );
    assert_eq!(
        said(json!({ "NodeChecks": null }), "NodeChecks").await,
        Value::Null
    );
    assert_eq!(
        said(json!({ "name": "lower", "nonsense": 1 }), "Name").await,
        "lower"
    );
    // A session can be created without a body.
    let reply = it.put("/v1/session/create", "").await;
    assert_eq!(reply.status, 200);
}

async fn what_a_session_may_not_be(it: Subject) {
    let refused = [
        (
            json!({ "TTL": "5s" }),
            "Invalid Session TTL '5000000000', must be between [10s=24h0m0s]",
        ),
        (
            json!({ "TTL": "25h" }),
            "Invalid Session TTL '90000000000000', must be between [10s=24h0m0s]",
        ),
        (
            json!({ "TTL": "x" }),
            "Session TTL 'x' invalid: time: invalid duration \"x\"",
        ),
        (json!({ "Behavior": "x" }), "Invalid Behavior setting 'x'"),
        (json!({ "Node": "other" }), "Missing node registration"),
        (
            json!({ "NodeChecks": ["x"] }),
            "Missing check 'x' registration",
        ),
        (json!({ "Checks": ["x"] }), "Missing check 'x' registration"),
        (
            json!({ "ServiceChecks": [{ "ID": "x" }] }),
            "Missing check 'x' registration",
        ),
    ];
    for (body, why) in refused {
        it.put("/v1/session/create", body.to_string())
            .await
            .says(500, why);
    }
    let decode = [
        (
            json!({ "LockDelay": "x" }),
            "Request decode failed: time: invalid duration \"x\"",
        ),
        (
            json!({ "Name": 5 }),
            "Request decode failed: json: cannot unmarshal number into Go struct field .Name of \
             type string",
        ),
    ];
    for (body, why) in decode {
        it.put("/v1/session/create", body.to_string())
            .await
            .says(400, why);
    }
    it.put("/v1/session/create", "{bad")
        .await
        .begins(400, "Request decode failed: ");
    assert_eq!(it.get("/v1/session/list").await.json(), json!([]));
}

async fn a_session_that_is_not_there(it: Subject) {
    let nobody = "00000000-0000-0000-0000-000000000000";
    let reply = it.put(&format!("/v1/session/renew/{nobody}"), "").await;
    reply.says(404, &format!("Session id '{nobody}' not found"));
    it.put(&format!("/v1/session/destroy/{nobody}"), "")
        .await
        .is_true();
    let reply = it.get(&format!("/v1/session/info/{nobody}")).await;
    assert_eq!((reply.status.as_u16(), reply.json()), (200, json!([])));
    let no_uuid = "failed session lookup: index error: UUID must be 36 characters";
    it.put("/v1/session/renew/me", "").await.says(500, no_uuid);
    it.put("/v1/session/destroy/me", "")
        .await
        .says(500, no_uuid);
    it.get("/v1/session/info/me").await.says(500, no_uuid);
    for path in ["renew", "destroy"] {
        it.put(&format!("/v1/session/{path}/"), "")
            .await
            .says(400, "Missing session");
    }
    it.get("/v1/session/info/")
        .await
        .says(400, "Missing session");
}

async fn ending_a_session_frees_or_deletes_its_keys(it: Subject) {
    let releasing = it.plain_session().await;
    let deleting = it
        .session(json!({ "LockDelay": "0s", "Behavior": "delete" }))
        .await;
    for (session, key) in [(&releasing, "r/1"), (&releasing, "r/2"), (&deleting, "d/1")] {
        it.put(&format!("/v1/kv/{key}?acquire={session}&flags=9"), "x")
            .await
            .is_true();
    }
    let before = it.index("/v1/kv/r/1").await;
    it.put(&format!("/v1/session/destroy/{releasing}"), "")
        .await
        .is_true();
    let (first, second) = (it.entry("r/1").await, it.entry("r/2").await);
    for entry in [&first, &second] {
        assert_eq!(entry.get("Session"), None);
        assert_eq!(
            (&entry["Flags"], &entry["Value"]),
            (&json!(9), &json!("eA=="))
        );
        assert_eq!(entry["LockIndex"], 1);
    }
    assert!(first["ModifyIndex"].as_u64() > Some(before));
    assert_eq!(first["ModifyIndex"], second["ModifyIndex"]);
    it.put(&format!("/v1/kv/r/1?acquire={releasing}"), "x")
        .await
        .says(500, &format!("invalid session \"{releasing}\""));
    assert!(!it.has_session(&releasing).await);

    let before = it.index("/v1/kv/d/1").await;
    it.put(&format!("/v1/session/destroy/{deleting}"), "")
        .await
        .is_true();
    assert_eq!(it.entry("d/1").await, Value::Null);
    assert!(it.index("/v1/kv/d/?recurse").await > before);
    assert_eq!(it.get("/v1/session/list").await.json(), json!([]));
}

async fn a_session_ends_after_twice_its_ttl(it: Subject) {
    let session = json!({ "TTL": "10s", "LockDelay": "0s" });
    let (left, renewed) = (it.session(session.clone()).await, it.session(session).await);
    let begun = Instant::now();
    it.put(&format!("/v1/kv/left?acquire={left}"), "x")
        .await
        .is_true();
    it.put(&format!("/v1/kv/renewed?acquire={renewed}"), "x")
        .await
        .is_true();
    let index = it.index("/v1/kv/left").await;
    let ended = it.get(format!("/v1/kv/left?index={index}&wait=30s"));
    let keep = async {
        // Well after the TTL, and before twice the TTL.
        tokio::time::sleep(Duration::from_secs(13)).await;
        it.put(&format!("/v1/session/renew/{renewed}"), "").await
    };
    let (ended, kept) = tokio::join!(ended, keep);
    assert_eq!(kept.status, 200);
    let after = begun.elapsed();
    assert_eq!(ended.json()[0].get("Session"), None);
    let (least, most) = (Duration::from_millis(19_500), Duration::from_millis(22_000));
    assert!(least < after && after < most, "after {after:?}");
    assert!(!it.has_session(&left).await);
    assert!(it.has_session(&renewed).await);
    let reply = it.put(&format!("/v1/session/renew/{left}"), "").await;
    assert_eq!(reply.status, 404);
}

async fn a_body_of_unknown_length_is_not_looked_at(it: Subject) {
    let body = r#"{"Name":"chunked","TTL":"10s"}"#;
    // Chunked by hand, because a client sends the length of a body that it has
    // as a whole.
    let mut stream = tokio::net::TcpStream::connect(&it.server.address)
        .await
        .unwrap();
    let request = format!(
        "PUT /v1/session/create HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        it.server.address,
        body.len()
    );
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let list: Reply = it.get("/v1/session/list").await;
    assert_eq!(
        (&list.json()[0]["Name"], &list.json()[0]["TTL"]),
        (&json!(""), &json!(""))
    );
}
