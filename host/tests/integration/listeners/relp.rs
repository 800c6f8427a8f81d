//! A client of RELP that behaves as librelp does.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long the client waits for an answer.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// A session, and the messages that are not answered yet.
pub(crate) struct Relp {
    stream: TcpStream,
    received: Vec<u8>,
    number: u32,
    pub(crate) unanswered: BTreeMap<u32, String>,
}

impl Relp {
    pub(crate) async fn open(address: &str) -> Option<Self> {
        let stream = TcpStream::connect(address).await.ok()?;
        let mut session = Self {
            stream,
            received: Vec::new(),
            number: 0,
            unanswered: BTreeMap::new(),
        };
        session
            .command(
                "open",
                "relp_version=0\nrelp_software=test\ncommands=syslog",
            )
            .await?;
        let (_, _, data) = session.frame().await?;
        data.starts_with("200 OK").then_some(session)
    }

    pub(crate) async fn send(&mut self, body: &str) -> Option<()> {
        let message = format!("<14>1 - host app - - - {body}");
        let number = self.command("syslog", &message).await?;
        self.unanswered.insert(number, body.to_owned());
        Some(())
    }

    /// Waits for the next answer, and returns the message that it is for; `None` if
    /// the session is over.
    pub(crate) async fn answered(&mut self) -> Option<String> {
        let (number, command, data) = self.frame().await?;
        if command != "rsp" {
            return None;
        }
        assert_eq!(data, "200 OK", "any other answer loses messages");
        let first = self.unanswered.keys().next().copied();
        assert_eq!(first, Some(number), "answers come in order");
        self.unanswered.remove(&number)
    }

    async fn command(&mut self, name: &str, data: &str) -> Option<u32> {
        self.number += 1;
        let frame = format!("{} {name} {} {data}\n", self.number, data.len());
        self.stream.write_all(frame.as_bytes()).await.ok()?;
        Some(self.number)
    }

    /// Transaction, command and data.
    pub(crate) async fn frame(&mut self) -> Option<(u32, String, String)> {
        loop {
            if let Some((frame, length)) = parse(&self.received) {
                self.received.drain(..length);
                return Some(frame);
            }
            let reading = self.stream.read_buf(&mut self.received);
            let read = timeout(ANSWER_WAIT, reading).await.expect("an answer");
            if read.unwrap_or(0) == 0 {
                return None;
            }
        }
    }
}

fn parse(bytes: &[u8]) -> Option<((u32, String, String), usize)> {
    let text = std::str::from_utf8(bytes).unwrap();
    let (number, rest) = text.split_once(' ')?;
    let (command, rest) = rest.split_once(' ')?;
    let digits = rest.find([' ', '\n'])?;
    let length: usize = rest[..digits].parse().unwrap();
    let start = digits + usize::from(length > 0);
    let data = rest.get(start..start + length)?;
    rest.get(start + length..start + length + 1)?;
    let whole = bytes.len() - rest.len() + start + length + 1;
    Some((
        (number.parse().unwrap(), command.to_owned(), data.to_owned()),
        whole,
    ))
}
