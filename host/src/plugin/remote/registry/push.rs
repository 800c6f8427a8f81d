//! Writes a component to a registry.

use bytes::Bytes;
use reqwest::{Method, StatusCode};

use super::client::Registry;
use super::error::{Problem, RegistryError};
use super::manifest::{Config, Descriptor, Manifest};
use super::media_types::{CONFIG_TYPE, LAYER_TYPE, MANIFEST_TYPE};
use super::session::{Session, Upload};
use crate::plugin::digest::sha256;
use crate::plugin::remote::http::{Ask, location};
use crate::plugin::remote::sent::Sent;
use crate::plugin::source::OciReference;
use sluice_sandbox::Interfaces;

const BLOB_TYPE: &str = "application/octet-stream";

/// A component in a registry.
#[derive(Debug)]
pub(crate) struct Pushed {
    /// Where it is, by the digest of its manifest.
    pub(crate) reference: OciReference,
    /// The component's SHA-256, in lower-case hex.
    pub(crate) sha256: String,
}

impl Registry {
    /// Writes a component, and gives it the tag.
    ///
    /// # Errors
    /// The registry does not take it.
    pub(crate) async fn push(
        &self,
        reference: &OciReference,
        component: &Bytes,
        interfaces: &Interfaces,
        sent: &Sent,
    ) -> Result<Pushed, RegistryError> {
        let session = Session::new(self, reference);
        let pushed = session.push(component, interfaces, sent).await;
        pushed.map_err(RegistryError::on("push", reference))
    }
}

impl Session {
    async fn push(
        mut self,
        component: &Bytes,
        interfaces: &Interfaces,
        sent: &Sent,
    ) -> Result<Pushed, Problem> {
        let json = |error: serde_json::Error| Problem::Manifest(error.to_string());
        let digest = sha256(component);
        let layer = Descriptor::new(LAYER_TYPE, &digest, component.len());
        let config = Config::of(&layer, &interfaces.imports, &interfaces.exports);
        let config = Bytes::from(serde_json::to_vec(&config).map_err(json)?);
        let described = Descriptor::new(CONFIG_TYPE, &sha256(&config), config.len());
        self.upload(&layer, component, sent).await?;
        self.upload(&described, &config, &Sent::default()).await?;
        let manifest = serde_json::to_vec(&Manifest::of(described, layer)).map_err(json)?;
        let reference = self.reference.at(sha256(&manifest));
        let name = format!("manifests/{}", self.reference.version());
        let ask = Ask::new(Method::PUT, self.url(&name)?);
        let upload = Upload {
            content_type: MANIFEST_TYPE,
            content: manifest.into(),
            sent: Sent::default(),
        };
        self.demand(ask, Some(&upload)).await?;
        Ok(Pushed {
            reference,
            sha256: digest,
        })
    }

    /// Writes a blob unless the repository has it.
    async fn upload(
        &mut self,
        descriptor: &Descriptor,
        content: &Bytes,
        sent: &Sent,
    ) -> Result<(), Problem> {
        let ask = Ask::new(
            Method::HEAD,
            self.url(&format!("blobs/{}", descriptor.digest))?,
        );
        if self.ask(ask, None).await?.status() == StatusCode::OK {
            return Ok(());
        }
        let ask = Ask::new(Method::POST, self.url("blobs/uploads/")?);
        let started = self.demand(ask, None).await?;
        let mut place = location(started.url(), &started)?;
        place
            .query_pairs_mut()
            .append_pair("digest", &descriptor.digest);
        let ask = Ask::new(Method::PUT, place);
        let upload = Upload {
            content_type: BLOB_TYPE,
            content: content.clone(),
            sent: sent.clone(),
        };
        self.demand(ask, Some(&upload)).await?;
        Ok(())
    }
}
