//! Listeners whose address names a stream, and what is apart between streams.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::key_of;
use crate::listeners::doors::datagram;
use crate::listeners::forward_message;
use crate::listeners::relp::Relp;
use crate::support::{Cluster, Options, Port, SOON, eventually, sluice};

/// Syslog, RELP and Forward.
struct Doors([Port; 3]);

impl Doors {
    fn address(&self, place: usize) -> String {
        format!("127.0.0.1:{}", self.0[place].number)
    }

    fn flags(&self, stream: &str) -> Vec<String> {
        let [syslog, relp, forward] = [0, 1, 2].map(|place| self.address(place));
        vec![
            "--syslog-listen".to_owned(),
            format!("tcp://{syslog}?stream={stream},udp://{syslog}?stream={stream}"),
            "--relp-listen".to_owned(),
            format!("{relp}?stream={stream}"),
            "--forward-listen".to_owned(),
            format!("tcp://{forward}?stream={stream}"),
        ]
    }
}

async fn cluster() -> (Cluster, Vec<Doors>) {
    let mut cluster = Cluster::on_consul(0, &[]).await;
    let mut doors = Vec::new();
    for name in ["a", "b"] {
        let own = Doors(Port::claim_row());
        let options = Options {
            arguments: own.flags("audit"),
            ..Options::default()
        };
        cluster.add_with(name, options).await;
        doors.push(own);
    }
    cluster.leader().await;
    (cluster, doors)
}

/// Waits until the sum of a metric over all nodes is this.
async fn counts(cluster: &Cluster, sample: &str, expected: u64) {
    eventually(&format!("{sample} is {expected}"), SOON, || async {
        match sum(cluster, sample).await {
            found if found == expected => Ok(()),
            found => Err(found.to_string()),
        }
    })
    .await;
}

async fn sum(cluster: &Cluster, sample: &str) -> u64 {
    let mut sum = 0;
    for node in &cluster.nodes {
        let answer = cluster.http.get(node.url("/metrics")).send().await.unwrap();
        let text = answer.text().await.unwrap();
        let values = text.lines().filter_map(|line| line.strip_prefix(sample));
        sum += values
            .map(|value| value.trim().parse::<u64>().unwrap())
            .sum::<u64>();
    }
    sum
}

async fn syslog(to: &str, text: &str) {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let message = format!("<14>1 - host app - - - {text}\n");
    stream.write_all(message.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn what_listeners_receive_goes_to_the_stream_of_their_address() {
    let (cluster, doors) = cluster().await;
    cluster.create("audit", "builtin:stdout").await;
    cluster.leads("audit", SOON).await;
    for (place, doors) in doors.iter().enumerate() {
        let [to_syslog, to_relp, to_forward] = [0, 1, 2].map(|door| doors.address(door));
        syslog(&to_syslog, &format!("tcp-{place}")).await;
        datagram(
            &to_syslog,
            format!("<14>1 - host app - - - udp-{place}").as_bytes(),
        );
        let mut relp = Relp::open(&to_relp).await.unwrap();
        relp.send(&format!("relp-{place}")).await.unwrap();
        assert_eq!(relp.answered().await, Some(format!("relp-{place}")));
        let mut forward = TcpStream::connect(&to_forward).await.unwrap();
        let message = forward_message(&format!("forward-{place}"), "c1");
        forward.write_all(&message).await.unwrap();
        let mut ack = [0; 8];
        forward.read_exact(&mut ack).await.unwrap();
    }
    let accepted = |stream| format!("sluice_records_accepted_total{{stream=\"{stream}\"}} ");
    counts(&cluster, &accepted("audit"), 8).await;
    assert_eq!(sum(&cluster, &accepted("default")).await, 0);
    let relp =
        "sluice_ingest_records_total{stream=\"audit\",protocol=\"relp\",outcome=\"accepted\"} ";
    counts(&cluster, relp, 2).await;
    eventually("all are written", SOON, || async {
        let output = cluster.output();
        match output.lines().count() {
            8 => Ok(()),
            _ => Err(output),
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_is_not_there_yet_is_waited_for_and_no_other_gets_its_records() {
    let (cluster, doors) = cluster().await;
    let mut relp = Relp::open(&doors[0].address(1)).await.unwrap();
    relp.send("early").await.unwrap();
    let missing = "sluice_listener_no_stream_total{protocol=\"relp\"} ";
    eventually("it is counted", SOON, || async {
        match sum(&cluster, missing).await {
            0 => Err("not yet".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    assert_eq!(cluster.output(), "", "no other stream takes it");
    cluster.create("audit", "builtin:stdout").await;
    assert_eq!(relp.answered().await.as_deref(), Some("early"));
    // It goes, and comes back.
    cluster.consul.delete(&key_of("audit")).await;
    eventually("it is gone", SOON, || async {
        cluster
            .stream_at(0, "audit")
            .await
            .map_or(Ok(()), |stream| Err(stream.to_string()))
    })
    .await;
    let before = sum(&cluster, missing).await;
    relp.send("late").await.unwrap();
    eventually("it is counted again", SOON, || async {
        match sum(&cluster, missing).await > before {
            true => Ok(()),
            false => Err("not yet".to_owned()),
        }
    })
    .await;
    cluster.create("audit", "builtin:stdout").await;
    assert_eq!(relp.answered().await.as_deref(), Some("late"));
    // Another node may lead the second time.
    let output = cluster.output();
    for text in ["early\n", "late\n"] {
        assert_eq!(output.matches(text).count(), 1, "{output}");
    }
}

#[tokio::test]
async fn a_name_that_no_stream_can_have_is_refused_at_the_start() {
    let cluster = Cluster::on_consul(0, &[]).await;
    for flag in ["--syslog-listen", "--relp-listen", "--forward-listen"] {
        let arguments = ["node", flag, "tcp://127.0.0.1:0?stream=Audit"];
        let (code, _, said) = sluice(&cluster, &arguments).await;
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(flag), "{said}");
        assert!(said.contains("a stream's name has 1 to 40"), "{said}");
    }
}

#[tokio::test]
async fn a_message_with_the_same_id_is_new_to_another_stream() {
    let cluster = Cluster::on_consul(1, &[]).await;
    cluster.leader().await;
    cluster.create("audit", "builtin:stdout").await;
    cluster.leads("audit", SOON).await;
    let send = async |stream: &str| {
        let url = cluster
            .node(0)
            .url(&format!("/streams/{stream}/api/v1/log"));
        let request = cluster.http.post(url).header("sluice-message-id", "m1");
        let answer = request.body("the same").send().await.unwrap();
        assert_eq!(answer.status(), 200);
    };
    for stream in ["default", "audit", "default", "audit"] {
        send(stream).await;
    }
    assert_eq!(cluster.output(), "the same\nthe same\n");
}
