//! Which stream a request is for.

use reqwest::Client;
use reqwest::redirect::Policy;
use serde_json::Value;

use super::all_written;
use super::requests::requests;
use crate::support::Cluster;

/// One that does not exist.
const OTHER: (&str, &str) = ("sluice-stream", "audit");

/// The address of a node with a stream before the path.
fn of_stream(node: &str, stream: &str) -> String {
    format!("{node}/streams/{stream}")
}

#[tokio::test]
async fn every_route_for_records_takes_the_name_of_a_stream() {
    let cluster = Cluster::start(2, &["--follower", "forward"]).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    for (place, mark) in [(leader, "to-the-leader"), (follower, "to-a-follower")] {
        let named = of_stream(&cluster.node(place).address, "default");
        let requests = requests(mark);
        for request in &requests {
            let answer = request.send(&cluster.http, &named).await;
            let (status, name) = (answer.status(), request.name);
            let body = answer.text().await.unwrap();
            assert_eq!(status, request.taken, "{name}, {mark}: {body}");
        }
        all_written(&cluster, &requests, mark).await;
        let sent = cluster.http.post(format!("http://{named}/api/v1/log"));
        let sent = sent
            .header("sluice-stream", "default")
            .body(format!("native-{mark}"));
        assert_eq!(sent.send().await.unwrap().status(), 200, "{mark}");
        let native = format!("native-{mark}\n");
        assert_eq!(cluster.output().matches(&native).count(), 1, "{mark}");
    }
}

#[tokio::test]
async fn nothing_for_an_unknown_stream_goes_to_another() {
    let cluster = Cluster::start(2, &[]).await;
    for place in [cluster.leader().await, cluster.follower().await] {
        let address = cluster.node(place).address.as_str();
        let named = of_stream(address, "audit");
        for request in requests("astray") {
            let by_path = request.send(&cluster.http, &named).await;
            let by_header = request.try_send(&cluster.http, address, Some(OTHER)).await;
            for answer in [by_path, by_header.unwrap()] {
                assert_eq!(answer.status(), 404, "{}", request.name);
                let text = answer.text().await.unwrap();
                let name = request.name;
                assert!(
                    text.contains("no stream") && text.contains("audit"),
                    "{name}: {text}"
                );
            }
        }
        for path in ["/api/v1/log", "/api/v1/logs"] {
            let url = format!("http://{named}{path}");
            let answer = cluster.http.post(url).body("astray").send().await.unwrap();
            assert_eq!(answer.status(), 404, "{path}");
        }
        let by_both = cluster.http.post(format!("http://{named}/api/v1/log"));
        let by_both = by_both.header("sluice-stream", "default");
        let twice = cluster.http.post(format!("http://{address}/api/v1/log"));
        let twice = twice
            .header("sluice-stream", "default")
            .header(OTHER.0, OTHER.1);
        for two in [by_both, twice] {
            let answer = two.body("astray").send().await.unwrap();
            assert_eq!(answer.status(), 400);
            let text = answer.text().await.unwrap();
            assert!(text.contains("audit") && text.contains("default"), "{text}");
        }
        for path in ["/api/v1/tail", "/api/v1/history", "/api/v1/status"] {
            let read = cluster.http.get(format!("http://{address}{path}"));
            let answer = read.header(OTHER.0, OTHER.1).send().await.unwrap();
            assert_eq!(answer.status(), 404, "{path}");
        }
        let page = cluster.http.get(format!("http://{named}/"));
        let page = page.header("accept", "text/html").send().await.unwrap();
        assert_eq!(page.status(), 404, "a browser is led nowhere else");
    }
    let (status, text) = cluster.node(0).post("/api/v1/log", "", "the last").await;
    assert!(status == 200 || status == 307, "{text}");
    assert!(!cluster.output().contains("astray"));
}

#[tokio::test]
async fn a_node_says_which_streams_there_are_and_who_leads_them() {
    let cluster = Cluster::start(2, &[]).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let get = async |place: usize, path: &str| -> (u16, Value) {
        let url = cluster.node(place).url(path);
        let answer = cluster.http.get(url).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    };
    for place in [leader, follower] {
        let (status, listed) = get(place, "/api/v1/streams").await;
        assert_eq!(status, 200);
        let streams = listed["streams"].as_array().unwrap();
        assert_eq!(streams.len(), 1, "{listed}");
        assert_eq!(streams[0]["name"], "default");
        let (status, own) = get(place, "/api/v1/status").await;
        assert_eq!((status, &own["leader"]), (200, &streams[0]["leader"]));
        assert_eq!(own["role"], streams[0]["role"]);
        let (status, named) = get(place, "/streams/default/api/v1/status").await;
        assert_eq!((status, &named["role"]), (200, &own["role"]));
        for other in [
            "/streams/audit/api/v1/status",
            "/streams/default/metrics",
            "/streams/x",
        ] {
            assert_eq!(get(place, other).await.0, 404, "{other}");
        }
    }
}

#[tokio::test]
async fn a_redirect_keeps_the_stream_of_the_path() {
    let cluster = Cluster::start(2, &[]).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let http = Client::builder().redirect(Policy::none()).build().unwrap();
    let path = "/streams/default/api/v1/logs?a=b";
    let asked = http.post(cluster.node(follower).url(path));
    let answer = asked.header("content-type", "text/plain").body("x").send();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 307);
    assert_eq!(
        answer.headers()["location"],
        cluster.node(leader).url(path).as_str()
    );
}
