//! What can be set for who may do what.

use std::path::PathBuf;

use thiserror::Error;

use crate::access::Access;
use crate::audit::{Audit, AuditError};
use crate::file::{Keeper, TokensError};
use crate::tokens::Tokens;

/// Who may do what at a node.
#[derive(Clone, Debug, Default)]
pub struct AccessConfig {
    /// A token that may send.
    pub token: Option<String>,
    /// The file of clients, their tokens and scopes.
    pub tokens: Option<PathBuf>,
    /// Where refusals and actions are written; without it, to the node's log.
    pub audit_log: Option<PathBuf>,
    /// Whether certificates of clients are checked, so that a client without a token
    /// must show one.
    pub knows_certificates: bool,
}

/// Why it cannot be known who may do what.
#[derive(Debug, Error)]
pub enum AccessError {
    /// The file of tokens cannot be used.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// There can be no audit log.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

impl AccessConfig {
    /// Reads the file and starts the audit log. The keeper must be run for changes of
    /// the file to be seen.
    ///
    /// # Errors
    /// The file of tokens cannot be used, or the audit log cannot be written.
    pub fn build(self) -> Result<(Access, Option<Keeper>), AccessError> {
        let token = self.token.as_deref();
        let tokens = token.map(Tokens::single).unwrap_or_default();
        let audit = Audit::start(self.audit_log)?;
        let Some(file) = self.tokens else {
            let access = Access::without_file(tokens, audit);
            return Ok((access.with_certificates(self.knows_certificates), None));
        };
        let keeper = Keeper::open(file, tokens)?;
        let access = Access::of_file(&keeper, audit);
        Ok((
            access.with_certificates(self.knows_certificates),
            Some(keeper),
        ))
    }
}
