//! Measures what the sandbox costs per record: sinks that get a list of records
//! (0.1.0) and sinks that ask for views (0.2.0), compared with the host's own
//! encoders, called directly. Whatever writes lines writes them to /dev/null.
//!
//! Run it with `make bench-sandbox`. `SLUICE_BENCH_SINKS=name=path,name=path`
//! measures further components, such as sinks in other languages, with both kinds
//! of records.

mod common;

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{Fallible, guests, is_wanted, setting, spread};
use sluice::plugin::Builtin;
use sluice_sandbox::{
    Compiler, Engine, Network, NodeStdout, Prepared, Setup, TooLarge, json_lines, text_lines,
};
use sluice_types::plugin::Identity;
use sluice_types::record::{LogRecord, RecordId, Severity, Text, Value};
use sluice_types::records::Records;
use sluice_types::sink::{Attempt, Sink, SinkInstance};

const BODY: usize = 100;
const BATCHES: [usize; 4] = [1, 32, 100, 1000];
/// The approximate duration of a round.
const ROUND: Duration = Duration::from_millis(100);
/// The default sink as it was for 0.1.0.
const OLD_SINK: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/components/stdout-0.1.0.wasm"
);

const TEXT: &str = r#"{"format":"text"}"#;
const JSON: &str = r#"{"format":"json"}"#;

fn main() -> Fallible<()> {
    if !is_wanted() {
        return Ok(());
    }
    let rounds: usize = setting("SLUICE_BENCH_ROUNDS", 15)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let sinks = Sinks::load().await?;
        let mut plain = Table {
            title: format!("only a body of {BODY} bytes"),
            records: body_only,
            rows: vec![
                Row::native("text lines, natively", text_lines),
                sinks.row("0.1 list, text lines", &sinks.old, TEXT).await?,
                sinks.row("0.2 text-lines", &sinks.default, TEXT).await?,
                sinks.view("len").await?,
                sinks.view("bodies").await?,
                sinks.view("records").await?,
            ],
        };
        let mut rich = Table {
            title: format!("a body of {BODY} bytes and five attributes"),
            records: five_attributes,
            rows: vec![
                Row::native("JSON lines, natively", json_lines),
                sinks.row("0.1 list, JSON lines", &sinks.old, JSON).await?,
                sinks.row("0.2 json-lines", &sinks.default, JSON).await?,
                sinks.view("attributes").await?,
                sinks.view("records").await?,
            ],
        };
        for (name, component) in further_sinks()? {
            plain.rows.push(sinks.row(&name, &component, TEXT).await?);
            rich.rows.push(sinks.row(&name, &component, JSON).await?);
        }
        println!("ns per record, {rounds} rounds: min, median, max; the median less the");
        println!("native one; and its ratio to the list of 0.1");
        for batch in BATCHES {
            plain.measure(batch, rounds).await?;
            rich.measure(batch, rounds).await?;
        }
        Ok(())
    })
}

/// Rows that are measured by turns. The first is native, the second that of 0.1.
struct Table {
    title: String,
    records: fn(usize) -> LogRecord,
    rows: Vec<Row>,
}

impl Table {
    async fn measure(&mut self, batch: usize, rounds: usize) -> Fallible<()> {
        let records: Vec<_> = (0..batch).map(self.records).collect();
        let records = Records::from(records);
        let mut all = vec![Vec::new(); self.rows.len()];
        for _ in 0..rounds {
            for (row, values) in self.rows.iter_mut().zip(&mut all) {
                values.push(row.round(&records).await?);
            }
        }
        println!("\nbatches of {batch}, {}", self.title);
        let spreads: Vec<_> = all.into_iter().map(spread).collect();
        let median = |row: usize| spreads.get(row).map_or(f64::NAN, |[_, middle, _]| *middle);
        for (row, [least, middle, most]) in self.rows.iter().zip(&spreads) {
            let (more, ratio) = (middle - median(0), middle / median(1));
            println!(
                "    {:22} {least:8.1} {middle:8.1} {most:8.1} {more:+9.1} {ratio:7.3}",
                row.name
            );
        }
        Ok(())
    }
}

struct Row {
    name: String,
    what: What,
}

type Encoder = fn(&[LogRecord], usize) -> Result<Vec<u8>, TooLarge>;

enum What {
    Native(Encoder),
    Sandboxed(Box<dyn SinkInstance>),
}

impl Row {
    fn native(name: &str, encode: Encoder) -> Self {
        let (name, what) = (name.to_owned(), What::Native(encode));
        Self { name, what }
    }

    /// Nanoseconds per record of one round.
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    async fn round(&mut self, batch: &Records) -> Fallible<f64> {
        let attempt = Attempt {
            epoch: 1,
            number: 1,
            trace: None,
        };
        let mut null = null()?;
        let (started, mut calls) = (Instant::now(), 0);
        while started.elapsed() < ROUND {
            for _ in 0..10 {
                match &mut self.what {
                    What::Native(encode) => {
                        null.write_all(&encode(black_box(batch), usize::MAX)?)?;
                    }
                    What::Sandboxed(sink) => {
                        let refused = sink.write(attempt.clone(), batch, Duration::MAX).await?;
                        assert!(refused.is_empty(), "the sink takes everything");
                    }
                }
            }
            calls += 10;
        }
        Ok(started.elapsed().as_nanos() as f64 / (calls * batch.len()) as f64)
    }
}

/// The components that are measured.
struct Sinks {
    engine: Engine,
    old: Vec<u8>,
    default: Vec<u8>,
    views: Vec<u8>,
}

impl Sinks {
    async fn load() -> Fallible<Self> {
        Ok(Self {
            engine: Engine::new(Compiler::InProcess, None, Network::none())?,
            old: std::fs::read(Path::new(OLD_SINK))?,
            default: Builtin::Stdout.component().to_vec(),
            views: std::fs::read(guests()?.join("views.wasm"))?,
        })
    }

    /// The row of a component with this config.
    async fn row(&self, name: &str, component: &[u8], config: &str) -> Fallible<Row> {
        let identity = Identity {
            source: name.to_owned(),
            sha256: String::new(),
        };
        let setup = Setup {
            config: config.to_owned(),
            ..Setup::default()
        };
        let stdout = NodeStdout::new(null()?.into())?;
        let component = component.to_vec().into();
        let code = self.engine.compile(component, &identity).await?;
        let prepared = Prepared::link(&self.engine, &code, identity, setup, stdout)?;
        Ok(Row {
            name: name.to_owned(),
            what: What::Sandboxed(prepared.open().await?),
        })
    }

    /// The row of a sink that asks for this view, and writes nothing.
    async fn view(&self, name: &str) -> Fallible<Row> {
        self.row(&format!("0.2 {name}, alone"), &self.views, name)
            .await
    }
}

/// The components that `SLUICE_BENCH_SINKS` names.
fn further_sinks() -> Fallible<Vec<(String, Vec<u8>)>> {
    let named: String = setting("SLUICE_BENCH_SINKS", String::new())?;
    let each = named.split(',').filter(|sink| !sink.is_empty());
    each.map(|sink| {
        let (name, path) = sink
            .split_once('=')
            .ok_or("SLUICE_BENCH_SINKS is name=path,name=path")?;
        Ok((name.to_owned(), std::fs::read(path)?))
    })
    .collect()
}

fn null() -> std::io::Result<File> {
    File::options().write(true).open("/dev/null")
}

fn body_only(number: usize) -> LogRecord {
    let mut text = format!("Message: {number} ");
    text.extend(std::iter::repeat_n('x', BODY - text.len()));
    LogRecord {
        id: RecordId {
            epoch: 1,
            sequence: 1,
        },
        ..LogRecord::with_body(Text::from(text), 1_700_000_000_123_456_789)
    }
}

fn five_attributes(number: usize) -> LogRecord {
    let text = Text::from_static;
    LogRecord {
        severity: Severity::Info,
        attributes: vec![
            (text("service"), Value::Text(text("checkout"))),
            (text("status"), Value::Integer(200)),
            (text("duration_ms"), Value::Float(12.75)),
            (text("cached"), Value::Boolean(true)),
            (
                text("trace_id"),
                Value::Text(text("4bf92f3577b34da6a3ce929d0e0e4736")),
            ),
        ]
        .into(),
        ..body_only(number)
    }
}
