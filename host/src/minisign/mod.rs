//! Keys and signatures in the forms of [minisign](https://jedisct1.github.io/minisign/):
//! Ed25519 over the BLAKE2b-512 of a file, and over a comment that is so
//! trusted as well. Knows nothing of plugins.

mod encoding;
mod key_id;
mod public_key;
mod secret_key;
mod signature;

pub use encoding::FormError;
pub use key_id::KeyId;
pub(crate) use public_key::PublicKey;
pub(crate) use secret_key::SecretKey;
pub use signature::Signature;
pub(crate) use signature::prehash;
