//! The certificates an https app is verified by, `upstream_ca`: read and checked with the policy that names them, so
//! that they come into force and go with it. Called by `compile`.

use super::load::Reader;
use super::read::Table;
use ring::digest::{SHA256, digest};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::fmt;
use std::path::Path;

/// Certificate authorities of an app, at least one.
#[derive(PartialEq, Eq)]
pub struct AppAuthority {
    certificates: Vec<CertificateDer<'static>>,
    digest: [u8; 32],
}

impl AppAuthority {
    /// Reads PEM; what else stands in the text is skipped.
    pub fn from_pem(pem: &str) -> Result<Self, String> {
        let certificates: Vec<_> =
            CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(|e| e.to_string())?;
        if certificates.is_empty() {
            return Err("no certificate in it".to_owned());
        }
        for certificate in &certificates {
            // By both parsers a connection needs: of the first, the engine ends the process on bytes it cannot read.
            x509_parser::parse_x509_certificate(certificate).map_err(|fault| fault.to_string())?;
            RootCertStore::empty().add(certificate.clone()).map_err(|fault| fault.to_string())?;
        }
        let mut content = [0; 32];
        content.copy_from_slice(digest(&SHA256, pem.as_bytes()).as_ref());
        Ok(Self { certificates, digest: content })
    }

    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// Of the file's content: what one content vouched for, another does not, under whatever name it lies.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

impl fmt::Debug for AppAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppAuthority({} certificates)", self.certificates.len())
    }
}

/// Reads `upstream_ca`; the path is relative to the policy file.
pub(super) fn authority(table: &Table<'_>, reader: &Reader<'_>) -> Option<AppAuthority> {
    let found = table.text("upstream_ca")?;
    let source = table.source;
    let path = source.file.parent().unwrap_or(Path::new("")).join(&found.value);
    let complain = |message: String| {
        source.add(source.error(found.line, &found.key, message).expected("a file of PEM certificates"));
    };
    match reader.read(&path).map(|text| AppAuthority::from_pem(&text)) {
        Ok(Ok(authority)) => return Some(authority),
        Ok(Err(fault)) => complain(format!("the file {} cannot be used: {fault}", path.display())),
        Err(error) => complain(format!("the file {} cannot be read: {error}", path.display())),
    }
    None
}
