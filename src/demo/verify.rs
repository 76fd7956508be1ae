//! How the sample repository verifies an assertion, as any app would (docs/HEADERS.md): fetch the
//! keys from the sign-in host, check signature, issuer, audience and expiry. It uses none of the
//! gate's own signing code.

use crate::domain::Clock;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde::Deserialize;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// The claims the sample uses.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: String,
    pub exp: i64,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub scopes: Vec<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kid: String,
    x: String,
    y: String,
}

/// Where the sample finds the gate, and what it demands of an assertion.
pub(super) struct Verifier {
    pub gate: SocketAddr,
    pub sign_in_host: String,
    pub issuer: String,
    pub audience: String,
    pub authority_pem: String,
    pub clock: Arc<dyn Clock>,
    pub keys: Mutex<HashMap<String, Vec<u8>>>,
}

impl Verifier {
    /// The claims of an assertion that holds, or why it does not.
    pub(super) async fn verify(&self, assertion: &str) -> Result<Claims, String> {
        let mut parts = assertion.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("none arrived".to_owned());
        };
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| "it is not base64url".to_owned());
        let parsed: Header =
            serde_json::from_slice(&decode(header)?).map_err(|_| "its header cannot be read".to_owned())?;
        if parsed.alg != "ES256" {
            return Err(format!("its algorithm is {}", parsed.alg));
        }
        let key = self.key(&parsed.kid).await?;
        let signed = &assertion[..header.len() + 1 + payload.len()];
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
            .verify(signed.as_bytes(), &decode(signature)?)
            .map_err(|_| "its signature is wrong".to_owned())?;
        let claims: Claims =
            serde_json::from_slice(&decode(payload)?).map_err(|_| "its claims cannot be read".to_owned())?;
        if claims.iss != self.issuer || claims.aud != self.audience {
            return Err("it was made for somebody else".to_owned());
        }
        if claims.exp <= self.clock.now().0 {
            return Err("it has expired".to_owned());
        }
        Ok(claims)
    }

    async fn key(&self, kid: &str) -> Result<Vec<u8>, String> {
        let mut keys = self.keys.lock().await;
        if let Some(key) = keys.get(kid) {
            return Ok(key.clone());
        }
        let fetched = tokio::time::timeout(Duration::from_secs(5), self.fetch()).await;
        *keys = fetched.map_err(|_| "the keys did not arrive in time".to_owned())??;
        keys.get(kid).cloned().ok_or_else(|| "it is signed by an unknown key".to_owned())
    }

    async fn fetch(&self) -> Result<HashMap<String, Vec<u8>>, String> {
        let fault = |what: &str| format!("the keys cannot be fetched ({what})");
        let mut roots = rustls::RootCertStore::empty();
        for der in CertificateDer::pem_slice_iter(self.authority_pem.as_bytes()).flatten() {
            roots.add(der).map_err(|_| fault("authority"))?;
        }
        let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let tcp = tokio::net::TcpStream::connect(self.gate).await.map_err(|_| fault("connect"))?;
        let name = ServerName::try_from(self.sign_in_host.clone()).map_err(|_| fault("name"))?;
        let tls =
            tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await.map_err(|_| fault("TLS"))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(tls))
            .await
            .map_err(|_| fault("HTTP"))?;
        let driver = tokio::spawn(connection);
        let request = http::Request::get("/.lychgate/jwks.json")
            .header("host", &self.sign_in_host)
            .body(Full::<Bytes>::new(Bytes::new()))
            .map_err(|_| fault("request"))?;
        let response = sender.send_request(request).await.map_err(|_| fault("answer"))?;
        let body = Limited::new(response.into_body(), 64 * 1024).collect().await.map_err(|_| fault("body"))?.to_bytes();
        driver.abort();
        let jwks: Jwks = serde_json::from_slice(&body).map_err(|_| fault("format"))?;
        let mut keys = HashMap::new();
        for jwk in jwks.keys {
            let (Ok(x), Ok(y)) = (URL_SAFE_NO_PAD.decode(&jwk.x), URL_SAFE_NO_PAD.decode(&jwk.y)) else { continue };
            keys.insert(jwk.kid, [&[4u8][..], &x, &y].concat());
        }
        Ok(keys)
    }
}
