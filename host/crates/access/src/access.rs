//! Which client sends a request, and whether it may.

use std::sync::Arc;

use tokio::sync::watch;

use crate::audit::Audit;
use crate::client::Client;
use crate::file::Keeper;
use crate::refusal::Refusal;
use crate::scope::Scope;
use crate::tokens::Tokens;

/// Finds the client behind a request, and says whether it may do what it asks for.
#[derive(Debug)]
pub struct Access {
    tokens: watch::Receiver<Arc<Tokens>>,
    /// Held so that tokens that come from no file stay.
    _fixed: Option<watch::Sender<Arc<Tokens>>>,
    has_scopes: bool,
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
            audit,
        }
    }

    /// Whether there is a file that says who may read and who may administer.
    #[must_use]
    pub const fn has_scopes(&self) -> bool {
        self.has_scopes
    }

    /// Whether everybody may send records.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.has_scopes && self.tokens.borrow().is_empty()
    }

    /// The client with one of these tokens, if it may do this on this stream.
    ///
    /// # Errors
    /// There is no such client, or it may not.
    pub fn client<'a>(
        &self,
        tokens: impl IntoIterator<Item = &'a [u8]>,
        scope: Scope,
        stream: &str,
    ) -> Result<Arc<Client>, Refusal> {
        let mut refusal = Refusal::NoToken;
        let known = self.tokens.borrow();
        for token in tokens {
            refusal = Refusal::WrongToken;
            if let Some(client) = known.by_token(token) {
                client.may(scope, stream)?;
                return Ok(Arc::clone(client));
            }
        }
        Err(refusal)
    }

    /// The client whose certificate was checked and has one of these names, if the
    /// file lists it.
    #[must_use]
    pub fn with_certificate<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Option<Arc<Client>> {
        let known = self.tokens.borrow();
        let mut clients = names
            .into_iter()
            .filter_map(|name| known.by_certificate(name));
        clients.next().cloned()
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

    #[test]
    fn without_a_file_the_single_token_may_send_and_no_more() {
        let access = Access::without_file(Tokens::single("secret"), Audit::discarded());
        assert!(!access.is_open());
        let client = |token: &[u8], scope| access.client([token], scope, "default");
        assert!(client(b"secret", Scope::Send).is_ok());
        assert_eq!(
            client(b"other", Scope::Send).unwrap_err(),
            Refusal::WrongToken
        );
        assert!(client(b"secret", Scope::Read).unwrap_err().is_known());
        let none = access.client([], Scope::Send, "default");
        assert_eq!(none.unwrap_err(), Refusal::NoToken);
    }

    #[test]
    fn without_tokens_everybody_may_send() {
        let access = Access::without_file(Tokens::default(), Audit::discarded());
        assert!(access.is_open());
    }
}
