//! What each message of the log says about itself, in its headers.

use std::fmt;
use std::str::FromStr;

/// The version of the format that is written and read.
const VERSION: &str = "1";

const VERSION_HEADER: &str = "Sluice-Version";
const TERM: &str = "Sluice-Term";
const NUMBER: &str = "Sluice-Number";
const KIND: &str = "Sluice-Kind";
const SETTLED: &str = "Sluice-Settled";
const RECORDS: &str = "Sluice-Records";
const PART: &str = "Sluice-Part";
const IDS: &str = "Sluice-Ids";
const COVERED: &str = "Sluice-Covered";

/// Names one opening of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// The epoch of the tenure that opened it.
    pub epoch: u64,
    /// Tells openings of one epoch apart.
    pub nonce: u64,
}

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The first message of a term: nothing of an earlier term follows it.
    Barrier,
    /// Records.
    Group,
    /// Only the position up to which records are settled.
    Checkpoint,
}

/// How far records are settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Messages before this one are not needed any more.
    pub before: u64,
    /// The number of records that these held, since the log began.
    pub records: u64,
}

/// A part of a record that does not fit into one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 1.
    pub number: u32,
    /// How many parts there are.
    pub count: u32,
}

/// What a message says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Whose message it is.
    pub term: Term,
    /// Tells the messages of a term apart, also those that were meant for one
    /// place.
    pub number: u64,
    /// What it is for.
    pub kind: Kind,
    /// What its writer knew to be settled.
    pub settled: Settled,
    /// The number of records in the log up to this message, since the log began.
    pub records: u64,
    /// Set if the payload is a part of a record.
    pub part: Option<Part>,
    /// How many ids of requests the payload ends with.
    pub ids: u32,
    /// The ids of the messages up to this one are kept elsewhere too, or are too old.
    pub covered: u64,
}

impl Envelope {
    /// The headers of the message.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let Settled { before, records } = self.settled;
        let mut headers = vec![
            (VERSION_HEADER, VERSION.to_owned()),
            (TERM, self.term.to_string()),
            (NUMBER, self.number.to_string()),
            (KIND, self.kind.to_string()),
            (SETTLED, format!("{before}/{records}")),
            (RECORDS, self.records.to_string()),
        ];
        if let Some(Part { number, count }) = self.part {
            headers.push((PART, format!("{number}/{count}")));
        }
        if self.ids > 0 {
            headers.push((IDS, self.ids.to_string()));
        }
        if self.covered > 0 {
            headers.push((COVERED, self.covered.to_string()));
        }
        headers
    }

    /// Reads the headers; `None` if they are not those of this version.
    #[must_use]
    pub fn read<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        if header(VERSION_HEADER)? != VERSION {
            return None;
        }
        let (before, settled) = pair(header(SETTLED)?)?;
        let part = match header(PART) {
            Some(text) => {
                let (number, count) = pair(text)?;
                (1 <= number && number <= count).then_some(())?;
                Some(Part { number, count })
            }
            None => None,
        };
        Some(Self {
            term: header(TERM)?.parse().ok()?,
            number: header(NUMBER)?.parse().ok()?,
            kind: header(KIND)?.parse().ok()?,
            settled: Settled {
                before,
                records: settled,
            },
            records: header(RECORDS)?.parse().ok()?,
            part,
            ids: number_or_0(header(IDS))?,
            covered: number_or_0(header(COVERED))?,
        })
    }
}

/// A text that is none of the values of a header.
#[derive(Clone, Copy, Debug)]
pub struct Unreadable;

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:016x}", self.epoch, self.nonce)
    }
}

impl FromStr for Term {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let (epoch, nonce) = text.split_once('.').ok_or(Unreadable)?;
        Ok(Self {
            epoch: epoch.parse().map_err(|_| Unreadable)?,
            nonce: u64::from_str_radix(nonce, 16).map_err(|_| Unreadable)?,
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Barrier => "barrier",
            Self::Group => "group",
            Self::Checkpoint => "checkpoint",
        })
    }
}

impl FromStr for Kind {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        match text {
            "barrier" => Ok(Self::Barrier),
            "group" => Ok(Self::Group),
            "checkpoint" => Ok(Self::Checkpoint),
            _ => Err(Unreadable),
        }
    }
}

/// The number in a header that may be missing.
fn number_or_0<T: FromStr + Default>(text: Option<&str>) -> Option<T> {
    text.map_or(Some(T::default()), |text| text.parse().ok())
}

fn pair<T: FromStr>(text: &str) -> Option<(T, T)> {
    let (first, second) = text.split_once('/')?;
    Some((first.parse().ok()?, second.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_they_are_written() {
        let envelope = Envelope {
            term: Term {
                epoch: 7,
                nonce: 0xab,
            },
            number: 3,
            kind: Kind::Group,
            settled: Settled {
                before: 12,
                records: 40,
            },
            records: 99,
            part: Some(Part {
                number: 2,
                count: 3,
            }),
            ids: 7,
            covered: 11,
        };
        for envelope in [
            envelope,
            Envelope {
                part: None,
                ids: 0,
                covered: 0,
                ..envelope
            },
        ] {
            let headers = envelope.headers();
            let header = |name: &str| {
                let found = headers.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| value.as_str())
            };
            assert_eq!(Envelope::read(header), Some(envelope));
            let later = |name: &str| match name {
                VERSION_HEADER => Some("2"),
                name => header(name),
            };
            assert_eq!(Envelope::read(later), None);
        }
    }
}
