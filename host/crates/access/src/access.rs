//! Which client sends a request, and whether it may.

use std::sync::Arc;

use tokio::sync::watch;

use crate::audit::Audit;
use crate::client::Client;
use crate::file::Keeper;
use crate::refusal::Refusal;
use crate::scope::Scope;
use crate::tokens::Tokens;

/// What a client shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown<'a> {
    /// What may be its token, read in each possible way. Empty if there is something
    /// that cannot be one.
    pub tokens: Option<&'a [&'a [u8]]>,
    /// The names in its certificate, which was checked.
    pub names: &'a [String],
}

/// Finds the client behind a request, and says whether it may do what it asks for.
#[derive(Debug)]
pub struct Access {
    tokens: watch::Receiver<Arc<Tokens>>,
    /// Held so that tokens that come from no file stay.
    _fixed: Option<watch::Sender<Arc<Tokens>>>,
    has_scopes: bool,
    knows_certificates: bool,
    audit: Audit,
}

impl Access {
    /// Of the clients of a file, which `--tokens` names.
    #[must_use]
    pub fn of_file(keeper: &Keeper, audit: Audit) -> Self {
        Self {
            tokens: keeper.tokens(),
            _fixed: None,
            has_scopes: true,
            knows_certificates: false,
            audit,
        }
    }

    /// Without `--tokens`: if there are no clients, everybody may send.
    #[must_use]
    pub fn without_file(tokens: Tokens, audit: Audit) -> Self {
        let (sender, tokens) = watch::channel(Arc::new(tokens));
        Self {
            tokens,
            _fixed: Some(sender),
            has_scopes: false,
            knows_certificates: false,
            audit,
        }
    }

    /// With or without clients that show certificates.
    #[must_use]
    pub(crate) const fn with_certificates(mut self, known: bool) -> Self {
        self.knows_certificates = known;
        self
    }

    /// Whether there is a file that says who may read and who may administer.
    #[must_use]
    pub const fn has_scopes(&self) -> bool {
        self.has_scopes
    }

    /// Whether everybody may send records.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.has_scopes && !self.knows_certificates && self.tokens.borrow().is_empty()
    }

    /// The client that shows this, if it may do this on this stream. Without a file,
    /// a client whose certificate was checked may send.
    ///
    /// # Errors
    /// There is no such client, or it may not.
    pub fn client(
        &self,
        shown: &Shown<'_>,
        scope: Scope,
        stream: &str,
    ) -> Result<Arc<Client>, Refusal> {
        let known = self.tokens.borrow();
        let client = match (shown.tokens, shown.names) {
            (Some(tokens), _) => {
                let mut clients = tokens.iter().filter_map(|token| known.by_token(token));
                clients.next().ok_or(Refusal::WrongToken)?
            }
            (None, []) => return Err(Refusal::NoToken),
            (None, [first, ..]) => {
                let mut clients = shown.names.iter();
                match clients.find_map(|name| known.by_certificate(name)) {
                    Some(client) => client,
                    None if self.has_scopes => {
                        return Err(Refusal::UnknownCertificate(first.as_str().into()));
                    }
                    None => &Arc::new(Client::unlimited(first, &[Scope::Send])),
                }
            }
        };
        client.may(scope, stream)?;
        Ok(Arc::clone(client))
    }

    /// The client as it is known now, if it may still do this on this stream: a request
    /// can last longer than a token.
    ///
    /// # Errors
    /// It is not known any more, shows something else now, or may not.
    pub fn renewed(
        &self,
        client: &Arc<Client>,
        scope: Scope,
        stream: &str,
    ) -> Result<Arc<Client>, Refusal> {
        let known = self.named(client.name());
        let known = known.filter(|known| known.credential == client.credential);
        let renewed = match known {
            Some(known) => known,
            // Known by its certificate alone.
            None if !self.has_scopes => Arc::clone(client),
            None => return Err(Refusal::WrongToken),
        };
        renewed.may(scope, stream)?;
        Ok(renewed)
    }

    /// Tells when the clients have changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Arc<Tokens>> {
        self.tokens.clone()
    }

    /// Whether the certificates of clients are checked.
    #[must_use]
    pub const fn knows_certificates(&self) -> bool {
        self.knows_certificates
    }

    /// The client with this name, which another node has checked.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Arc<Client>> {
        self.tokens.borrow().by_name(name).cloned()
    }

    /// Where refusals and actions are written.
    #[must_use]
    pub const fn audit(&self) -> &Audit {
        &self.audit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_token<'a>(token: &'a [&'a [u8]]) -> Shown<'a> {
        Shown {
            tokens: Some(token),
            names: &[],
        }
    }

    #[test]
    fn without_a_file_the_single_token_may_send_and_no_more() {
        let access = Access::without_file(Tokens::single("secret"), Audit::discarded());
        assert!(!access.is_open());
        let client = |token: &[u8], scope| access.client(&with_token(&[token]), scope, "default");
        assert!(client(b"secret", Scope::Send).is_ok());
        assert_eq!(
            client(b"other", Scope::Send).unwrap_err(),
            Refusal::WrongToken
        );
        assert!(client(b"secret", Scope::Read).unwrap_err().is_known());
        let none = access.client(&Shown::default(), Scope::Send, "default");
        assert_eq!(none.unwrap_err(), Refusal::NoToken);
    }

    #[test]
    fn without_tokens_everybody_may_send() {
        let access = Access::without_file(Tokens::default(), Audit::discarded());
        assert!(access.is_open());
        assert!(!access.with_certificates(true).is_open());
    }

    #[test]
    fn a_client_is_renewed_while_it_shows_the_same_and_may_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens.toml");
        let entry = |certificate: &str, scope: &str| {
            format!(
                "[[token]]\nname = \"a\"\ncertificate = \"{certificate}\"\nscopes = [\"{scope}\"]\n"
            )
        };
        std::fs::write(&file, entry("a.test", "send")).unwrap();
        let mut keeper = Keeper::open(file.clone(), Tokens::default()).unwrap();
        let access = Access::of_file(&keeper, Audit::discarded());
        let names = ["a.test".to_owned()];
        let shown = Shown {
            tokens: None,
            names: &names,
        };
        let client = access.client(&shown, Scope::Send, "default").unwrap();
        for (content, is_kept) in [
            (entry("a.test", "send") + "records_per_second = 1\n", true),
            (entry("a.test", "read"), false),
            (entry("b.test", "send"), false),
            (String::new(), false),
        ] {
            std::fs::write(&file, content).unwrap();
            keeper.look();
            let renewed = access.renewed(&client, Scope::Send, "default");
            assert_eq!(renewed.is_ok(), is_kept, "{renewed:?}");
        }
    }

    #[test]
    fn a_certificate_is_as_good_as_a_token() {
        let names = ["agent-7".to_owned(), "agent.test".to_owned()];
        let shown = Shown {
            tokens: None,
            names: &names,
        };
        let access = Access::without_file(Tokens::default(), Audit::discarded());
        let client = access.client(&shown, Scope::Send, "default").unwrap();
        assert_eq!(&**client.name(), "agent-7");
        assert!(access.client(&shown, Scope::Read, "default").is_err());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens.toml");
        let entry = "[[token]]\nname = \"seven\"\ncertificate = \"agent.test\"\n\
                     scopes = [\"read\"]\n";
        std::fs::write(&file, entry).unwrap();
        let keeper = Keeper::open(file, Tokens::default()).unwrap();
        let access = Access::of_file(&keeper, Audit::discarded());
        let client = access.client(&shown, Scope::Read, "default").unwrap();
        assert_eq!(&**client.name(), "seven");
        assert!(access.client(&shown, Scope::Send, "default").is_err());
        let stranger = Shown {
            tokens: None,
            names: &["other".to_owned()],
        };
        let refused = access.client(&stranger, Scope::Read, "default");
        assert_eq!(
            refused.unwrap_err(),
            Refusal::UnknownCertificate("other".into())
        );
        // A wrong token is not made good by a certificate.
        let wrong = Shown {
            tokens: Some(&[b"wrong"]),
            names: &names,
        };
        assert!(access.client(&wrong, Scope::Read, "default").is_err());
    }
}
