//! The sessions that this node may have in Consul, on disk: what a process
//! leaves when it is killed, the next one ends. Otherwise a session whose health
//! check passes again would keep the lock until its TTL is over.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sluice_types::files;

/// The file `sessions` in the data directory, one id per line.
#[derive(Debug)]
pub(super) struct SessionFile {
    file: PathBuf,
    ids: Mutex<Vec<String>>,
    earlier: Vec<String>,
}

impl SessionFile {
    /// Reads what earlier processes have left. A file that cannot be read is
    /// logged and counts as empty: without it, a restart only takes longer.
    pub(super) fn open(data_dir: &Path) -> Self {
        let file = data_dir.join("sessions");
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                tracing::warn!(file = %file.display(), %error, "could not read the earlier sessions");
                String::new()
            }
        };
        let earlier: Vec<_> = text
            .lines()
            .filter(|id| is_id(id))
            .map(str::to_owned)
            .collect();
        Self {
            file,
            ids: Mutex::new(earlier.clone()),
            earlier,
        }
    }

    /// The sessions that earlier processes have left.
    pub(super) fn earlier(&self) -> &[String] {
        &self.earlier
    }

    /// Adds a session; it is on disk when this returns.
    pub(super) fn add(&self, id: String) -> io::Result<()> {
        self.change(|ids| ids.push(id))
    }

    /// Removes a session that has ended.
    pub(super) fn remove(&self, id: &str) -> io::Result<()> {
        self.change(|ids| ids.retain(|known| known != id))
    }

    fn change(&self, change: impl FnOnce(&mut Vec<String>)) -> io::Result<()> {
        // Held while the file is written, so that the latest is what stays.
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut ids);
        let text: String = ids.iter().map(|id| format!("{id}\n")).collect();
        files::replace(&self.file, &[text.as_bytes()])
    }
}

/// Whether the line is a UUID. An id becomes part of a path, and Consul answers
/// anything else with an error.
fn is_id(line: &str) -> bool {
    let is_of_one = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    line.len() == 36 && line.bytes().all(is_of_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> String {
        format!("8f246b77-f3e1-ff88-5b48-8ec93abf3e{number:02}")
    }

    #[test]
    fn the_next_life_finds_what_has_not_ended() {
        let folder = tempfile::tempdir().unwrap();
        let file = SessionFile::open(folder.path());
        assert!(file.earlier().is_empty());
        for number in 1..=3 {
            file.add(id(number)).unwrap();
        }
        file.remove(&id(2)).unwrap();
        let next = SessionFile::open(folder.path());
        assert_eq!(next.earlier(), [id(1), id(3)]);
        next.remove(&id(1)).unwrap();
        assert_eq!(SessionFile::open(folder.path()).earlier(), [id(3)]);
    }

    #[test]
    fn what_is_no_id_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("../kv/x\n\n{}\nabc\n{}/x", id(1), &id(2)[2..]);
        std::fs::write(folder.path().join("sessions"), text).unwrap();
        assert_eq!(SessionFile::open(folder.path()).earlier(), [id(1)]);
    }
}
