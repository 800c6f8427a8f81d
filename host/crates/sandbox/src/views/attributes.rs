//! The attributes of all records, as columns.

use std::collections::HashMap;

use sluice_types::record::LogRecord;
use wasmtime::component::{ComponentType, Lower};

use super::columns::offset;
use crate::bindings::v0_1::Value;
use crate::lower;

/// The WIT's `attributes`, borrowed from the records.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct Attributes<'a> {
    pub(super) offsets: Vec<u32>,
    pub(super) names: Vec<&'a str>,
    #[component(name = "name-of")]
    pub(super) name_of: Vec<u32>,
    pub(super) values: Vec<Value<'a>>,
}

impl<'a> Attributes<'a> {
    pub(super) fn of(records: &'a [LogRecord]) -> Self {
        let count = records.iter().map(|record| record.attributes.len()).sum();
        let mut offsets = Vec::with_capacity(records.len() + 1);
        let mut name_of = Vec::with_capacity(count);
        let mut values = Vec::with_capacity(count);
        let mut names = Names::default();
        offsets.push(0);
        let mut before = 0;
        for record in records {
            let start = name_of.len();
            for (place, (name, value)) in record.attributes.iter().enumerate() {
                // Records of one producer mostly have the same names in the
                // same order.
                let usual = name_of.get(before + place).copied();
                name_of.push(names.number(name, usual));
                values.push(lower::value(value));
            }
            before = start;
            offsets.push(offset(name_of.len()));
        }
        Self {
            offsets,
            names: names.all,
            name_of,
            values,
        }
    }
}

/// Numbers names in the order of their first use.
#[derive(Default)]
struct Names<'a> {
    all: Vec<&'a str>,
    numbers: HashMap<&'a str, u32>,
}

impl<'a> Names<'a> {
    /// The number of a name, which is probably `guess`.
    fn number(&mut self, name: &'a str, guess: Option<u32>) -> u32 {
        let guessed = guess.and_then(|number| {
            let place = usize::try_from(number).ok()?;
            (*self.all.get(place)? == name).then_some(number)
        });
        guessed.unwrap_or_else(|| {
            *self.numbers.entry(name).or_insert_with(|| {
                self.all.push(name);
                offset(self.all.len() - 1)
            })
        })
    }
}
