//! Sends what a client sends, and compares what it is answered.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::http::{Answer, Connection};
use super::payload::chunks;
use super::recording::{Recording, Section};
use crate::listeners::doors::Doors;
use crate::standard::grpc_client::{Called, Client, EXPORT, framed};
use crate::support::Port;

/// The node that everything is sent to.
pub(super) struct Target {
    pub(super) role: &'static str,
    pub(super) http: String,
    pub(super) doors: Doors,
    pub(super) grpc: Port,
}

/// A client's connections, and what came back last.
struct Replay<'a> {
    target: &'a Target,
    http: Option<Connection>,
    stream: Option<TcpStream>,
    datagrams: UdpSocket,
    came: Came,
}

/// What came back.
enum Came {
    /// What is written to connections is answered when it is.
    Later,
    Answer(Answer),
    Called(Called),
}

/// Sends all of a recording.
///
/// # Errors
/// What is not as expected.
pub(super) async fn replay(recording: &Recording, target: &Target) -> Result<(), String> {
    let mut replay = Replay {
        target,
        http: None,
        stream: None,
        datagrams: UdpSocket::bind("127.0.0.1:0").await.unwrap(),
        came: Came::Later,
    };
    for section in &recording.sections {
        match &*section.kind {
            "answer" => replay.compare(section).await?,
            _ => replay.send(section).await?,
        }
    }
    Ok(())
}

impl Replay<'_> {
    async fn send(&mut self, section: &Section) -> Result<(), String> {
        let doors = &self.target.doors;
        match &*section.kind {
            "http" => return self.ask(section).await,
            "grpc" => return self.call(section).await,
            "syslog" => self.write(doors.syslog(), section).await,
            "relp" => self.write(doors.relp(), section).await,
            "forward" => self.write(doors.forward(), section).await,
            "gelf" => self.write(doors.gelf(), section).await,
            "syslog-udp" => self.send_datagrams(doors.syslog_udp(), section).await,
            "gelf-udp" => self.send_datagrams(doors.gelf(), section).await,
            other => panic!("{other} is no kind of section"),
        }
        Ok(())
    }

    /// Sends a request on the connection of the one before, unless that was its
    /// last.
    async fn ask(&mut self, section: &Section) -> Result<(), String> {
        let mut connection = match self.http.take() {
            Some(connection) => connection,
            None => Connection::open(&self.target.http).await,
        };
        let answer = connection.ask(&section.head, &section.body).await?;
        let mut head = section.head.iter();
        let is_last = head.any(|line| line.eq_ignore_ascii_case("connection: close"));
        self.http = Some(connection).filter(|_| !is_last);
        self.came = Came::Answer(answer);
        Ok(())
    }

    async fn call(&mut self, section: &Section) -> Result<(), String> {
        let address = format!("127.0.0.1:{}", self.target.grpc.number);
        let metadata = section.head.iter();
        let metadata = metadata.map(|line| line.split_once(": ").unwrap());
        let metadata: Vec<_> = metadata.collect();
        let client = Client::connect(&address).await;
        let calling = client.call(EXPORT, &metadata, framed(0, &section.body));
        let called = calling.await.map_err(|error| error.to_string())?;
        self.came = Came::Called(called);
        Ok(())
    }

    /// Writes to the connection, in a segment of its own.
    async fn write(&mut self, address: String, section: &Section) {
        if self.stream.is_none() {
            let stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            self.stream = Some(stream);
        }
        let stream = self.stream.as_mut().unwrap();
        stream.write_all(&section.body).await.unwrap();
    }

    async fn send_datagrams(&self, address: String, section: &Section) {
        let datagrams = match section.is_in_chunks {
            true => chunks(&section.body),
            false => vec![section.body.clone()],
        };
        for datagram in datagrams {
            self.datagrams.send_to(&datagram, &address).await.unwrap();
        }
    }

    async fn compare(&mut self, expected: &Section) -> Result<(), String> {
        match std::mem::replace(&mut self.came, Came::Later) {
            Came::Answer(answer) => compare_answer(&answer, expected),
            Came::Called(called) => {
                let wanted = expected.head[0].strip_prefix("grpc-status: ");
                match wanted == Some(&called.status.to_string()) {
                    true => Ok(()),
                    false => Err(format!("{called:?}")),
                }
            }
            Came::Later => self.read(&expected.body).await,
        }
    }

    /// Reads as much as is expected.
    async fn read(&mut self, expected: &[u8]) -> Result<(), String> {
        let mut answer = vec![0; expected.len()];
        let stream = self.stream.as_mut().unwrap();
        let mut length = 0;
        while length < answer.len() {
            match stream.read(&mut answer[length..]).await {
                Ok(0) | Err(_) => break,
                Ok(more) => length += more,
            }
        }
        match &answer[..length] == expected {
            true => Ok(()),
            false => Err(format!(
                "the answer {:?} is not {:?}",
                String::from_utf8_lossy(&answer[..length]),
                String::from_utf8_lossy(expected)
            )),
        }
    }
}

fn compare_answer(answer: &Answer, expected: &Section) -> Result<(), String> {
    let (status, headers) = expected.head.split_first().unwrap();
    let body = String::from_utf8_lossy(&answer.body);
    let wrong = |what: &str| Err(format!("{what} is not in the answer: {answer:?}: {body}"));
    if answer.status != *status {
        return wrong(status);
    }
    for header in headers {
        let (name, value) = header.split_once(": ").unwrap();
        if answer.header(name) != Some(value) {
            return wrong(header);
        }
    }
    let texts = std::str::from_utf8(&expected.body).unwrap();
    match texts.lines().find(|text| !body.contains(text)) {
        None => Ok(()),
        Some(text) => wrong(text),
    }
}
