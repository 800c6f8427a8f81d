//! A connection to a NATS server.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Instant;

use sluice_sink::tcp::{Address, Connection};
use sluice_sink::{Failure, json};

use crate::config::Config;
use crate::protocol::{Arrived, Info, Said};

/// How the server says that a subject is not permitted. It says nothing else about the
/// message, and the connection goes on.
const DENIED: &str = "Permissions Violation for Publish to ";
/// The server's own default, where it does not say.
const MAX_PAYLOAD: usize = 1 << 20;

/// What became of a message.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// An answer to the message of this number: its status, if it has one, and its text.
    Answer(u64, Option<u16>, Vec<u8>),
    /// No message to this subject is permitted: the reason.
    Denied(String, Failure),
}

/// An open connection, which listens for acknowledgements.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    address: Address,
    arrived: Arrived,
    /// The beginning of the subjects that acknowledgements come to.
    inbox: String,
    /// The number of the next message. It grows, so that a late acknowledgement is
    /// never taken for another one.
    next: u64,
    /// The most bytes of a message and its headers.
    pub(crate) max_payload: usize,
}

impl Session {
    /// Connects to a server, and logs in.
    pub(crate) fn open(
        config: &Config,
        address: &Address,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        let mut session = Self {
            connection: Connection::open(address, deadline)?,
            address: address.clone(),
            arrived: Arrived::default(),
            inbox: format!(
                "_INBOX.{:016x}.",
                RandomState::new().build_hasher().finish()
            ),
            next: 1,
            max_payload: MAX_PAYLOAD,
        };
        let info = loop {
            match session.wait(deadline)? {
                Said::Info(info) => break info,
                Said::Error(error) => return Err(session.failure(&error)),
                _ => {}
            }
        };
        session.check(&info)?;
        session.max_payload = info.max_payload.unwrap_or(MAX_PAYLOAD);
        let hello = session.hello(config);
        session.connection.send(&hello, deadline)?;
        loop {
            match session.wait(deadline)? {
                Said::Pong => return Ok(session),
                Said::Error(error) => return Err(session.failure(&error)),
                _ => {}
            }
        }
    }

    fn check(&self, info: &Info) -> Result<(), Failure> {
        let lacks = match (info.tls_required, info.headers) {
            (true, _) => "it requires TLS, which sinks do not have over TCP",
            (_, false) => "it does not take headers",
            _ => return Ok(()),
        };
        let version = &info.version;
        Err(self.failure(&format!("{lacks} (nats-server {version})")))
    }

    fn hello(&self, config: &Config) -> Vec<u8> {
        let mut out = b"CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\
            \"no_responders\":true,\"protocol\":1,\"lang\":\"rust\",\"name\":\"sluice\",\
            \"version\":"
            .to_vec();
        json::string(env!("CARGO_PKG_VERSION"), &mut out);
        for (name, value) in [
            ("user", &config.user),
            ("pass", &config.password),
            ("auth_token", &config.token),
        ] {
            if let Some(value) = value {
                out.extend_from_slice(format!(",\"{name}\":").as_bytes());
                json::string(value, &mut out);
            }
        }
        out.extend_from_slice(format!("}}\r\nSUB {}* 1\r\nPING\r\n", self.inbox).as_bytes());
        out
    }

    /// Whether the server is still there. It closes connections that have not answered
    /// its pings for some minutes.
    pub(crate) fn is_alive(&mut self, deadline: Instant) -> bool {
        let Ok(more) = self.connection.read_now() else {
            return false;
        };
        self.arrived.push(&more);
        while let Ok(said) = self.arrived.next() {
            match said {
                None => return true,
                Some(Said::Ping) => {
                    if self.connection.send(b"PONG\r\n", deadline).is_err() {
                        return false;
                    }
                }
                Some(Said::Error(_)) => return false,
                Some(_) => {}
            }
        }
        false
    }

    /// Appends a message, and returns its number.
    pub(crate) fn push(
        &mut self,
        subject: &[u8],
        headers: &[u8],
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> u64 {
        let number = self.next;
        self.next += 1;
        out.extend_from_slice(b"HPUB ");
        out.extend_from_slice(subject);
        out.push(b' ');
        out.extend_from_slice(self.inbox.as_bytes());
        json::integer(number, out);
        out.push(b' ');
        json::integer(headers.len() as u64, out);
        out.push(b' ');
        json::integer((headers.len() + payload.len()) as u64, out);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(headers);
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
        number
    }

    /// Sends messages.
    pub(crate) fn send(&mut self, messages: &[u8], deadline: Instant) -> Result<(), Failure> {
        Ok(self.connection.send(messages, deadline)?)
    }

    /// Waits until it is known what became of a message.
    pub(crate) fn outcome(&mut self, deadline: Instant) -> Result<Outcome, Failure> {
        loop {
            match self.wait(deadline)? {
                Said::Message {
                    subject,
                    status,
                    payload,
                } => {
                    let number = subject.strip_prefix(&self.inbox);
                    if let Some(number) = number.and_then(|number| number.parse().ok()) {
                        return Ok(Outcome::Answer(number, status, payload));
                    }
                }
                Said::Error(error) => {
                    let failure = self.failure(&error);
                    let Some(subject) = error.strip_prefix(DENIED) else {
                        return Err(failure);
                    };
                    let subject = subject.trim_matches('"').to_owned();
                    return Ok(Outcome::Denied(subject, failure));
                }
                _ => {}
            }
        }
    }

    /// Waits for what the server says next. Its pings are answered.
    fn wait(&mut self, deadline: Instant) -> Result<Said, Failure> {
        loop {
            match self.arrived.next().map_err(|wrong| self.failure(&wrong))? {
                Some(Said::Ping) => self.connection.send(b"PONG\r\n", deadline)?,
                Some(said) => return Ok(said),
                None => {
                    let more = self.connection.read(deadline)?;
                    self.arrived.push(&more);
                }
            }
        }
    }

    fn failure(&self, reason: &str) -> Failure {
        Failure::retryable(format!("{}: {reason}", self.address))
    }
}
