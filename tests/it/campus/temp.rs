//! Temporary directories, and a certificate authority of the harness's own that issues leaves for whatever
//! names a test needs. Used by every part of the campus that touches files or TLS.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// A fresh directory, removed with everything in it when the value is dropped.
pub fn directory() -> TempDir {
    tempfile::Builder::new().prefix("lychgate-test-").tempdir().expect("a temporary directory can be made")
}

/// Writes `text` to `directory/name`, making folders on the way; readable by the owner alone, as secrets must be.
pub fn write(directory: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    use std::io::Write;
    let path = directory.join(name);
    let parent = path.parent().expect("a joined path has a parent");
    fs::create_dir_all(parent).expect("folders can be made below a temporary directory");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .unwrap_or_else(|error| panic!("{} cannot be written: {error}", path.display()));
    file.write_all(text.as_ref()).expect("a temporary file takes its text");
    path
}

/// Makes *ring* the process's crypto provider. Every test may call it; the second call changes nothing.
pub fn install_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A private certificate authority, its key in memory only.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    roots: Arc<RootCertStore>,
}

impl Authority {
    /// An authority whose name shows in browsers as `lychgate test authority`.
    pub fn new() -> Self {
        install_provider();
        let key = KeyPair::generate().expect("ring makes P-256 keys");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "lychgate test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2090, 1, 1);
        let certificate = params.self_signed(&key).expect("the parameters are complete");
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).expect("rcgen writes certificates that webpki reads");
        Self { pem: certificate.pem(), roots: Arc::new(roots), issuer: Issuer::new(params, key) }
    }

    /// The certificate to trust, as PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A root store holding this authority and nothing else.
    pub fn roots(&self) -> Arc<RootCertStore> {
        self.roots.clone()
    }

    /// Writes the certificate to `directory/authority.pem`.
    pub fn write(&self, directory: &Path) -> PathBuf {
        write(directory, "authority.pem", &self.pem)
    }

    /// A leaf for `names` (host names, wildcards and IP addresses), valid for as long as any test may run.
    pub fn issue(&self, names: &[&str]) -> Leaf {
        self.issue_until(names, 2089)
    }

    /// A leaf that ends on the first of January of `year`; a year that has passed makes an expired one.
    pub fn issue_until(&self, names: &[&str], year: i32) -> Leaf {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let key = KeyPair::generate().expect("ring makes P-256 keys");
        let mut params = CertificateParams::new(names).expect("test names are ASCII");
        params.distinguished_name.push(DnType::CommonName, "lychgate test leaf");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.not_before = date_time_ymd(2020, 1, 2);
        params.not_after = date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority signs what it is given");
        Leaf { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// A certificate and its private key, both PEM.
#[derive(Clone)]
pub struct Leaf {
    pub certificate: String,
    pub key: String,
}

impl Leaf {
    /// Writes `STEM.pem` and `STEM.key` (owner only) into `directory` and returns their paths.
    pub fn write(&self, directory: &Path, stem: &str) -> (PathBuf, PathBuf) {
        (
            write(directory, &format!("{stem}.pem"), &self.certificate),
            write(directory, &format!("{stem}.key"), &self.key),
        )
    }

    /// Settings for a TLS server that shows this leaf and speaks `protocols`, in order of preference.
    pub fn server_config(&self, protocols: &[&str]) -> Arc<rustls::ServerConfig> {
        let chain = CertificateDer::pem_slice_iter(self.certificate.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .expect("rcgen writes PEM that reads back");
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("rcgen writes PEM that reads back");
        let mut config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("certificate and key were made together");
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

/// A root store of the certificates in `pem`, such as the `ca_file` of a ready line.
pub fn roots_of(pem: &str) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.expect("the file is PEM")).expect("the file holds certificates");
    }
    assert!(!roots.is_empty(), "no certificate in the authority's file");
    Arc::new(roots)
}

/// Whether the long tests are wanted (`tests/run --long`).
pub fn long() -> bool {
    std::env::var_os("LYCHGATE_LONG").is_some_and(|value| value == "1")
}
