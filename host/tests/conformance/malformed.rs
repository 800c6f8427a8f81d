//! Invalid requests, and the errors they get.

use reqwest::Method;
use serde_json::json;

use crate::subject::Subject;

on_both!(
    unknown_routes,
    wrong_methods,
    parameters_that_are_none,
    bodies_that_are_none,
);

async fn unknown_routes(it: Subject) {
    for path in [
        "/v1/nonsense",
        "/v1/",
        "/v1/session/nonsense",
        "/nonsense",
        "/v1/txnx",
    ] {
        let reply = it.get(path).await;
        assert_eq!(reply.status, 404, "{path}");
    }
}

async fn wrong_methods(it: Subject) {
    let wrong = [
        (Method::POST, "/v1/kv/k", "OPTIONS,GET,PUT,DELETE"),
        (Method::PATCH, "/v1/kv/k", "OPTIONS,GET,PUT,DELETE"),
        (Method::GET, "/v1/txn", "OPTIONS,PUT"),
        (Method::POST, "/v1/txn", "OPTIONS,PUT"),
        (Method::GET, "/v1/session/create", "OPTIONS,PUT"),
        (Method::PUT, "/v1/session/list", "OPTIONS,GET"),
        (Method::POST, "/v1/agent/service/register", "OPTIONS,PUT"),
        (Method::PUT, "/v1/catalog/nodes", "OPTIONS,GET"),
    ];
    for (method, path, allowed) in wrong {
        let reply = it.ask(method.clone(), path, "x").await;
        reply.says(405, &format!("method {method} not allowed"));
        assert_eq!(reply.header("Allow"), Some(allowed), "{path}");
        let reply = it.ask(Method::OPTIONS, path, "").await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("Allow")),
            (200, Some(allowed))
        );
    }
}

async fn parameters_that_are_none(it: Subject) {
    it.set("k", "x").await;
    let syntax = |text: &str| format!("strconv.ParseUint: parsing \"{text}\": invalid syntax");
    it.put("/v1/kv/k?flags=abc", "x")
        .await
        .says(500, &syntax("abc"));
    it.put("/v1/kv/k?cas=abc", "x")
        .await
        .says(500, &syntax("abc"));
    it.put("/v1/kv/k?cas=", "x").await.says(500, &syntax(""));
    it.put("/v1/kv/k?cas=-1", "x")
        .await
        .says(500, &syntax("-1"));
    it.delete("/v1/kv/k?cas=abc")
        .await
        .says(500, &syntax("abc"));
    it.delete("/v1/kv/k?recurse&cas=3")
        .await
        .says(400, "Conflicting flags: cas=3&recurse=");
    it.get("/v1/kv/k?index=xyz")
        .await
        .says(400, "Invalid index");
    it.get("/v1/kv/k?index=-1").await.says(400, "Invalid index");
    it.get("/v1/kv/k?wait=1")
        .await
        .says(400, "Invalid wait time");
    it.get("/v1/kv/k?wait=xyz")
        .await
        .says(400, "Invalid wait time");
    let both = "Cannot specify ?stale with ?consistent, conflicting semantics.";
    it.get("/v1/kv/k?stale&consistent").await.says(400, both);
    it.get("/v1/kv/k?dc=other")
        .await
        .says(500, "No path to datacenter");
    it.get("/v1/kv/k?dc=dc1&raw").await.says(200, "x");
    it.get("/v1/health/service/x?passing=maybe")
        .await
        .says(400, "Invalid value for ?passing");
    for path in ["catalog/service/", "health/service/", "health/checks/"] {
        it.get(&format!("/v1/{path}"))
            .await
            .says(400, "Missing service name");
    }
    it.get("/v1/health/state/")
        .await
        .says(400, "Missing check state");
    assert_eq!(it.entry("k").await["Value"], "eA==");
}

async fn bodies_that_are_none(it: Subject) {
    it.put("/v1/txn", "")
        .await
        .says(400, "Failed to parse body: EOF");
    it.put("/v1/txn", "{bad")
        .await
        .begins(400, "Failed to parse body: ");
    let reply = it.put("/v1/txn", "{}").await;
    reply.begins(
        400,
        "Failed to parse body: json: cannot unmarshal object into Go value",
    );
    let reply = it
        .transact(json!([{ "Verb": "set", "Key": "k", "Value": "%%%" }]))
        .await;
    reply.says(
        400,
        "Failed to parse body: illegal base64 data at input byte 0",
    );
    let reply = it
        .transact(json!([{ "Verb": "set", "Key": "k", "Wat": 1 }]))
        .await;
    reply.says(400, "Failed to parse body: json: unknown field \"Wat\"");

    let register = "/v1/agent/service/register";
    it.put(register, "")
        .await
        .says(400, "Request decode failed: EOF");
    it.put(register, "{bad")
        .await
        .begins(400, "Request decode failed: ");
    it.put(register, "{}")
        .await
        .says(400, "Missing service name");
    let unknown = "Request decode failed: json: unknown field \"Nonsense\"";
    it.put(register, r#"{"Name":"x","Nonsense":1}"#)
        .await
        .says(400, unknown);
    let port = "Request decode failed: json: cannot unmarshal string into Go struct field .Port \
                of type int";
    it.put(register, r#"{"Name":"x","Port":"a"}"#)
        .await
        .says(400, port);
    let interval = "Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks";
    it.put(register, r#"{"Name":"x","Check":{"HTTP":"http://x"}}"#)
        .await
        .says(400, interval);
    let ttl = "Invalid check: TTL must be > 0 for TTL checks";
    it.put(register, r#"{"Name":"x","Check":{"Interval":"1s"}}"#)
        .await
        .says(400, ttl);
    assert_eq!(it.get("/v1/agent/services").await.json(), json!({}));
}
