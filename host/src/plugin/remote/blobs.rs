//! Components that are kept in Consul, in pieces.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::blob_error::{BlobError, MAX_BLOB_BYTES};
use super::sent::Sent;
use crate::plugin::digest::{sha256, sha256_aside};
use crate::plugin::source::KvBlob;
use sluice_consul::Client;
use sluice_types::keys::ClusterKeys;

/// The most that a value of Consul holds, in bytes.
/// How long reading a piece may take.
const PIECE_LIMIT: Duration = Duration::from_secs(15);
const PIECE_BYTES: usize = 512 << 10;

/// The components that are kept in a cluster's keys.
#[derive(Clone, Debug)]
pub(crate) struct Blobs {
    client: Client,
    keys: ClusterKeys,
}

/// What the key holds that is written last.
#[derive(Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Index {
    /// The component's size in bytes.
    size: usize,
    /// How many keys hold it.
    pieces: usize,
}

impl Index {
    const fn of(size: usize) -> Self {
        Self {
            size,
            pieces: size.div_ceil(PIECE_BYTES),
        }
    }
}

impl Blobs {
    /// The components in the keys of a cluster.
    #[must_use]
    pub(crate) const fn new(client: Client, keys: ClusterKeys) -> Self {
        Self { client, keys }
    }

    /// Reads a component, and checks it by its digest.
    ///
    /// # Errors
    /// It is not there, or damaged.
    pub(super) async fn read(&self, blob: &KvBlob) -> Result<Vec<u8>, BlobError> {
        let digest = blob.sha256();
        let damaged = || BlobError::Damaged(digest.to_owned());
        let key = self.keys.blob(digest);
        let index = self.value(&key, digest).await?;
        let index = index.ok_or_else(|| BlobError::Absent {
            sha256: digest.to_owned(),
            key,
        })?;
        let index: Index = serde_json::from_slice(&index).map_err(|_| damaged())?;
        if index.size > MAX_BLOB_BYTES || index != Index::of(index.size) {
            return Err(damaged());
        }
        let mut component = Vec::new();
        for number in 0..index.pieces {
            let piece = self.keys.blob_piece(digest, number);
            let piece = self.value(&piece, digest).await?;
            component.extend(piece.ok_or_else(damaged)?);
        }
        let (component, found) = sha256_aside(component).await;
        match component.len() == index.size && found == digest {
            true => Ok(component),
            false => Err(damaged()),
        }
    }

    /// Writes a component, and returns the source that names it. Writing it again
    /// repairs it.
    ///
    /// # Errors
    /// It is too large, or Consul does not take it.
    pub(crate) async fn write(&self, component: &Bytes, sent: &Sent) -> Result<KvBlob, BlobError> {
        let digest = sha256(component);
        let blob = KvBlob::parse(&digest).filter(|_| component.len() <= MAX_BLOB_BYTES);
        let blob = blob.ok_or(BlobError::TooLarge(component.len()))?;
        for (number, piece) in component.chunks(PIECE_BYTES).enumerate() {
            let key = self.keys.blob_piece(&digest, number);
            self.put(&key, &digest, piece.to_vec()).await?;
            sent.add(piece.len());
        }
        let index = serde_json::json!(Index::of(component.len())).to_string();
        self.put(&self.keys.blob(&digest), &digest, index.into())
            .await?;
        Ok(blob)
    }

    async fn value(&self, key: &str, digest: &str) -> Result<Option<Vec<u8>>, BlobError> {
        let read = self.client.read_consistent(key, PIECE_LIMIT).await;
        let read = read.map_err(consul_error("read", digest))?;
        Ok(read.value.map(|entry| entry.value))
    }

    async fn put(&self, key: &str, digest: &str, value: Vec<u8>) -> Result<(), BlobError> {
        let written = self.client.write(key, value).await;
        written.map_err(consul_error("write", digest)).map(drop)
    }
}

fn consul_error(act: &'static str, digest: &str) -> impl FnOnce(sluice_consul::Error) -> BlobError {
    let sha256 = digest.to_owned();
    move |cause| BlobError::Consul { act, sha256, cause }
}
