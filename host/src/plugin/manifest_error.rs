//! Why a text is not a manifest.

use thiserror::Error;

use super::source::{EXPECTED, SourceError};
use crate::minisign::FormError;

/// The largest value of the key that is read as a manifest. The leader's
/// document quotes the manifest, which may double its size, and Consul takes
/// 512 KiB in base64.
pub(super) const MAX_MANIFEST_BYTES: usize = 128 << 10;

/// Why a text is not a manifest.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// The text is larger than any that is read.
    #[error(
        "read the manifest: it has {0} bytes, more than the {MAX_MANIFEST_BYTES} that are read; \
         keep large settings in a file below permissions.dirs"
    )]
    TooLarge(usize),
    /// The text is not UTF-8.
    #[error("read the manifest: it is not UTF-8 text")]
    NotText,
    /// The text is not JSON of the right shape.
    #[error(
        "read the manifest: {0}; expected a source ({EXPECTED}), or JSON like \
         {{\"source\": \"file:///plugins/a.wasm\", \"config\": {{}}}}"
    )]
    Shape(serde_json::Error),
    /// The source is not one.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The signature is not one.
    #[error(
        "read the manifest: signature: {0}; expected the text of a .minisig file, four lines with \\n \
         between them, as `sluice plugin sign` prints it"
    )]
    Signature(FormError),
    /// A field has a value that makes no sense.
    #[error("read the manifest: {field} is {value:?}; {expected}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// The beginning of its value.
        value: String,
        /// What was expected instead.
        expected: &'static str,
    },
    /// Whatever the server sends would be run.
    #[error(
        "use the source {0}: a component of a web server must be pinned by its digest; add \
         \"sha256\" to the manifest, or --sha256 to `sluice plugin use`, with what sha256sum prints \
         for the component"
    )]
    NoDigest(String),
    /// The manifest names another digest than its source.
    #[error(
        "use the source {source_name}: the manifest's sha256 is {given}, another one; leave it out, \
         or correct the source"
    )]
    OtherDigest {
        /// The source, which says its digest.
        source_name: String,
        /// The manifest's digest.
        given: String,
    },
    /// This version cannot do what a field asks for.
    #[error("use the manifest: {field} is not supported by this version of Sluice; {remedy}")]
    Unsupported {
        /// The field's name.
        field: &'static str,
        /// What to do.
        remedy: &'static str,
    },
}
