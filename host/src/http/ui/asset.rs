//! The page's files, compressed, each with its tag.

use std::io::Write;
use std::sync::LazyLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use super::files::{FILES, File};

/// A file as it is served.
#[derive(Debug)]
pub(super) struct Asset {
    pub(super) file: File,
    /// `None` if it could not be compressed.
    pub(super) gzip: Option<Bytes>,
    /// Differs for every other content.
    pub(super) tag: String,
}

/// Compressed by the first request for any of them, in some 10 ms.
static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| FILES.iter().map(Asset::of).collect());

/// The file with this name.
pub(super) fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.file.name == name)
}

impl Asset {
    fn of(file: &File) -> Self {
        let digest = Sha256::digest(file.bytes);
        Self {
            file: *file,
            gzip: gzip(file.bytes).ok().map(Bytes::from),
            tag: hex::encode(digest.iter().take(12).copied().collect::<Vec<_>>()),
        }
    }
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_together_are_small() {
        let sizes = ASSETS
            .iter()
            .map(|asset| asset.gzip.as_ref().unwrap().len());
        let total: usize = sizes.sum();
        assert!(total < 100 << 10, "{total} bytes");
    }

    #[test]
    fn files_with_other_contents_have_other_tags() {
        let mut tags: Vec<_> = ASSETS.iter().map(|asset| &asset.tag).collect();
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), FILES.len());
    }
}
