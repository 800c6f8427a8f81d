//! The keys with which requests to AWS and its like are signed.

/// Never shown: it has no `Debug`.
pub(super) struct AwsKeys<'a> {
    pub(super) id: &'a str,
    pub(super) secret: &'a str,
    /// Of temporary keys.
    pub(super) session_token: Option<&'a str>,
}

impl<'a> AwsKeys<'a> {
    /// Reads `ACCESS_KEY_ID:SECRET_ACCESS_KEY`, with `:SESSION_TOKEN` after it or not.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let (id, secret, session_token) = (parts.next()?, parts.next()?, parts.next());
        let is_part = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_graphic());
        // The id is a part of a list with commas, and of a path.
        let are_right = is_part(id)
            && !id.contains(['/', ',', '='])
            && is_part(secret)
            && session_token.is_none_or(is_part);
        are_right.then_some(Self {
            id,
            secret,
            session_token,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_two_or_three_parts() {
        let parts = |text| {
            let keys = AwsKeys::of(text)?;
            Some((keys.id, keys.secret, keys.session_token))
        };
        assert_eq!(parts("AK:s/+="), Some(("AK", "s/+=", None)));
        assert_eq!(parts("AK:s:t/=="), Some(("AK", "s", Some("t/=="))));
        for wrong in [
            "", "AK", "AK:", ":s", "AK:s:", "AK: s", "A/K:s", "A,K:s", "AK:s:t t",
        ] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }
}
