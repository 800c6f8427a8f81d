//! The values of a query.

use std::borrow::Cow;

/// The first value of this name in a query such as `channel=c&source=s`, with its
/// escapes resolved. Bytes that are no text are replaced.
#[must_use]
pub fn value<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(found, _)| decoded(found) == name)?;
    Some(decoded(value))
}

/// All names and values of a query, with their escapes resolved. A name without a
/// value has an empty one.
pub fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    })
}

fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, behind @ ..] = rest {
        let escape = match (byte, behind) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        rest = match escape {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                behind.get(2..).unwrap_or_default()
            }
            None => {
                bytes.push(if *byte == b'+' { b' ' } else { *byte });
                behind
            }
        };
    }
    let text = String::from_utf8(bytes);
    Cow::Owned(text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

fn hex(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_name_and_unescaped() {
        let query = "channel=8e83dc54-1836&source=%2Fvar%2flog+a%2Bb&sourcetype=&bad&x=%e9%zz%4";
        for (name, expected) in [
            ("channel", Some("8e83dc54-1836")),
            ("source", Some("/var/log a+b")),
            ("sourcetype", Some("")),
            ("bad", None),
            ("x", Some("\u{fffd}%zz%4")),
            ("sourc", None),
        ] {
            assert_eq!(value(query, name).as_deref(), expected, "{name}");
        }
        let all: Vec<_> = pairs("a=1&&b&c%3d=%26=").collect();
        let expected = [("a", "1"), ("b", ""), ("c=", "&=")];
        assert_eq!(
            all,
            expected.map(|(name, value)| (name.into(), value.into()))
        );
        assert_eq!(value("", ""), None);
        assert_eq!(value("%63=1", "c").as_deref(), Some("1"));
    }
}
