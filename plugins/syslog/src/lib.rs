//! The syslog sink: sends records as messages of RFC 5424 over TCP, each with its
//! length in front (RFC 6587), with or without TLS (RFC 5425). `docs/sinks/syslog.md` describes the config,
//! `config.schema.json` checks it.
//!
//! Syslog has no acknowledgements. So each write ends its connection, and waits until
//! the receiver has closed it, too: it does so when it has read everything.

mod config;
mod message;
mod names;
#[cfg(test)]
mod tests;

use std::time::Instant;

use sluice_sink::tcp::{Cause, Connection};
use sluice_sink::{Batch, Delivery, Failure, Refusals, Sink};

use config::{Config, Confirm};
use message::Writer;

struct Syslog {
    config: Config,
    writer: Writer,
    /// The connection that is used again, if writes do not end theirs.
    connection: Option<Connection>,
}

impl Sink for Syslog {
    type Config = Config;

    fn open(config: Config) -> Result<Self, Failure> {
        config.check()?;
        Ok(Self {
            config,
            writer: Writer::new(),
            connection: None,
        })
    }

    fn write(&mut self, batch: &Batch, _delivery: Delivery) -> Result<Refusals, Failure> {
        let mut refusals = Refusals::none();
        let mut frames = Vec::new();
        for row in &batch.rows() {
            if let Err(length) = self.writer.push(row, &self.config, &mut frames) {
                let max = self.config.max_message_bytes();
                let reason = format!("its message has {length} bytes, which is more than {max}");
                refusals.permanent(row.index(), reason);
            }
        }
        if !frames.is_empty() {
            self.send(&frames)?;
        }
        Ok(refusals)
    }

    fn close(self) {
        if let Some(connection) = self.connection {
            // Everything in it was acknowledged, so there is nobody to tell.
            drop(connection.finish(Instant::now() + self.config.timeout()));
        }
    }
}

impl Syslog {
    fn send(&mut self, frames: &[u8]) -> Result<(), Failure> {
        let deadline = Instant::now() + self.config.timeout();
        let used = self.connection.take();
        let open = used.map(still_open).transpose()?.flatten();
        let mut connection = match open {
            Some(open) => open,
            None => self.connect(deadline)?,
        };
        connection.send(frames, deadline)?;
        match self.config.confirm {
            Confirm::Close => no_answer(&connection.finish(deadline)?)?,
            Confirm::Sent => self.connection = Some(connection),
        }
        Ok(())
    }

    fn connect(&self, deadline: Instant) -> Result<Connection, Failure> {
        let connection = Connection::open(&self.config.address, deadline)?;
        Ok(match self.config.tls_server_name() {
            Some(server_name) => connection.start_tls(server_name, deadline)?,
            None => connection,
        })
    }
}

/// The connection that the write before has left, unless the receiver has closed it
/// meanwhile. If it broke down, that write may be lost, so this one says so.
fn still_open(mut used: Connection) -> Result<Option<Connection>, Failure> {
    match used.read_now() {
        Ok(arrived) => no_answer(&arrived).map(|()| Some(used)),
        Err(error) if error.cause == Cause::Closed => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A receiver of syslog sends nothing. What answers has not understood the messages.
fn no_answer(arrived: &[u8]) -> Result<(), Failure> {
    match arrived.is_empty() {
        true => Ok(()),
        false => Err(Failure::retryable(
            "the receiver sent something, which no receiver of syslog does: does it expect TLS \
             (`tls`), or another protocol?",
        )),
    }
}

sluice_sink::export!(Syslog);
