//! The answers that clients get.

use std::io::Write;

use crate::support::{Cluster, Consul, Options, SOON, eventually, guest};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn post_many(cluster: &Cluster, content_type: &str, body: impl Into<reqwest::Body>) -> Value {
    let (status, text) = cluster
        .node(0)
        .post("/api/v1/logs", content_type, body)
        .await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn one_message_whatever_its_content_type() {
    let cluster = Cluster::start(1, &[]).await;
    let node = cluster.node(0);
    for (content_type, text) in [
        ("text/plain", "plain"),
        ("application/json", "{\"not\": parsed"),
        ("", "untyped"),
        ("x/y", ""),
    ] {
        let (status, body) = node.post("/api/v1/log", content_type, text).await;
        assert_eq!((status, body.as_str()), (200, "OK"), "{content_type}");
    }
    node.wrote("plain\n{\"not\": parsed\nuntyped\n\n").await;
    let answer = cluster
        .http
        .post(node.url("/api/v1/log"))
        .body("x")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["sluice-epoch"], "1");
    let (status, body) = node
        .post("/api/v1/log", "text/plain", vec![b'a', 0xff])
        .await;
    assert_eq!(status, 422, "{body}");
    assert!(body.contains("UTF-8"), "{body}");
}

#[tokio::test]
async fn many_messages_in_every_format() {
    let cluster = Cluster::start(1, &[]).await;
    let answer = post_many(&cluster, "text/plain; charset=utf-8", "one\r\n\ntwo\n").await;
    assert_eq!(answer, json!({"accepted": 2, "rejected": []}));

    let ndjson = "{\"msg\":\"three\"}\nnot json\n{\"message\":\"four\",\"level\":\"info\"}\n";
    let answer = post_many(&cluster, "application/x-ndjson", ndjson).await;
    assert_eq!(answer["accepted"], 2);
    assert_eq!(answer["rejected"][0]["index"], 1);
    assert!(
        answer["rejected"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("JSON")
    );

    let answer = post_many(&cluster, "application/json", r#"[{"log":"five"},5]"#).await;
    assert_eq!(
        (&answer["accepted"], &answer["rejected"][0]["index"]),
        (&json!(1), &json!(1))
    );
    let answer = post_many(&cluster, "application/json", r#"{"body":"six"}"#).await;
    assert_eq!(answer["accepted"], 1);
    let answer = post_many(&cluster, "application/x-ndjson", "a\nb\n").await;
    assert_eq!(
        (
            &answer["accepted"],
            answer["rejected"].as_array().unwrap().len()
        ),
        (&json!(0), 2)
    );
    cluster
        .node(0)
        .wrote("one\ntwo\nthree\nfour\nfive\nsix\n")
        .await;

    for (content_type, body, expected) in [
        ("application/json", "[{]", 400),
        ("application/json", "7", 400),
        ("application/xml", "<a/>", 415),
        ("", "untyped", 415),
    ] {
        let (status, text) = cluster
            .node(0)
            .post("/api/v1/logs", content_type, body)
            .await;
        assert_eq!(status, expected, "{content_type} {body}: {text}");
    }
}

#[tokio::test]
async fn compressed_bodies_are_understood_and_limited() {
    let cluster = Cluster::start(1, &["--max-body", "64KiB"]).await;
    let node = cluster.node(0);
    let gzip = |text: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = |text: &[u8]| zstd::encode_all(text, 1).unwrap();
    let bomb = vec![b'x'; 1 << 20];
    for (encoding, body, expected) in [
        ("gzip", gzip(b"zipped"), 200),
        ("zstd", zstd(b"zstandard"), 200),
        ("identity", b"as it is".to_vec(), 200),
        ("gzip", gzip(&bomb), 413),
        ("zstd", zstd(&bomb), 413),
        ("gzip", b"no gzip".to_vec(), 400),
        ("br", b"brotli".to_vec(), 415),
    ] {
        let request = cluster
            .http
            .post(node.url("/api/v1/log"))
            .header("content-encoding", encoding);
        let answer = request.body(body).send().await.unwrap();
        let status = answer.status();
        assert_eq!(
            status,
            expected,
            "{encoding}: {}",
            answer.text().await.unwrap()
        );
    }
    node.wrote("zipped\nzstandard\nas it is\n").await;
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_however_it_comes() {
    let cluster = Cluster::start(1, &["--max-body", "64KiB"]).await;
    let node = cluster.node(0);
    let (status, body) = node
        .post("/api/v1/log", "text/plain", vec![b'x'; 65_537])
        .await;
    assert_eq!(status, 413, "{body}");
    assert!(body.contains("--max-body"), "{body}");
    let mut stream = TcpStream::connect(&node.address).await.unwrap();
    let head = "POST /api/v1/log HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("2710\r\n{}\r\n", "x".repeat(10_000));
    let chunked = format!("{head}{}0\r\n\r\n", chunk.repeat(7));
    stream.write_all(chunked.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let (status, _) = node
        .post("/api/v1/log", "text/plain", vec![b'x'; 65_536])
        .await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_follower_redirects_after_it_read_the_body() {
    let cluster = Cluster::start(2, &[]).await;
    let follower = cluster.node(cluster.follower().await);
    let leader = cluster.node(cluster.leader().await);
    let request = cluster.http.post(follower.url("/api/v1/logs?x=1"));
    let answer = request.body(vec![b'x'; 4 << 20]).send().await.unwrap();
    assert_eq!(answer.status(), 307);
    assert_eq!(answer.headers()["location"], leader.url("/api/v1/logs?x=1"));
    assert_eq!(answer.text().await.unwrap(), "Not Leader");
}

#[tokio::test]
async fn expect_continue_is_answered_before_the_body() {
    let cluster = Cluster::start(2, &[]).await;
    let head =
        "POST /api/v1/log HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    let ask = async |address: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    };
    let follower = cluster.node(cluster.follower().await);
    let answer = ask(&follower.address).await;
    assert!(answer.starts_with("HTTP/1.1 307"), "{answer}");
    let leader = cluster.node(cluster.leader().await);
    let answer = ask(&leader.address).await;
    assert!(answer.starts_with("HTTP/1.1 100"), "{answer}");
}

#[tokio::test]
async fn a_follower_forwards_one_hop() {
    let cluster = Cluster::start(2, &["--follower", "forward"]).await;
    let follower = cluster.node(cluster.follower().await);
    let leader = cluster.node(cluster.leader().await);
    eventually("the follower forwards", SOON, || async {
        // It forwards once it has seen the leader's registration.
        let (status, body) = follower.log("forwarded").await;
        if (status, body.as_str()) == (200, "OK") {
            Ok(())
        } else {
            Err(format!("{status} {body}"))
        }
    })
    .await;
    leader.wrote("forwarded\n").await;
    let (status, body) = follower
        .post("/api/v1/logs", "application/json", "[{]")
        .await;
    assert_eq!(status, 400, "{body}");
    let request = cluster
        .http
        .post(follower.url("/api/v1/log"))
        .header("sluice-forwarded", "1");
    assert_eq!(request.body("x").send().await.unwrap().status(), 503);
}

#[tokio::test]
async fn a_follower_rejects_as_the_first_generation_does() {
    let cluster = Cluster::start(2, &["--follower", "reject"]).await;
    let follower = cluster.node(cluster.follower().await);
    assert_eq!(follower.log("x").await, (400, "Not Leader".to_owned()));
}

#[tokio::test]
async fn without_a_leader_nothing_is_taken() {
    let mut consul = Consul::start().await;
    consul.stop();
    let cluster = Cluster::empty(consul, &["--advertise", "127.0.0.1"]);
    let node = cluster.spawn("alone", Options::default());
    let url = format!("http://{}", cluster.served_by(&node).await);
    let request = cluster.http.post(format!("{url}/api/v1/log")).body("x");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "1");
    let status = async |path: &str| {
        cluster
            .http
            .get(format!("{url}{path}"))
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(status("/healthz").await, 200);
    assert_eq!(status("/readyz").await, 503);
}

#[tokio::test]
async fn a_full_queue_and_an_unconfirmed_message() {
    let arguments = ["--queue-records", "2", "--request-timeout", "2s"];
    let mut cluster = Cluster::on(Consul::start().await, 0, &arguments).await;
    let plugin = format!("file://{}", guest("misbehave").display());
    let plugins = guest("misbehave").parent().unwrap().display().to_string();
    cluster
        .add_with(
            "a",
            Options::with(&["--plugin", &plugin, "--plugin-dir", &plugins]),
        )
        .await;
    cluster.leader().await;
    let node = cluster.node(0);
    let filling = async {
        node.until("the queue is full", |status| {
            status["queue"]["records"] == 2
        })
        .await;
        let answer = cluster
            .http
            .post(node.url("/api/v1/log"))
            .body("one more")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 429);
        assert_eq!(answer.headers()["retry-after"], "1");
    };
    let offered = async {
        eventually("the first is offered", SOON, || async {
            let status = node.status().await?;
            let retried = status["counters"]["retried"].as_u64().unwrap();
            if retried > 0 {
                Ok(())
            } else {
                Err(status.to_string())
            }
        })
        .await;
        node.log("waits behind it").await
    };
    let (unknown, waiting, ()) = tokio::join!(node.log("retry for ever"), offered, filling);
    assert!(
        unknown.0 == 504 && unknown.1.contains("busy"),
        "{unknown:?}"
    );
    // It is either withdrawn in time, or delivered after the first one was
    // given up.
    assert!([200, 503].contains(&waiting.0), "{waiting:?}");
    let (status, body) = node.post("/api/v1/logs", "text/plain", "a\nb\nc\n").await;
    assert_eq!(status, 413, "{body}");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for_for_ever() {
    let cluster = Cluster::start(1, &["--request-timeout", "1s"]).await;
    let mut stream = TcpStream::connect(&cluster.node(0).address).await.unwrap();
    let head = "POST /api/v1/log HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let reading = tokio::time::timeout(SOON, stream.read_to_string(&mut answer));
    reading.await.expect("an answer").unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn a_token_is_asked_for_where_one_is_set() {
    let mut cluster = Cluster::on(Consul::start().await, 0, &[]).await;
    let token = cluster.folder.path().join("token");
    std::fs::write(&token, "secret\n").unwrap();
    cluster
        .add_with(
            "a",
            Options::with(&["--token-file", token.to_str().unwrap()]),
        )
        .await;
    cluster.leader().await;
    let node = cluster.node(0);
    assert_eq!(node.log("x").await.0, 401);
    let request = cluster
        .http
        .post(node.url("/api/v1/log"))
        .bearer_auth("secret");
    assert_eq!(request.body("x").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn errors_are_json_for_clients_that_ask() {
    let cluster = Cluster::start(1, &[]).await;
    let request = cluster.http.post(cluster.node(0).url("/api/v1/logs"));
    let answer = request
        .header("accept", "application/json")
        .body("x")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 415);
    let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert!(
        body["error"].as_str().unwrap().contains("text/plain"),
        "{body}"
    );
    let answer = cluster
        .http
        .get(cluster.node(0).url("/nothing"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 404);
    assert!(answer.text().await.unwrap().contains("/api/v1/log"));
}

#[tokio::test]
async fn metrics_and_status_count_what_happened() {
    let cluster = Cluster::start(1, &[]).await;
    let node = cluster.node(0);
    post_many(
        &cluster,
        "application/x-ndjson",
        "{\"msg\":\"a\"}\n{\"msg\":\"b\"}\nc\n",
    )
    .await;
    let status = node.status().await.unwrap();
    assert_eq!(status["counters"]["acknowledged"], 2);
    assert_eq!(status["counters"]["rejected"], 1);
    assert_eq!(status["plugin"]["active"]["source"], "builtin:stdout");
    assert_eq!(status["plugin"]["active"]["state"], "running");
    assert!(status["lease_ms"].as_u64().unwrap() > 0);
    let answer = cluster.http.get(node.url("/metrics")).send().await.unwrap();
    let text = answer.text().await.unwrap();
    for line in [
        "sluice_records_acknowledged_total{stream=\"default\"} 2",
        "sluice_leader{stream=\"default\"} 1",
        "sluice_epoch{stream=\"default\"} 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in:\n{text}");
    }
}

#[tokio::test]
async fn a_configuration_file_stands_below_variables_and_flags() {
    let cluster = Cluster::empty(Consul::start().await, &[]);
    let file = cluster.folder.path().join("sluice.toml");
    std::fs::write(&file, "max-body = \"10B\"\nfollower = \"nonsense\"\n").unwrap();
    let config = format!("--config={}", file.display());
    let mut process = cluster.spawn("a", Options::with(&[&config]));
    assert_eq!(process.wait(SOON).await.code(), Some(2));
    assert!(
        process.stderr().contains("nonsense"),
        "{}",
        process.stderr()
    );

    std::fs::write(&file, "max-bodies = \"10B\"\n").unwrap();
    let mut process = cluster.spawn("b", Options::with(&[&config]));
    assert_eq!(process.wait(SOON).await.code(), Some(2));
    assert!(
        process.stderr().contains("max-bodies"),
        "{}",
        process.stderr()
    );

    std::fs::write(&file, "max-body = \"10B\"\nrequest-timeout = \"1s\"\n").unwrap();
    let mut cluster = cluster;
    for (name, variable, flag, expected) in [
        ("file", None, None, 413),
        ("variable", Some("20B"), None, 200),
        ("flag", Some("10B"), Some("--max-body=20B"), 200),
    ] {
        let mut options = Options::with(&[&config, "--cluster", name]);
        options
            .variables
            .extend(variable.map(|v| ("SLUICE_MAX_BODY".to_owned(), v.to_owned())));
        options.arguments.extend(flag.map(str::to_owned));
        let place = cluster.add_to(name, name, options).await;
        cluster
            .node(place)
            .until("the node leads", |status| status["role"] == "leader")
            .await;
        let (status, body) = cluster.node(place).log("fifteen bytes !").await;
        assert_eq!(status, expected, "{name}: {body}");
    }
}

#[tokio::test]
async fn half_a_certificate_is_refused_wherever_it_is_set() {
    let cluster = Cluster::empty(Consul::start().await, &[]);
    let file = cluster.folder.path().join("sluice.toml");
    std::fs::write(&file, "tls-cert = \"/nowhere/cert.pem\"\n").unwrap();
    let config = format!("--config={}", file.display());
    for arguments in [vec![config.as_str()], vec!["--tls-key", "/nowhere/key.pem"]] {
        let mut process = cluster.spawn("a", Options::with(&arguments));
        assert_eq!(process.wait(SOON).await.code(), Some(1));
        assert!(
            process.stderr().contains("go together"),
            "{}",
            process.stderr()
        );
    }
}
