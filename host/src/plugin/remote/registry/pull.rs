//! Reads a component from a registry.

use reqwest::Method;

use super::client::Registry;
use super::error::{Problem, RegistryError};
use super::manifest::Manifest;
use super::media_types::ACCEPTED_TYPES;
use super::session::Session;
use crate::plugin::digest::{sha256, sha256_aside};
use crate::plugin::remote::http::Ask;
use crate::plugin::source::{MAX_COMPONENT_BYTES, OciReference};

/// The largest manifest that is read, in bytes: the most that registries take.
const MAX_MANIFEST_BYTES: u64 = 4 << 20;
const PULL: &str = "pull";

/// The layer of a component.
#[derive(Debug)]
pub(crate) struct Layer {
    session: Session,
    sha256: String,
}

impl Layer {
    /// The component's SHA-256, in lower-case hex.
    pub(in crate::plugin) fn sha256(&self) -> &str {
        &self.sha256
    }

    pub(in crate::plugin::remote) const fn reference(&self) -> &OciReference {
        &self.session.reference
    }
}

impl Registry {
    /// Reads a manifest, and with it which component a tag names now.
    ///
    /// # Errors
    /// The registry does not answer, or the manifest is not that of a component.
    pub(in crate::plugin::remote) async fn layer(
        &self,
        reference: &OciReference,
    ) -> Result<Layer, RegistryError> {
        let session = Session::new(self, reference);
        let found = session.layer().await;
        found.map_err(RegistryError::on(PULL, reference))
    }

    /// Reads a component.
    ///
    /// # Errors
    /// The registry does not have it.
    pub(in crate::plugin::remote) async fn component(
        &self,
        layer: &Layer,
    ) -> Result<Vec<u8>, RegistryError> {
        let session = layer.session.clone();
        let component = session.blob(&layer.sha256).await;
        component.map_err(RegistryError::on(PULL, layer.reference()))
    }
}

impl Session {
    async fn layer(mut self) -> Result<Layer, Problem> {
        let name = format!("manifests/{}", self.reference.version());
        let mut ask = Ask::new(Method::GET, self.url(&name)?);
        ask.accept = Some(ACCEPTED_TYPES);
        let response = self.demand(ask, None).await?;
        let manifest = self
            .registry
            .http
            .body(response, MAX_MANIFEST_BYTES)
            .await?;
        if let Some(expected) = self.reference.manifest_sha256() {
            check(expected, sha256(&manifest))?;
        }
        let layer = Manifest::component(&manifest)?;
        let sha256 = layer
            .sha256()
            .ok_or_else(|| Problem::Manifest(format!("{:?} is not a SHA-256", layer.digest)))?;
        Ok(Layer {
            session: self,
            sha256,
        })
    }

    async fn blob(mut self, expected: &str) -> Result<Vec<u8>, Problem> {
        let ask = Ask::new(Method::GET, self.url(&format!("blobs/sha256:{expected}"))?);
        let response = self.demand(ask, None).await?;
        let blob = self
            .registry
            .http
            .body(response, MAX_COMPONENT_BYTES)
            .await?;
        let (blob, found) = sha256_aside(blob).await;
        check(expected, found)?;
        Ok(blob)
    }
}

fn check(expected: &str, found: String) -> Result<(), Problem> {
    if found == expected {
        return Ok(());
    }
    let expected = expected.to_owned();
    Err(Problem::Digest { expected, found })
}
