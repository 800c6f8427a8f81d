//! Why a component cannot be kept in Consul, or read from there.

use thiserror::Error;

use super::retry::MayPass;

/// The largest component that is kept in Consul, in bytes.
pub(super) const MAX_BLOB_BYTES: usize = 4 << 20;

/// Why a component cannot be kept in Consul, or read from there.
#[derive(Debug, Error)]
pub(crate) enum BlobError {
    /// Consul gives no usable answer.
    #[error("{act} kv:{sha256}{}", token_hint(.cause, .act))]
    Consul {
        /// What was tried.
        act: &'static str,
        /// The component.
        sha256: String,
        /// The client's error.
        #[source]
        cause: sluice_consul::Error,
    },
    /// There is no such component.
    #[error(
        "read kv:{sha256}: there is no key {key} in Consul; put the component there with `sluice \
         plugin push FILE --to kv`"
    )]
    Absent {
        /// The component.
        sha256: String,
        /// The key that is missing.
        key: String,
    },
    /// It is not what its digest says.
    #[error(
        "read kv:{0}: what Consul has is not complete, or was changed; put the component there again \
         with `sluice plugin push FILE --to kv`"
    )]
    Damaged(String),
    /// It has no place in Consul.
    #[error(
        "keep a component in Consul: it has {0} bytes, more than the {MAX_BLOB_BYTES} that are kept \
         there; push it to a registry (--to oci://registry/repository), or serve it over https"
    )]
    TooLarge(usize),
}

fn token_hint(cause: &sluice_consul::Error, act: &str) -> String {
    match cause.is_denied() {
        true => format!("; the Consul token must allow to {act} keys below <cluster>/blobs/"),
        false => String::new(),
    }
}

impl MayPass for BlobError {
    fn may_pass(&self) -> bool {
        match self {
            Self::Consul { cause, .. } => !cause.is_denied() && !cause.is_rejected(),
            _ => false,
        }
    }
}
