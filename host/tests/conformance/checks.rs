//! Checks that the agent really runs, and the sessions that are bound to them.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::subject::Subject;
use crate::support::{SOON, eventually};

on_both!(
    a_check_is_made_and_judged,
    a_check_bears_its_headers,
    a_session_needs_its_check,
    a_check_that_fails_ends_its_sessions,
    a_check_that_hangs_fails,
    a_service_registered_again_keeps_its_check,
    deregistering_ends_the_sessions_of_the_check,
);

/// An HTTP server to be checked, which answers with a given status.
struct Patient {
    address: String,
    status: Arc<AtomicU16>,
    /// The head of the last request.
    asked: Arc<Mutex<String>>,
}

/// A status that means: accept the request and never answer.
const HANGS: u16 = 0;

impl Patient {
    async fn well() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let status = Arc::new(AtomicU16::new(200));
        let shown = Arc::clone(&status);
        let asked = Arc::new(Mutex::new(String::new()));
        let last = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut hanging = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 2048];
                let Ok(read) = stream.read(&mut head).await else {
                    continue;
                };
                *last.lock().unwrap() = String::from_utf8_lossy(&head[..read]).into_owned();
                match shown.load(Ordering::Relaxed) {
                    HANGS => hanging.push(stream),
                    status => {
                        let answer = format!(
                            "HTTP/1.1 {status} Any\r\nContent-Length: 5\r\n\
                             Connection: close\r\n\r\nwords"
                        );
                        drop(stream.write_all(answer.as_bytes()).await);
                    }
                }
            }
        });
        Self {
            address,
            status,
            asked,
        }
    }

    fn becomes(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    fn service(&self, status: &str) -> Value {
        json!({
            "ID": "s-1", "Name": "s", "Address": "127.0.0.1", "Port": 1,
            "Check": {
                "CheckID": "service:s-1", "HTTP": format!("http://{}/healthz", self.address),
                "Interval": "1000ms", "Timeout": "500ms", "Status": status,
                "DeregisterCriticalServiceAfter": "60000ms",
            },
        })
    }
}

impl Subject {
    async fn register(&self, service: &Value) {
        let reply = self
            .put("/v1/agent/service/register", service.to_string())
            .await;
        reply.says(200, "");
        // A real agent tells its server a moment later.
        let known = format!("/v1/health/checks/{}", service["Name"].as_str().unwrap());
        eventually("the catalog has the check", SOON, || async {
            match self.get(&known).await.json() {
                checks if checks == json!([]) => Err("it has none".to_owned()),
                _ => Ok(()),
            }
        })
        .await;
    }

    async fn until_check(&self, status: &str) -> Value {
        eventually(&format!("the check is {status}"), SOON, || async {
            let check = self.get("/v1/health/checks/s").await.json()[0].clone();
            match check["Status"] == status {
                true => Ok(check),
                false => Err(check.to_string()),
            }
        })
        .await
    }

    async fn bound_session(&self, behavior: &str) -> String {
        self.session(json!({
            "LockDelay": "0s", "TTL": "10s", "Behavior": behavior,
            "NodeChecks": ["serfHealth"], "ServiceChecks": [{ "ID": "service:s-1" }],
        }))
        .await
    }
}

async fn a_check_bears_its_headers(it: Subject) {
    let patient = Patient::well().await;
    let mut service = patient.service("critical");
    service["Check"]["Header"] =
        json!({ "sluice-health-secret": ["sesame"], "X-Other": ["a", "b"] });
    it.register(&service).await;
    it.until_check("passing").await;
    let asked = patient.asked.lock().unwrap().to_ascii_lowercase();
    assert!(
        asked.contains("sluice-health-secret: sesame\r\n"),
        "{asked}"
    );
    assert!(asked.contains("x-other: a\r\n"), "{asked}");
    // A client that may read the catalog does not learn them.
    for path in [
        "/v1/health/checks/s",
        "/v1/agent/services",
        "/v1/agent/service/s-1",
    ] {
        let shown = it.get(path).await.text();
        assert!(!shown.contains("sesame"), "{path}: {shown}");
    }
}

async fn a_check_is_made_and_judged(it: Subject) {
    let patient = Patient::well().await;
    it.register(&patient.service("")).await;
    let url = format!("http://{}/healthz", patient.address);
    for (status, judged, shown) in [
        (200, "passing", "200 OK"),
        (429, "warning", "429 Too Many Requests"),
        (204, "passing", "204 No Content"),
        (503, "critical", "503 Service Unavailable"),
    ] {
        patient.becomes(status);
        let check = it.until_check(judged).await;
        let output = check["Output"].as_str().unwrap();
        // The reason phrase is the usual one of the status, or the one that was
        // sent.
        let number = shown.split(' ').next().unwrap();
        assert!(
            output.starts_with(&format!("HTTP GET {url}: {number} ")),
            "{output}"
        );
    }
    let check = it.until_check("critical").await;
    assert_eq!(check["Node"], it.node().await);
    assert_eq!(
        (&check["CheckID"], &check["Type"]),
        (&json!("service:s-1"), &json!("http"))
    );
    assert_eq!(
        (&check["ServiceID"], &check["ServiceName"]),
        (&json!("s-1"), &json!("s"))
    );
    assert_eq!(check["Name"], "Service 's' check");
    assert_eq!(
        it.get("/v1/health/state/critical").await.json(),
        json!([check])
    );
    assert_eq!(
        it.get("/v1/health/service/s?passing").await.json(),
        json!([])
    );
    let own = it.get("/v1/agent/checks").await.json();
    assert_eq!(own["service:s-1"]["Status"], "critical");
    // An agent does not count indexes.
    assert_eq!(own["service:s-1"]["ModifyIndex"], 0);
}

async fn a_session_needs_its_check(it: Subject) {
    let patient = Patient::well().await;
    patient.becomes(500);
    it.register(&patient.service("")).await;
    let critical = "Check 'service:s-1' is in critical state";
    for body in [
        json!({ "ServiceChecks": [{ "ID": "service:s-1" }] }),
        json!({ "NodeChecks": ["service:s-1"] }),
        json!({ "Checks": ["service:s-1"] }),
    ] {
        it.put("/v1/session/create", body.to_string())
            .await
            .says(500, critical);
    }
    let missing = "Missing check 'service:s-2' registration";
    let body = json!({ "ServiceChecks": [{ "ID": "service:s-2" }] });
    it.put("/v1/session/create", body.to_string())
        .await
        .says(500, missing);
    patient.becomes(200);
    it.until_check("passing").await;
    let session = it.bound_session("release").await;
    let shown = it.get(&format!("/v1/session/info/{session}")).await.json();
    let bound = json!([{ "ID": "service:s-1", "Namespace": "" }]);
    assert_eq!(shown[0]["ServiceChecks"], bound);
}

async fn a_check_that_fails_ends_its_sessions(it: Subject) {
    let patient = Patient::well().await;
    it.register(&patient.service("passing")).await;
    let (releasing, deleting) = (
        it.bound_session("release").await,
        it.bound_session("delete").await,
    );
    let other = it.plain_session().await;
    for (key, session) in [("r", &releasing), ("d", &deleting), ("o", &other)] {
        it.put(&format!("/v1/kv/{key}?acquire={session}&flags=3"), "x")
            .await
            .is_true();
    }
    it.until_check("passing").await;
    let index = it.index("/v1/kv/r").await;
    let path = format!("/v1/kv/r?index={index}&wait=20s");
    let fail = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        patient.becomes(500);
    };
    let (freed, ()) = tokio::join!(it.get(&path), fail);
    assert!(freed.took < Duration::from_secs(4), "{:?}", freed.took);
    let entry = &freed.json()[0];
    assert_eq!(entry.get("Session"), None);
    assert_eq!(
        (&entry["Value"], &entry["Flags"]),
        (&json!("eA=="), &json!(3))
    );
    assert_eq!(it.entry("d").await, Value::Null);
    assert_eq!(it.entry("o").await["Session"], other.as_str());
    assert!(!it.has_session(&releasing).await && !it.has_session(&deleting).await);
    let reply = it.put(&format!("/v1/session/renew/{releasing}"), "").await;
    assert_eq!(reply.status, 404);
    // A warning does not end the session.
    patient.becomes(200);
    it.until_check("passing").await;
    let session = it.bound_session("release").await;
    patient.becomes(429);
    it.until_check("warning").await;
    assert!(it.has_session(&session).await);
}

async fn a_check_that_hangs_fails(it: Subject) {
    let patient = Patient::well().await;
    it.register(&patient.service("passing")).await;
    let session = it.bound_session("release").await;
    patient.becomes(HANGS);
    it.until_check("critical").await;
    eventually("the session ends", SOON, || async {
        match it.has_session(&session).await {
            true => Err("it is there".to_owned()),
            false => Ok(()),
        }
    })
    .await;
}

async fn a_service_registered_again_keeps_its_check(it: Subject) {
    let patient = Patient::well().await;
    it.register(&patient.service("")).await;
    it.until_check("passing").await;
    let session = it.bound_session("release").await;
    let index = it.index("/v1/catalog/service/s").await;
    // The same service again changes nothing: it says critical, but the check
    // stays passing.
    it.register(&patient.service("")).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(it.index("/v1/catalog/service/s").await, index);
    let mut tagged = patient.service("");
    tagged["Tags"] = json!(["leader"]);
    it.register(&tagged).await;
    eventually("the tags are known", SOON, || async {
        let service = it.get("/v1/catalog/service/s").await.json();
        match service[0]["ServiceTags"] == json!(["leader"]) {
            true => Ok(()),
            false => Err(service.to_string()),
        }
    })
    .await;
    assert!(it.index("/v1/catalog/service/s").await > index);
    assert!(it.has_session(&session).await);
    it.until_check("passing").await;
}

async fn deregistering_ends_the_sessions_of_the_check(it: Subject) {
    let patient = Patient::well().await;
    it.register(&patient.service("passing")).await;
    let session = it.bound_session("release").await;
    it.put(&format!("/v1/kv/l?acquire={session}"), "x")
        .await
        .is_true();
    it.put("/v1/agent/service/deregister/s-1", "")
        .await
        .says(200, "");
    eventually("the lock is free", SOON, || async {
        let entry = it.entry("l").await;
        match entry.get("Session") {
            None => Ok(()),
            Some(_) => Err(entry.to_string()),
        }
    })
    .await;
    assert!(!it.has_session(&session).await);
    assert_eq!(it.get("/v1/health/checks/s").await.json(), json!([]));
}
