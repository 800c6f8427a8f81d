//! Reads the nodes' acknowledgement traces while they grow.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::oracle::{Ack, Oracle};

/// The clock of the traces, in nanoseconds since boot.
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).expect("a time after boot");
    let nanoseconds = u64::try_from(time.tv_nsec).expect("a part of a second");
    seconds * 1_000_000_000 + nanoseconds
}

/// The length of a moment, in nanoseconds.
pub(crate) const MOMENT: u64 = 100_000_000;

/// The moments in which a tenure acknowledged something, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moments(Vec<u64>);

impl Moments {
    /// Adds an acknowledgement. One that is earlier than the last one adds nothing.
    pub(crate) fn hear(&mut self, at: u64) {
        let moment = at / MOMENT;
        if self.0.last().is_none_or(|last| *last < moment) {
            self.0.push(moment);
        }
    }

    /// How many of them lie between these times.
    pub(crate) fn between(&self, from: u64, to: u64) -> usize {
        let begun = self.0.partition_point(|moment| *moment <= from / MOMENT);
        let ended = self.0.partition_point(|moment| *moment < to / MOMENT);
        ended.saturating_sub(begun)
    }
}

/// The files `*.acks` of a folder. Each process of a node has its own, so that
/// an incomplete last line of a killed process does no harm.
#[derive(Debug)]
pub(crate) struct Traces {
    folder: PathBuf,
    read: BTreeMap<PathBuf, u64>,
    pub(crate) oracle: Oracle,
    /// By epoch.
    pub(crate) moments: BTreeMap<u64, Moments>,
    /// When anything was acknowledged, sorted.
    times: Vec<u64>,
}

impl Traces {
    pub(crate) fn of(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            read: BTreeMap::new(),
            oracle: Oracle::default(),
            moments: BTreeMap::new(),
            times: Vec::new(),
        }
    }

    /// Reads what was added since the last call.
    pub(crate) fn read(&mut self) {
        let entries = std::fs::read_dir(&self.folder).expect("read a folder");
        for entry in entries {
            let path = entry.expect("read a folder").path();
            if path.extension().is_some_and(|kind| kind == "acks") {
                self.read_file(&path);
            }
        }
        // Cheap, because they are nearly sorted already.
        self.times.sort();
    }

    fn read_file(&mut self, path: &Path) {
        let offset = self.read.entry(path.to_owned()).or_default();
        let mut file = File::open(path).expect("open a trace");
        file.seek(SeekFrom::Start(*offset)).expect("seek");
        let mut new = Vec::new();
        file.read_to_end(&mut new).expect("read a trace");
        let whole = new
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        *offset += whole as u64;
        let process = path.file_stem().unwrap_or_default().to_string_lossy();
        for line in new[..whole]
            .split(|byte| *byte == b'\n')
            .filter(|l| !l.is_empty())
        {
            let line = String::from_utf8_lossy(line);
            let ack = Ack::parse(&line)
                .unwrap_or_else(|| panic!("{} holds the line {line:?}", path.display()));
            self.oracle.hear(&process, ack);
            self.moments.entry(ack.epoch).or_default().hear(ack.at);
            self.times.push(ack.at);
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.times.len()
    }

    /// The first acknowledgement after this time.
    pub(crate) fn first_after(&self, time: u64) -> Option<u64> {
        let place = self.times.partition_point(|at| *at <= time);
        self.times.get(place).copied()
    }

    /// The number of acknowledgements in this period, both ends included.
    pub(crate) fn between(&self, from: u64, to: u64) -> usize {
        let before = |time| self.times.partition_point(|at| *at < time);
        before(to + 1).saturating_sub(before(from))
    }

    /// The longest time without an acknowledgement, between these two times.
    pub(crate) fn silence(&self, from: u64, to: u64) -> Duration {
        let within = self.times.iter().filter(|at| (from..=to).contains(*at));
        let mut last = from;
        let mut longest = 0;
        for at in within.chain([&to]) {
            longest = longest.max(at - last);
            last = *at;
        }
        Duration::from_nanos(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_trace_is_read_as_it_grows_and_only_in_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let mut traces = Traces::of(folder.path());
        let mut write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            let mut file = File::options()
                .create(true)
                .append(true)
                .open(path)
                .unwrap();
            file.write_all(text.as_bytes()).unwrap();
            traces.read();
            traces.times.clone()
        };
        assert_eq!(write("a.1.acks", "10 1 1\n20 1 2\n3"), [10, 20]);
        assert_eq!(write("a.1.log", "no trace"), [10, 20]);
        assert_eq!(write("b.1.acks", "25 2 1\n"), [10, 20, 25]);
        assert_eq!(write("a.1.acks", "0 1 3\n"), [10, 20, 25, 30]);
        assert_eq!(traces.first_after(20), Some(25));
        assert_eq!(traces.first_after(30), None);
        assert_eq!(traces.between(20, 25), 2);
        assert_eq!(traces.between(21, 24), 0);
        assert_eq!(traces.silence(10, 30), Duration::from_nanos(10));
        assert_eq!(traces.silence(0, 22), Duration::from_nanos(10));
        assert_eq!(traces.silence(22, 42), Duration::from_nanos(12));
        assert_eq!(traces.oracle.judge().len(), 1, "the epochs overlap");
    }
}
