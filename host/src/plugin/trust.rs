//! Which components a node may run: with trusted keys, only what one of them has
//! signed, and what is inside the binary.

use thiserror::Error;

use super::manifest::Manifest;
use super::permissions_digest::{PERMISSIONS_FIELD, permissions_digest};
use crate::minisign::{KeyId, PublicKey, Signature, prehash};

/// The keys that this node trusts. Without any, it runs whatever it is asked to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    keys: Vec<PublicKey>,
}

/// This node may not run a component.
#[derive(Debug, Error)]
#[error("trust {source_name}: {cause} (this node trusts {trusted})")]
pub(crate) struct NotTrusted {
    source_name: String,
    cause: Distrust,
    /// The keys' names.
    trusted: String,
}

#[derive(Debug, Error)]
enum Distrust {
    #[error(
        "its manifest has no signature; sign the component with `sluice plugin sign`, and put the \
         signature into the manifest"
    )]
    Unsigned,
    #[error(
        "key {0} has signed it, which this node does not trust; sign it with a trusted key, or start the \
         node with --trusted-key for that one as well"
    )]
    Key(KeyId),
    #[error(
        "the signature of key {key} is not for this component, whose SHA-256 is {sha256}, or was changed; \
         put the component that was signed there, or sign this one with `sluice plugin sign`"
    )]
    Component { key: KeyId, sha256: String },
    #[error(
        "key {0} has signed it for other permissions than those of the manifest; ask for the permissions \
         that were signed, or sign it for these with `sluice plugin sign --permissions MANIFEST`"
    )]
    Permissions(KeyId),
}

impl Trust {
    pub(crate) const fn new(keys: Vec<PublicKey>) -> Self {
        Self { keys }
    }

    /// Checks the manifest's signature of the component, which has this SHA-256.
    ///
    /// # Errors
    /// This node may not run it.
    pub(super) fn check(
        &self,
        manifest: &Manifest,
        component: &[u8],
        sha256: &str,
    ) -> Result<(), NotTrusted> {
        if self.keys.is_empty() || manifest.source.is_builtin() {
            return Ok(());
        }
        let checked = self.check_signature(manifest, component, sha256);
        checked.map_err(|cause| self.not_trusted(manifest, cause))
    }

    /// Checks what the manifest alone shows: before a component is fetched.
    ///
    /// # Errors
    /// There is no signature, or it is by an unknown key.
    pub(super) fn check_signer(&self, manifest: &Manifest) -> Result<(), NotTrusted> {
        if self.keys.is_empty() {
            return Ok(());
        }
        self.signer(manifest)
            .map(drop)
            .map_err(|cause| self.not_trusted(manifest, cause))
    }

    fn not_trusted(&self, manifest: &Manifest, cause: Distrust) -> NotTrusted {
        NotTrusted {
            source_name: manifest.source.to_string(),
            cause,
            trusted: self.names(),
        }
    }

    /// The signature of a trusted key's name.
    fn signer<'a>(&self, manifest: &'a Manifest) -> Result<&'a Signature, Distrust> {
        let signature = manifest.signature.as_ref().ok_or(Distrust::Unsigned)?;
        let key = signature.key();
        match self.keys.iter().any(|known| known.id() == key) {
            true => Ok(signature),
            false => Err(Distrust::Key(key)),
        }
    }

    fn check_signature(
        &self,
        manifest: &Manifest,
        component: &[u8],
        sha256: &str,
    ) -> Result<(), Distrust> {
        let signature = self.signer(manifest)?;
        let key = signature.key();
        let prehash = prehash(component);
        let mut named = self.keys.iter().filter(|known| known.id() == key);
        if !named.any(|known| known.verifies(signature, &prehash)) {
            let sha256 = sha256.to_owned();
            return Err(Distrust::Component { key, sha256 });
        }
        match signature.field(PERMISSIONS_FIELD) {
            Some(signed) if signed != permissions_digest(&manifest.permissions) => {
                Err(Distrust::Permissions(key))
            }
            _ => Ok(()),
        }
    }

    /// The names of the keys.
    fn names(&self) -> String {
        let names: Vec<_> = self.keys.iter().map(|key| key.id().to_string()).collect();
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::minisign::SecretKey;

    const COMPONENT: &[u8] = b"component";

    fn manifest(signature: Option<&str>, http: &str) -> Manifest {
        let mut manifest: Manifest =
            format!(r#"{{"source":"file:///a.wasm","permissions":{{"http":["{http}"]}}}}"#)
                .parse()
                .unwrap();
        manifest.signature = signature.map(|text| text.parse().unwrap());
        manifest
    }

    fn refused(trust: &Trust, manifest: &Manifest, component: &[u8]) -> String {
        let error = trust.check(manifest, component, "abc").unwrap_err();
        error.to_string()
    }

    #[test]
    fn only_what_a_trusted_key_has_signed_is_run() {
        let [trusted, other] = [(); 2].map(|()| SecretKey::generate().unwrap());
        let trust = Trust::new(vec![trusted.public_key()]);
        let name = trusted.public_key().id().to_string();
        let with = |signature: &str| manifest(Some(signature), "https://a");
        let good = trusted.sign(COMPONENT, "x".to_owned()).to_string();
        trust.check(&with(&good), COMPONENT, "abc").unwrap();

        let unsigned = manifest(None, "https://a");
        let by_other = other.sign(COMPONENT, "x".to_owned()).to_string();
        let of_other = trusted.sign(b"other", "x".to_owned()).to_string();
        let comment_changed = good.replace("trusted comment: x", "trusted comment: y");
        for (manifest, remedy) in [
            (&unsigned, "no signature"),
            (&with(&by_other), "start the node with --trusted-key"),
            (
                &with(&of_other),
                "not for this component, whose SHA-256 is abc",
            ),
            (&with(&comment_changed), "not for this component"),
        ] {
            let error = refused(&trust, manifest, COMPONENT);
            assert!(error.contains(remedy), "{error}");
            assert!(error.contains(&format!("trusts {name}")), "{error}");
            assert!(error.contains("file:///a.wasm"), "{error}");
            Trust::default().check(manifest, COMPONENT, "abc").unwrap();
        }
        let builtin: Manifest = "builtin:stdout".parse().unwrap();
        trust.check(&builtin, COMPONENT, "abc").unwrap();
    }

    #[test]
    fn a_key_that_bears_the_name_of_a_trusted_one_is_another() {
        let trusted = SecretKey::generate().unwrap();
        // The name is public, so anybody can make a key with it.
        let forged = trusted.with_other_seed().unwrap();
        let trust = Trust::new(vec![trusted.public_key()]);
        let signature = forged.sign(COMPONENT, String::new()).to_string();
        let error = refused(&trust, &manifest(Some(&signature), "https://a"), COMPONENT);
        assert!(error.contains("not for this component"), "{error}");
        // Both are trusted: either may sign.
        let trust = Trust::new(vec![trusted.public_key(), forged.public_key()]);
        let manifest = manifest(Some(&signature), "https://a");
        trust.check(&manifest, COMPONENT, "abc").unwrap();
    }

    #[test]
    fn permissions_that_were_signed_must_be_those_of_the_manifest() {
        let key = SecretKey::generate().unwrap();
        let trust = Trust::new(vec![key.public_key()]);
        let signed_for = manifest(None, "https://a");
        let digest = permissions_digest(&signed_for.permissions);
        let comment = format!("timestamp:1\t{PERMISSIONS_FIELD}:{digest}");
        let signature = key.sign(COMPONENT, comment).to_string();
        let with = |http| manifest(Some(&signature), http);
        trust.check(&with("https://a"), COMPONENT, "abc").unwrap();
        let error = refused(&trust, &with("https://b"), COMPONENT);
        assert!(error.contains("other permissions"), "{error}");
    }
}
