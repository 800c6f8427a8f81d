//! Why a registry does not give or take a component.

use std::path::PathBuf;

use thiserror::Error;

use super::media_types::{CONFIG_TYPE, LAYER_TYPE};
use crate::plugin::remote::http_error::{HttpError, Shown};
use crate::plugin::remote::retry::MayPass;
use crate::plugin::source::OciReference;

/// Why a registry does not give or take a component.
#[derive(Debug, Error)]
#[error("{act} {reference}")]
pub(crate) struct RegistryError {
    act: &'static str,
    reference: String,
    #[source]
    problem: Problem,
}

impl RegistryError {
    /// Says what was tried.
    pub(super) fn on(act: &'static str, reference: &OciReference) -> impl Fn(Problem) -> Self {
        let reference = reference.to_string();
        move |problem| Self {
            act,
            reference: reference.clone(),
            problem,
        }
    }
}

impl MayPass for RegistryError {
    fn may_pass(&self) -> bool {
        matches!(&self.problem, Problem::Http(error) if error.may_pass())
    }
}

#[derive(Debug, Error)]
pub(super) enum Problem {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the registry gives no usable address for it; is this a registry?")]
    Address,
    #[error(
        "the registry {0} gives nothing without credentials; log in with `docker login {0}` as the \
         user of this process, or name the directory of a config.json in DOCKER_CONFIG"
    )]
    Anonymous(String),
    #[error(
        "the registry {registry} refuses the credentials that {} has for it: they are wrong, have \
         expired, or do not allow this; log in again with `docker login {registry}`", .file.display()
    )]
    Refused { registry: String, file: PathBuf },
    #[error("use the credentials of {}: {reason}", .file.display())]
    Credentials { file: PathBuf, reason: String },
    #[error(
        "the registry asks to log in at {0}, without TLS, which would show the credentials; have it \
         name an https address"
    )]
    Realm(Shown),
    #[error(
        "the registry asks for {0:?}, a way to log in that is not known; expected Basic or Bearer"
    )]
    Scheme(String),
    #[error(
        "the registry {0} gives no token for the credentials; log in again with `docker login {0}`"
    )]
    Token(String),
    #[error(
        "the registry has no such tag or digest; check the name, or put the component there with \
         `sluice plugin push FILE --to`"
    )]
    NotFound,
    #[error("what the registry has is not a manifest: {0}")]
    Manifest(String),
    #[error(
        "it is an index of several manifests, of which one has to be chosen; name that one by its \
         digest, as oci://registry/repository@sha256:..."
    )]
    Index,
    #[error(
        "it is not a WebAssembly artifact: its config has the media type {0:?}, not {CONFIG_TYPE}; \
         push the component with `sluice plugin push` or `wkg oci push`"
    )]
    ConfigType(String),
    #[error(
        "it has {0} layers, and a component is exactly one; push the component with `sluice plugin \
         push` or `wkg oci push`"
    )]
    Layers(usize),
    #[error(
        "its layer has the media type {0:?}, not {LAYER_TYPE}; push the component with `sluice \
         plugin push` or `wkg oci push`"
    )]
    LayerType(String),
    #[error(
        "its layer has {size} bytes, more than the {limit} that are loaded; is it a component?"
    )]
    TooLarge { size: u64, limit: u64 },
    #[error(
        "the registry sends other bytes than those with the digest sha256:{expected}; they have \
         sha256:{found}; push the component again"
    )]
    Digest { expected: String, found: String },
}
