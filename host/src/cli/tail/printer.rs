//! Prints events: records on stdout, everything else on stderr.

use std::io::{self, Write as _};

use serde::de::DeserializeOwned;

use super::text;
use crate::tail::{END, LEADER, LeaderEvent, RECORD, RecordEvent, SKIPPED, SkippedEvent, events};
use sluice_types::readable;

/// How events are printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Printer {
    /// One JSON object per record.
    pub(super) json: bool,
    pub(super) in_color: bool,
}

impl Printer {
    /// Prints whole events. One that cannot be read is left out: a later version may
    /// send others.
    ///
    /// # Errors
    /// Stdout takes nothing.
    pub(super) fn print(self, whole: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        for (name, data) in events(whole) {
            match name {
                RECORD if self.json => writeln!(stdout, "{}", readable::json(data))?,
                RECORD => {
                    if let Some(record) = read::<RecordEvent>(data) {
                        writeln!(stdout, "{}", text::line(&record, self.in_color))?;
                    }
                }
                SKIPPED => skipped(read(data)),
                LEADER => leader(read(data)),
                END => eprintln!("sluice: the node is stopping"),
                _ => {}
            }
        }
        stdout.flush()
    }
}

fn read<T: DeserializeOwned>(data: &str) -> Option<T> {
    serde_json::from_str(data).ok()
}

fn skipped(event: Option<SkippedEvent>) {
    let Some(SkippedEvent {
        records,
        unfiltered,
    }) = event
    else {
        return;
    };
    match unfiltered {
        0 => eprintln!("sluice: {records} more records were skipped"),
        _ => eprintln!(
            "sluice: {records} more records were skipped, {unfiltered} of them without a look at \
             the filter"
        ),
    }
}

fn leader(event: Option<LeaderEvent>) {
    let Some(LeaderEvent { leader, error }) = event else {
        return;
    };
    let leader = leader.map(|leader| readable::source(&leader));
    match (leader, error) {
        (Some(leader), None) => eprintln!("sluice: watching what passes on {leader}, which leads"),
        (Some(leader), Some(error)) => {
            let error = readable::error(&error);
            eprintln!("sluice: what passes on {leader}, which leads, cannot be seen now: {error}");
        }
        (None, _) => eprintln!("sluice: no node leads at the moment"),
    }
}
