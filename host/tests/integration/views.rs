//! What a guest sees of random batches, and what becomes of one that mishandles
//! a batch. The sandbox runs in the test itself.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use sluice_sandbox::{Compiler, Engine, Limits, Network, NodeStdout, Prepared, Setup};
use sluice_types::outcome::{Broken, Refusal, WriteError};
use sluice_types::plugin::Identity;
use sluice_types::record::{LogRecord, RecordId, Severity, Text, Value};
use sluice_types::records::Records;
use sluice_types::sink::{Attempt, Sink, SinkInstance};

use crate::support::guest;
use crate::versions::old_sink;

const BATCHES: u64 = 40;

/// Prepares a component that writes to this file.
async fn prepared(component: &Path, setup: Setup, stdout: &Path) -> Prepared {
    let engine = Engine::new(Compiler::InProcess, None, Network::none()).unwrap();
    let identity = Identity {
        source: component.display().to_string(),
        sha256: String::new(),
    };
    let bytes = fs::read(component).unwrap();
    let code = engine.compile(bytes.into(), &identity).await.unwrap();
    let stdout = NodeStdout::new(File::create(stdout).unwrap().into()).unwrap();
    Prepared::link(&engine, &code, identity, setup, stdout).unwrap()
}

fn config(config: &str) -> Setup {
    Setup {
        config: config.to_owned(),
        ..Setup::default()
    }
}

async fn write(
    sink: &mut Box<dyn SinkInstance>,
    batch: &Records,
) -> Result<Vec<Refusal>, WriteError> {
    let attempt = Attempt {
        epoch: 1,
        number: 1,
        trace: None,
    };
    sink.write(attempt, batch, Duration::MAX).await
}

#[tokio::test]
async fn all_views_of_a_guest_agree() {
    let null = Path::new("/dev/null");
    let prepared = prepared(&guest("views"), Setup::default(), null).await;
    let mut sink = prepared.open().await.unwrap();
    for seed in 0..BATCHES {
        let written = write(&mut sink, &batch(seed)).await;
        assert_eq!(written, Ok(Vec::new()), "seed {seed}");
    }
}

#[tokio::test]
async fn lines_are_the_same_as_those_of_the_first_version() {
    let folder = tempfile::tempdir().unwrap();
    for form in [r#"{"format":"text"}"#, r#"{"format":"json"}"#] {
        let mut written = Vec::new();
        for component in [old_sink(), guest("stdout")] {
            let out = folder.path().join("out");
            let prepared = prepared(&component, config(form), &out).await;
            let mut sink = prepared.open().await.unwrap();
            for seed in 0..BATCHES {
                assert_eq!(write(&mut sink, &batch(seed)).await, Ok(Vec::new()));
            }
            written.push(fs::read_to_string(&out).unwrap());
        }
        let lines = |at: usize| written[at].lines();
        for (number, (old, new)) in lines(0).zip(lines(1)).enumerate() {
            assert_eq!(old, new, "line {number}");
        }
        assert_eq!(lines(0).count(), lines(1).count());
    }
}

#[tokio::test]
async fn a_guest_that_mishandles_a_batch_traps_and_the_next_instance_works() {
    let null = Path::new("/dev/null");
    for (mistake, reason) in [
        ("keep", "borrow handles still remain"),
        ("drop twice", "unknown handle"),
        ("use after a drop", "unknown handle"),
    ] {
        let prepared = prepared(&guest("views"), config(mistake), null).await;
        let mut sink = prepared.open().await.unwrap();
        let broken = write(&mut sink, &records(1)).await.unwrap_err();
        let WriteError::Broken(Broken::Trapped(said)) = &broken else {
            panic!("{mistake}: {broken}");
        };
        assert!(said.contains(reason), "{mistake}: {said}");
        let mut next = prepared.open().await.unwrap();
        assert_eq!(write(&mut next, &records(2)).await, Ok(Vec::new()));
    }
}

#[tokio::test]
async fn a_guest_that_asks_for_views_for_ever_is_ended_in_time() {
    let null = Path::new("/dev/null");
    let limits = Limits {
        call: Duration::from_millis(300),
        ..Limits::default()
    };
    let setup = Setup {
        limits,
        ..config("spin")
    };
    let prepared = prepared(&guest("views"), setup, null).await;
    let mut sink = prepared.open().await.unwrap();
    let broken = write(&mut sink, &records(1)).await.unwrap_err();
    let is_ended = matches!(
        broken,
        WriteError::Broken(Broken::Spinning { .. } | Broken::Stuck(_))
    );
    assert!(is_ended, "{broken}");
    let mut next = prepared.open().await.unwrap();
    assert_eq!(write(&mut next, &records(2)).await, Ok(Vec::new()));
}

fn records(count: usize) -> Records {
    let record = LogRecord::with_body(Text::from_static("some text"), 0);
    vec![record; count].into()
}

#[tokio::test]
async fn a_view_that_fits_in_no_memory_of_the_sink_is_a_trap() {
    let memory = 4 << 20;
    let limits = Limits {
        memory,
        ..Limits::default()
    };
    let null = Path::new("/dev/null");
    let zeros = Text::from("\0".repeat(1 << 20));
    let batch = Records::from(vec![LogRecord::with_body(zeros, 0)]);
    for view in ["text-lines", "json-lines"] {
        let setup = Setup {
            limits,
            ..config(view)
        };
        let prepared = prepared(&guest("views"), setup, null).await;
        let mut sink = prepared.open().await.unwrap();
        let broken = write(&mut sink, &batch).await.unwrap_err().to_string();
        let reason = format!("{view} of the batch: it takes more memory than");
        for part in [reason.as_str(), "limits.memory_mib"] {
            assert!(broken.contains(part), "{broken}");
        }
    }
}

fn batch(seed: u64) -> Records {
    let mut rng = StdRng::seed_from_u64(seed);
    let count = rng.random_range(1..40);
    let records: Vec<_> = (0..count).map(|_| record(&mut rng)).collect();
    records.into()
}

fn record(rng: &mut StdRng) -> LogRecord {
    let severities = [Severity::Unspecified, Severity::Trace, Severity::Fatal];
    let names = ["site", "", "a\"b", "site", "resource.host"];
    let attributes = rng.random_range(0..6);
    LogRecord {
        id: RecordId {
            epoch: rng.random(),
            sequence: rng.random(),
        },
        key: Some(text(rng)).filter(|key| !key.is_empty() && rng.random_bool(0.3)),
        timestamp: rng.random(),
        observed: rng.random(),
        severity: *severities.choose(rng).unwrap(),
        body: text(rng),
        attributes: (0..attributes)
            .map(|_| {
                let name = names.choose(rng).copied().unwrap();
                (Text::from_static(name), value(rng))
            })
            .collect(),
    }
}

fn text(rng: &mut StdRng) -> Text {
    let length = match rng.random_range(0..60) {
        0 => 300_000,
        1..8 => 0,
        _ => rng.random_range(1..60),
    };
    let characters = [
        'x', 'y', '\0', '\n', '"', '\\', '\u{7f}', '\u{85}', 'ü', '\u{2028}', '世',
    ];
    let characters = (0..length).map(|_| match rng.random_bool(0.8) {
        true => 'x',
        false => *characters.choose(rng).unwrap(),
    });
    characters.collect::<String>().into()
}

fn value(rng: &mut StdRng) -> Value {
    match rng.random_range(0..8) {
        0 => Value::Text(text(rng)),
        1 => Value::Integer(rng.random()),
        2 => Value::Float(f64::from_bits(rng.random())),
        3 => Value::Float(*[f64::NAN, f64::NEG_INFINITY, -0.0].choose(rng).unwrap()),
        4 => Value::Boolean(rng.random()),
        5 => Value::Bytes((0..30).map(|_| rng.random::<u8>()).collect()),
        6 => Value::Json(text(rng)),
        _ => Value::Json(Text::from_static(
            ["{}", " [1, 2] ", "[1,\n2]", "null", "["]
                .choose(rng)
                .copied()
                .unwrap(),
        )),
    }
}
