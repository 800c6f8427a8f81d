//! Reads what sinks write while it grows, so it knows about when each line was
//! written.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::trace::now;

/// How often the outputs are read.
const INTERVAL: Duration = Duration::from_millis(20);

/// The epoch and the sequence of a record.
pub(crate) type Id = (u64, u64);

/// A line of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) node: &'static str,
    /// The epoch that wrote it.
    pub(crate) epoch: u64,
    pub(crate) id: Id,
    /// The number in the message.
    pub(crate) number: u64,
    /// It was written between these two times.
    pub(crate) after: u64,
    pub(crate) by: u64,
}

/// Reads the outputs of some nodes in the background.
#[derive(Debug)]
pub(crate) struct Outputs {
    read: Arc<Mutex<Vec<Output>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Output {
    node: &'static str,
    path: PathBuf,
    offset: u64,
    /// When it was read last.
    last: u64,
    lines: Vec<Delivery>,
}

impl Outputs {
    pub(crate) fn of(folder: &Path, nodes: &[&'static str]) -> Self {
        let outputs = nodes.iter().map(|node| Output {
            node,
            path: folder.join(format!("{node}.out")),
            offset: 0,
            last: now(),
            lines: Vec::new(),
        });
        let read = Arc::new(Mutex::new(outputs.collect::<Vec<_>>()));
        let is_over = Arc::new(AtomicBool::new(false));
        let (outputs, end) = (Arc::clone(&read), Arc::clone(&is_over));
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                outputs
                    .lock()
                    .expect("no panic")
                    .iter_mut()
                    .for_each(Output::read);
                std::thread::sleep(INTERVAL);
            }
        });
        Self {
            read,
            is_over,
            thread: Some(thread),
        }
    }

    /// Everything that was written so far.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        let mut outputs = self.read.lock().expect("no panic");
        outputs.iter_mut().for_each(Output::read);
        outputs
            .iter()
            .flat_map(|output| output.lines.iter().copied())
            .collect()
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Its panic was reported already.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

impl Output {
    /// Reads what was added since the last time, as far as its lines are complete.
    fn read(&mut self) {
        let began = now();
        let mut new = Vec::new();
        if let Ok(mut file) = File::open(&self.path) {
            file.seek(SeekFrom::Start(self.offset)).expect("seek");
            file.read_to_end(&mut new).expect("read an output");
        }
        let by = now();
        let whole = new
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        self.offset += whole as u64;
        let (node, after) = (self.node, self.last);
        let lines = new[..whole].split(|byte| *byte == b'\n');
        let lines = lines.filter_map(parts);
        self.lines.extend(lines.map(|(epoch, id, number)| Delivery {
            node,
            epoch,
            id,
            number,
            after,
            by,
        }));
        self.last = began;
    }
}

/// The parts of a line like `6 5/17 Message: 3`: epoch 6 has written 5/17, which
/// holds number 3.
fn parts(line: &[u8]) -> Option<(u64, Id, u64)> {
    let (epoch, rest) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    let (id, message) = rest.split_once(' ')?;
    let (first, sequence) = id.split_once('/')?;
    let number = message.strip_prefix("Message: ")?;
    Some((
        epoch.parse().ok()?,
        (first.parse().ok()?, sequence.parse().ok()?),
        number.parse().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn an_output_is_read_as_it_grows() {
        let folder = tempfile::tempdir().unwrap();
        let outputs = Outputs::of(folder.path(), &["a"]);
        let mut file = File::create(folder.path().join("a.out")).unwrap();
        let before = now();
        file.write_all(b"3 1/2 Message: 7\nclosed\n3 1/3 Mess")
            .unwrap();
        let read = outputs.deliveries();
        assert_eq!(read.len(), 1);
        let Delivery {
            node,
            epoch,
            id,
            number,
            ..
        } = read[0];
        assert_eq!((node, epoch, id, number), ("a", 3, (1, 2), 7));
        assert!(read[0].by > before && read[0].after < now());
        file.write_all(b"age: 8\n3 1/4 Message: 9\n").unwrap();
        let ids: Vec<_> = outputs.deliveries().iter().map(|line| line.id).collect();
        assert_eq!(ids, [(1, 2), (1, 3), (1, 4)]);
    }
}
