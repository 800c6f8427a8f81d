//! Skips values, however deep they are nested, without recursion.

use super::{Problem, Scanner};
use crate::meter::Meter;

/// How many open objects and arrays are in one word.
const WORD: u32 = u64::BITS;
/// What a word takes in a list that grows by doubling, in bytes.
const WORD_BYTES: usize = 2 * size_of::<u64>();

/// The objects and arrays that were begun and not ended: a bit for each, set for
/// an object.
#[derive(Debug, Default)]
struct Open {
    /// The innermost ones. The lowest bit is the innermost.
    last: u64,
    /// The others, in full words.
    others: Vec<u64>,
    depth: u32,
}

impl Open {
    /// Adds one. False if that takes memory, and there is none.
    fn push(&mut self, is_object: bool, meter: Option<&mut Meter>) -> bool {
        if self.depth > 0 && self.depth.is_multiple_of(WORD) {
            if !meter.is_some_and(|meter| meter.charge(WORD_BYTES)) {
                return false;
            }
            self.others.push(self.last);
        }
        self.last = (self.last << 1) | u64::from(is_object);
        self.depth += 1;
        true
    }

    fn pop(&mut self) {
        self.last >>= 1;
        self.depth -= 1;
        if self.depth.is_multiple_of(WORD) {
            self.last = self.others.pop().unwrap_or_default();
        }
    }

    const fn is_object(&self) -> bool {
        self.last & 1 == 1
    }
}

impl Scanner<'_> {
    /// Skips the value that comes next, however deep it is nested. What that takes
    /// is charged and given back.
    pub(crate) fn skip(&mut self, meter: &mut Meter) -> Result<(), Problem> {
        match self.peek() {
            b'{' | b'[' => {
                let before = meter.charged();
                let skipped = self.skip_nested(u32::MAX, Some(meter));
                meter.reduce(before);
                skipped
            }
            _ => self.value().map(drop),
        }
    }

    /// Skips an object or an array that is no deeper than may be.
    pub(super) fn nested(&mut self) -> Result<(), Problem> {
        self.skip_nested(self.depth_max.saturating_sub(self.depth).min(WORD), None)
    }

    /// Without a meter, `depth_max` is one word at most.
    fn skip_nested(
        &mut self,
        depth_max: u32,
        mut meter: Option<&mut Meter>,
    ) -> Result<(), Problem> {
        let mut open = Open::default();
        loop {
            match self.peek() {
                first @ (b'{' | b'[') => {
                    let is_object = first == b'{';
                    if open.depth >= depth_max || !open.push(is_object, meter.as_deref_mut()) {
                        return self.problem("too many objects and arrays in each other");
                    }
                    self.at += 1;
                    match (is_object, self.peek()) {
                        (true, b'}') | (false, b']') => {}
                        (true, _) => {
                            self.field_name()?;
                            continue;
                        }
                        (false, _) => continue,
                    }
                }
                _ => {
                    self.value()?;
                }
            }
            if self.close(&mut open)? {
                return Ok(());
            }
        }
    }

    /// Behind a value, or at the end of an empty object or array: skips what ends
    /// here, and the comma and the name before the next value. True if nothing is
    /// open any more.
    #[inline(always)]
    fn close(&mut self, open: &mut Open) -> Result<bool, Problem> {
        loop {
            let is_object = open.is_object();
            match self.peek() {
                b'}' if is_object => {}
                b']' if !is_object => {}
                b',' => {
                    self.at += 1;
                    if is_object {
                        self.field_name()?;
                    }
                    return Ok(false);
                }
                _ => return self.problem("expected `,` or the end of an object or array"),
            }
            self.at += 1;
            open.pop();
            if open.depth == 0 {
                return Ok(true);
            }
        }
    }
}
