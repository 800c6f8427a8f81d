//! How a stream begins and ends.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::key_of;
use crate::support::{Cluster, Options, SOON, eventually, guest};

/// Enough for a node to have noticed, had there been something to notice.
const A_WHILE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_key_makes_a_stream_on_every_node_and_its_deletion_ends_it() {
    let cluster = Cluster::on_consul(3, &[]).await;
    cluster.leader().await;
    let began = Instant::now();
    cluster.create("audit", "builtin:stdout").await;
    cluster.leads("audit", SOON).await;
    // Not a bound of the test: machines may be busy.
    println!("led everywhere after {:?}", began.elapsed());
    for place in 0..3 {
        let (status, text) = cluster
            .send_to(place, "audit", &format!("audited-{place}"))
            .await;
        assert_eq!(status, 200, "{text}");
    }
    let output = cluster.output();
    for place in 0..3 {
        let line = format!("audited-{place}\n");
        assert_eq!(output.matches(&line).count(), 1, "{output}");
    }
    // One counter gives the epochs of all streams.
    let of = async |stream| cluster.stream_at(0, stream).await.unwrap()["epoch"].clone();
    assert_eq!(of("audit").await, of("default").await);
    cluster.consul.delete(&key_of("audit")).await;
    for place in 0..3 {
        cluster.is_gone(place, "audit").await;
    }
    let closed = async || cluster.consul.key("sluice/run/audit/leader").await;
    eventually("the lock is free", SOON, || async {
        match closed().await {
            Ok(key) if key.get("Session").is_none() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    // It would alarm for ever.
    let stalled = "sluice_delivery_stalled_seconds{stream=\"audit\"} ";
    for node in &cluster.nodes {
        eventually("its metrics are gone", SOON, || async {
            node.sample(stalled).await.map_or(Ok(()), Err)
        })
        .await;
    }
    // It can come back.
    cluster.create("audit", "builtin:stdout").await;
    cluster.is_taken(0, "audit", "again").await;
    assert_eq!(
        cluster.node(0).sample(stalled).await.as_deref(),
        Some("0.0")
    );
    cluster.acknowledged("to the default one").await;
}

#[tokio::test]
async fn a_stream_without_a_sink_gives_its_records_to_no_other() {
    let cluster = Cluster::on_consul(2, &[]).await;
    cluster.leader().await;
    cluster.create("audit", "file:///no/such/file.wasm").await;
    eventually("the nodes have it", SOON, || async {
        cluster
            .stream_at(0, "audit")
            .await
            .ok_or("not yet".to_owned())
    })
    .await;
    let (status, text) = cluster.send_to(0, "audit", "astray").await;
    assert_eq!(status, 503, "{text}");
    cluster.create("audit", "builtin:stdout").await;
    cluster.is_taken(0, "audit", "home").await;
    assert!(!cluster.output().contains("astray"));
}

#[tokio::test]
async fn a_consul_that_has_lost_its_state_closes_no_stream() {
    let cluster = Cluster::on_consul(1, &[]).await;
    cluster.leader().await;
    cluster.create("audit", "builtin:stdout").await;
    cluster.is_taken(0, "audit", "before").await;
    cluster.consul.delete("kv/sluice?recurse").await;
    tokio::time::sleep(A_WHILE).await;
    cluster.is_taken(0, "audit", "after").await;
    assert!(cluster.stream_at(0, "audit").await.is_some());
}

#[tokio::test]
async fn a_node_remembers_its_streams() {
    let mut cluster = Cluster::on_consul(1, &[]).await;
    cluster.leader().await;
    cluster.create("audit", "builtin:stdout").await;
    cluster.is_taken(0, "audit", "before").await;
    let name = cluster.node(0).name.clone();
    cluster.nodes[0].process.kill();
    cluster.consul.delete("kv/sluice?recurse").await;
    let back = cluster.add_with(&name, Options::default()).await;
    cluster.is_taken(back, "audit", "after").await;
}

#[tokio::test]
async fn a_node_that_was_away_learns_that_a_stream_was_closed() {
    let mut cluster = Cluster::on_consul(2, &[]).await;
    cluster.leader().await;
    cluster.create("audit", "builtin:stdout").await;
    cluster.leads("audit", SOON).await;
    let away = cluster.follower().await;
    let name = cluster.node(away).name.clone();
    cluster.nodes[away].process.kill();
    let stays = 1 - away;
    cluster.is_taken(stays, "audit", "while one is away").await;
    cluster.consul.delete(&key_of("audit")).await;
    cluster.is_closing(stays, "audit").await;
    let back = cluster.add_with(&name, Options::default()).await;
    cluster.is_gone(back, "audit").await;
}

#[tokio::test]
async fn an_emptied_consul_closes_none_of_many_streams_on_any_node() {
    const STREAMS: usize = 24;
    let cluster = Cluster::on_consul(3, &[]).await;
    cluster.leader().await;
    let names: Vec<_> = (0..STREAMS).map(|number| format!("s{number}")).collect();
    for name in &names {
        cluster.create(name, "builtin:stdout").await;
    }
    for name in &names {
        cluster.leads(name, SOON).await;
    }
    cluster.consul.delete("kv/sluice?recurse").await;
    // Elections create the counter of epochs again.
    for (number, name) in names.iter().enumerate() {
        cluster.is_taken(number % 3, name, "after").await;
    }
    tokio::time::sleep(A_WHILE).await;
    for place in 0..3 {
        for name in &names {
            assert!(
                cluster.stream_at(place, name).await.is_some(),
                "{name} is not at {place} any more"
            );
        }
    }
    // Those that are there again can be closed.
    cluster.create("s0", "builtin:stdout").await;
    cluster.is_taken(0, "s0", "again").await;
    cluster.consul.delete(&key_of("s0")).await;
    for place in 0..3 {
        cluster.is_gone(place, "s0").await;
    }
}

#[tokio::test]
async fn a_note_of_an_earlier_life_closes_no_stream() {
    let mut cluster = Cluster::on_consul(1, &[]).await;
    cluster.leader().await;
    cluster.create("audit", "builtin:stdout").await;
    cluster.is_taken(0, "audit", "first").await;
    cluster.consul.delete(&key_of("audit")).await;
    eventually("that is noted", SOON, || async {
        match cluster.consul.key("sluice/run/audit/closed").await {
            Ok(key) if key.is_object() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    cluster.create("audit", "builtin:stdout").await;
    cluster.is_taken(0, "audit", "second").await;
    let name = cluster.node(0).name.clone();
    cluster.nodes[0].process.kill();
    // No node sees that.
    cluster.consul.delete(&key_of("audit")).await;
    let back = cluster.add_with(&name, Options::default()).await;
    tokio::time::sleep(A_WHILE).await;
    cluster.is_taken(back, "audit", "third").await;
}

#[tokio::test]
async fn a_stream_that_is_back_before_it_is_closed_is_only_busy() {
    let file = guest("misbehave");
    let folder = file.parent().unwrap().display().to_string();
    let drain = Duration::from_secs(10);
    let arguments = ["--plugin-dir", &folder, "--drain-timeout", "10s"];
    let cluster = Cluster::on_consul(1, &arguments).await;
    let stuck = json!({"source": format!("file://{}", file.display()), "config": "always stuck"});
    cluster.create("audit", &stuck.to_string()).await;
    cluster.leads("audit", SOON).await;
    let waits = cluster.send_to(0, "audit", "stuck");
    let test = async {
        cluster.has_waiting(0, "audit").await;
        cluster.consul.delete(&key_of("audit")).await;
        cluster.is_closing(0, "audit").await;
        let began = Instant::now();
        cluster.create("audit", "builtin:stdout").await;
        let busy = async || cluster.send_to(0, "audit", "again").await;
        eventually("it is busy", drain / 2, || async {
            match busy().await {
                (503, _) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        loop {
            match busy().await {
                (503, _) => tokio::time::sleep(Duration::from_millis(20)).await,
                (200, _) => break,
                other => panic!("{other:?} after {:?}", began.elapsed()),
            }
            assert!(began.elapsed() < drain + SOON, "it does not come back");
        }
    };
    tokio::join!(waits, test);
}

#[tokio::test]
async fn a_node_takes_part_in_no_more_streams_than_it_may() {
    let of_three = ["--max-streams", "3"];
    let mut cluster = Cluster::on_consul(0, &[]).await;
    cluster.add_with("a", Options::with(&of_three)).await;
    for stream in ["s1", "s2"] {
        cluster.create(stream, "builtin:stdout").await;
        cluster.is_taken(0, stream, "before").await;
    }
    cluster.create("s3", "builtin:stdout").await;
    cluster.is_beyond_the_bound("s3").await;
    // One that goes makes room.
    cluster.consul.delete(&key_of("s1")).await;
    cluster.is_taken(0, "s3", "in its place").await;
    // What a node remembers counts as well.
    cluster.nodes[0].process.terminate().await;
    cluster.nodes.clear();
    let of_two = ["--max-streams", "2"];
    cluster.add_with("a", Options::with(&of_two)).await;
    cluster.is_taken(0, "s2", "again").await;
    cluster.is_beyond_the_bound("s3").await;
    assert!(cluster.stream_at(0, "s3").await.is_none());
}

impl Cluster {
    /// Waits until the only node says that a stream is beyond the bound of its streams.
    async fn is_beyond_the_bound(&self, stream: &str) {
        eventually("it is one too many", SOON, || async {
            match self.send_to(0, stream, "refused").await {
                (503, text) if text.contains("--max-streams") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn names_are_unknown_only_once_consul_has_said_which_there_are() {
    let mut cluster = Cluster::on_consul(0, &[]).await;
    cluster.consul.stop();
    let process = cluster.spawn("a", Options::default());
    let address = cluster.served_by(&process).await;
    let url = format!("http://{address}/streams/audit/api/v1/log");
    let http = cluster.http.clone();
    let asked = async || {
        let answer = http.post(&url).body("early").send().await;
        answer.unwrap().status().as_u16()
    };
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(asked().await, 503);
    cluster.consul.restart().await;
    eventually("it is unknown", SOON, || async {
        match asked().await {
            404 => Ok(()),
            503 => Err("503".to_owned()),
            other => panic!("{other}"),
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_drains_holds_up_no_other_when_its_node_stops() {
    let file = guest("misbehave");
    let folder = file.parent().unwrap().display().to_string();
    let limits = ["--drain-timeout", "60s", "--request-timeout", "90s"];
    let arguments = [&["--plugin-dir", folder.as_str()][..], &limits].concat();
    let mut cluster = Cluster::on_consul(2, &arguments).await;
    let source = format!("file://{}", file.display());
    let stuck = json!({"source": source, "config": "always stuck", "pin": "a"});
    let other = json!({"source": "builtin:stdout", "pin": "a"});
    cluster.create("audit", &stuck.to_string()).await;
    cluster.create("other", &other.to_string()).await;
    for stream in ["audit", "other"] {
        eventually("a leads it", SOON, || async {
            match cluster.leads(stream, SOON).await {
                0 => Ok(()),
                place => Err(format!("{place} leads {stream}")),
            }
        })
        .await;
    }
    let (http, url) = (cluster.http.clone(), cluster.node(0).url(""));
    let waits = tokio::spawn(async move {
        let url = format!("{url}/streams/audit/api/v1/log");
        http.post(url).body("stuck").send().await.is_ok()
    });
    cluster.has_waiting(0, "audit").await;
    cluster.nodes[0].process.signal(Signal::TERM);
    eventually("b takes it", SOON, || async {
        match cluster.send_to(1, "other", "meanwhile").await {
            (200, _) => Ok(()),
            answer => Err(format!("{answer:?}")),
        }
    })
    .await;
    assert!(!cluster.nodes[0].process.has_ended(), "audit still drains");
    waits.abort();
}
