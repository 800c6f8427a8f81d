//! Nodes with a listener of every protocol.

use std::net::UdpSocket;

use crate::support::{Cluster, Options, Port};

/// Where one node listens.
pub(crate) struct Doors([Port; 6]);

impl Doors {
    pub(crate) fn claim() -> Self {
        Self(Port::claim_row())
    }

    fn address(&self, place: usize) -> String {
        format!("127.0.0.1:{}", self.0[place].number)
    }

    pub(crate) fn syslog(&self) -> String {
        self.address(0)
    }

    pub(crate) fn syslog_udp(&self) -> String {
        self.address(1)
    }

    pub(crate) fn relp(&self) -> String {
        self.address(2)
    }

    pub(crate) fn forward(&self) -> String {
        self.address(3)
    }

    /// Over TCP and over UDP.
    pub(crate) fn gelf(&self) -> String {
        self.address(4)
    }

    pub(crate) fn syslog_tls(&self) -> String {
        self.address(5)
    }

    /// The flags that open all but the one with TLS.
    pub(crate) fn flags(&self) -> Vec<String> {
        let gelf = self.gelf();
        vec![
            "--syslog-listen".to_owned(),
            format!("tcp://{},udp://{}", self.syslog(), self.syslog_udp()),
            "--relp-listen".to_owned(),
            self.relp(),
            "--forward-listen".to_owned(),
            format!("tcp://{}", self.forward()),
            "--gelf-listen".to_owned(),
            format!("tcp://{gelf},udp://{gelf}"),
        ]
    }
}

/// A cluster whose nodes have all doors.
pub(crate) async fn cluster(count: usize, arguments: &[&str]) -> (Cluster, Vec<Doors>) {
    let mut cluster = Cluster::start(0, arguments).await;
    let mut doors = Vec::new();
    for name in ["a", "b", "c"].into_iter().take(count) {
        let own = Doors::claim();
        let options = Options {
            arguments: own.flags(),
            ..Options::default()
        };
        cluster.add_with(name, options).await;
        doors.push(own);
    }
    cluster.leader().await;
    (cluster, doors)
}

/// Sends one datagram.
pub(crate) fn datagram(to: &str, bytes: &[u8]) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(bytes, to).unwrap();
}
