//! The names in a client's certificate.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use tokio_rustls::server::TlsStream;
use x509_cert::Certificate;
use x509_cert::der::asn1::{ObjectIdentifier, PrintableStringRef, Utf8StringRef};
use x509_cert::der::{Decode, Tag, Tagged};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// The attribute `commonName` (X.520).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The names in the certificate that a client has shown, which was checked: its
/// common name, and its alternative names that are texts. As an extension of a
/// request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientNames(pub(crate) Arc<[String]>);

impl ClientNames {
    /// Those of a connection. None if the client showed no certificate.
    pub(crate) fn of<S>(stream: &TlsStream<S>) -> Self {
        let (_, connection) = stream.get_ref();
        let shown = connection.peer_certificates();
        let own = shown.and_then(<[CertificateDer<'_>]>::first);
        Self(own.map(|own| names(own).into()).unwrap_or_default())
    }
}

fn names(certificate: &[u8]) -> Vec<String> {
    let Ok(certificate) = Certificate::from_der(certificate) else {
        // The check has read it, so this is a form that the check does not mind.
        return Vec::new();
    };
    let certificate = &certificate.tbs_certificate;
    let attributes = certificate.subject.0.iter().flat_map(|part| part.0.iter());
    let common = attributes.filter(|attribute| attribute.oid == COMMON_NAME);
    let common = common.filter_map(|attribute| match attribute.value.tag() {
        Tag::Utf8String => {
            let text = attribute.value.decode_as::<Utf8StringRef<'_>>().ok()?;
            Some(text.as_str().to_owned())
        }
        Tag::PrintableString => {
            let text = attribute.value.decode_as::<PrintableStringRef<'_>>().ok()?;
            Some(text.as_str().to_owned())
        }
        _ => None,
    });
    let alternative = certificate.get::<SubjectAltName>().ok().flatten();
    let alternative = alternative.map(|(_, names)| names.0).unwrap_or_default();
    let alternative = alternative.iter().filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_owned()),
        GeneralName::UniformResourceIdentifier(name) => Some(name.as_str().to_owned()),
        GeneralName::Rfc822Name(name) => Some(name.as_str().to_owned()),
        _ => None,
    });
    common.chain(alternative).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    #[test]
    fn common_and_alternative_names_are_read() {
        let mut params = CertificateParams::new(["a.test".to_owned()]).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "agent-7");
        let uri = "spiffe://example.com/agent".try_into().unwrap();
        params.subject_alt_names.push(SanType::URI(uri));
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        assert_eq!(
            names(certificate.der()),
            ["agent-7", "a.test", "spiffe://example.com/agent"]
        );
        assert!(names(b"no certificate").is_empty());
    }
}
