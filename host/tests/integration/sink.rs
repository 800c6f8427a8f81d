//! A sink that misbehaves does not harm its node.

use std::io::Read;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Cluster, Consul, Node, Options, SOON, eventually, guest, sluice};

async fn misbehaving(arguments: &[&str]) -> Cluster {
    let file = guest("misbehave");
    let (plugin, folder) = (
        format!("file://{}", file.display()),
        file.parent().unwrap().display().to_string(),
    );
    let own = ["--plugin", &plugin, "--plugin-dir", &folder];
    Cluster::start(1, &[&own, arguments].concat()).await
}

/// Sends a message that breaks the sink, and returns the node's verdict on it.
pub(crate) async fn verdict(node: &Node, text: &str) -> (u16, String) {
    beside_others(node, node.log(text)).await
}

/// Sends good messages until `what` is done: the node blames a message for a
/// broken sink only once the sink has taken another one.
pub(crate) async fn beside_others<T>(node: &Node, what: impl Future<Output = T>) -> T {
    let mut what = Box::pin(what);
    loop {
        tokio::select! {
            done = &mut what => return done,
            (status, body) = async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                node.log("another").await
            } => assert_eq!(status, 200, "{body}"),
        }
    }
}

#[tokio::test]
async fn a_record_that_traps_is_set_aside_and_the_node_lives_on() {
    let cluster = misbehaving(&[]).await;
    let node = cluster.node(0);
    assert_eq!(node.log("before").await.0, 200);
    let (status, body) = verdict(node, "trap").await;
    assert_eq!(status, 422, "{body}");
    assert!(
        body.contains("trapped") && body.contains("dead letter 1-2"),
        "{body}"
    );
    assert_eq!(node.log("after").await.0, 200);
    node.wrote(" after attempt 1").await;
    node.guest_said("a panic in the guest").await;
    let status = node.status().await.unwrap();
    assert_eq!(status["role"], "leader");
    assert_eq!(status["counters"]["dead_lettered"], 1, "{status}");
}

#[tokio::test]
async fn neighbours_of_a_trap_are_delivered() {
    let cluster = misbehaving(&[]).await;
    let node = cluster.node(0);
    let neighbours = async {
        node.until("the slow one is written", |s| s["queue"]["records"] == 1)
            .await;
        // Meanwhile these gather in one batch.
        let texts = ["one", "trap", "two", "three"];
        let send = |text| async move { (text, node.log(text).await) };
        let answers = futures_util::future::join_all(texts.map(send));
        beside_others(node, answers).await
    };
    let (slow, answers) = tokio::join!(node.log("slow"), neighbours);
    assert_eq!(slow.0, 200, "{}", slow.1);
    for (text, (status, body)) in answers {
        let expected = if text == "trap" { 422 } else { 200 };
        assert_eq!(status, expected, "{text}: {body}");
    }
}

#[tokio::test]
async fn of_many_messages_only_those_that_trap_are_rejected() {
    let cluster = misbehaving(&[]).await;
    let node = cluster.node(0);
    let body = "one\ntrap\ntwo\ntrap\nthree\n";
    let (status, body) = node.post("/api/v1/logs", "text/plain", body).await;
    assert_eq!(status, 200, "{body}");
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["accepted"], 3, "{answer}");
    let rejected = answer["rejected"].as_array().unwrap();
    let places: Vec<_> = rejected.iter().map(|r| r["index"].as_u64()).collect();
    assert_eq!(places, [Some(1), Some(3)]);
    assert!(
        rejected[0]["reason"]
            .as_str()
            .unwrap()
            .contains("dead letter 1-2"),
        "{answer}"
    );
    let output = node.process.stdout();
    let place = |text| {
        output
            .find(text)
            .unwrap_or_else(|| panic!("{text}: {output}"))
    };
    assert!(place(" one ") < place(" two ") && place(" two ") < place(" three "));
}

#[tokio::test]
async fn a_sink_that_breaks_on_everything_costs_no_record() {
    let mut cluster = Cluster::empty(Consul::start().await, &["--request-timeout", "4s"]);
    let file = guest("misbehave");
    let folder = file.parent().unwrap().display().to_string();
    let manifest = format!(
        r#"{{"source":"file://{}","config":"always trapping"}}"#,
        file.display()
    );
    cluster
        .add_with(
            "a",
            Options::with(&["--plugin", &manifest, "--plugin-dir", &folder]),
        )
        .await;
    cluster.leader().await;
    let node = cluster.node(0);
    let texts = ["one", "two", "three", "four"];
    let answers = futures_util::future::join_all(texts.map(|text| node.log(text)));
    for (status, body) in answers.await {
        assert_eq!(status, 504, "{body}");
    }
    let status = node.status().await.unwrap();
    assert_eq!(status["counters"]["dead_lettered"], 0, "{status}");
    node.until("the queue is empty", |status| {
        status["queue"]["records"] == 0
    })
    .await;
    // With a sink that works, the node recovers.
    cluster
        .consul
        .put("kv/sluice/plugin", "builtin:stdout")
        .await;
    node.until("the other sink runs", |status| {
        status["plugin"]["active"]["source"] == "builtin:stdout"
            && status["plugin"]["active"]["state"] == "running"
    })
    .await;
    assert_eq!(node.log("after").await.0, 200);
}

#[tokio::test]
async fn a_guest_that_spins_is_stopped_and_the_node_answers_meanwhile() {
    let file = guest("misbehave");
    let folder = file.parent().unwrap().display().to_string();
    let limits = r#"{"write_timeout_ms":1000}"#;
    let manifest = format!(
        r#"{{"source":"file://{}","limits":{limits}}}"#,
        file.display()
    );
    let cluster = Cluster::start(1, &["--plugin", &manifest, "--plugin-dir", &folder]).await;
    let node = cluster.node(0);
    let spinning = node.log("spin");
    let watching = async {
        node.until("the sink is busy", |status| status["queue"]["records"] == 1)
            .await;
        for path in ["/healthz", "/readyz", "/metrics"] {
            let answer = cluster.http.get(node.url(path)).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{path}");
        }
        node.log("after").await
    };
    let (answer, after) = tokio::join!(spinning, watching);
    assert_eq!(after.0, 200, "{}", after.1);
    assert_eq!(answer.0, 422, "{}", answer.1);
    assert!(answer.1.contains("computing"), "{}", answer.1);
    assert!(node.refused("time").await > 0);
    assert_eq!(node.status().await.unwrap()["epoch"], 1, "it still leads");
}

#[tokio::test]
async fn a_sink_that_was_long_to_open_is_not_written_to_without_a_lease() {
    let file = guest("misbehave");
    let folder = file.parent().unwrap().display().to_string();
    let source = format!("file://{}", file.display());
    let manifest = json!({"source": source, "config": "very slow to open"}).to_string();
    let arguments = ["--plugin", &manifest, "--plugin-dir", &folder];
    let cluster = Cluster::on_consul(1, &[&arguments[..], &["--lease", "300ms"]].concat()).await;
    let node = cluster.node(0);
    assert_eq!(node.log("before").await.0, 200);
    let outage = async {
        eventually("the instance broke", SOON, || async {
            match node.metric("sluice_sink_restarts_total").await {
                1 => Ok(()),
                count => Err(format!("{count} have")),
            }
        })
        .await;
        cluster.consul.signal(Signal::STOP);
        node.until("the lease runs out", |status| status["role"] == "suspended")
            .await;
        // The guest takes 2.5 s to open, so it is open by then.
        tokio::time::sleep(Duration::from_millis(3500)).await;
        let broken = node.metric("sluice_sink_restarts_total").await;
        cluster.consul.signal(Signal::CONT);
        assert_eq!(broken, 1, "the trap was offered again meanwhile");
    };
    let ((status, body), after) = tokio::join!(node.log("trap"), async {
        outage.await;
        node.log("after").await.0
    });
    assert_eq!((status, after), (422, 200), "{body}");
}

#[tokio::test]
async fn a_guest_that_takes_memory_without_end_is_stopped_at_its_limit() {
    let cluster = misbehaving(&["--max-memory", "64MiB"]).await;
    let node = cluster.node(0);
    let (status, body) = verdict(node, "grow").await;
    assert_eq!(status, 422, "{body}");
    assert!(body.contains("memory limit of 64 MiB"), "{body}");
    assert_eq!(node.log("after").await.0, 200);
}

#[tokio::test]
async fn what_is_refused_when_nobody_waits_any_more_is_kept() {
    let cluster = misbehaving(&["--request-timeout", "3s"]).await;
    let node = cluster.node(0);
    // It is offered after the slow one, and then takes so long that its request
    // times out.
    let (slow, late) = tokio::join!(node.log("slow"), async {
        node.until("the slow one is written", |s| s["queue"]["records"] == 1)
            .await;
        node.log("refuse late").await
    });
    assert_eq!((slow.0, late.0), (200, 504), "{}", late.1);
    node.until("the record is kept", |status| {
        status["counters"]["dead_lettered"] == 1
    })
    .await;
    let (code, out, err) = sluice(&cluster, &["dlq", "list", "--json"]).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("\"refuse late\""), "{out}");
}

#[tokio::test]
async fn an_unfinished_line_of_a_trapped_guest_is_ended() {
    let cluster = misbehaving(&[]).await;
    let node = cluster.node(0);
    assert_eq!(verdict(node, "half a line, then trap").await.0, 422);
    assert_eq!(node.log("after").await.0, 200);
    node.wrote("half a line\n").await;
}

#[tokio::test]
async fn single_records_and_whole_batches_can_be_refused() {
    let cluster = misbehaving(&[]).await;
    let node = cluster.node(0);
    let (status, body) = node.log("refuse").await;
    assert_eq!(status, 422, "{body}");
    assert!(body.contains("refused by the sink"), "{body}");
    assert_eq!(node.log("reject all").await.0, 422);
    // If a batch is refused as a whole, only the refused records are rejected.
    let (status, body) = node
        .post("/api/v1/logs", "text/plain", "one\nreject all\ntwo\n")
        .await;
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &answer["accepted"]), (200, &2.into()), "{body}");
    assert_eq!(answer["rejected"][0]["index"], 1, "{body}");
    let (status, body) = node
        .post(
            "/api/v1/logs",
            "text/plain",
            "one\nrefuse\nrefuse for now\ntwo\nrefuse\n",
        )
        .await;
    assert_eq!(status, 200);
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["accepted"], 3, "{answer}");
    let places: Vec<_> = answer["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["index"].as_u64().unwrap())
        .collect();
    assert_eq!(places, [1, 4]);
    node.wrote("refuse for now attempt 2").await;
    let (status, body) = verdict(node, "refuse twice").await;
    assert_eq!(status, 422, "{body}");
    assert!(body.contains("contract"), "{body}");
}

#[tokio::test]
async fn what_is_refused_for_now_is_offered_again() {
    let cluster = misbehaving(&[]).await;
    let node = cluster.node(0);
    assert_eq!(node.log("retry all").await.0, 200);
    node.wrote("retry all attempt 3").await;
    assert!(
        node.status().await.unwrap()["counters"]["retried"]
            .as_u64()
            .unwrap()
            >= 2
    );
}

#[tokio::test]
async fn a_fenced_leader_steps_down() {
    let cluster = misbehaving(&[]).await;
    let node = cluster.node(0);
    let (status, body) = node.log("fence").await;
    assert_eq!(status, 504, "{body}");
    let reason = "the destination knows a later leader";
    assert!(body.contains(reason), "{body}");
    node.until("the node follows", |status| status["role"] == "follower")
        .await;
}

#[tokio::test]
async fn what_a_sink_says_on_stderr_is_in_the_nodes_log() {
    let cluster = misbehaving(&[]).await;
    assert_eq!(cluster.node(0).log("stderr").await.0, 200);
    cluster.node(0).guest_said("a word on stderr").await;
}

#[tokio::test]
async fn a_healthy_sink_is_closed_at_the_end() {
    let mut cluster = misbehaving(&[]).await;
    cluster.nodes[0].process.terminate().await;
    cluster.node(0).wrote("closed").await;
}

#[tokio::test]
async fn a_full_pipe_on_stdout_blocks_nobody_but_its_own_messages() {
    let mut cluster = Cluster::empty(Consul::start().await, &["--request-timeout", "2s"]);
    let (mut reader, writer) = std::io::pipe().unwrap();
    let options = Options {
        stdout: Some(writer.into()),
        ..Options::default()
    };
    cluster.add_with("a", options).await;
    cluster.leader().await;
    let node = cluster.node(0);
    let text = "x".repeat(1 << 20);
    let (status, body) = node.log(&text).await;
    assert_eq!(status, 504, "{body}");
    for path in ["/healthz", "/metrics", "/api/v1/status"] {
        assert_eq!(
            cluster
                .http
                .get(node.url(path))
                .send()
                .await
                .unwrap()
                .status(),
            200,
            "{path}"
        );
    }
    assert_eq!(node.status().await.unwrap()["role"], "leader");
    let drain = std::thread::spawn(move || {
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        String::from_utf8(all).unwrap()
    });
    eventually("messages flow again", SOON, || async {
        let (status, body) = node.log("after").await;
        if status == 200 {
            Ok(())
        } else {
            Err(format!("{status} {body}"))
        }
    })
    .await;
    cluster.nodes[0].process.terminate().await;
    let output = drain.join().unwrap();
    assert!(
        output.ends_with("\nafter\n"),
        "{:?}",
        output.get(output.len().saturating_sub(100)..)
    );
}

#[tokio::test]
async fn a_plugin_that_can_not_be_used_is_explained() {
    let cluster = Cluster::empty(Consul::start().await, &[]);
    let folder = cluster.folder.path();
    std::fs::write(folder.join("text.wasm"), "no component").unwrap();
    std::fs::write(folder.join("module.wasm"), b"\0asm\x01\0\0\0").unwrap();
    let file = |name: &str| format!("file://{}", folder.join(name).display());
    for (plugin, expected) in [
        (file("text.wasm"), "not a WebAssembly component"),
        (file("module.wasm"), "wasm32-wasip2"),
        (file("missing.wasm"), "missing.wasm"),
        ("file:///etc/hostname".to_owned(), "--plugin-dir"),
    ] {
        let mut process = cluster.spawn("a", Options::with(&["--plugin", &plugin]));
        assert_eq!(process.wait(SOON).await.code(), Some(1), "{plugin}");
        assert!(
            process.stderr().contains(expected),
            "{plugin}: {}",
            process.stderr()
        );
        std::fs::remove_file(folder.join("a.err")).unwrap();
    }
}
