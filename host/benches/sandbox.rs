//! Measures what the sandbox costs per record: the default sink's `write`
//! through WebAssembly, compared with the same code compiled natively and
//! called directly. Both write lines of 100 bytes to /dev/null.
//!
//! Run it with `make bench-sandbox`.

#[path = "../../plugins/stdout/src/line.rs"]
#[allow(dead_code, unreachable_pub, reason = "the plugin's own file")]
mod line;

/// The types of the WIT, as the plugin's bindings name them.
mod bindings {
    pub(crate) mod sluice {
        pub(crate) mod sink {
            #[allow(dead_code, reason = "as in the WIT")]
            pub(crate) mod types {
                pub(crate) struct RecordId {
                    pub(crate) epoch: u64,
                    pub(crate) sequence: u64,
                }

                #[derive(Clone, Copy, Debug, PartialEq, Eq)]
                pub(crate) enum Severity {
                    Unspecified,
                    Trace,
                    Debug,
                    Info,
                    Warn,
                    Error,
                    Fatal,
                }

                pub(crate) enum Value {
                    Text(String),
                    Integer(i64),
                    Float(f64),
                    Boolean(bool),
                    Bytes(Vec<u8>),
                    Json(String),
                }

                pub(crate) struct LogRecord {
                    pub(crate) id: RecordId,
                    pub(crate) key: Option<String>,
                    pub(crate) timestamp: u64,
                    pub(crate) observed: u64,
                    pub(crate) severity: Severity,
                    pub(crate) body: String,
                    pub(crate) attributes: Vec<(String, Value)>,
                }
            }
        }
    }
}

mod common;

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use bindings::sluice::sink::types;
use common::{Fallible, is_wanted, setting, spread};
use sluice::plugin::Manifest;
use sluice_sandbox::{Compiler, Engine, NodeStdout, Prepared, Setup};
use sluice_types::plugin::Identity;
use sluice_types::record::{LogRecord, RecordId, Text};
use sluice_types::records::Records;
use sluice_types::sink::{Attempt, Sink, SinkInstance};

const BODY: usize = 100;

fn main() -> Fallible<()> {
    if !is_wanted() {
        return Ok(());
    }
    let rounds: usize = setting("SLUICE_BENCH_ROUNDS", 15)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut sandboxed = Sandboxed::open().await?;
        let mut native = Native {
            file: File::options().write(true).open("/dev/null")?,
            lines: Vec::new(),
        };
        println!("ns per record of {BODY} bytes, {rounds} rounds: min, median, max\n");
        for batch in [1, 32, 100, 1000] {
            let (ours, theirs) = (records(batch).into(), native_records(batch));
            let (mut in_sandbox, mut directly, mut more) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..rounds {
                let one = sandboxed.round(&ours).await?;
                let other = native.round(&theirs)?;
                in_sandbox.push(one);
                directly.push(other);
                more.push(one - other);
            }
            let show = |name, values| {
                let [least, middle, most] = spread(values);
                println!("    {name:12} {least:8.1} {middle:8.1} {most:8.1}");
            };
            println!("batches of {batch}");
            show("sandboxed", in_sandbox);
            show("natively", directly);
            show("difference", more);
        }
        Ok(())
    })
}

/// The approximate duration of a round.
const ROUND: Duration = Duration::from_millis(100);

/// Nanoseconds per record in a round that started at `started`.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn per_record(started: Instant, calls: usize, batch: usize) -> f64 {
    started.elapsed().as_nanos() as f64 / (calls * batch) as f64
}

struct Sandboxed(Box<dyn SinkInstance>);

impl Sandboxed {
    async fn open() -> Fallible<Self> {
        let manifest: Manifest = "builtin:stdout".parse()?;
        let component = manifest.source.read(&[])?.into_owned();
        let identity = Identity {
            source: "builtin:stdout".to_owned(),
            sha256: String::new(),
        };
        let null = File::options().write(true).open("/dev/null")?;
        let stdout = NodeStdout::new(null.into())?;
        let engine = Engine::new(Compiler::InProcess, None)?;
        let code = engine.compile(component.into(), &identity).await?;
        let prepared = Prepared::link(&engine, &code, identity, Setup::default(), stdout)?;
        Ok(Self(prepared.open().await?))
    }

    async fn round(&mut self, batch: &Records) -> Fallible<f64> {
        let attempt = Attempt {
            epoch: 1,
            number: 1,
        };
        let (started, mut calls) = (Instant::now(), 0);
        while started.elapsed() < ROUND {
            for _ in 0..10 {
                let refused = self.0.write(attempt, batch, Duration::MAX).await?;
                assert!(refused.is_empty(), "the sink takes everything");
            }
            calls += 10;
        }
        Ok(per_record(started, calls, batch.len()))
    }
}

struct Native {
    file: File,
    lines: Vec<u8>,
}

impl Native {
    fn round(&mut self, batch: &[types::LogRecord]) -> Fallible<f64> {
        let (started, mut calls) = (Instant::now(), 0);
        while started.elapsed() < ROUND {
            for _ in 0..10 {
                self.lines.clear();
                for record in black_box(batch) {
                    line::text(record, &mut self.lines);
                }
                self.file.write_all(&self.lines)?;
            }
            calls += 10;
        }
        Ok(per_record(started, calls, batch.len()))
    }
}

fn body(number: usize) -> String {
    let mut text = format!("Message: {number} ");
    text.extend(std::iter::repeat_n('x', BODY - text.len()));
    text
}

fn records(count: usize) -> Vec<LogRecord> {
    let record = |number| LogRecord {
        id: RecordId {
            epoch: 1,
            sequence: 1,
        },
        ..LogRecord::with_body(Text::from(body(number)), 1)
    };
    (0..count).map(record).collect()
}

fn native_records(count: usize) -> Vec<types::LogRecord> {
    let record = |number| types::LogRecord {
        id: types::RecordId {
            epoch: 1,
            sequence: 1,
        },
        key: None,
        timestamp: 1,
        observed: 1,
        severity: types::Severity::Unspecified,
        body: body(number),
        attributes: Vec::new(),
    };
    (0..count).map(record).collect()
}
