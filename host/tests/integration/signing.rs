//! Requests of sinks that the node signs.

use std::fs;
use std::path::Path;

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::routing::any;
use ring::{digest, hmac};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{Cluster, SOON, eventually};

/// The ids and the secrets that the server knows.
const KEYS: [(&str, &str); 2] = [("AKIDONE", "secretkeyone"), ("AKIDTWO", "secretkeytwo")];

/// Starts a server that checks signatures, and returns its origin.
async fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(any(verdict));
    tokio::spawn(async move { axum::serve(listener, router).await });
    origin
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    assert!(values.next().is_none(), "{name} came twice");
    first.map_or("none", |value| value.to_str().unwrap())
}

fn hmac_of(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

/// Whose signature the request has, with what else the test looks at.
async fn verdict(request: Request) -> String {
    let headers = request.headers();
    let given = header(headers, "authorization");
    let Some(given) = given.strip_prefix("AWS4-HMAC-SHA256 Credential=") else {
        return format!("not signed, {} headers of its own", own(headers));
    };
    let (id, rest) = given.split_once('/').unwrap();
    let (scope, rest) = rest.split_once(", SignedHeaders=").unwrap();
    let (names, signature) = rest.split_once(", Signature=").unwrap();
    let words = |name| {
        header(headers, name)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    let signed: String = names
        .split(';')
        .map(|name| format!("{name}:{}\n", words(name)))
        .collect();
    let (path, query) = (
        request.uri().path(),
        request.uri().query().unwrap_or_default(),
    );
    let payload = header(headers, "x-amz-content-sha256");
    let method = request.method();
    let canonical = format!("{method}\n{path}\n{query}\n{signed}\n{names}\n{payload}");
    let hashed = hex::encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
    let time = header(headers, "x-amz-date");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashed}");
    for (known, secret) in KEYS {
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in scope.split('/') {
            key = hmac_of(&key, part).as_ref().to_vec();
        }
        if known == id && hex::encode(hmac_of(&key, &text)) == signature {
            let token = header(headers, "x-amz-security-token");
            let (_, scope) = scope.split_once('/').unwrap();
            let is_recent = !time.starts_with("2000");
            return format!("{known} {scope} {names} token {token} recent {is_recent}");
        }
    }
    "a wrong signature".to_owned()
}

fn own(headers: &HeaderMap) -> usize {
    let names = headers.keys();
    names
        .filter(|name| name.as_str().starts_with("x-amz-"))
        .count()
}

fn flags(file: &Path, origin: &str, other: &str) -> Vec<String> {
    let secret = format!("AWS={},sigv4,{origin}", file.display());
    [
        "--allow-http",
        origin,
        "--allow-http",
        other,
        "--secret",
        &secret,
    ]
    .map(str::to_owned)
    .to_vec()
}

fn permissions(origin: &str, other: &str, sigv4: &Value) -> Value {
    json!({"http": [origin, other], "sigv4": sigv4})
}

#[tokio::test]
async fn the_node_signs_with_keys_that_the_sink_never_sees() {
    let (origin, other) = (start().await, start().await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    fs::write(&file, "AKIDONE:secretkeyone\n").unwrap();
    let flags = flags(&file, &origin, &other);
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let cluster = Cluster::start(1, &flags).await;
    let node = cluster.node(0);
    // For another origin there is no such secret.
    let signing = json!({"secret": "AWS", "region": "eu-central-1"});
    let elsewhere = permissions(&origin, &other, &json!({&other: signing}));
    let source = cluster.plugin("network", "network.wasm");
    let manifest = json!({"source": source, "permissions": elsewhere});
    cluster.ask(&manifest.to_string()).await;
    node.until("the status names the flag", |status| {
        let error = status["plugin"]["error"].as_str().unwrap_or_default();
        error.contains(&format!("--secret AWS=FILE,sigv4,{other}"))
    })
    .await;

    let signed = permissions(&origin, &other, &json!({&origin: signing}));
    cluster.runs_with(json!({}), signed, json!({})).await;
    let plain = "done: 200 AKIDONE eu-central-1/s3/aws4_request \
                 host;x-amz-content-sha256;x-amz-date token none recent true";
    let forged = "done: AKIDONE eu-central-1/s3/aws4_request \
                  host;x-amz-content-sha256;x-amz-date;x-amz-meta-own token none recent true";
    for (attempt, expected) in [
        (format!("GET {origin}/bucket/key"), plain),
        (format!("PUT {origin}/bucket?a=1&b=2"), plain),
        (format!("FORGE {origin}/bucket/key"), forged),
        (
            format!("GET {other}/"),
            "done: 200 not signed, 0 headers of its own",
        ),
    ] {
        assert_eq!(cluster.tries(&attempt).await, expected, "{attempt}");
    }

    // Other keys, with a token.
    fs::write(&file, "AKIDTWO:secretkeytwo:sessiontoken").unwrap();
    let attempt = format!("GET {origin}/again");
    eventually("the new keys are used", SOON, || async {
        let outcome = cluster.tries(&attempt).await;
        let is_new = outcome.contains("AKIDTWO") && outcome.contains("token sessiontoken");
        if is_new { Ok(()) } else { Err(outcome) }
    })
    .await;
    // What is no pair of keys.
    fs::write(&file, "secretkeytwo").unwrap();
    eventually("nothing is sent", SOON, || async {
        let outcome = cluster.tries(&attempt).await;
        let is_refused = outcome.contains("ConfigurationError");
        if is_refused { Ok(()) } else { Err(outcome) }
    })
    .await;
    let log = eventually("the log says why", SOON, || async {
        let log = node.process.stderr();
        match log.contains("ACCESS_KEY_ID:SECRET_ACCESS_KEY") {
            true => Ok(log),
            false => Err(log),
        }
    })
    .await;
    let status = node.status().await.unwrap().to_string();
    for shown in [log, status] {
        for key in ["AKIDONE", "AKIDTWO", "secretkey", "sessiontoken"] {
            assert!(!shown.contains(key), "{key}: {shown}");
        }
    }
}
