//! `sluice plugin run`: lets lines of stdin pass through a sink.

use std::io::{self, BufRead};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use rustix::io::dup;
use sluice_sandbox::NodeStdout;
use sluice_types::clock::unix_nanos;
use sluice_types::error_chain::chain;
use sluice_types::outcome::WriteError;
use sluice_types::record::{LogRecord, RecordId, Text};
use sluice_types::records::Records;
use sluice_types::stamp::Stamp;
use tokio::sync::mpsc::{self, Receiver};

use super::component;
use super::records;
use super::wanted::WantedArgs;
use crate::cli::compile;
use crate::cli::failure::Failure;
use crate::cli::log::{self, LogFormat};
use crate::kit::Workbench;
use crate::kit::pipe::Pipe;

pub(super) const EXAMPLES: &str = "\
Examples:
  echo hello | sluice plugin run target/wasm32-wasip2/release/mine.wasm
  tail -f app.log | sluice plugin run mine.wasm --watch --config '{\"min\":\"warn\"}'
  sluice plugin run http.wasm --format ndjson --http http://127.0.0.1:9000 \\
      --config '{\"url\":\"http://127.0.0.1:9000/logs\"}' <records.ndjson

Each line is a record: its text, or with --format ndjson an object as /api/v1/logs takes it. What
the sink prints goes to stdout; its stderr, and what it refuses, go to stderr. A relative HOST of
--dir is below a folder that is removed afterwards. A batch is offered five times at most.
The exit code is 0 if every line was a record that was taken or refused for good.";

/// The most records of a batch, as in a node.
const BATCH: usize = 1024;
/// A longer line is an error, in bytes.
const LINE_MAX: usize = 16 << 20;
/// How often --watch looks at the file.
const WATCH: Duration = Duration::from_millis(300);

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Lines,
    Ndjson,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RunArgs {
    /// The component
    file: PathBuf,

    #[command(flatten)]
    wanted: WantedArgs,

    /// What a line of stdin is
    #[arg(long, value_enum, default_value_t = Format::Lines)]
    format: Format,

    /// Load the component again when its file changes
    #[arg(long)]
    watch: bool,
}

/// What was read so far.
#[derive(Debug, Default)]
struct Count {
    lines: u64,
    /// The lines that are no records.
    no_records: u64,
}

impl RunArgs {
    pub(super) async fn run(&self) -> Result<ExitCode, Failure> {
        let _log = log::start(Some(LogFormat::Text))?;
        let mut stamp = self.stamp();
        let stdout = NodeStdout::new(dup(io::stdout())?)?;
        let mut pipe = Pipe::open(self.load().await?, stdout).await?;
        let mut lines = lines();
        let (mut batch, mut count) = (Vec::new(), Count::default());
        loop {
            let received = tokio::time::timeout(WATCH, lines.recv_many(&mut batch, BATCH)).await;
            if self.watch && self.stamp() != stamp {
                stamp = self.stamp();
                self.reload(&mut pipe).await;
            }
            match received {
                Err(_) => {}
                Ok(0) => break,
                Ok(_) => self.pass(&mut pipe, &mut batch, &mut count).await?,
            }
        }
        pipe.close().await;
        Ok(match count.no_records {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        })
    }

    /// Writes lines as one batch.
    async fn pass(
        &self,
        pipe: &mut Pipe,
        lines: &mut Vec<io::Result<String>>,
        count: &mut Count,
    ) -> Result<(), Failure> {
        let mut records = Vec::new();
        for line in lines.drain(..) {
            count.lines += 1;
            match self.record(line?) {
                Ok(record) => records.push(LogRecord {
                    id: RecordId {
                        epoch: 1,
                        sequence: count.lines,
                    },
                    ..record
                }),
                Err(reason) => {
                    count.no_records += 1;
                    tracing::error!(line = count.lines, reason, "not a record");
                }
            }
        }
        if records.is_empty() {
            return Ok(());
        }
        let batch = Records::from(records);
        let told = |error: &WriteError| tracing::warn!(error = chain(error), "the sink failed");
        for refusal in pipe.write(&batch, told).await? {
            let line = batch.get(refusal.index).map(|record| record.id.sequence);
            tracing::warn!(line, reason = %refusal.failure, "the sink refused a record");
        }
        Ok(())
    }

    fn record(&self, line: String) -> Result<LogRecord, String> {
        if let Format::Lines = self.format {
            return Ok(LogRecord::with_body(Text::from(line), unix_nanos()));
        }
        let decoded = records::ndjson(&Bytes::from(line)).map_err(|error| error.to_string())?;
        let reason = decoded.rejected.first_reason().map(str::to_owned);
        let record = decoded.records.into_iter().next();
        record.ok_or_else(|| reason.unwrap_or_else(|| "it is empty".to_owned()))
    }

    async fn load(&self) -> Result<Workbench, Failure> {
        let component = component::read(&self.file)?;
        let manifest = self.wanted.manifest()?;
        let compiler = compile::as_a_node();
        Ok(Workbench::new(&self.file, component, manifest, None, compiler).await?)
    }

    async fn reload(&self, pipe: &mut Pipe) {
        let replaced = match self.load().await {
            Ok(sink) => pipe.replace(sink).await.map_err(Failure::from),
            Err(error) => Err(error),
        };
        match replaced {
            Ok(()) => tracing::info!("loaded the component again"),
            Err(error) => {
                let error = chain(&*error);
                tracing::error!(error, "the changed component is not used");
            }
        }
    }

    fn stamp(&self) -> Option<Stamp> {
        Stamp::of(&self.file)
    }
}

/// The lines of stdin, without their ends. A thread reads them: nothing else can
/// wait for a terminal and for anything else at a time.
fn lines() -> Receiver<io::Result<String>> {
    let (sender, receiver) = mpsc::channel(BATCH);
    std::thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        loop {
            let line = next_line(&mut stdin).transpose();
            let Some(line) = line else { break };
            let is_last = line.is_err();
            if sender.blocking_send(line).is_err() || is_last {
                break;
            }
        }
    });
    receiver
}

/// The next line; what is not UTF-8 is replaced. `None` at the end.
fn next_line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let limit = u64::try_from(LINE_MAX).unwrap_or(u64::MAX);
    if io::Read::take(&mut *from, limit).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() == LINE_MAX && !line.ends_with(b"\n") {
        let text = format!("a line of stdin has more than {} MiB", LINE_MAX >> 20);
        return Err(io::Error::other(text));
    }
    let text = line.strip_suffix(b"\n").unwrap_or(&line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    Ok(Some(String::from_utf8_lossy(text).into_owned()))
}
