//! The load generator: several connections, each with one request at a time.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::LocalSet;
use tokio::time::{sleep, sleep_until, timeout};

use crate::args::BenchArgs;
use crate::connection::Connection;
use crate::journal::Journal;
use crate::leader::{Leader, authorization};
use crate::report::Measured;
use crate::target::Target;

/// The pause before the next attempt to send.
const RETRY_DELAY: Duration = Duration::from_millis(5);
/// The longest time to open a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// What all connections share.
struct Load {
    args: BenchArgs,
    authorization: Option<String>,
    leader: tokio::sync::Mutex<Leader>,
    journal: RefCell<Journal>,
    measured: RefCell<Measured>,
    next_number: Cell<u64>,
    started: Instant,
}

pub(crate) async fn run(args: BenchArgs) -> Result<ExitCode, Box<dyn Error>> {
    let load = Rc::new(Load {
        authorization: authorization(&args.destination)?,
        leader: tokio::sync::Mutex::new(Leader::new(&args.destination)?),
        journal: RefCell::new(Journal::open(&args.destination)?),
        measured: RefCell::new(Measured::new()?),
        next_number: Cell::new(args.from),
        started: Instant::now(),
        args,
    });
    // Finds a wrong target before the load starts.
    for target in &load.args.destination.target {
        Target::parse(target, load.args.is_many())?;
    }
    let tasks = LocalSet::new();
    for _ in 0..load.args.connections {
        tasks.spawn_local(Rc::clone(&load).connection());
    }
    tasks.await;
    let elapsed = load.started.elapsed();
    load.journal.borrow_mut().flush()?;
    let measured = load.measured.replace(Measured::new()?);
    if let Some(file) = &load.args.silences {
        std::fs::write(file, measured.silences())?;
    }
    let report = measured.report(elapsed);
    if load.args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{}", report.text());
    }
    Ok(if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Load {
    async fn connection(self: Rc<Self>) {
        let end = self.started + self.args.duration;
        let mut open: Option<(Connection, Target)> = None;
        let mut request = Vec::new();
        let batch = u64::try_from(self.args.batch.max(1)).unwrap_or(1);
        loop {
            // Taken before the wait, so that each connection waits for a time of its own.
            let first = self.next_number.replace(self.next_number.get() + batch);
            self.pace(first).await;
            if Instant::now() >= end {
                return;
            }
            let sent = Instant::now();
            let (connection, target) = match open.take() {
                Some(open) => open,
                None => match self.open().await {
                    Ok(open) => open,
                    Err(why) => {
                        self.measured.borrow_mut().refused(batch, why);
                        sleep(RETRY_DELAY).await;
                        continue;
                    }
                },
            };
            self.write(&mut request, &target, first);
            open = self
                .exchange(connection, target, &request, first, batch, sent)
                .await;
            if open.is_none() {
                sleep(RETRY_DELAY).await;
            }
        }
    }

    /// Sends one request. Returns the connection if it can be used again.
    async fn exchange(
        &self,
        connection: Connection,
        target: Target,
        request: &[u8],
        first: u64,
        batch: u64,
        sent: Instant,
    ) -> Option<(Connection, Target)> {
        let answered = timeout(self.args.timeout, connection.exchange(request)).await;
        let mut measured = self.measured.borrow_mut();
        let (answer, connection) = match answered {
            Ok(Ok(answered)) => answered,
            Ok(Err(error)) => {
                measured.unknown(batch, format!("{}: {error}", target.authority));
                return None;
            }
            Err(_) => {
                measured.unknown(batch, format!("{}: no answer in time", target.authority));
                return None;
            }
        };
        match answer.status {
            200 => {
                let rejected = u64::try_from(answer.rejected).unwrap_or(batch);
                measured.acknowledged(sent, batch, rejected);
                if rejected == 0
                    && let Err(error) = self
                        .journal
                        .borrow_mut()
                        .acknowledged(first, first + batch - 1)
                {
                    measured.unknown(0, format!("cannot write the journal: {error}"));
                }
                connection.map(|connection| (connection, target))
            }
            504 => {
                measured.unknown(batch, format!("{} answered 504", target.authority));
                connection.map(|connection| (connection, target))
            }
            status => {
                let to = answer.location.unwrap_or_default();
                measured.refused(
                    batch,
                    format!("{} answered {status} {to}", target.authority),
                );
                None
            }
        }
    }

    async fn open(&self) -> Result<(Connection, Target), String> {
        let url = self.leader.lock().await.find().await?;
        let target = Target::parse(&url, self.args.is_many()).map_err(|error| error.to_string())?;
        match timeout(CONNECT_TIMEOUT, Connection::open(&target.authority)).await {
            Ok(Ok(connection)) => Ok((connection, target)),
            Ok(Err(error)) => Err(format!("connect to {}: {error}", target.authority)),
            Err(_) => Err(format!("connect to {}: no answer", target.authority)),
        }
    }

    /// Waits until the message with this number is due, or until the end.
    async fn pace(&self, number: u64) {
        if let Some(rate) = self.args.rate {
            #[expect(
                clippy::cast_precision_loss,
                reason = "the rate needs no such precision"
            )]
            let due = Duration::from_secs_f64((number - self.args.from) as f64 / rate);
            sleep_until((self.started + due.min(self.args.duration)).into()).await;
        }
    }

    /// Writes the request with the messages from number `first` on.
    fn write(&self, request: &mut Vec<u8>, target: &Target, first: u64) {
        let body = self.body(first);
        let content_type = match self.args.ndjson {
            true => "application/x-ndjson",
            false => "text/plain",
        };
        request.clear();
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n",
            target.path,
            target.authority,
            body.len()
        );
        request.extend_from_slice(head.as_bytes());
        if let Some(authorization) = &self.authorization {
            request.extend_from_slice(format!("authorization: {authorization}\r\n").as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(&body);
    }

    fn body(&self, first: u64) -> Vec<u8> {
        let (batch, size) = (self.args.batch.max(1), self.args.size);
        let mut body = Vec::with_capacity(batch * (size + 1));
        for number in (first..).take(batch) {
            if number > first {
                body.push(b'\n');
            }
            if self.args.ndjson {
                push_object(&mut body, number, size);
            } else {
                push_text(&mut body, number, size);
            }
        }
        body
    }
}

/// Appends a message as text of `size` bytes, or longer if it does not fit.
fn push_text(body: &mut Vec<u8>, number: u64, size: usize) {
    let end = body.len() + size;
    body.extend_from_slice(format!("Message: {number}").as_bytes());
    if body.len() < end {
        body.push(b' ');
        body.resize(end.max(body.len()), b'x');
    }
}

/// Appends a message as a JSON object of `size` bytes, or longer if it does not
/// fit.
fn push_object(body: &mut Vec<u8>, number: u64, size: usize) {
    let end = body.len() + size;
    let object = format!(
        "{{\"severity\":\"info\",\"message\":\"Message: {number}\",\"service\":\"bench\",\
         \"status\":200,\"filling\":\""
    );
    body.extend_from_slice(object.as_bytes());
    body.resize(end.max(body.len() + 2) - 2, b'x');
    body.extend_from_slice(b"\"}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_filled_up_to_their_size() {
        let mut body = b"before\n".to_vec();
        push_text(&mut body, 7, 16);
        assert_eq!(body, b"before\nMessage: 7 xxxxx");
        body.clear();
        push_text(&mut body, 7, 3);
        assert_eq!(body, b"Message: 7");
        body.clear();
        push_object(&mut body, 7, 120);
        assert_eq!(body.len(), 120);
        assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
        body.clear();
        push_object(&mut body, 7, 3);
        assert!(body.ends_with(b"\"filling\":\"\"}"));
    }
}
