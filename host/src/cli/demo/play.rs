//! Listens to everybody, and says what it comes to.

use std::path::PathBuf;
use std::time::Instant;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::Event;
use super::guide::{Guide, Leading};
use super::node::NodeProcess;
use super::phase::{Phase, advance};
use super::producer::{Acknowledgement, Producer};
use super::screen::{Label, Screen};
use super::tally::{Tally, in_words};

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Every message was acknowledged and stands in an output.
    Complete,
    /// Not every one.
    Incomplete,
    /// Nothing was looked at.
    Killed,
}

pub(super) struct Play<'a> {
    guide: Guide,
    started: Instant,
    cast: Vec<Actor>,
    happened: mpsc::Receiver<Event>,
    screen: Screen,
    phase: &'a watch::Sender<Phase>,
    tally: Tally,
    /// Who acknowledged last, and in which epoch.
    leader: Option<(String, String)>,
    /// Nodes and producer.
    tasks: JoinSet<()>,
}

/// A node, as the play knows it.
struct Actor {
    name: String,
    address: String,
    /// Where its sinks may write.
    files: PathBuf,
    /// Of its latest life.
    pid: u32,
}

impl<'a> Play<'a> {
    /// Starts the nodes and the producer.
    pub(super) fn start(
        guide: Guide,
        started: Instant,
        nodes: Vec<NodeProcess>,
        producer: Producer,
        happened: mpsc::Receiver<Event>,
        screen: Screen,
        phase: &'a watch::Sender<Phase>,
    ) -> Self {
        let actor = |node: &NodeProcess| Actor {
            name: node.name.clone(),
            address: node.address.clone(),
            files: node.data_dir.join("files"),
            pid: 0,
        };
        let cast = nodes.iter().map(actor).collect();
        let mut tasks = JoinSet::new();
        for node in nodes {
            tasks.spawn(node.run());
        }
        tasks.spawn(producer.run());
        Self {
            guide,
            started,
            cast,
            happened,
            screen,
            phase,
            tally: Tally::default(),
            leader: None,
            tasks,
        }
    }

    /// Listens until everybody has ended, then sums up.
    pub(super) async fn run(mut self) -> Ended {
        let mut has_failed = false;
        loop {
            tokio::select! {
                event = self.happened.recv() => match event {
                    Some(event) => self.take(event).await,
                    // Nobody is left.
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
            return Ended::Killed;
        }
        for actor in &self.cast {
            self.tally.seen_in_files(&actor.files);
        }
        for line in self.tally.summary() {
            self.say(&line).await;
        }
        if self.tally.is_complete() && !has_failed {
            Ended::Complete
        } else {
            Ended::Incomplete
        }
    }

    async fn take(&mut self, event: Event) {
        match event {
            Event::Started(place, pid) => {
                if let Some(actor) = self.cast.get_mut(place) {
                    actor.pid = pid;
                }
            }
            Event::Printed(line) => self.tally.seen(&line),
            Event::Acknowledged(acknowledgement) => self.acknowledged(acknowledgement).await,
            Event::Unacknowledged(number) => self.tally.unacknowledged(number),
            // Nothing is under way any more.
            Event::LastMessage => advance(self.phase, Phase::Stop),
        }
    }

    async fn acknowledged(&mut self, acknowledgement: Acknowledgement) {
        let Acknowledgement {
            number,
            node,
            epoch,
            took,
        } = acknowledgement;
        let is_first = !self.tally.has_begun();
        self.tally.acknowledged(number, took);
        let leader = Some((node, epoch));
        if self.leader == leader {
            return;
        }
        self.leader = leader;
        let Some((node, epoch)) = &self.leader else {
            return;
        };
        let Some(actor) = self.cast.iter().find(|actor| actor.name == *node) else {
            return;
        };
        if is_first {
            let leading = Leading {
                node,
                address: &actor.address,
                pid: actor.pid,
            };
            let within = in_words(self.started.elapsed());
            self.screen.print(self.guide.text(&leading, &within)).await;
        } else {
            let pid = actor.pid;
            self.say(&format!(
                "{node} leads now (epoch {epoch}); to kill it: kill -9 {pid}"
            ))
            .await;
        }
    }

    async fn say(&self, said: &str) {
        self.screen.say(&Label::demo(), said).await;
    }
}
