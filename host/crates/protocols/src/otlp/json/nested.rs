//! Arrays and lists, as JSON text in the form that records keep.

use super::reader::Reader;
use super::scalar;
use crate::meter::Meter;
use crate::otlp::invalid::{DEPTH_MAX, Invalid};
use crate::otlp::json_text::JsonText;
use sluice_types::record::Text;

/// `ArrayValue` as JSON text, which is charged; `None` if it is null.
pub(super) fn array(reader: &mut Reader<'_>, meter: &mut Meter) -> Result<Option<Text>, Invalid> {
    text(Kind::Array, reader, meter)
}

/// `KeyValueList` as JSON text, which is charged; `None` if it is null.
pub(super) fn list(reader: &mut Reader<'_>, meter: &mut Meter) -> Result<Option<Text>, Invalid> {
    text(Kind::List, reader, meter)
}

/// What holds values.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// `ArrayValue`.
    Array,
    /// `KeyValueList`.
    List,
}

/// Where a value is written.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The length of the text before the value.
    start: usize,
    /// Its level.
    depth: usize,
}

struct Writer<'r, 'a, 'm> {
    reader: &'r mut Reader<'a>,
    json: JsonText<'m>,
}

fn text(kind: Kind, reader: &mut Reader<'_>, meter: &mut Meter) -> Result<Option<Text>, Invalid> {
    let json = JsonText::new(meter);
    let mut writer = Writer { reader, json };
    writer.values(kind, Place { start: 0, depth: 1 })?;
    let json = writer.json;
    Ok((json.len() > 0).then(|| json.finish()))
}

impl Writer<'_, '_, '_> {
    /// Writes an array or a list, unless it is null. The last value counts: what
    /// is there of a former one is removed.
    fn values(&mut self, kind: Kind, place: Place) -> Result<(), Invalid> {
        if !self.reader.enter("an object (an array or a list)")? {
            return Ok(());
        }
        if place.depth >= DEPTH_MAX {
            return Err(Invalid::TooDeep);
        }
        let (open, close) = match kind {
            Kind::Array => ("[", "]"),
            Kind::List => ("{", "}"),
        };
        self.json.replace(place.start).raw(open)?;
        let first = self.json.len();
        while let Some(name) = self.reader.name()? {
            match name {
                "values" => self.elements(kind, first, place.depth + 1)?,
                _ => drop(self.reader.skip(self.json.meter())?),
            }
        }
        self.json.raw(close)
    }

    /// Writes the elements, which are on this level. The text before the first has
    /// the length `first`.
    fn elements(&mut self, kind: Kind, first: usize, depth: usize) -> Result<(), Invalid> {
        if !self.reader.enter_array("an array (values)")? {
            return Ok(());
        }
        while self.reader.element()? {
            self.json.separate(first)?;
            let start = self.json.len();
            let place = Place { start, depth };
            match kind {
                Kind::Array => {
                    self.value(place)?;
                    self.finish(place)?;
                }
                Kind::List => self.pair(place)?,
            }
        }
        Ok(())
    }

    /// Writes `KeyValue`.
    fn pair(&mut self, mut place: Place) -> Result<(), Invalid> {
        let mut is_named = false;
        if self
            .reader
            .enter("an object (a pair of a key and a value)")?
        {
            while let Some(name) = self.reader.name()? {
                match name {
                    "key" if is_named => {
                        return Err(Invalid::Json("a pair has two keys".to_owned()));
                    }
                    "key" => {
                        let key = self.reader.text(self.json.meter())?;
                        place = self.name(key.as_deref().unwrap_or_default(), place)?;
                        is_named = true;
                    }
                    "value" => self.value(place)?,
                    _ => drop(self.reader.skip(self.json.meter())?),
                }
            }
        }
        if !is_named {
            place = self.name("", place)?;
        }
        self.finish(place)
    }

    /// Writes the name of a value before the value, of which some may be there, and
    /// returns where the value is then.
    fn name(&mut self, name: &str, place: Place) -> Result<Place, Invalid> {
        let value_end = self.json.len();
        self.json.value(name)?;
        self.json.raw(":")?;
        let length = self.json.len() - value_end;
        self.json.move_end(place.start, value_end);
        let start = place.start + length;
        Ok(Place { start, ..place })
    }

    /// Writes what is said by `AnyValue`: the last of it, or nothing.
    fn value(&mut self, place: Place) -> Result<(), Invalid> {
        if !self.reader.enter("an object (a value)")? {
            return Ok(());
        }
        while let Some(name) = self.reader.name()? {
            match name {
                "arrayValue" => self.values(Kind::Array, place)?,
                "kvlistValue" => self.values(Kind::List, place)?,
                other => self.scalar(other, place)?,
            }
        }
        Ok(())
    }

    /// Writes a value that is neither an array nor a list, unless it is null.
    fn scalar(&mut self, name: &str, place: Place) -> Result<(), Invalid> {
        let Self { reader, json } = self;
        match name {
            "stringValue" => match reader.text(json.meter())? {
                Some(text) => json.replace(place.start).value(&*text),
                None => Ok(()),
            },
            "boolValue" => match scalar::boolean(reader)? {
                Some(boolean) => json.replace(place.start).value(boolean),
                None => Ok(()),
            },
            "intValue" => match scalar::whole::<i64>(reader)? {
                Some(integer) => json.replace(place.start).value(integer),
                None => Ok(()),
            },
            "doubleValue" => match scalar::float(reader)? {
                Some(float) => json.replace(place.start).float(float),
                None => Ok(()),
            },
            "bytesValue" => match scalar::bytes(reader, json.meter())? {
                Some(bytes) => json.replace(place.start).bytes(&bytes),
                None => Ok(()),
            },
            _ => reader.skip(json.meter()).map(drop),
        }
    }

    /// A value that says nothing is null.
    fn finish(&mut self, place: Place) -> Result<(), Invalid> {
        match self.json.len() > place.start {
            true => Ok(()),
            false => self.json.raw("null"),
        }
    }
}
