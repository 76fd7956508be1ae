//! A provider on loopback that can be told to misbehave, and the keys it signs with. It answers
//! canned bytes over raw TCP and shares no code with what it tests.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{EcdsaKeyPair, KeyPair, RsaKeyPair};
use rsa::pkcs8::EncodePrivateKey;
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(super) const NOW: i64 = 1_790_000_000;
pub(super) const CLIENT: &str = "APP-0123456789ABCDEF";
pub(super) const SECRET: &str = "5ec2e7-client-secret";
pub(super) const ALICE: &str = "0009-9999-9999-9992";
pub(super) const BOB: &str = "0000-0002-1694-233X";
pub(super) const ACCESS: &str = "acce55-f5af9f51-07e6-4332";
pub(super) const REFRESH: &str = "4ef4e5-f725f747-3a65-49f6";
pub(super) const CODE: &str = "c0de-eUeiz2";
pub(super) const NONCE: &str = "n0nce-0123456789abcdef0123";
pub(super) const STATE: &str = "state-0123456789abcdef0123";
pub(super) const VERIFIER: &str = "ver1f1er-0123456789abcdef0123456789abcdef0123456789";

pub(super) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// An RSA key with its public half as a JWK.
pub(super) struct RsaKey {
    pair: RsaKeyPair,
    pub(super) n: String,
}

impl RsaKey {
    fn generate() -> Self {
        let key = rsa::RsaPrivateKey::new(&mut rand08::thread_rng(), 2048).unwrap();
        let pair = RsaKeyPair::from_pkcs8(key.to_pkcs8_der().unwrap().as_bytes()).unwrap();
        Self { pair, n: base64url(key.n().to_bytes_be()) }
    }

    /// As ORCID publishes it: without `alg`.
    pub(super) fn jwk(&self, kid: &str) -> Value {
        json!({"kty": "RSA", "e": "AQAB", "use": "sig", "kid": kid, "n": self.n})
    }

    pub(super) fn sign(&self, message: &str) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        let random = ring::rand::SystemRandom::new();
        self.pair.sign(&ring::signature::RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).unwrap();
        signature
    }

    pub(super) fn token(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let signature = base64url(self.sign(&message));
        format!("{message}.{signature}")
    }
}

pub(super) fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()))
}

pub(super) static KEY: LazyLock<RsaKey> = LazyLock::new(RsaKey::generate);
pub(super) static NEXT_KEY: LazyLock<RsaKey> = LazyLock::new(RsaKey::generate);
/// The modulus of a 1024-bit key.
pub(super) static SMALL_MODULUS: LazyLock<String> =
    LazyLock::new(|| base64url(rsa::RsaPrivateKey::new(&mut rand08::thread_rng(), 1024).unwrap().n().to_bytes_be()));

/// A P-256 key.
pub(super) struct EcKey(EcdsaKeyPair);

pub(super) static EC_KEY: LazyLock<EcKey> = LazyLock::new(|| {
    let random = ring::rand::SystemRandom::new();
    let algorithm = &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    EcKey(EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap())
});

impl EcKey {
    pub(super) fn jwk(&self, kid: &str) -> Value {
        let point = self.0.public_key().as_ref();
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": kid, "alg": "ES256",
               "x": base64url(&point[1..33]), "y": base64url(&point[33..])})
    }

    pub(super) fn token(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let signature = self.0.sign(&ring::rand::SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", base64url(signature))
    }
}

/// One answer, and how badly it is given.
#[derive(Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    /// One byte at a time, this far apart.
    pub(super) drip: Option<Duration>,
    /// Closes the connection instead of answering.
    pub(super) hang_up: bool,
}

impl Reply {
    pub(super) fn json(body: &Value) -> Self {
        Self::new(200, "application/json;charset=UTF-8", body.to_string())
    }

    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type", content_type.to_owned())];
        Self { status, headers, body: body.into(), drip: None, hang_up: false }
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) head: String,
    pub(super) form: HashMap<String, String>,
}

#[derive(Clone)]
pub(super) struct FakeProvider {
    pub(super) base: String,
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    down: Arc<Mutex<bool>>,
}

impl FakeProvider {
    /// Starts one that behaves: ORCID's discovery document, one key, Alice at the token endpoint.
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let provider = Self { base, replies: Arc::default(), seen: Arc::default(), down: Arc::default() };
        provider.set("/.well-known/openid-configuration", Reply::json(&provider.discovery()));
        provider.set("/oauth/jwks", Reply::json(&json!({"keys": [KEY.jwk("one")]})));
        provider.set("/oauth/token", Reply::json(&provider.tokens()));
        provider.set("/oauth/revoke", Reply::new(200, "text/plain", ""));
        provider.set("/oauth/userinfo", Reply::json(&json!({"sub": ALICE, "name": null, "family_name": "Record"})));
        let serving = provider.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        provider
    }

    pub(super) fn set(&self, path: &str, reply: Reply) {
        self.replies.lock().unwrap().insert(path.to_owned(), reply);
    }

    pub(super) fn set_down(&self, down: bool) {
        *self.down.lock().unwrap() = down;
    }

    pub(super) fn seen(&self, path: &str) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|seen| seen.path == path).cloned().collect()
    }

    /// ORCID's document (`orcid.md` §1.2).
    pub(super) fn discovery(&self) -> Value {
        let base = &self.base;
        json!({
            "token_endpoint_auth_signing_alg_values_supported": ["RS256"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "userinfo_endpoint": format!("{base}/oauth/userinfo"),
            "authorization_endpoint": format!("{base}/oauth/authorize"),
            "token_endpoint": format!("{base}/oauth/token"),
            "jwks_uri": format!("{base}/oauth/jwks"),
            "claims_supported": ["family_name", "given_name", "name", "auth_time", "iss", "sub"],
            "scopes_supported": ["openid"],
            "subject_types_supported": ["public"],
            "response_types_supported": ["code", "id_token", "id_token token"],
            "claims_parameter_supported": false,
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "grant_types_supported": ["authorization_code", "implicit", "refresh_token"],
            "issuer": base,
        })
    }

    pub(super) fn claims(&self) -> Value {
        json!({
            "iss": self.base, "sub": ALICE, "aud": CLIENT, "exp": NOW + 86_400, "iat": NOW, "nonce": NONCE,
            "at_hash": base64url(&ring::digest::digest(&ring::digest::SHA256, ACCESS.as_bytes()).as_ref()[..16]),
            "amr": "mfa", "auth_time": NOW - 10, "jti": "c0ffee", "given_name": "Alice", "family_name": "Example",
        })
    }

    pub(super) fn header(&self) -> Value {
        json!({"kid": "one", "alg": "RS256"})
    }

    /// ORCID's token response (`orcid.md` §3.2).
    pub(super) fn tokens(&self) -> Value {
        json!({
            "access_token": ACCESS, "token_type": "bearer", "refresh_token": REFRESH, "expires_in": 631_138_518,
            "scope": "/read-limited openid", "name": " Alice Example ", "orcid": ALICE,
            "id_token": KEY.token(&self.header(), &self.claims()),
        })
    }

    /// Answers the next exchange with this ID token.
    pub(super) fn answer_with(&self, id_token: String) {
        let mut tokens = self.tokens();
        tokens["id_token"] = Value::String(id_token);
        self.set("/oauth/token", Reply::json(&tokens));
    }

    async fn serve(self, mut stream: TcpStream) {
        while let Some(seen) = read_request(&mut stream).await {
            if *self.down.lock().unwrap() {
                return;
            }
            let reply = self.replies.lock().unwrap().get(&seen.path).cloned();
            self.seen.lock().unwrap().push(seen);
            let reply = reply.unwrap_or_else(|| Reply::new(404, "text/html", "<html>no such page</html>"));
            if reply.hang_up || write_reply(&mut stream, &reply).await.is_err() {
                return;
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&chunk[..count]),
            _ => return None,
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:").map(|n| n.trim().parse().unwrap()))
        .unwrap_or(0);
    let mut body = bytes[end..].to_vec();
    let mut rest = vec![0; length - body.len()];
    stream.read_exact(&mut rest).await.ok()?;
    body.extend(rest);
    let path = head.split(' ').nth(1).unwrap().to_owned();
    Some(Seen { path, head, form: url::form_urlencoded::parse(&body).into_owned().collect() })
}

async fn write_reply(stream: &mut TcpStream, reply: &Reply) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Whatever\r\nContent-Length: {}\r\n", reply.status, reply.body.len());
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).await?;
    match reply.drip {
        None => stream.write_all(&reply.body).await,
        Some(pause) => {
            for byte in &reply.body {
                stream.write_all(&[*byte]).await?;
                tokio::time::sleep(pause).await;
            }
            Ok(())
        }
    }
}
