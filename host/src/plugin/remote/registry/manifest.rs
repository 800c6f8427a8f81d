//! The manifest of a Wasm artifact, by
//! <https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::media_types::{CONFIG_TYPE, LAYER_TYPE, MANIFEST_TYPE};
use crate::plugin::digest::is_sha256;
use crate::plugin::source::MAX_COMPONENT_BYTES;

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    schema_version: u32,
    media_type: Option<String>,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// Where a part is, and what it is.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    /// `sha256:` and the digest in hex.
    pub(super) digest: String,
    /// In bytes.
    pub(super) size: u64,
}

/// What tells an index.
#[derive(Deserialize)]
struct Index {
    manifests: Option<IgnoredAny>,
}

/// The config of an artifact, as `wkg` writes it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Config<'a> {
    created: &'static str,
    architecture: &'static str,
    os: &'static str,
    layer_digests: [&'a str; 1],
    component: Component<'a>,
}

#[derive(Debug, Serialize)]
struct Component<'a> {
    exports: &'a [String],
    imports: &'a [String],
}

impl Descriptor {
    pub(super) fn new(media_type: &str, sha256: &str, size: usize) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: format!("sha256:{sha256}"),
            size: u64::try_from(size).unwrap_or(u64::MAX),
        }
    }

    /// The digest in lower-case hex, if it is a SHA-256.
    pub(super) fn sha256(&self) -> Option<String> {
        let digest = self.digest.strip_prefix("sha256:")?;
        is_sha256(digest).then(|| digest.to_ascii_lowercase())
    }
}

impl Manifest {
    pub(super) fn of(config: Descriptor, layer: Descriptor) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MANIFEST_TYPE.to_owned()),
            config,
            layers: vec![layer],
        }
    }

    /// The component of an artifact, from the text of its manifest.
    pub(super) fn component(text: &[u8]) -> Result<Descriptor, Problem> {
        let malformed = |error: serde_json::Error| Problem::Manifest(error.to_string());
        let index: Index = serde_json::from_slice(text).map_err(malformed)?;
        if index.manifests.is_some() {
            return Err(Problem::Index);
        }
        let manifest: Self = serde_json::from_slice(text).map_err(malformed)?;
        if manifest.config.media_type != CONFIG_TYPE {
            return Err(Problem::ConfigType(manifest.config.media_type));
        }
        let count = manifest.layers.len();
        let layer = manifest.layers.into_iter().next().filter(|_| count == 1);
        let layer = layer.ok_or(Problem::Layers(count))?;
        if layer.media_type != LAYER_TYPE {
            return Err(Problem::LayerType(layer.media_type));
        }
        if layer.size > MAX_COMPONENT_BYTES {
            return Err(Problem::TooLarge {
                size: layer.size,
                limit: MAX_COMPONENT_BYTES,
            });
        }
        Ok(layer)
    }
}

impl<'a> Config<'a> {
    /// The same component has the same config, whenever it is pushed.
    pub(super) fn of(layer: &'a Descriptor, imports: &'a [String], exports: &'a [String]) -> Self {
        Self {
            created: "1970-01-01T00:00:00Z",
            architecture: "wasm",
            os: "wasip2",
            layer_digests: [&layer.digest],
            component: Component { exports, imports },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn artifact() -> Value {
        let part = |media_type: &str| Descriptor::new(media_type, &"ab".repeat(32), 3);
        json!(Manifest::of(part(CONFIG_TYPE), part(LAYER_TYPE)))
    }

    fn refused(manifest: &Value) -> String {
        let text = manifest.to_string();
        Manifest::component(text.as_bytes())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn an_artifact_has_one_component() {
        let text = artifact().to_string();
        let layer = Manifest::component(text.as_bytes()).unwrap();
        assert_eq!(layer.sha256(), Some("ab".repeat(32)));
    }

    #[test]
    fn what_is_no_artifact_is_explained() {
        let with = |path: &str, value: Value| {
            let mut manifest = artifact();
            *manifest.pointer_mut(path).unwrap() = value;
            refused(&manifest)
        };
        let image = "application/vnd.oci.image.config.v1+json";
        assert!(with("/config/mediaType", image.into()).contains(image));
        assert!(with("/layers/0/mediaType", "text/plain".into()).contains("text/plain"));
        assert!(with("/layers/0/size", (1_u64 << 40).into()).contains("bytes"));
        assert!(with("/layers", json!([])).contains("0 layers"));
        let layer = artifact()["layers"][0].clone();
        assert!(with("/layers", json!([layer, layer])).contains("2 layers"));
        let index = json!({"schemaVersion": 2, "manifests": []});
        assert!(refused(&index).contains("index"));
        assert!(refused(&json!({})).contains("not a manifest"));
    }
}
