//! Values that are neither objects nor arrays. Null is none.

use std::str::FromStr;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde_json::value::RawValue;

use crate::json::share::Share;
use crate::otlp::draft;
use crate::otlp::invalid::{Invalid, charge};
use crate::severity;
use sluice_types::excerpt::excerpt;
use sluice_types::record::Text;

/// The most characters of a value that is repeated as wrong.
const SHOWN_CHARS: usize = 40;
/// Before the name of each severity, where a client sends names of enums.
const SEVERITY_PREFIX: &str = "SEVERITY_NUMBER_";

/// Padding is optional, as protobuf's own form has it.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

pub(super) fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// A whole number as a number or a text.
pub(super) fn whole<N: FromStr + TryFrom<i128>>(raw: &RawValue) -> Result<Option<N>, Invalid> {
    let digits = unquoted(raw).unwrap_or(raw.get());
    if is_null(raw) {
        return Ok(None);
    }
    let of_float = || N::try_from(whole_float(digits)?).ok();
    let number = digits.parse().ok().or_else(of_float);
    number.map(Some).ok_or_else(|| wrong("a whole number", raw))
}

/// A number that is written with a fraction or an exponent, but is whole.
fn whole_float(digits: &str) -> Option<i128> {
    /// Of the numbers from here on, no type here holds one.
    const TOO_LARGE: f64 = 1e20;
    let float: f64 = digits.parse().ok()?;
    (float.fract() == 0.0 && float.abs() < TOO_LARGE).then_some(float as i128)
}

/// Any number; `NaN`, `Infinity` and `-Infinity` as texts.
pub(super) fn float(raw: &RawValue) -> Result<Option<f64>, Invalid> {
    if is_null(raw) {
        return Ok(None);
    }
    let float = match unquoted(raw) {
        Some(text) => text.parse().ok(),
        None => raw
            .get()
            .parse()
            .ok()
            .filter(|float: &f64| float.is_finite()),
    };
    float.map(Some).ok_or_else(|| wrong("a number", raw))
}

pub(super) fn boolean(raw: &RawValue) -> Result<Option<bool>, Invalid> {
    match raw.get() {
        "null" => Ok(None),
        "true" => Ok(Some(true)),
        "false" => Ok(Some(false)),
        _ => Err(wrong("true or false", raw)),
    }
}

/// A text. It shares the memory of the body, or is charged.
pub(super) fn text(raw: &RawValue, share: &mut Share<'_>) -> Result<Option<Text>, Invalid> {
    if is_null(raw) {
        return Ok(None);
    }
    if unquoted(raw).is_none() {
        return Err(wrong("a text", raw));
    }
    let text = share.quoted::<serde_json::Error>(raw.get());
    text.map(Some)
        .map_err(|error| Invalid::Json(error.to_string()))
}

/// Bytes in either alphabet of base64. They are charged.
pub(super) fn bytes(raw: &RawValue, share: &mut Share<'_>) -> Result<Option<Bytes>, Invalid> {
    let Some(text) = text(raw, share)? else {
        return Ok(None);
    };
    charge(share.meter, text.len())?;
    let is_url_safe = text.contains(['-', '_']);
    let engine = if is_url_safe { BASE64_URL } else { BASE64 };
    let bytes = engine.decode(text.as_bytes()).ok();
    let bytes = bytes.ok_or_else(|| wrong("base64", raw))?;
    Ok(Some(bytes.into()))
}

/// The id of a trace or a span; `None` if it is not valid.
pub(super) fn id<const N: usize>(raw: &RawValue) -> Result<Option<[u8; N]>, Invalid> {
    let mut id = [0; N];
    match unquoted(raw) {
        Some(text) => Ok(hex::decode_to_slice(text, &mut id)
            .ok()
            .and_then(|()| draft::id(&id))),
        None if is_null(raw) => Ok(None),
        None => Err(wrong("a text", raw)),
    }
}

/// A severity number. Some clients send the name that it has in protobuf; any
/// other text is no severity.
pub(super) fn severity_number(raw: &RawValue) -> Result<Option<i64>, Invalid> {
    let named = unquoted(raw).and_then(|text| text.strip_prefix(SEVERITY_PREFIX));
    let Some(name) = named else {
        return whole(raw);
    };
    let name = name.trim_end_matches(|digit: char| digit.is_ascii_digit());
    let severity = severity::of_name(name);
    let is_it = |number: &i64| severity.is_some() && severity::of_number(*number) == severity;
    Ok((1..=24).find(is_it))
}

/// What is between the quotes, if it is a text. Escapes are left as they are.
fn unquoted(raw: &RawValue) -> Option<&str> {
    raw.get().strip_prefix('"')?.strip_suffix('"')
}

fn wrong(expected: &str, raw: &RawValue) -> Invalid {
    let said = excerpt(raw.get(), SHOWN_CHARS);
    Invalid::Json(format!("{said} is not {expected}"))
}
