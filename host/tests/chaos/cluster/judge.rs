//! Checks what happened to the messages, using both oracles.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::{WaitId, WaitIdOptions, waitid};

use super::probe::Probe;
use super::{Ack, Cluster, NODES, PRODUCERS, SPAN};
use crate::deliveries;
use crate::support::History;
use crate::trace::{Traces, now};

impl Cluster {
    /// Waits until `more` further messages are acknowledged.
    pub(crate) async fn acknowledges(&mut self, more: usize, within: Duration) {
        let deadline = Instant::now() + within;
        self.traces.read();
        let before = self.traces.count();
        while self.traces.count() < before + more {
            let so_far = self.traces.count() - before;
            assert!(
                Instant::now() < deadline,
                "only {so_far} acknowledgements within {within:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.traces.read();
        }
    }

    /// Waits for the first acknowledgement after this time, and returns how
    /// long it took.
    pub(crate) async fn acknowledges_after(&mut self, time: u64, within: Duration) -> Duration {
        loop {
            self.traces.read();
            let took = |at: u64| Duration::from_nanos(at - time);
            let waited = took(now().max(time));
            match self.traces.first_after(time).map(took) {
                Some(took) if took <= within => return took,
                None if waited <= within => {}
                late => panic!(
                    "no acknowledgement within {within:?}; the first came after {late:?}, \
                     {waited:?} have passed"
                ),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Fails if the oracle found a fault, such as two nodes that acknowledged
    /// at the same time.
    pub(crate) fn one_acknowledges(&mut self) {
        self.traces.read();
        let faults = self.traces.oracle.judge();
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    /// Fails if a process that was not killed has exited.
    pub(crate) fn nobody_exited(&self) {
        let members = self
            .members
            .iter()
            .filter_map(|member| member.process.as_ref());
        for process in members.chain(&self.producers) {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            let ended = waitid(WaitId::Pid(process.pid()), options).expect("look at a child");
            assert!(
                ended.is_none(),
                "{} exited by itself: {ended:?}",
                process.name
            );
        }
    }

    /// Judges the run so far, while it continues, and returns a summary.
    pub(crate) fn judge(&mut self) -> String {
        self.nobody_exited();
        self.verdict()
    }

    /// Stops the producers and the probes, and judges the whole run. Returns a
    /// summary.
    pub(crate) async fn finish(&mut self) -> String {
        self.nobody_exited();
        for producer in &mut self.producers {
            producer.terminate().await;
        }
        self.probes.iter().for_each(Probe::stop);
        if self.ack == Ack::Replicated {
            self.everything_is_delivered().await;
            self.stays_within_bounds().await;
            self.journal_is_whole();
        }
        self.verdict()
    }

    fn verdict(&mut self) -> String {
        self.one_acknowledges();
        // Read before the outputs: what is acknowledged by now was written
        // earlier.
        let producers = self.producers.iter().map(|p| self.acknowledged(&p.name));
        let probes = self.probes.iter().map(Probe::acknowledged);
        let acknowledged: Vec<_> = producers.chain(probes).collect();
        let history = History {
            producers: acknowledged,
            written: NODES.iter().map(|node| self.written(node)).collect(),
            dead: BTreeSet::new(),
        };
        let verdict = history.judge();
        assert!(verdict.is_clean(), "{verdict:?}");
        let deliveries = self.judge_deliveries();
        format!(
            "{} messages acknowledged, none lost; {} acknowledgements under {} epochs, no two \
             at the same time; {} repeats{deliveries}",
            history.producers.iter().map(BTreeSet::len).sum::<usize>(),
            self.traces.count(),
            self.traces.oracle.epochs(),
            verdict.repeats
        )
    }

    /// Judges what was delivered when, if records have ids, and returns a summary.
    fn judge_deliveries(&self) -> String {
        let Some(outputs) = &self.outputs else {
            return String::new();
        };
        let Traces {
            oracle, moments, ..
        } = &self.traces;
        // Probes send no ids.
        let with_ids = SPAN..(PRODUCERS + 1) * SPAN;
        let deliveries = outputs.deliveries();
        let verdict = deliveries::judge(&deliveries, with_ids, oracle.decided(), moments);
        verdict.expect_clean();
        format!(", of which {verdict}; {}", self.sizes)
    }

    /// The numbers that were acknowledged to a producer.
    fn acknowledged(&self, producer: &str) -> BTreeSet<u64> {
        let text = std::fs::read_to_string(self.journal(producer)).unwrap_or_default();
        // The last line may be incomplete.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| line.parse().expect("a number"))
            .collect()
    }

    /// The numbers that a node's sink has written, across all the node's
    /// processes.
    fn written(&self, node: &str) -> Vec<u64> {
        let path = self.folder.path().join(format!("{node}.out"));
        let text = std::fs::read(path).expect("read an output");
        String::from_utf8_lossy(&text)
            .lines()
            .filter_map(|line| line.rsplit_once("Message: ")?.1.parse().ok())
            .collect()
    }
}
