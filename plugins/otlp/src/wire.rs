//! Protobuf's encoding, as far as OTLP needs it.

/// Appends a number.
pub(crate) fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// How many bytes [`varint`] appends.
pub(crate) const fn varint_len(number: u64) -> usize {
    let bits = 64 - (number | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// How many bytes a field with this content takes, if its number is below 16.
pub(crate) const fn field_len(content: usize) -> usize {
    1 + varint_len(content as u64) + content
}

/// Appends the tag and the length of a field. Its number is below 16, as all numbers
/// in OTLP's logs are.
pub(crate) fn header(field: u8, content: usize, out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    varint(content as u64, out);
}

/// Appends a field with bytes or text.
pub(crate) fn bytes(field: u8, content: &[u8], out: &mut Vec<u8>) {
    header(field, content.len(), out);
    out.extend_from_slice(content);
}

/// Appends a field with a number.
pub(crate) fn number(field: u8, value: u64, out: &mut Vec<u8>) {
    out.push(field << 3);
    varint(value, out);
}

/// Appends a field of 8 bytes.
pub(crate) fn fixed64(field: u8, value: u64, out: &mut Vec<u8>) {
    out.push(field << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a field of 4 bytes.
pub(crate) fn fixed32(field: u8, value: u32, out: &mut Vec<u8>) {
    out.push(field << 3 | 5);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a field whose content is what `write` appends. One byte is kept for its
/// length; a longer content is moved to make room.
pub(crate) fn message(field: u8, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&[field << 3 | 2, 0]);
    let start = out.len();
    write(out);
    let length = out.len() - start;
    let more = varint_len(length as u64) - 1;
    if more > 0 {
        out.resize(out.len() + more, 0);
        out.copy_within(start..start + length, start + more);
    }
    let mut rest = length;
    for byte in out.iter_mut().skip(start - 1).take(more + 1) {
        *byte = rest as u8 | 0x80;
        rest >>= 7;
    }
    if let Some(last) = out.get_mut(start - 1 + more) {
        *last &= 0x7f;
    }
}

/// A field that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of another type, which none of the known fields has.
    Other,
}

/// The fields of a message and their numbers; `None` in the place of a fault, after
/// which nothing follows.
pub(crate) fn fields(mut message: &[u8]) -> impl Iterator<Item = Option<(u64, Field<'_>)>> {
    std::iter::from_fn(move || {
        if message.is_empty() {
            return None;
        }
        let field = read_field(&mut message);
        if field.is_none() {
            message = &[];
        }
        Some(field)
    })
}

fn read_field<'a>(message: &mut &'a [u8]) -> Option<(u64, Field<'a>)> {
    let tag = read_varint(message)?;
    let field = match tag & 7 {
        0 => Field::Number(read_varint(message)?),
        1 => take(message, 8).map(|_| Field::Other)?,
        2 => {
            let length = usize::try_from(read_varint(message)?).ok()?;
            Field::Bytes(take(message, length)?)
        }
        5 => take(message, 4).map(|_| Field::Other)?,
        _ => return None,
    };
    Some((tag >> 3, field))
}

fn read_varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *take(message, 1)?.first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn take<'a>(message: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = message.split_at_checked(length)?;
    *message = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_as_many_bytes_as_they_need() {
        for number in [0, 1, 127, 128, 16_383, 16_384, u64::MAX >> 1, u64::MAX] {
            let mut out = Vec::new();
            varint(number, &mut out);
            assert_eq!(out.len(), varint_len(number), "{number}");
            let mut rest = &out[..];
            assert_eq!(read_varint(&mut rest), Some(number));
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn messages_of_any_length_can_be_read() {
        for length in [0, 1, 127, 128, 129, 16_383, 16_384, 3_000_000] {
            let content: Vec<u8> = (0..length).map(|n: u32| n as u8).collect();
            let mut nested = b"before".to_vec();
            message(5, &mut nested, |out| out.extend_from_slice(&content));
            let mut plain = b"before".to_vec();
            bytes(5, &content, &mut plain);
            assert!(nested == plain, "{length}");
            assert_eq!(plain.len(), 6 + field_len(content.len()));
        }
    }

    #[test]
    fn a_fault_ends_the_fields() {
        let mut right = Vec::new();
        number(1, 300, &mut right);
        bytes(2, b"ab", &mut right);
        fixed64(3, 1, &mut right);
        fixed32(4, 1, &mut right);
        let read: Vec<_> = fields(&right).collect();
        assert_eq!(
            read,
            [
                Some((1, Field::Number(300))),
                Some((2, Field::Bytes(b"ab"))),
                Some((3, Field::Other)),
                Some((4, Field::Other)),
            ]
        );
        for wrong in [
            &right[..right.len() - 1],
            b"\x0a\x05ab",
            b"\x0b",
            &[0xff; 11],
        ] {
            assert_eq!(fields(wrong).last(), Some(None));
        }
    }
}
