//! The names of fields. They repeat from record to record, so what was found out
//! about one is remembered.

use bytes::Bytes;
use sluice_types::record::Text;

use super::fault::Fault;
use super::piece;
use crate::meter::Meter;
use crate::text;

/// How the names of all attributes begin that records can have in common.
pub(super) const RESERVED: [&str; 3] = ["fluent.", "resource.", "scope."];

/// How many names are remembered. There are as many bits in [`Seen`].
const SLOTS: usize = 64;
/// The bits of a hash that choose two slots.
const PAIR_BITS: u32 = 5;

/// Names in common use by the parsers of Fluentd and Fluent Bit, by Docker and
/// Kubernetes, and by libraries for logging. As these are part of the program, a
/// record that has one does not count references to the memory of a message.
const COMMON: [&str; 48] = [
    "agent",
    "app",
    "caller",
    "code",
    "component",
    "docker",
    "duration",
    "duration_ms",
    "env",
    "environment",
    "error",
    "event",
    "exception",
    "file",
    "host",
    "hostname",
    "id",
    "ident",
    "ip",
    "kubernetes",
    "line",
    "logger",
    "logtag",
    "method",
    "module",
    "name",
    "path",
    "pid",
    "process",
    "referer",
    "remote",
    "request_id",
    "service",
    "size",
    "source",
    "span_id",
    "status",
    "stream",
    "tag",
    "thread",
    "time",
    "timestamp",
    "trace_id",
    "ts",
    "type",
    "url",
    "user",
    "version",
];

/// What a field means for the record that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// An attribute.
    Plain,
    /// The text, unless there is one of a smaller rank.
    Text(u8),
    /// The severity, unless there is one of a smaller rank.
    Severity(u8),
    /// An attribute of another name.
    Renamed,
    /// The same, whose value is the name of a container.
    ContainerName,
    /// An attribute that can have the name of one that was renamed.
    Unrenamed,
    /// It says that the record is a piece of a long line.
    Piece,
    /// An attribute whose name may be that of one that records have in common.
    Reserved,
}

/// A name as a record has it.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: Text,
    pub(super) role: Role,
    /// Where the name is remembered, as a bit; all bits if it is not.
    pub(super) bit: u64,
}

/// A name that is remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'n> {
    pub(super) name: &'n Text,
    pub(super) role: Role,
    pub(super) bit: u64,
}

/// The names of one record, as far as it matters whether one of them repeats.
#[derive(Debug, Default)]
pub(super) struct Seen {
    bits: u64,
    is_renamed: bool,
    is_unrenamed: bool,
    is_repeated: bool,
}

impl Seen {
    #[inline]
    pub(super) fn add(&mut self, role: Role, bit: u64) {
        self.is_repeated |= self.bits & bit != 0;
        self.bits |= bit;
        self.is_renamed |= matches!(role, Role::Renamed | Role::ContainerName);
        self.is_unrenamed |= role == Role::Unrenamed;
    }

    /// Whether two of the names may be the same.
    pub(super) const fn may_repeat(&self) -> bool {
        self.is_repeated || self.is_renamed && self.is_unrenamed
    }
}

/// Remembers names that share the memory of the entries.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    /// Two neighbours take the names of one hash.
    slots: Vec<Option<Known<'a>>>,
}

#[derive(Clone, Debug)]
struct Known<'a> {
    /// As it came.
    bytes: &'a [u8],
    name: Text,
    role: Role,
}

impl<'a> Names<'a> {
    /// The name that these bytes are, if it is remembered.
    #[inline]
    pub(super) fn find(&self, bytes: &[u8]) -> Option<Found<'_>> {
        let slot = slot(bytes);
        [slot, slot + 1].into_iter().find_map(|at| {
            let known = self.slots.get(at)?.as_ref()?;
            (known.bytes == bytes).then_some(Found {
                name: &known.name,
                role: known.role,
                bit: 1 << at,
            })
        })
    }

    /// The name that a part of `whole` is, which is not remembered so far. Wrong
    /// bytes are replaced, which is charged.
    #[cold]
    pub(super) fn learn(
        &mut self,
        bytes: &'a [u8],
        whole: &Bytes,
        meter: &mut Meter,
    ) -> Result<Named, Fault> {
        let Some(name) = text::shared(whole, bytes) else {
            // Not remembered: its memory is that of one record.
            let (name, _) = text::body(whole, bytes, meter).ok_or(Fault::Stopped)?;
            return Ok(Named::forgotten(name));
        };
        let (name, role) = role(name);
        self.slots.resize(SLOTS, None);
        let slot = slot(bytes);
        let is_free = |at: &usize| matches!(self.slots.get(*at), Some(None));
        let at = [slot, slot + 1].into_iter().find(is_free).unwrap_or(slot);
        if let Some(slot) = self.slots.get_mut(at) {
            let name = name.clone();
            *slot = Some(Known { bytes, name, role });
        }
        let bit = 1 << at;
        Ok(Named { name, role, bit })
    }
}

impl Named {
    /// A name that is not remembered.
    pub(super) fn forgotten(name: Text) -> Self {
        let (name, role) = role(name);
        let bit = u64::MAX;
        Self { name, role, bit }
    }
}

/// The name of a field under which it is known here, and what it means.
fn role(name: Text) -> (Text, Role) {
    let (known, role) = match &*name {
        "log" => ("log", Role::Text(0)),
        "message" => ("message", Role::Text(1)),
        "msg" => ("msg", Role::Text(2)),
        "body" => ("body", Role::Text(3)),
        "severity" => ("severity", Role::Severity(0)),
        "level" => ("level", Role::Severity(1)),
        "container_id" => ("container.id", Role::Renamed),
        "container_name" => ("container.name", Role::ContainerName),
        "container.id" | "container.name" => return (name, Role::Unrenamed),
        piece::MESSAGE => (piece::MESSAGE, Role::Piece),
        other if RESERVED.iter().any(|start| other.starts_with(start)) => {
            return (name, Role::Reserved);
        }
        other => match COMMON.binary_search(&other).map(|at| COMMON.get(at)) {
            Ok(Some(common)) => (*common, Role::Plain),
            _ => return (name, Role::Plain),
        },
    };
    (Text::from_static(known), role)
}

/// The first of the two slots that a name can be in.
#[inline]
fn slot(bytes: &[u8]) -> usize {
    const MIX: u32 = 0x9e37_79b1;
    let [first, last] = [bytes.first(), bytes.last()].map(|byte| byte.map_or(0, |b| *b));
    // The length matters only as far as it tells names apart.
    let [length, ..] = bytes.len().to_le_bytes();
    let hash = u32::from_le_bytes([first, last, length, 0]).wrapping_mul(MIX);
    2 * (hash >> (u32::BITS - PAIR_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_budget::MemoryBudget;
    use crate::meter::Client;

    fn meter() -> Meter {
        Meter::new(MemoryBudget::new(1 << 20).reserve(), Client::default())
    }

    fn of<'a>(names: &mut Names<'a>, bytes: &'a [u8], whole: &Bytes) -> Named {
        let found = names.find(bytes).map(|found| Named {
            name: found.name.clone(),
            role: found.role,
            bit: found.bit,
        });
        found.unwrap_or_else(|| names.learn(bytes, whole, &mut meter()).unwrap())
    }

    #[test]
    fn a_name_is_the_same_the_second_time() {
        let whole = Bytes::from_static(b"log container_id shop \xff");
        let mut names = Names::default();
        for _ in 0..2 {
            for (bytes, name, role) in [
                (&whole[..3], "log", Role::Text(0)),
                (&whole[4..16], "container.id", Role::Renamed),
                (&whole[17..21], "shop", Role::Plain),
                (&whole[22..], "\u{fffd}", Role::Plain),
                (&whole[..0], "", Role::Plain),
            ] {
                let named = of(&mut names, bytes, &whole);
                assert_eq!((&*named.name, named.role), (name, role));
            }
        }
    }

    #[test]
    fn whatever_names_there_are_a_repeated_one_is_noticed() {
        let all: String = (100..1000).map(|n| n.to_string()).collect();
        let whole = Bytes::from(all);
        let numbers: Vec<_> = whole.chunks(3).collect();
        let mut names = Names::default();
        for (at, first) in numbers.iter().enumerate() {
            let mut seen = Seen::default();
            let others = [at + 1, at + 2, at + 7].map(|at| numbers[at % numbers.len()]);
            for bytes in [first].into_iter().chain(&others).chain([first]) {
                let named = of(&mut names, bytes, &whole);
                assert_eq!(named.name.as_bytes(), bytes);
                seen.add(named.role, named.bit);
            }
            assert!(seen.may_repeat());
        }
    }

    #[test]
    fn common_names_are_found() {
        assert!(COMMON.is_sorted());
        let whole = Bytes::from_static(b"service");
        let named = of(&mut Names::default(), &whole, &whole);
        assert!(!std::ptr::eq(named.name.as_ptr(), whole.as_ptr()));
        assert_eq!((&*named.name, named.role), ("service", Role::Plain));
    }

    #[test]
    fn the_usual_names_of_a_record_are_known_not_to_repeat() {
        let whole = Bytes::from_static(b"source log container_id container_name app level");
        let mut names = Names::default();
        let mut seen = Seen::default();
        for bytes in whole.split(|byte| *byte == b' ') {
            let named = of(&mut names, bytes, &whole);
            seen.add(named.role, named.bit);
        }
        assert!(!seen.may_repeat());
    }
}
