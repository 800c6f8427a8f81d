//! A sink that is not for HTTP, and sends over TLS.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::network_tls::server_config;
use crate::support::{Cluster, Consul, Options, SOON, certificate, eventually};

/// A receiver of syslog with TLS.
struct Receiver {
    port: u16,
    came: Arc<Mutex<Came>>,
}

#[derive(Default)]
struct Came {
    connections: usize,
    handshakes: usize,
    /// What each connection brought that was ended with close_notify.
    messages: Vec<String>,
}

impl Receiver {
    /// It never answers the first connections, of this number.
    async fn start(silent: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(server_config()));
        let came: Arc<Mutex<Came>> = Arc::default();
        let received = Arc::clone(&came);
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                received.lock().unwrap().connections += 1;
                if held.len() < silent {
                    held.push(stream);
                    continue;
                }
                tokio::spawn(receive(acceptor.clone(), stream, Arc::clone(&received)));
            }
        });
        Self { port, came }
    }

    fn messages(&self) -> String {
        self.came.lock().unwrap().messages.concat()
    }
}

async fn receive(acceptor: TlsAcceptor, stream: TcpStream, came: Arc<Mutex<Came>>) {
    // A client that does not trust the certificate gives up.
    let Ok(mut stream) = acceptor.accept(stream).await else {
        return;
    };
    came.lock().unwrap().handshakes += 1;
    let mut message = String::new();
    if stream.read_to_string(&mut message).await.is_ok() {
        came.lock().unwrap().messages.push(message);
        drop(stream.shutdown().await);
    }
}

/// A node that trusts the authority for tests, or not, and runs the sink with these
/// fields of its config.
async fn node(address: &str, is_trusting: bool, fields: Value) -> Cluster {
    let mut cluster = Cluster::empty(Consul::start().await, &["--allow-tcp", address]);
    let mut options = Options::default();
    if is_trusting {
        let authority = ("SSL_CERT_FILE".to_owned(), certificate("authority.pem"));
        options.variables.push(authority);
    }
    cluster.add_with("n1", options).await;
    cluster.leader().await;
    let mut config = json!({"address": address, "tls": true, "max_message_bytes": 500_000});
    let all = config.as_object_mut().unwrap();
    all.extend(fields.as_object().unwrap().clone());
    let manifest = json!({
        "source": cluster.plugin("syslog", "syslog.wasm"),
        "config": config,
        "permissions": {"tcp": [address]},
        "rollout": {"probation_s": 0},
    });
    cluster.ask(&manifest.to_string()).await;
    cluster.runs_what_is_asked_for().await;
    cluster
}

#[tokio::test]
async fn records_are_sent_over_tls() {
    let receiver = Receiver::start(0).await;
    for (host, fields) in [
        ("localhost", json!({})),
        ("127.0.0.1", json!({})),
        ("127.0.0.1", json!({"tls_server_name": "consul.test"})),
        ("localhost", json!({"confirm": "sent"})),
    ] {
        let address = format!("{host}:{}", receiver.port);
        let cluster = node(&address, true, fields.clone()).await;
        // More than the buffers of a connection hold.
        let long = "x".repeat(200_000);
        let lines: Vec<_> = (0..3)
            .map(|number| format!("{host} {fields} {number} {}", &long[number..]))
            .collect();
        for line in &lines {
            let (status, body) = cluster.node(0).log(line).await;
            assert_eq!(status, 200, "{body}");
        }
        // With `sent`, closing the sink ends the connection.
        cluster.ask("builtin:stdout").await;
        for number in 0..3 {
            let start = format!("{host} {fields} {number} xxx");
            eventually("a record arrives", SOON, || async {
                let count = receiver.messages().matches(&start).count();
                if count == 1 {
                    Ok(())
                } else {
                    Err(format!("{start}: {count}"))
                }
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_receiver_that_is_not_trusted_gets_nothing() {
    let receiver = Receiver::start(0).await;
    let address = format!("localhost:{}", receiver.port);
    for (is_trusting, fields, reason) in [
        (
            false,
            json!({}),
            "TLS with localhost: the certificate of the server is not trusted: its issuer is unknown",
        ),
        (
            true,
            json!({"tls_server_name": "other.example"}),
            "TLS with other.example: the certificate of the server is not trusted: it is for another name: ",
        ),
    ] {
        let cluster = node(&address, is_trusting, fields).await;
        let node = cluster.node(0);
        let told = eventually("the log says why", SOON, || async {
            let log = node.process.stderr();
            if log.contains(reason) {
                Ok(())
            } else {
                Err(log)
            }
        });
        tokio::select! {
            (status, body) = node.log("for nobody else") => panic!("{status} {body}"),
            () = told => {}
        }
    }
    let came = receiver.came.lock().unwrap();
    assert!(came.connections > 0, "nobody connected");
    assert_eq!((came.handshakes, came.messages.len()), (0, 0));
}

#[tokio::test]
async fn a_handshake_that_does_not_end_ends_the_write_which_is_repeated() {
    let receiver = Receiver::start(2).await;
    let address = format!("localhost:{}", receiver.port);
    let cluster = node(&address, true, json!({"timeout_ms": 500})).await;
    let (status, body) = cluster.node(0).log("patience").await;
    assert_eq!(status, 200, "{body}");
    // On a busy machine, further attempts may take too long.
    assert!(receiver.messages().contains("patience"));
    assert!(receiver.came.lock().unwrap().connections >= 3);
    let log = cluster.node(0).process.stderr();
    let told = log.matches("the handshake of TLS took too long").count();
    assert!(told > 0, "{log}");
}
