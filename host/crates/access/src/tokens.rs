//! The clients that a node knows.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::client::{Client, Credential, TokenDigest};
use crate::entry::{Document, Entry};
use crate::quota::{Limits, Quota};
use crate::scope::Scope;

/// The clients that a node knows, by the digests of their tokens, so that neither
/// the file nor the time of a comparison tells a token.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    by_token: HashMap<TokenDigest, Arc<Client>>,
    by_certificate: HashMap<String, Arc<Client>>,
    by_name: HashMap<Arc<str>, Arc<Client>>,
}

/// What is wrong with the content of a file of tokens.
#[derive(Debug, Error)]
pub(crate) enum ContentError {
    #[error(transparent)]
    Form(#[from] toml::de::Error),
    #[error("{0}: give each client a name of its own, of 1 to 64 characters without spaces")]
    Name(String),
    #[error("{0}: sha256 must be 64 hexadecimal digits: printf %s \"$TOKEN\" | sha256sum")]
    Digest(String),
    #[error("{0}: give a sha256 of its token, or the certificate that it shows")]
    Unknowable(String),
    #[error("{0}: another client has the same token or certificate")]
    Twice(String),
    #[error("{0}: list at least one scope: send, read, admin")]
    NoScope(String),
    #[error("{0}: a rate per second must be at least 1")]
    Rate(String),
}

impl Tokens {
    /// The clients of a file's content. Those that `before` has by the same name
    /// and with the same limits keep what they have used of them.
    pub(crate) fn parse(content: &str, before: &Self) -> Result<Self, ContentError> {
        let document: Document = toml::from_str(content)?;
        let mut tokens = Self::default();
        for entry in document.tokens {
            tokens.add(entry, before)?;
        }
        Ok(tokens)
    }

    /// Adds a client that may do this, and is known by this token.
    pub(crate) fn add_token(&mut self, name: &str, token: &str, scopes: &[Scope]) {
        let digest = Sha256::digest(token).into();
        let mut client = Client::unlimited(name, scopes);
        client.credential.token = Some(digest);
        let client = Arc::new(client);
        self.by_token.insert(digest, Arc::clone(&client));
        self.by_name.insert(Arc::clone(&client.name), client);
    }

    /// The client with this token.
    pub(crate) fn by_token(&self, token: &[u8]) -> Option<&Arc<Client>> {
        let digest: TokenDigest = Sha256::digest(token).into();
        self.by_token.get(&digest)
    }

    /// The client whose certificate has this name.
    pub(crate) fn by_certificate(&self, name: &str) -> Option<&Arc<Client>> {
        self.by_certificate.get(name)
    }

    /// The client with this name.
    pub(crate) fn by_name(&self, name: &str) -> Option<&Arc<Client>> {
        self.by_name.get(name)
    }

    /// How many clients there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// These and those of `other`, which count where both have the same.
    pub(crate) fn joined(mut self, other: Self) -> Self {
        self.by_token.extend(other.by_token);
        self.by_certificate.extend(other.by_certificate);
        self.by_name.extend(other.by_name);
        self
    }

    fn add(&mut self, entry: Entry, before: &Self) -> Result<(), ContentError> {
        let name = entry.name;
        let is_name = (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
        if !is_name || self.by_name.contains_key(&*name) {
            return Err(ContentError::Name(format!("client {name:?}")));
        }
        let of_client = || format!("client {name}");
        if entry.scopes.is_empty() {
            return Err(ContentError::NoScope(of_client()));
        }
        let limits = Limits {
            records: entry.records_per_second,
            bytes: entry.bytes_per_second,
        };
        if [limits.records, limits.bytes].contains(&Some(0)) {
            return Err(ContentError::Rate(of_client()));
        }
        let digest = entry.sha256.map(|text| digest(&text)).transpose();
        let digest = digest.map_err(|()| ContentError::Digest(of_client()))?;
        if digest.is_none() && entry.certificate.is_none() {
            return Err(ContentError::Unknowable(of_client()));
        }
        let kept = before.by_name(&name).map(|client| &client.quota);
        let kept = kept.filter(|quota| quota.limits() == limits);
        let client = Arc::new(Client {
            name: name.as_str().into(),
            scopes: entry.scopes,
            streams: entry.streams,
            quota: kept.map_or_else(|| Arc::new(Quota::new(limits)), Arc::clone),
            credential: Credential {
                token: digest,
                certificate: entry.certificate.clone(),
            },
        });
        let mut is_twice = false;
        if let Some(digest) = digest {
            let other = self.by_token.insert(digest, Arc::clone(&client));
            is_twice |= other.is_some();
        }
        if let Some(certificate) = entry.certificate {
            let other = self.by_certificate.insert(certificate, Arc::clone(&client));
            is_twice |= other.is_some();
        }
        self.by_name.insert(Arc::clone(&client.name), client);
        match is_twice {
            true => Err(ContentError::Twice(of_client())),
            false => Ok(()),
        }
    }
}

fn digest(text: &str) -> Result<TokenDigest, ()> {
    let mut digest = TokenDigest::default();
    hex::decode_to_slice(text.trim(), &mut digest).map_err(|_| ())?;
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Amount;
    use crate::refusal::Refusal;

    fn sha256(token: &str) -> String {
        hex::encode(Sha256::digest(token))
    }

    fn parse(content: &str) -> Result<Tokens, String> {
        Tokens::parse(content, &Tokens::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_client_is_found_by_its_token_and_may_do_what_is_listed() {
        let content = format!(
            "[[token]]\nname = \"web\"\nsha256 = \"{}\"\nscopes = [\"send\", \"read\"]\n\
             streams = [\"default\"]\nrecords_per_second = 10\nbytes_per_second = \"1MiB\"\n",
            sha256("secret")
        );
        let tokens = parse(&content).unwrap();
        assert!(tokens.by_token(b"other").is_none());
        let client = tokens.by_token(b"secret").unwrap();
        assert_eq!(&**client.name(), "web");
        assert_eq!(client.quota().limits().bytes, Some(1 << 20));
        assert_eq!(client.may(Scope::Send, "default"), Ok(()));
        assert!(matches!(
            client.may(Scope::Admin, "default"),
            Err(Refusal::Scope { .. })
        ));
        assert!(matches!(
            client.may(Scope::Send, "audit"),
            Err(Refusal::Stream { .. })
        ));
    }

    #[test]
    fn what_is_wrong_is_said_with_the_client_and_the_remedy() {
        let digest = sha256("secret");
        let entry = |lines: &str| format!("[[token]]\nscopes = [\"send\"]\n{lines}\n");
        for (content, says) in [
            (entry("name = \"a b\"\nsha256 = \"00\""), "\"a b\""),
            (entry("name = \"a\"\nsha256 = \"00\""), "64 hexadecimal"),
            (entry("name = \"a\""), "give a sha256"),
            (
                entry(&format!("name = \"a\"\nsha256 = \"{digest}\"\nlimit = 1")),
                "limit",
            ),
            (
                entry(&format!(
                    "name = \"a\"\nsha256 = \"{digest}\"\nrecords_per_second = 0"
                )),
                "at least 1",
            ),
            (
                entry(&format!(
                    "name = \"a\"\nsha256 = \"{digest}\"\nbytes_per_second = \"1 parsec\""
                )),
                "64KiB",
            ),
            (
                format!("[[token]]\nname = \"a\"\nsha256 = \"{digest}\"\nscopes = []"),
                "scope",
            ),
            (
                format!("[[token]]\nname = \"a\"\nsha256 = \"{digest}\"\nscopes = [\"write\"]"),
                "write",
            ),
            (
                entry(&format!("name = \"a\"\nsha256 = \"{digest}\""))
                    + &entry(&format!("name = \"b\"\nsha256 = \"{digest}\"")),
                "client b",
            ),
            (
                entry(&format!("name = \"a\"\nsha256 = \"{digest}\""))
                    + &entry("name = \"a\"\ncertificate = \"a\""),
                "name of its own",
            ),
        ] {
            let error = parse(&content).unwrap_err();
            assert!(error.contains(says), "{error}\n{content}");
        }
    }

    #[test]
    fn a_client_keeps_what_it_used_when_the_file_is_read_again() {
        let content = |rate: u64| {
            format!(
                "[[token]]\nname = \"web\"\nsha256 = \"{}\"\nscopes = [\"send\"]\n\
                 records_per_second = {rate}\n",
                sha256("secret")
            )
        };
        let tokens = parse(&content(10)).unwrap();
        let used = Amount {
            records: 1000,
            bytes: 0,
        };
        let quota = tokens.by_name("web").unwrap().quota();
        quota.exchange(Amount::default(), used).unwrap();
        let same = Tokens::parse(&content(10), &tokens).unwrap();
        assert!(!same.by_name("web").unwrap().quota().wait().is_zero());
        let other = Tokens::parse(&content(20), &tokens).unwrap();
        assert!(other.by_name("web").unwrap().quota().wait().is_zero());
    }

    #[test]
    fn an_empty_file_knows_nobody() {
        assert!(parse("").unwrap().is_empty());
    }
}
