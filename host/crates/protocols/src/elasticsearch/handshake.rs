//! What clients ask for before they send documents. Every node answers it by
//! itself.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sluice_types::excerpt::{REASON_CHARS, excerpt};

use super::answer::{error, json, product, quoted};
use crate::answer::Answer;

/// The version that is told if no other is configured. Beats refuse a server that
/// is older than they are.
pub const VERSION: &str = "8.17.0";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// Who the server is.
    Info,
    /// Which licence it has.
    License,
    /// Which features it has.
    XPack,
    /// Whether the cluster is well.
    ClusterHealth,
    /// The same as a line of text.
    CatHealth,
    /// Which other nodes there are to send to. None are told.
    Nodes,
    /// Whether an index, a template, a policy or the like exists: it does, so that
    /// clients do not load their own.
    Exists,
    /// To create such a thing.
    Acknowledged,
    /// To make what was sent visible to searches, as clients ask when they end.
    Refresh,
}

/// Who answers.
#[derive(Clone, Copy, Debug)]
pub struct Server<'a> {
    /// The version of Elasticsearch that it is taken for, such as [`VERSION`].
    pub version: &'a str,
    /// The name of this node.
    pub node: &'a str,
    /// The name of the cluster.
    pub cluster: &'a str,
}

/// The answer to a handshake. The body is to be left out for `HEAD`.
#[must_use]
pub fn answer(handshake: Handshake, server: Server<'_>) -> Answer {
    let cluster = quoted(server.cluster);
    json(
        200,
        match handshake {
            Handshake::Info => info(server),
            Handshake::License => "{\"license\":{\"status\":\"active\",\
                \"uid\":\"00000000-0000-0000-0000-000000000000\",\"type\":\"basic\",\
                \"issued_to\":\"sluice\",\"issuer\":\"elasticsearch\",\
                \"start_date_in_millis\":-1}}"
                .to_owned(),
            Handshake::XPack => "{\"build\":{},\"license\":{\"status\":\"active\",\
                \"type\":\"basic\"},\"features\":{\"ilm\":{\"available\":true,\
                \"enabled\":true}}}"
                .to_owned(),
            Handshake::ClusterHealth => format!(
                "{{\"cluster_name\":{cluster},\"status\":\"green\",\"timed_out\":false,\
                 \"number_of_nodes\":1,\"number_of_data_nodes\":1}}"
            ),
            Handshake::CatHealth => {
                let cluster = server.cluster;
                let line = format!("0 00:00:00 {cluster} green 1 1 0 0 0 0 0 0 - 100.0%\n");
                return product(Answer::new(200, "text/plain; charset=UTF-8", line));
            }
            Handshake::Nodes => format!(
                "{{\"_nodes\":{{\"total\":1,\"successful\":1,\"failed\":0}},\
                 \"cluster_name\":{cluster},\"nodes\":{{}}}}"
            ),
            Handshake::Exists => "{}".to_owned(),
            Handshake::Acknowledged => "{\"acknowledged\":true}".to_owned(),
            Handshake::Refresh => {
                "{\"_shards\":{\"total\":1,\"successful\":1,\"failed\":0}}".to_owned()
            }
        },
    )
}

/// The answer to a request for what is not known here.
#[must_use]
pub fn not_found(method: &str, path: &str) -> Answer {
    let reason = format!("there is no {method} {path} here");
    let reason = excerpt(&reason, REASON_CHARS);
    error(404, "resource_not_found_exception", &reason)
}

fn info(server: Server<'_>) -> String {
    format!(
        "{{\"name\":{},\"cluster_name\":{},\"cluster_uuid\":\"{}\",\"version\":{{\
         \"number\":{},\"build_flavor\":\"default\",\"build_type\":\"tar\",\
         \"build_hash\":\"0\",\"build_date\":\"2026-01-01T00:00:00.000Z\",\
         \"build_snapshot\":false,\"lucene_version\":\"9.12.0\",\
         \"minimum_wire_compatibility_version\":\"7.17.0\",\
         \"minimum_index_compatibility_version\":\"7.0.0\"}},\
         \"tagline\":\"You Know, for Search\"}}",
        quoted(server.node),
        quoted(server.cluster),
        uuid(server.cluster),
        quoted(server.version)
    )
}

/// A cluster's id of 22 characters, the same on all of its nodes: two FNV-1a hashes
/// of its name.
fn uuid(cluster: &str) -> String {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    let first = cluster.bytes().fold(OFFSET, step);
    let second = cluster.bytes().fold(first, step);
    let both = u128::from(first) << 64 | u128::from(second);
    URL_SAFE_NO_PAD.encode(both.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const SERVER: Server<'_> = Server {
        version: VERSION,
        node: "node \"1\"",
        cluster: "sluice",
    };

    fn body(handshake: Handshake) -> Value {
        let answer = answer(handshake, SERVER);
        assert_eq!(answer.content_type, "application/json");
        serde_json::from_slice(&answer.body).unwrap()
    }

    #[test]
    fn every_answer_says_whose_it_is() {
        let product = [("x-elastic-product", "Elasticsearch".to_owned())];
        for handshake in [
            Handshake::Info,
            Handshake::License,
            Handshake::XPack,
            Handshake::ClusterHealth,
            Handshake::CatHealth,
            Handshake::Nodes,
            Handshake::Exists,
            Handshake::Acknowledged,
        ] {
            let answer = answer(handshake, SERVER);
            assert_eq!((answer.status, &answer.headers[..]), (200, &product[..]));
            assert!(!answer.body.is_empty());
        }
        let answer = not_found("GET", &"/x\"".repeat(1 << 20));
        assert_eq!((answer.status, &answer.headers[..]), (404, &product[..]));
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["error"]["type"], "resource_not_found_exception");
        assert!(answer.body.len() < 1000);
    }

    #[test]
    fn the_server_is_who_it_is_configured_to_be() {
        let info = body(Handshake::Info);
        assert_eq!(info["name"], "node \"1\"");
        assert_eq!(info["cluster_name"], "sluice");
        assert_eq!(info["version"]["number"], VERSION);
        assert_eq!(info["cluster_uuid"].as_str().map(str::len), Some(22));
        assert_ne!(info["cluster_uuid"].as_str(), Some(&*uuid("another")));
        assert_eq!(body(Handshake::ClusterHealth)["status"], "green");
        assert_eq!(body(Handshake::Nodes)["cluster_name"], "sluice");
        let health = answer(Handshake::CatHealth, SERVER);
        assert!(health.body.ends_with(b"100.0%\n"));
    }

    #[test]
    fn clients_find_what_they_look_for() {
        // Filebeat and Logstash.
        assert_eq!(body(Handshake::License)["license"]["status"], "active");
        assert_eq!(body(Handshake::XPack)["features"]["ilm"]["enabled"], true);
        assert_eq!(body(Handshake::Acknowledged)["acknowledged"], true);
        assert_eq!(body(Handshake::Exists), serde_json::json!({}));
    }
}
