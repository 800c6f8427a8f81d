//! The records of a write.

use crate::{Attributes, Lines, LogRecord, RecordId, Severity, Texts};

#[cfg(target_family = "wasm")]
pub(crate) type Source = crate::bindings::sluice::sink::types::Batch;
#[cfg(not(target_family = "wasm"))]
pub(crate) type Source = crate::native_source::Source;

/// The records that a write is about, in views.
///
/// Each method is a view of the same records in the same order, so position `i` is
/// the same record in each, and the index of its refusal. The host makes a view
/// when it is asked for, and again each time, so ask once. Nothing else is copied
/// into the sink's memory.
#[derive(Debug)]
#[repr(transparent)]
pub struct Batch {
    source: Source,
}

/// The batch of the host's handle.
#[cfg(target_family = "wasm")]
pub(crate) fn of_host(source: &Source) -> &Batch {
    let source: *const Source = source;
    // SAFETY: `Batch` has the layout of its only field, and the reference lives as
    // long as the one that it is made from.
    #[expect(unsafe_code, reason = "there is no safe cast to a transparent type")]
    unsafe {
        &*source.cast()
    }
}

/// A native build has no host.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn of_host(_source: &crate::bindings::sluice::sink::types::Batch) -> &'static Batch {
    unreachable!("only a host calls this, and only in a component")
}

#[cfg(not(target_family = "wasm"))]
impl From<Source> for Batch {
    fn from(source: Source) -> Self {
        Self { source }
    }
}

impl Batch {
    /// The number of records, at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a batch is never empty")]
    pub fn len(&self) -> usize {
        // A component's `usize` is a `u32`.
        usize::try_from(self.source.len()).unwrap_or(usize::MAX)
    }

    /// All records, one value each: the most expensive view, because each text is
    /// an allocation. [`rows`](Self::rows) is as convenient and faster.
    #[must_use]
    pub fn records(&self) -> Vec<LogRecord> {
        self.source.records()
    }

    /// One line per record: its body, with control characters escaped, and a line
    /// feed. The WIT defines every byte.
    #[must_use]
    pub fn text_lines(&self) -> Lines {
        Lines::new(self.source.text_lines(), self.len())
    }

    /// One JSON object per record, and a line feed after each. The WIT defines
    /// every byte.
    #[must_use]
    pub fn json_lines(&self) -> Lines {
        Lines::new(self.source.json_lines(), self.len())
    }

    /// The texts of the messages. They may hold any character, line feeds among
    /// them.
    #[must_use]
    pub fn bodies(&self) -> Texts {
        Texts::of(self.source.bodies())
    }

    /// When the events happened, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn timestamps(&self) -> Vec<u64> {
        self.source.timestamps()
    }

    /// When the node accepted the records, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn observed(&self) -> Vec<u64> {
        self.source.observed()
    }

    /// How grave the records are.
    #[must_use]
    pub fn severities(&self) -> Vec<Severity> {
        self.source.severities()
    }

    /// The ids that the records keep on every attempt.
    #[must_use]
    pub fn ids(&self) -> Vec<RecordId> {
        self.source.ids()
    }

    /// The producers' own ids of the records. An empty one counts as none.
    #[must_use]
    pub fn keys(&self) -> Texts {
        Texts::of(self.source.keys())
    }

    /// Everything else that the producers said.
    #[must_use]
    pub fn attributes(&self) -> Attributes {
        Attributes::of(self.source.attributes())
    }
}
