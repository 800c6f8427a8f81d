//! Services: registering, finding and watching them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::subject::{Reply, Subject};
use crate::support::{SOON, eventually};

on_both!(
    a_service_is_shown_by_the_catalog,
    a_service_is_shown_by_its_agent_and_with_its_checks,
    a_service_that_is_not_there,
    instances_come_and_go,
    who_is_here,
);

impl Subject {
    async fn registers(&self, service: Value) {
        let reply = self
            .put("/v1/agent/service/register", service.to_string())
            .await;
        reply.says(200, "");
        let (id, name) = (&service["ID"], service["Name"].as_str().unwrap());
        eventually("the catalog has the service", SOON, || async {
            let known = self
                .get(&format!("/v1/catalog/service/{name}"))
                .await
                .json();
            match known
                .as_array()
                .unwrap()
                .iter()
                .any(|known| known["ServiceID"] == *id)
            {
                true => Ok(()),
                false => Err(known.to_string()),
            }
        })
        .await;
    }
}

#[track_caller]
fn is_of_catalog(reply: &Reply) {
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.index() >= 1);
    assert_eq!(reply.header("X-Consul-KnownLeader"), Some("true"));
    assert_eq!(
        reply.header("X-Consul-Effective-Consistency"),
        Some("leader")
    );
}

fn full_service() -> Value {
    json!({
        "ID": "s-1", "Name": "s", "Address": "127.0.0.9", "Port": 3000, "Tags": ["leader", "x"],
        "Meta": { "k": "v" },
    })
}

/// How the catalog shows its address.
fn addresses() -> Value {
    json!({
        "lan_ipv4": { "Address": "127.0.0.9", "Port": 3000 },
        "wan_ipv4": { "Address": "127.0.0.9", "Port": 3000 },
    })
}

async fn a_service_is_shown_by_the_catalog(it: Subject) {
    let node = it.node().await;
    it.registers(full_service()).await;
    let reply = it.get("/v1/catalog/service/s").await;
    is_of_catalog(&reply);
    let service = &reply.json()[0];
    for (field, value) in [
        ("Node", json!(node)),
        ("Datacenter", json!("dc1")),
        ("ServiceID", json!("s-1")),
        ("ServiceName", json!("s")),
        ("ServiceAddress", json!("127.0.0.9")),
        ("ServicePort", json!(3000)),
        ("ServiceTags", json!(["leader", "x"])),
        ("ServiceMeta", json!({ "k": "v" })),
        ("ServiceTaggedAddresses", addresses()),
        ("ServiceWeights", json!({ "Passing": 1, "Warning": 1 })),
        ("ModifyIndex", json!(reply.index())),
    ] {
        assert_eq!(service[field], value, "{field}");
    }
    // Exactly these fields.
    let mut fields: Vec<_> = service.as_object().unwrap().keys().collect();
    fields.sort();
    let expected = [
        "Address",
        "CreateIndex",
        "Datacenter",
        "ID",
        "ModifyIndex",
        "Node",
        "NodeMeta",
        "ServiceAddress",
        "ServiceConnect",
        "ServiceEnableTagOverride",
        "ServiceID",
        "ServiceKind",
        "ServiceMeta",
        "ServiceName",
        "ServicePort",
        "ServiceProxy",
        "ServiceTaggedAddresses",
        "ServiceTags",
        "ServiceWeights",
        "TaggedAddresses",
    ];
    assert_eq!(fields, expected);
}

async fn a_service_is_shown_by_its_agent_and_with_its_checks(it: Subject) {
    let node = it.node().await;
    it.registers(full_service()).await;
    let own = it.get("/v1/agent/service/s-1").await;
    let mut shown = own.json();
    assert_eq!(
        shown["ContentHash"].as_str(),
        own.header("X-Consul-ContentHash")
    );
    shown.as_object_mut().unwrap().remove("ContentHash");
    let expected = json!({
        "ID": "s-1", "Service": "s", "Tags": ["leader", "x"], "Meta": { "k": "v" },
        "Port": 3000, "Address": "127.0.0.9", "TaggedAddresses": addresses(),
        "Weights": { "Passing": 1, "Warning": 1 }, "EnableTagOverride": false,
    });
    assert_eq!(shown, expected);
    assert_eq!(
        it.get("/v1/agent/services").await.json(),
        json!({ "s-1": expected })
    );

    let reply = it.get("/v1/health/service/s").await;
    is_of_catalog(&reply);
    let instance = &reply.json()[0];
    assert_eq!(instance["Service"]["Port"], 3000);
    assert_eq!(instance["Node"]["Node"], node.as_str());
    assert_eq!(instance["Checks"][0]["CheckID"], "serfHealth");
    assert_eq!(
        it.get("/v1/health/service/s?passing").await.json(),
        reply.json()
    );

    let tags = it.get("/v1/catalog/services").await;
    is_of_catalog(&tags);
    let mut services = tags.json();
    // Consul returns the tags in no particular order.
    services["s"]
        .as_array_mut()
        .unwrap()
        .sort_by_key(Value::to_string);
    assert_eq!(services, json!({ "consul": [], "s": ["leader", "x"] }));
    let tagged = it.get("/v1/catalog/service/s?tag=leader").await.json();
    assert_eq!(tagged[0]["ServiceID"], "s-1");
    assert_eq!(
        it.get("/v1/catalog/service/s?tag=other").await.json(),
        json!([])
    );
    let of_node = it.get(&format!("/v1/catalog/node/{node}")).await.json();
    assert_eq!(of_node["Services"]["s-1"]["Address"], "127.0.0.9");
    assert_eq!(of_node["Node"]["Node"], node.as_str());
}

async fn a_service_that_is_not_there(it: Subject) {
    for path in ["catalog/service", "health/service", "health/checks"] {
        let reply = it.get(&format!("/v1/{path}/none")).await;
        is_of_catalog(&reply);
        assert_eq!(reply.json(), json!([]), "{path}");
    }
    let reply = it.get("/v1/agent/service/none").await;
    reply.says(404, "unknown service ID: none");
    // Deregistering an unknown service succeeds.
    it.put("/v1/agent/service/deregister/none", "")
        .await
        .says(200, "");
    it.put("/v1/agent/service/deregister/", "")
        .await
        .says(500, "ServiceID missing");
    assert_eq!(it.get("/v1/catalog/node/none").await.text().trim(), "null");
    assert_eq!(it.get("/v1/health/node/none").await.json(), json!([]));
    assert_eq!(it.get("/v1/health/state/critical").await.json(), json!([]));
}

async fn instances_come_and_go(it: Subject) {
    let service = |id: &str| json!({ "ID": id, "Name": "s", "Address": "127.0.0.1", "Port": 1 });
    let count = |reply: &Reply| reply.json().as_array().unwrap().len();
    let wait = |index: u64| format!("/v1/catalog/service/s?index={index}&wait=20s");
    let soon = Duration::from_millis(300);

    let index = it.index("/v1/catalog/service/s").await;
    let register = async {
        tokio::time::sleep(soon).await;
        it.registers(service("s-1")).await;
    };
    let (first, ()) = tokio::join!(it.get(wait(index)), register);
    assert_eq!(count(&first), 1);
    assert!(first.took < Duration::from_secs(10));
    let register = async {
        tokio::time::sleep(soon).await;
        it.registers(service("s-2")).await;
    };
    let (second, ()) = tokio::join!(it.get(wait(first.index())), register);
    assert_eq!(count(&second), 2);
    let mut index = second.index();
    for (id, left) in [("s-1", 1), ("s-2", 0)] {
        let deregister = async {
            tokio::time::sleep(soon).await;
            let path = format!("/v1/agent/service/deregister/{id}");
            it.put(&path, "").await.says(200, "");
        };
        let path = wait(index);
        let (reply, ()) = tokio::join!(it.get(&path), deregister);
        assert_eq!(count(&reply), left);
        assert!(reply.took < Duration::from_secs(10) && reply.index() > index);
        index = reply.index();
    }
    // Other services do not wake a query that waits for this one.
    it.registers(service("s-3")).await;
    let index = it.index("/v1/catalog/service/s").await;
    it.registers(json!({ "ID": "o", "Name": "other" })).await;
    assert_eq!(it.index("/v1/catalog/service/s").await, index);
    assert!(it.index("/v1/catalog/services").await > index);
}

async fn who_is_here(it: Subject) {
    let node = it.node().await;
    let reply = it.get("/v1/catalog/nodes").await;
    is_of_catalog(&reply);
    let nodes = reply.json();
    assert_eq!(nodes.as_array().unwrap().len(), 1);
    assert_eq!(
        (&nodes[0]["Node"], &nodes[0]["Address"]),
        (&json!(node), &json!("127.0.0.1"))
    );
    assert_eq!(nodes[0]["TaggedAddresses"]["lan"], "127.0.0.1");
    assert_eq!(
        it.get("/v1/catalog/datacenters").await.json(),
        json!(["dc1"])
    );
    let checks = it.get(&format!("/v1/health/node/{node}")).await;
    is_of_catalog(&checks);
    let check = &checks.json()[0];
    assert_eq!(
        (&check["CheckID"], &check["Status"]),
        (&json!("serfHealth"), &json!("passing"))
    );
    let own = it.get("/v1/agent/self").await.json();
    assert_eq!(
        (&own["Member"]["Addr"], &own["Member"]["Name"]),
        (&json!("127.0.0.1"), &json!(node))
    );
    let leader = it.get("/v1/status/leader").await.json();
    assert!(leader.as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(it.get("/v1/status/peers").await.json(), json!([leader]));
    let reply = it.get("/v1/catalog/nodes?stale").await;
    assert_eq!(
        reply.header("X-Consul-Effective-Consistency"),
        Some("stale")
    );
    let reply = it.get("/v1/catalog/nodes?consistent").await;
    assert_eq!(
        reply.header("X-Consul-Effective-Consistency"),
        Some("consistent")
    );
}
