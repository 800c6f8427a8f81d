//! Runs the nodes and the producer, and counts what happens to the messages.

use std::path::PathBuf;
use std::time::Instant;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::event::{Acknowledgement, Event};
use super::guide::{Guide, Leader};
use super::node::NodeProcess;
use super::phase::{Phase, advance};
use super::producer::Producer;
use super::screen::{Label, Screen};
use super::tally::{Tally, in_words};

/// How the demo ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Every message was acknowledged and is in an output.
    Complete,
    /// A message is missing, or a part of the demo failed.
    Incomplete,
    /// It was killed, and nothing was checked.
    Killed,
}

pub(super) struct Supervisor<'a> {
    guide: Guide,
    started: Instant,
    nodes: Vec<NodeRow>,
    events: mpsc::Receiver<Event>,
    screen: Screen,
    phase: &'a watch::Sender<Phase>,
    tally: Tally,
    /// The node that acknowledged last, and its epoch.
    leader: Option<(String, String)>,
    /// The nodes and the producer.
    tasks: JoinSet<()>,
}

/// What the supervisor knows of a node.
struct NodeRow {
    name: String,
    address: String,
    /// The folder in which its sinks may write.
    files: PathBuf,
    /// Its current or last process.
    pid: u32,
}

impl<'a> Supervisor<'a> {
    /// Starts the nodes and the producer.
    pub(super) fn start(
        guide: Guide,
        started: Instant,
        nodes: Vec<NodeProcess>,
        producer: Producer,
        events: mpsc::Receiver<Event>,
        screen: Screen,
        phase: &'a watch::Sender<Phase>,
    ) -> Self {
        let row = |node: &NodeProcess| NodeRow {
            name: node.name.clone(),
            address: node.address.clone(),
            files: node.data_dir.join("files"),
            pid: 0,
        };
        let rows = nodes.iter().map(row).collect();
        let mut tasks = JoinSet::new();
        for node in nodes {
            tasks.spawn(node.run());
        }
        tasks.spawn(producer.run());
        Self {
            guide,
            started,
            nodes: rows,
            events,
            screen,
            phase,
            tally: Tally::default(),
            leader: None,
            tasks,
        }
    }

    /// Handles events until all parts have ended, then prints the result.
    pub(super) async fn run(mut self) -> Outcome {
        let mut has_failed = false;
        loop {
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => self.handle(event).await,
                    None => break,
                },
                Some(Err(error)) = self.tasks.join_next() => {
                    has_failed = true;
                    self.say(&format!("a part of the demo failed: {error}")).await;
                    advance(self.phase, Phase::Stop);
                }
            }
        }
        if *self.phase.borrow() == Phase::Kill {
            return Outcome::Killed;
        }
        for node in &self.nodes {
            self.tally.seen_in_files(&node.files);
        }
        for line in self.tally.summary() {
            self.say(&line).await;
        }
        if self.tally.is_complete() && !has_failed {
            Outcome::Complete
        } else {
            Outcome::Incomplete
        }
    }

    async fn handle(&mut self, event: Event) {
        match event {
            Event::NodeStarted { node, pid } => {
                if let Some(node) = self.nodes.get_mut(node) {
                    node.pid = pid;
                }
            }
            Event::SinkPrinted(line) => self.tally.seen(&line),
            Event::Acknowledged(acknowledgement) => self.acknowledged(acknowledgement).await,
            Event::Unacknowledged(number) => self.tally.unacknowledged(number),
            Event::ProducerStopped => advance(self.phase, Phase::Stop),
        }
    }

    async fn acknowledged(&mut self, acknowledgement: Acknowledgement) {
        let Acknowledgement {
            number,
            node,
            epoch,
            took,
        } = acknowledgement;
        let is_first = !self.tally.has_acknowledged();
        self.tally.acknowledged(number, took);
        let leader = Some((node, epoch));
        if self.leader == leader {
            return;
        }
        self.leader = leader;
        let Some((node, epoch)) = &self.leader else {
            return;
        };
        let Some(row) = self.nodes.iter().find(|row| row.name == *node) else {
            return;
        };
        if is_first {
            let leader = Leader {
                node,
                address: &row.address,
                pid: row.pid,
            };
            let within = in_words(self.started.elapsed());
            self.screen.print(self.guide.text(&leader, &within)).await;
        } else {
            let pid = row.pid;
            self.say(&format!(
                "{node} leads now (epoch {epoch}); to kill it: kill -9 {pid}"
            ))
            .await;
        }
    }

    async fn say(&self, text: &str) {
        self.screen.say(&Label::demo(), text).await;
    }
}
