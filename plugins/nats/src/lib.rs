//! The NATS sink: publishes each record to a subject of a JetStream stream, and waits
//! for the stream's acknowledgement of each. `docs/sinks/nats.md` describes the config,
//! `config.schema.json` checks it.

mod acknowledgement;
mod config;
mod messages;
mod protocol;
mod session;
mod subject;
#[cfg(test)]
mod tests;

use std::time::Instant;

use sluice_sink::{Batch, Delivery, Failure, Lines, Outcomes, Refusals, Row, Sink, json};

use acknowledgement::judge;
use config::{Config, Form};
use messages::Messages;
use session::{Outcome, Session};

struct Nats {
    config: Config,
    /// The server that is tried first.
    server: usize,
    session: Option<Session>,
}

impl Sink for Nats {
    type Config = Config;

    fn open(config: Config) -> Result<Self, Failure> {
        config.check()?;
        Ok(Self {
            config,
            server: 0,
            session: None,
        })
    }

    fn write(&mut self, batch: &Batch, _delivery: Delivery) -> Result<Refusals, Failure> {
        let mut session = self.session()?;
        let mut outcomes = Outcomes::new(batch.len());
        let mut messages = self.messages(batch, &mut session, &mut outcomes);
        match self.publish(&mut session, &mut messages, &mut outcomes) {
            // One that has failed is not used again.
            Ok(()) => self.session = Some(session),
            Err(failure) => outcomes.body(&messages.open(), Err::<(), _>(failure)),
        }
        outcomes.finish()
    }
}

impl Nats {
    /// The session of the last write, or one with the first server that is there.
    fn session(&mut self) -> Result<Session, Failure> {
        let timeout = self.config.timeout();
        let end = Instant::now() + timeout;
        if let Some(mut session) = self.session.take()
            && session.is_alive(end)
        {
            return Ok(session);
        }
        let servers = &self.config.servers;
        let share = timeout / u32::try_from(servers.len()).unwrap_or(u32::MAX).max(1);
        let mut last = Failure::retryable("there is no server");
        for offset in 0..servers.len() {
            let place = (self.server + offset) % servers.len();
            let Some(address) = servers.get(place) else {
                continue;
            };
            let deadline = (Instant::now() + share).min(end);
            match Session::open(&self.config, address, deadline) {
                Ok(session) => {
                    self.server = place;
                    return Ok(session);
                }
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    /// The messages of all records, except those that are too large for the server.
    fn messages(&self, batch: &Batch, session: &mut Session, outcomes: &mut Outcomes) -> Messages {
        let mut messages = Messages::new(batch.len());
        let lines = match self.config.body {
            Form::Json => batch.json_lines(),
            Form::Text => Lines::default(),
        };
        let mut lines = lines.lines();
        let (mut subject, mut headers) = (Vec::new(), Vec::new());
        for row in &batch.rows() {
            let payload = match self.config.body {
                Form::Json => lines.next().unwrap_or_default(),
                Form::Text => row.body().as_bytes(),
            };
            subject.clear();
            self.config.subject.push(row, &mut subject);
            headers.clear();
            self.headers(row, &mut headers);
            let size = headers.len() + payload.len();
            if size > session.max_payload {
                let max = session.max_payload;
                let reason = format!("its message has {size} bytes, and the server takes {max}");
                outcomes.record(row.index(), Err::<(), _>(Failure::permanent(reason)));
                continue;
            }
            messages.push(row.index(), session, [&subject, &headers, payload]);
        }
        messages
    }

    fn headers(&self, row: Row<'_>, out: &mut Vec<u8>) {
        let id = row.id();
        out.extend_from_slice(b"NATS/1.0\r\nNats-Msg-Id: ");
        out.extend_from_slice(self.config.id_prefix.as_bytes());
        json::integer(id.epoch, out);
        out.push(b'-');
        json::integer(id.sequence, out);
        out.extend_from_slice(b"\r\n\r\n");
    }

    /// Publishes the messages, and waits until it is known what became of each.
    ///
    /// # Errors
    /// It is not known of those that are still open.
    fn publish(
        &self,
        session: &mut Session,
        messages: &mut Messages,
        outcomes: &mut Outcomes,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + self.config.timeout();
        session.send(messages.bytes(), deadline)?;
        while messages.are_open() {
            match session.outcome(deadline)? {
                Outcome::Answer(number, status, payload) => {
                    if let Some(record) = messages.close(number) {
                        outcomes.record(record, judge(status, &payload));
                    }
                }
                Outcome::Denied(subject, failure) => {
                    for record in messages.close_all_to(subject.as_bytes()) {
                        outcomes.record(record, Err::<(), _>(failure.clone()));
                    }
                }
            }
        }
        Ok(())
    }
}

sluice_sink::export!(Nats);
