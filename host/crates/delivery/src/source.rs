//! The two kinds of journals, to write to and to deliver from.

use std::io;

use thiserror::Error;

use crate::journal::{Backlog, Chunk, Journal};
use crate::replicated::{LogError, Reader, Replicated, first_entry, sequence_of};

/// With more unread entries than this, the file may have to come from the disk
/// rather than from the page cache.
const CACHED_ENTRIES: u64 = 16_384;

/// A journal that requests are written to.
#[derive(Clone, Debug)]
pub enum Store {
    /// On this node's disk.
    Local(Journal),
    /// On a log that several machines keep.
    Replicated(Replicated),
}

/// A journal that the sink is fed from, and the position in it.
#[derive(Debug)]
pub struct Source(Kind);

#[derive(Debug)]
enum Kind {
    Local(Journal, Backlog),
    Replicated(Replicated, Reader),
}

/// A journal cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// A file of the local one.
    #[error(transparent)]
    Local(#[from] io::Error),
    /// The log of the replicated one.
    #[error(transparent)]
    Replicated(#[from] LogError),
}

impl From<Journal> for Store {
    fn from(journal: Journal) -> Self {
        Self::Local(journal)
    }
}

impl From<Replicated> for Store {
    fn from(journal: Replicated) -> Self {
        Self::Replicated(journal)
    }
}

impl From<Journal> for Source {
    fn from(journal: Journal) -> Self {
        let backlog = Backlog::new(journal.clone());
        Self(Kind::Local(journal, backlog))
    }
}

impl From<Replicated> for Source {
    fn from(journal: Replicated) -> Self {
        let reader = journal.reader();
        Self(Kind::Replicated(journal, reader))
    }
}

impl Store {
    /// Whether so many more bytes would not be refused as too much now.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        match self {
            Self::Local(journal) => journal.has_room(bytes),
            Self::Replicated(journal) => journal.has_room(bytes),
        }
    }
}

impl Source {
    /// Waits until there is more to read.
    pub(crate) async fn more(&self) {
        match &self.0 {
            Kind::Local(_, backlog) => backlog.more().await,
            Kind::Replicated(_, reader) => reader.more().await,
        }
    }

    /// The entry from which it reads next.
    pub(crate) fn position(&self) -> u64 {
        match &self.0 {
            Kind::Local(_, backlog) => backlog.position(),
            Kind::Replicated(_, reader) => first_entry(reader.position()),
        }
    }

    /// Whether everything was read that only this node can deliver.
    pub(crate) fn is_through(&self) -> bool {
        match &self.0 {
            Kind::Local(_, backlog) => backlog.is_through(),
            Kind::Replicated(journal, _) => journal.is_idle(),
        }
    }

    /// Whether everything was read and delivered, also what other nodes could deliver.
    pub(crate) fn is_delivered(&self) -> bool {
        let is_rest_delivered = match &self.0 {
            Kind::Local(..) => true,
            Kind::Replicated(journal, _) => journal.status().backlog == 0,
        };
        is_rest_delivered && self.is_through()
    }

    /// Whether the next leader can deliver as well what is not read yet.
    pub(crate) const fn may_be_left(&self) -> bool {
        matches!(self.0, Kind::Replicated(..))
    }

    /// The next records, of at most about so many bytes.
    pub(crate) async fn read(&mut self, bytes: usize) -> Result<Chunk, ReadError> {
        match &mut self.0 {
            Kind::Local(_, backlog) if backlog.unread() <= CACHED_ENTRIES => {
                Ok(backlog.read(bytes)?)
            }
            Kind::Local(journal, backlog) => Ok(read_blocking(journal, backlog, bytes).await?),
            Kind::Replicated(_, reader) => Ok(reader.read(bytes).await?),
        }
    }

    /// Entries below this one need no delivery any more.
    pub(crate) fn settle(&self, entry: u64) {
        match &self.0 {
            Kind::Local(journal, _) => journal.settle(entry),
            Kind::Replicated(journal, _) => journal.settle(sequence_of(entry)),
        }
    }

    /// Goes back to the first entry that is not settled.
    pub(crate) fn restart(&mut self) {
        match &mut self.0 {
            Kind::Local(journal, backlog) => *backlog = Backlog::new(journal.clone()),
            Kind::Replicated(journal, reader) => *reader = journal.reader(),
        }
    }

    /// The same journal from this entry on.
    pub(crate) fn again_from(&self, entry: u64) -> Self {
        Self(match &self.0 {
            Kind::Local(journal, _) => {
                Kind::Local(journal.clone(), Backlog::from(journal.clone(), entry))
            }
            Kind::Replicated(journal, _) => {
                let reader = journal.reader_from(sequence_of(entry));
                Kind::Replicated(journal.clone(), reader)
            }
        })
    }
}

/// Reads on a blocking thread, because the disk may be slow.
async fn read_blocking(
    journal: &Journal,
    backlog: &mut Backlog,
    bytes: usize,
) -> io::Result<Chunk> {
    let again = Backlog::from(journal.clone(), backlog.position());
    let mut reading = std::mem::replace(backlog, again);
    let reading = tokio::task::spawn_blocking(move || {
        let read = reading.read(bytes);
        (reading, read)
    });
    let (read_to, read) = reading.await.map_err(io::Error::other)?;
    *backlog = read_to;
    read
}
