//! What a world does between the driver of a node and its election: it repeats
//! answers, leaves out what it is told to, and keeps a record.

use std::collections::HashSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::seam::Port;
use super::without::Without;
use crate::calls::Calls;
use crate::command::{Command, StreamCommand};
use crate::elections::Elections;
use crate::event::{Event, Proof, StreamEvent};
use crate::lock::{CLEAN, Lock};
use crate::take::Taken;
use sluice_types::clock::BootTime;
use sluice_types::stream::DEFAULT_STREAM;

/// The longest delay before an answer is repeated.
const ECHO_LIMIT_MS: u64 = 5000;

#[derive(Debug)]
pub(crate) struct Interference {
    port: Port,
    without: Option<Without>,
    lease: Duration,
    random: StdRng,
    /// The epoch of the current tenure.
    tenure: Option<u64>,
    /// The index of the latest acquisition.
    acquisition: u64,
    /// Sessions that are thought to be gone: a rule that is left out.
    believed_gone: HashSet<String>,
    /// A loss that is kept back until the release was answered: a rule that is
    /// left out.
    held_loss: Option<Command>,
}

impl Interference {
    pub(super) fn new(port: Port, without: Option<Without>, lease: Duration, seed: u64) -> Self {
        Self {
            port,
            without,
            lease,
            random: StdRng::seed_from_u64(seed),
            tenure: None,
            acquisition: 0,
            believed_gone: HashSet::new(),
            held_loss: None,
        }
    }

    /// Passes an event to the election, and returns what the driver is to do.
    pub(crate) fn decide(
        &mut self,
        elections: &mut Elections,
        calls: &mut Calls,
        now: BootTime,
        event: Event,
    ) -> Vec<Command> {
        self.echo(calls, &event);
        let mut decided = Vec::new();
        if let Event::Stream(_, StreamEvent::Released { .. }) = event {
            decided.extend(self.held_loss.take());
        }
        for event in self.hear(now, event, &mut decided) {
            if event != Event::Tick {
                self.port.note(|| format!("hears {event:?}"));
            }
            if let Event::Stream(_, StreamEvent::Took { taken, .. }) = &event
                && let Taken::Won { modify_index } = taken
            {
                self.acquisition = *modify_index;
            }
            self.port.outbox(|outbox| outbox.told += 1);
            let commands = elections.handle(now, event);
            self.change(now, calls, commands, &mut decided);
        }
        decided
    }

    /// Lets the event happen again later.
    fn echo(&mut self, calls: &mut Calls, event: &Event) {
        let is_answer = !matches!(
            event,
            Event::Tick
                | Event::Stream(
                    _,
                    StreamEvent::Eligible(_)
                        | StreamEvent::Yielding(_)
                        | StreamEvent::StepDown { .. }
                )
                | Event::Shutdown
        );
        if is_answer && self.random.random_bool(self.port.echo_chance()) {
            let after = Duration::from_millis(self.random.random_range(0..ECHO_LIMIT_MS));
            let (port, event) = (self.port.clone(), event.clone());
            calls.start(async move {
                port.sleep(after).await;
                event
            });
        }
    }

    /// The events that the election gets in place of this one.
    fn hear(&mut self, now: BootTime, event: Event, decided: &mut Vec<Command>) -> Vec<Event> {
        let Some(without) = self.without else {
            return vec![event];
        };
        match (without, event) {
            (Without::TellingSilence, event) if is_silence(&event) => vec![Event::Tick],
            (Without::RequestTime, Event::Proved { proofs, .. }) => {
                vec![Event::Proved { sent: now, proofs }]
            }
            (Without::TenureOfAnswer, Event::Proved { sent, mut proofs }) => {
                for proof in &mut proofs {
                    proof.epoch = self.tenure.unwrap_or(proof.epoch);
                }
                vec![Event::Proved { sent, proofs }]
            }
            (Without::ReleasingUnproven, Event::SeenByOthers { acquisition, .. }) => {
                vec![Event::SeenByOthers {
                    acquisition,
                    is_seen: false,
                }]
            }
            (_, Event::Renewed { session, exists }) => {
                self.hear_renewal(now, session, exists, decided)
            }
            (_, event) => vec![event],
        }
    }

    fn hear_renewal(
        &mut self,
        now: BootTime,
        session: String,
        exists: Option<bool>,
        decided: &mut Vec<Command>,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        let mut heard = exists;
        match (self.without, exists) {
            (Some(Without::Doubt), Some(false)) => {
                self.believed_gone.insert(session.clone());
                events.extend(self.tenure.map(|epoch| Event::Proved {
                    sent: now,
                    proofs: vec![Proof {
                        stream: DEFAULT_STREAM.into(),
                        epoch,
                        lock: Some(Lock::default()),
                    }],
                }));
            }
            (Some(Without::ReleasingUnproven), Some(true)) => heard = None,
            (Some(Without::ReadsOnly), Some(true)) => {
                let until = now + self.lease;
                let extend = StreamCommand::Extend { until };
                decided.push(Command::Stream(DEFAULT_STREAM.into(), extend));
            }
            _ => {}
        }
        events.push(Event::Renewed {
            session,
            exists: heard,
        });
        events
    }

    /// The commands that the driver gets in place of these.
    fn change(
        &mut self,
        now: BootTime,
        calls: &mut Calls,
        commands: Vec<Command>,
        decided: &mut Vec<Command>,
    ) {
        let is_release =
            |command: &Command| matches!(command, Command::Stream(_, StreamCommand::Release(_)));
        let releases = commands.iter().any(is_release);
        for mut command in commands {
            self.port.note(|| format!("{command:?}"));
            match (&mut command, self.without) {
                (Command::Stream(_, StreamCommand::Lead { epoch, from, .. }), without) => {
                    self.tenure = Some(*epoch);
                    if without == Some(Without::Waiting) {
                        *from = now;
                    }
                }
                (Command::Stream(_, StreamCommand::Lose { loss }), without) => {
                    self.tenure = None;
                    let loss = (loss.clone(), self.acquisition);
                    self.port.outbox(|outbox| outbox.losses.push(loss));
                    if without == Some(Without::StoppingFirst) && releases {
                        self.held_loss = Some(command);
                        continue;
                    }
                }
                (
                    Command::Stream(_, StreamCommand::Release(release)),
                    Some(Without::FoundFlags),
                ) => release.flags = CLEAN,
                (Command::Destroy { session }, _) if self.believed_gone.contains(session) => {
                    let session = session.clone();
                    calls.start(async move { Event::Destroyed { session } });
                    continue;
                }
                _ => {}
            }
            decided.push(command);
        }
    }
}

/// Whether the event is that a call had no answer.
fn is_silence(event: &Event) -> bool {
    match event {
        Event::Session(None)
        | Event::Renewed { exists: None, .. }
        | Event::Watched(_, None)
        | Event::Stream(_, StreamEvent::Looked(None)) => true,
        Event::Proved { proofs, .. } => proofs.iter().any(|proof| proof.lock.is_none()),
        Event::Stream(_, StreamEvent::Took { taken, .. }) => *taken == Taken::Unknown,
        Event::Stream(_, StreamEvent::Released { is_answered, .. }) => !is_answered,
        _ => false,
    }
}
