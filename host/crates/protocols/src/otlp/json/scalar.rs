//! Values that are neither objects nor arrays. Null is none.

use std::str::FromStr;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use super::reader::Reader;
use crate::json::scanner::Scanned;
use crate::meter::Meter;
use crate::otlp::draft;
use crate::otlp::invalid::{Invalid, charge};
use crate::severity;

/// Before the name of each severity, where a client sends names of enums.
const SEVERITY_PREFIX: &str = "SEVERITY_NUMBER_";

/// Padding is optional, as protobuf's own form has it.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// A whole number as a number or a text.
#[inline]
pub(super) fn whole<N: FromStr + TryFrom<i128>>(
    reader: &mut Reader<'_>,
) -> Result<Option<N>, Invalid> {
    reader.scalar("a whole number", whole_of)
}

/// The same of this value; `None` if it is none.
#[inline(always)]
pub(super) fn whole_of<N: FromStr + TryFrom<i128>>(value: Scanned<'_>) -> Option<N> {
    let digits = match value {
        Scanned::Number(digits) => digits,
        Scanned::Text(quoted) => quoted.written(),
        Scanned::Boolean(_) | Scanned::Other(_) => return None,
    };
    let of_float = || N::try_from(whole_float(digits)?).ok();
    digits.parse().ok().or_else(of_float)
}

/// A number that is written with a fraction or an exponent, but is whole.
#[cold]
fn whole_float(digits: &str) -> Option<i128> {
    /// Of the numbers from here on, no type here holds one.
    const TOO_LARGE: f64 = 1e20;
    let float: f64 = digits.parse().ok()?;
    (float.fract() == 0.0 && float.abs() < TOO_LARGE).then_some(float as i128)
}

/// Any number; `NaN`, `Infinity` and `-Infinity` as texts.
pub(super) fn float(reader: &mut Reader<'_>) -> Result<Option<f64>, Invalid> {
    reader.scalar("a number", |value| match value {
        Scanned::Number(digits) => digits.parse().ok().filter(|float: &f64| float.is_finite()),
        Scanned::Text(quoted) => quoted.written().parse().ok(),
        Scanned::Boolean(_) | Scanned::Other(_) => None,
    })
}

pub(super) fn boolean(reader: &mut Reader<'_>) -> Result<Option<bool>, Invalid> {
    reader.scalar("true or false", |value| match value {
        Scanned::Boolean(boolean) => Some(boolean),
        Scanned::Number(_) | Scanned::Text(_) | Scanned::Other(_) => None,
    })
}

/// Bytes in either alphabet of base64. They are charged.
pub(super) fn bytes(reader: &mut Reader<'_>, meter: &mut Meter) -> Result<Option<Bytes>, Invalid> {
    let mut start = reader.clone();
    let Some(text) = reader.text(meter)? else {
        return Ok(None);
    };
    charge(meter, text.len())?;
    let is_url_safe = text.contains(['-', '_']);
    let engine = if is_url_safe { BASE64_URL } else { BASE64 };
    match engine.decode(text.as_bytes()) {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(_) => start.scalar("base64", |_| None),
    }
}

/// The id of a trace or a span; `None` if it is not valid.
pub(super) fn id<const N: usize>(reader: &mut Reader<'_>) -> Result<Option<[u8; N]>, Invalid> {
    let id = reader.scalar("a text", |value| match value {
        Scanned::Text(quoted) => Some(id_of(quoted.written())),
        Scanned::Number(_) | Scanned::Boolean(_) | Scanned::Other(_) => None,
    })?;
    Ok(id.flatten())
}

fn id_of<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut id = [0; N];
    hex::decode_to_slice(digits, &mut id).ok()?;
    draft::id(&id)
}

/// A severity number. Some clients send the name that it has in protobuf; any
/// other name in its form is no severity.
pub(super) fn severity_number(reader: &mut Reader<'_>) -> Result<i64, Invalid> {
    let number = reader.scalar("a whole number", |value| match value {
        Scanned::Text(quoted) => match quoted.written().strip_prefix(SEVERITY_PREFIX) {
            Some(name) => Some(severity_named(name)),
            None => whole_of(value),
        },
        other => whole_of(other),
    })?;
    Ok(number.unwrap_or(0))
}

fn severity_named(name: &str) -> i64 {
    let name = name.trim_end_matches(|digit: char| digit.is_ascii_digit());
    let severity = severity::of_name(name);
    let is_it = |number: &i64| severity.is_some() && severity::of_number(*number) == severity;
    (1..=24).find(is_it).unwrap_or(0)
}
