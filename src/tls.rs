//! Certificates and keys from disk: loaded, checked, chosen by SNI, replaced while running. `app`
//! builds one [`CertificateStore`] and one `ServerConfig` from it for all cores.

use crate::domain::{Host, Problem};
use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// One certificate and its key as the configuration names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// A loaded pair with the names it covers.
pub struct Certificate {
    key: Arc<CertifiedKey>,
    /// DNS names in lower case, wildcards as `*.example.org`.
    names: Vec<String>,
    /// End of validity, seconds since 1970.
    pub expires: i64,
    end_entity: CertificateDer<'static>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("names", &self.names).field("expires", &self.expires).finish()
    }
}

impl Certificate {
    /// Whether a browser shown this certificate accepts it for `host` (RFC 9525 matching, by webpki).
    pub fn covers(&self, host: &Host) -> bool {
        let Ok(end_entity) = webpki::EndEntityCert::try_from(&self.end_entity) else { return false };
        let bare = host.as_str().trim_matches(['[', ']']);
        ServerName::try_from(bare).is_ok_and(|name| end_entity.verify_is_valid_for_subject_name(&name).is_ok())
    }

    /// The names the certificate lists.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// All certificates of one moment; the first is shown to clients that name no or an unknown host.
#[derive(Debug)]
pub struct CertificateSet {
    all: Vec<Arc<Certificate>>,
    exact: HashMap<String, Arc<Certificate>>,
    wildcard: HashMap<String, Arc<Certificate>>,
}

impl CertificateSet {
    fn new(all: Vec<Arc<Certificate>>) -> Self {
        let mut exact = HashMap::new();
        let mut wildcard = HashMap::new();
        for certificate in &all {
            for name in &certificate.names {
                match name.strip_prefix("*.") {
                    Some(parent) => wildcard.entry(parent.to_owned()).or_insert_with(|| certificate.clone()),
                    None => exact.entry(name.clone()).or_insert_with(|| certificate.clone()),
                };
            }
        }
        Self { all, exact, wildcard }
    }

    /// The certificate shown for a server name; the first one when no other fits.
    pub fn choose(&self, server_name: Option<&str>) -> Option<&Arc<Certificate>> {
        let named = server_name.and_then(|name| {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let parent = name.split_once('.').map(|(_, parent)| parent.to_owned());
            self.exact.get(&name).or_else(|| parent.and_then(|parent| self.wildcard.get(&parent)))
        });
        named.or_else(|| self.all.first())
    }

    pub fn all(&self) -> &[Arc<Certificate>] {
        &self.all
    }
}

/// The certificates in force, swappable as a whole: handshakes under way keep what they were shown.
#[derive(Debug)]
pub struct CertificateStore {
    current: ArcSwap<CertificateSet>,
}

impl CertificateStore {
    /// Loads every pair; all complaints at once. A set with complaints is not used.
    pub fn load(files: &[CertificateFiles]) -> Result<Arc<Self>, Vec<Problem>> {
        let set = load_set(files)?;
        Ok(Arc::new(Self { current: ArcSwap::from_pointee(set) }))
    }

    /// A store over certificates already in memory (the demo's, whose key is never on disk).
    pub fn from_pem(cert_pem: &str, key_pem: &str) -> Result<Arc<Self>, Vec<Problem>> {
        let certificate =
            from_pem(cert_pem.as_bytes(), key_pem.as_bytes()).map_err(|fault| vec![Problem::error(fault)])?;
        Ok(Arc::new(Self { current: ArcSwap::from_pointee(CertificateSet::new(vec![Arc::new(certificate)])) }))
    }

    /// Reads the files again and swaps the whole set, or changes nothing and says why (T91).
    pub fn reload(&self, files: &[CertificateFiles]) -> Result<(), Vec<Problem>> {
        self.current.store(Arc::new(load_set(files)?));
        Ok(())
    }

    pub fn current(&self) -> Arc<CertificateSet> {
        self.current.load_full()
    }
}

impl ResolvesServerCert for CertificateStore {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load().choose(hello.server_name()).map(|certificate| certificate.key.clone())
    }
}

fn load_set(files: &[CertificateFiles]) -> Result<CertificateSet, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut all = Vec::new();
    for pair in files {
        match load_pair(pair) {
            Ok(certificate) => all.push(Arc::new(certificate)),
            Err(problem) => problems.push(problem),
        }
    }
    if files.is_empty() {
        problems.push(
            Problem::error("no certificate is configured")
                .key("tls.certificates")
                .expected("at least one { cert, key } pair of PEM files")
                .remedy("name the certificate of the gate's hosts; certs/README.md tells how to make one for a trial"),
        );
    }
    if problems.is_empty() { Ok(CertificateSet::new(all)) } else { Err(problems) }
}

fn load_pair(pair: &CertificateFiles) -> Result<Certificate, Problem> {
    let read = |path: &PathBuf, what: &str| {
        std::fs::read(path).map_err(|fault| {
            Problem::error(format!("the {what} cannot be read: {fault}")).file(path).key("tls.certificates").remedy(
                "check the path (relative paths start at the configuration file) and that the gate's user may read it",
            )
        })
    };
    let cert = read(&pair.cert, "certificate")?;
    let key = read(&pair.key, "private key")?;
    from_pem(&cert, &key).map_err(|fault| {
        Problem::error(fault)
            .file(&pair.cert)
            .key("tls.certificates")
            .found(format!("cert {} with key {}", pair.cert.display(), pair.key.display()))
            .expected("a PEM certificate chain, the host's own certificate first, and its PEM private key")
    })
}

fn from_pem(cert: &[u8], key: &[u8]) -> Result<Certificate, String> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(cert)
        .collect::<Result<_, _>>()
        .map_err(|fault| format!("the certificate file is not PEM: {fault}"))?;
    let Some(end_entity) = chain.first().cloned() else {
        return Err("the certificate file holds no certificate".to_owned());
    };
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|fault| format!("the key file holds no usable private key: {fault}"))?;
    let signing = rustls::crypto::ring::sign::any_supported_type(&key).map_err(|_| {
        "the private key is of a kind that TLS here cannot use (RSA, ECDSA P-256/P-384 and Ed25519 can)".to_owned()
    })?;
    let certified = CertifiedKey::new(chain, signing);
    certified.keys_match().map_err(|_| "the private key does not belong to the certificate".to_owned())?;
    let (names, expires) = describe(&end_entity)?;
    Ok(Certificate { key: Arc::new(certified), names, expires, end_entity })
}

fn describe(certificate: &CertificateDer<'_>) -> Result<(Vec<String>, i64), String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate)
        .map_err(|fault| format!("the certificate cannot be read: {fault}"))?;
    let mut names = Vec::new();
    if let Ok(Some(alternative)) = parsed.subject_alternative_name() {
        for name in &alternative.value.general_names {
            if let x509_parser::extensions::GeneralName::DNSName(name) = name {
                names.push(name.to_ascii_lowercase());
            }
        }
    }
    Ok((names, parsed.validity().not_after.timestamp()))
}

/// What the gate's listeners may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinimumTls {
    Tls12,
    Tls13,
}

/// One server configuration for all cores: one ticketer, so that a resuming client is known on
/// every core; no early data (0-RTT off, T82).
pub fn server_config(
    store: Arc<CertificateStore>,
    minimum: MinimumTls,
) -> Result<Arc<rustls::ServerConfig>, rustls::Error> {
    let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::ring::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] = match minimum {
        MinimumTls::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        MinimumTls::Tls13 => &[&rustls::version::TLS13],
    };
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(store);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    Ok(Arc::new(config))
}

/// Makes `ring` the process's provider; every entry point calls it first. A second call changes nothing.
pub fn install_provider() {
    // An Err means a provider is there already, and with one provider in the binary it is this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
#[cfg(feature = "simulator")]
mod tests {
    use super::*;

    fn pair(names: &[&str]) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let cert = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        (cert.pem(), key.serialize_pem())
    }

    fn host(text: &str) -> Host {
        text.parse().unwrap()
    }

    #[test]
    fn certificates_are_chosen_by_name_and_the_first_is_the_default() {
        let load = |names: &[&str]| {
            let (cert, key) = pair(names);
            Arc::new(from_pem(cert.as_bytes(), key.as_bytes()).unwrap())
        };
        let set = CertificateSet::new(vec![load(&["a.example"]), load(&["*.b.example", "b.example"])]);
        let names = |sni: Option<&str>| set.choose(sni).unwrap().names().to_vec();
        assert_eq!(names(Some("A.Example.")), ["a.example"]);
        assert_eq!(names(Some("x.b.example")), ["*.b.example", "b.example"]);
        assert_eq!(names(Some("x.y.b.example")), ["a.example"]);
        assert_eq!(names(None), ["a.example"]);
        assert!(set.all()[1].covers(&host("x.b.example")));
        assert!(!set.all()[1].covers(&host("x.y.b.example")));
        assert!(!set.all()[0].covers(&host("b.example")));
    }

    #[test]
    fn t91_a_broken_pair_keeps_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let files = CertificateFiles { cert: dir.path().join("c.pem"), key: dir.path().join("k.pem") };
        let (cert, key) = pair(&["a.example"]);
        std::fs::write(&files.cert, &cert).unwrap();
        std::fs::write(&files.key, &key).unwrap();
        let store = CertificateStore::load(std::slice::from_ref(&files)).unwrap();

        let (other, _) = pair(&["b.example"]);
        std::fs::write(&files.cert, &other).unwrap();
        let problems = store.reload(std::slice::from_ref(&files)).unwrap_err();
        assert!(problems[0].message.contains("does not belong"), "{problems:?}");
        assert_eq!(store.current().all()[0].names(), ["a.example"]);

        for (file, text) in
            [(&files.key, "nonsense"), (&files.cert, ""), (&files.cert, "-----BEGIN CERTIFICATE-----\nAAAA\n")]
        {
            std::fs::write(file, text).unwrap();
            assert!(store.reload(std::slice::from_ref(&files)).is_err());
        }
        assert!(store.reload(&[]).is_err());
        assert_eq!(store.current().all()[0].names(), ["a.example"]);
    }
}
