//! What a run of the load generator measured.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest latency that is recorded as such, in nanoseconds.
const MAX_LATENCY: u64 = 120_000_000_000;

/// The shortest time without an acknowledgement that counts as a silence.
const MIN_SILENCE: Duration = Duration::from_millis(1);

/// Counts and latencies, collected during a run.
#[derive(Debug)]
pub(crate) struct Measured {
    latencies: Histogram<u64>,
    acknowledged: u64,
    refused: u64,
    unknown: u64,
    requests: u64,
    last_acknowledgement: Option<Instant>,
    /// The longest silence so far.
    silence: Duration,
    /// When each silence of at least [`MIN_SILENCE`] ended, and its length.
    silences: Vec<(SystemTime, Duration)>,
    last_trouble: Option<String>,
}

/// The result of a run, as it is printed.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// In seconds.
    elapsed: f64,
    /// Acknowledged requests.
    requests_per_second: f64,
    /// Acknowledged messages.
    messages_per_second: f64,
    /// Latencies of acknowledged requests, in milliseconds.
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    max_ms: f64,
    acknowledged: u64,
    refused: u64,
    unknown: u64,
    /// The longest time between two acknowledgements, in milliseconds.
    silence_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_trouble: Option<String>,
}

impl Measured {
    pub(crate) fn new() -> Result<Self, hdrhistogram::CreationError> {
        Ok(Self {
            latencies: Histogram::new_with_bounds(1, MAX_LATENCY, 3)?,
            acknowledged: 0,
            refused: 0,
            unknown: 0,
            requests: 0,
            last_acknowledgement: None,
            silence: Duration::ZERO,
            silences: Vec::new(),
            last_trouble: None,
        })
    }

    /// Counts an answer of 200 that rejects `rejected` of the messages.
    pub(crate) fn acknowledged(&mut self, started: Instant, messages: u64, rejected: u64) {
        let now = Instant::now();
        let nanos = u64::try_from((now - started).as_nanos()).unwrap_or(MAX_LATENCY);
        self.latencies.saturating_record(nanos);
        self.requests += 1;
        self.acknowledged += messages - rejected.min(messages);
        self.refused += rejected.min(messages);
        if let Some(last) = self.last_acknowledgement {
            let silence = now - last;
            self.silence = self.silence.max(silence);
            if silence >= MIN_SILENCE {
                self.silences.push((SystemTime::now(), silence));
            }
        }
        self.last_acknowledgement = Some(now);
    }

    /// The silences, one per line: the end (Unix time) and the length, both in
    /// milliseconds.
    pub(crate) fn silences(&self) -> String {
        let lines = self.silences.iter().map(|(ended, silence)| {
            let ended = ended.duration_since(UNIX_EPOCH).unwrap_or_default();
            let (ended, silence) = (ended.as_secs_f64() * 1e3, silence.as_secs_f64() * 1e3);
            format!("{ended:.3} {silence:.3}\n")
        });
        lines.collect()
    }

    /// Counts messages that were certainly not delivered.
    pub(crate) fn refused(&mut self, messages: u64, why: String) {
        self.refused += messages;
        self.last_trouble = Some(why);
    }

    /// Counts messages that may have been delivered.
    pub(crate) fn unknown(&mut self, messages: u64, why: String) {
        self.unknown += messages;
        self.last_trouble = Some(why);
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "rates and milliseconds for people"
    )]
    pub(crate) fn report(self, elapsed: Duration) -> Report {
        let millis = |quantile| self.latencies.value_at_quantile(quantile) as f64 / 1e6;
        let seconds = elapsed.as_secs_f64();
        Report {
            elapsed: seconds,
            requests_per_second: self.requests as f64 / seconds,
            messages_per_second: self.acknowledged as f64 / seconds,
            p50_ms: millis(0.5),
            p90_ms: millis(0.9),
            p99_ms: millis(0.99),
            p999_ms: millis(0.999),
            max_ms: self.latencies.max() as f64 / 1e6,
            acknowledged: self.acknowledged,
            refused: self.refused,
            unknown: self.unknown,
            silence_ms: self.silence.as_secs_f64() * 1e3,
            last_trouble: self.last_trouble,
        }
    }
}

impl Report {
    /// Whether every message was acknowledged.
    pub(crate) const fn is_clean(&self) -> bool {
        self.refused == 0 && self.unknown == 0 && self.acknowledged > 0
    }

    pub(crate) fn text(&self) -> String {
        let trouble = match &self.last_trouble {
            Some(trouble) => format!("last trouble  {trouble}\n"),
            None => String::new(),
        };
        format!(
            "rate          {:.0} requests/s, {:.0} messages/s over {:.1} s\n\
             latency       p50 {:.3} ms, p90 {:.3} ms, p99 {:.3} ms, p99.9 {:.3} ms, max {:.3} ms\n\
             acknowledged  {}\n\
             refused       {} (certainly not delivered)\n\
             unknown       {} (perhaps delivered)\n\
             silence       {:.1} ms at most between two acknowledgements\n{trouble}",
            self.requests_per_second,
            self.messages_per_second,
            self.elapsed,
            self.p50_ms,
            self.p90_ms,
            self.p99_ms,
            self.p999_ms,
            self.max_ms,
            self.acknowledged,
            self.refused,
            self.unknown,
            self.silence_ms,
        )
    }
}
