//! HTTPS for clients; HTTPS and access control of Consul.

use crate::support::{Cluster, Consul, Kind, Options, SOON, certificate, eventually};

#[tokio::test]
async fn clients_can_be_served_over_https() {
    let cluster = Cluster::empty(Consul::start().await, &[]);
    let (chain, key) = (certificate("server.pem"), certificate("server.key"));
    let node = cluster.spawn(
        "a",
        Options::with(&["--tls-cert", &chain, "--tls-key", &key]),
    );
    node.listens().await;
    let authority = std::fs::read(certificate("authority.pem")).unwrap();
    let https = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([reqwest::Certificate::from_pem(&authority).unwrap()])
        .build()
        .unwrap();
    let answer = eventually("a message is acknowledged over HTTPS", SOON, || async {
        let services = cluster.consul.get("catalog/service/sluice").await?;
        let port = services[0]["ServicePort"].to_string();
        let url = format!("https://127.0.0.1:{port}/api/v1/log");
        let answer = https.post(url).body("secret").send().await;
        let answer = answer.map_err(|error| format!("{error:?}"))?;
        match answer.status().as_u16() {
            200 => answer.text().await.map_err(|error| error.to_string()),
            status => Err(status.to_string()),
        }
    })
    .await;
    assert_eq!(answer, "OK");
}

#[tokio::test]
async fn a_certificate_that_can_not_be_read_is_named() {
    let cluster = Cluster::empty(Consul::start().await, &[]);
    let key = certificate("server.key");
    let mut node = cluster.spawn(
        "a",
        Options::with(&["--tls-cert", "/nowhere.pem", "--tls-key", &key]),
    );
    assert_eq!(node.wait(SOON).await.code(), Some(1));
    assert!(node.stderr().contains("/nowhere.pem"), "{}", node.stderr());
}

#[tokio::test]
async fn a_consul_with_tls_and_default_deny_is_used_with_the_least_rights() {
    if !Kind::is_consul_for("encryption and access control of Consul") {
        return;
    }
    let consul = Consul::guarded(&certificate("server.pem"), &certificate("server.key")).await;
    let token = consul.least_token().await;
    let port = consul.https_port();
    let cluster = Cluster::empty(consul, &[]);
    let variables = |address: String, more: &[(&str, &str)]| {
        let mut variables = vec![
            ("CONSUL_HTTP_ADDR".to_owned(), address),
            ("CONSUL_CACERT".to_owned(), certificate("authority.pem")),
        ];
        variables.extend(
            more.iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        variables
    };
    let options = Options {
        variables: variables(
            format!("https://127.0.0.1:{port}"),
            &[("CONSUL_HTTP_TOKEN", &token)],
        ),
        ..Options::with(&["--advertise", "127.0.0.1"])
    };
    let mut allowed = cluster.spawn("a", options);
    allowed.listens().await;
    eventually("the node leads", SOON, || async {
        let value = cluster.consul.value("sluice/leader").await?;
        if value.contains("\"a\"") {
            Ok(())
        } else {
            Err(value)
        }
    })
    .await;
    allowed.terminate().await;
    let chosen = cluster
        .http
        .put(cluster.consul.url("kv/sluice/plugin"))
        .header("x-consul-token", &token)
        .body("builtin:stdout")
        .send()
        .await
        .unwrap();
    assert_eq!(chosen.status(), 403, "no node chooses the sink of all");

    // With the certificate's other name, which no resolver knows.
    let options = Options {
        variables: variables(
            format!("127.0.0.1:{port}"),
            &[
                ("CONSUL_HTTP_TOKEN", &token),
                ("CONSUL_HTTP_SSL", "true"),
                ("CONSUL_TLS_SERVER_NAME", "consul.test"),
            ],
        ),
        ..Options::with(&["--advertise", "127.0.0.1"])
    };
    let renamed = cluster.spawn("b", options);
    renamed.listens().await;
    eventually("the node leads", SOON, || async {
        let value = cluster.consul.value("sluice/leader").await?;
        if value.contains("\"b\"") {
            Ok(())
        } else {
            Err(value)
        }
    })
    .await;

    let options = Options {
        variables: variables(format!("https://127.0.0.1:{port}"), &[]),
        ..Options::with(&["--advertise", "127.0.0.1"])
    };
    let denied = cluster.spawn("c", options);
    denied.listens().await;
    eventually(
        "the node without a token says what it lacks",
        SOON,
        || async {
            let log = denied.stderr();
            if log.contains("ACL") {
                Ok(())
            } else {
                Err(log)
            }
        },
    )
    .await;
}
