//! A provider of a few lines on loopback: discovery, and a token endpoint that answers `/authenticate`
//! sign-ins (no ID token). Counts what it is asked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What one code is worth: whose, and which scopes.
type Codes = Arc<Mutex<HashMap<String, (String, String)>>>;

#[derive(Clone)]
pub(super) struct StubProvider {
    pub(super) issuer: String,
    codes: Codes,
    exchanges: Arc<AtomicUsize>,
    down: Arc<AtomicBool>,
}

impl StubProvider {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let stub = Self { issuer, codes: Codes::default(), exchanges: Arc::default(), down: Arc::default() };
        let serving = stub.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let stub = serving.clone();
                tokio::spawn(async move { stub.serve(stream).await });
            }
        });
        stub
    }

    /// The researcher `orcid` agrees to `scopes`: the code for the way back.
    pub(super) fn agree(&self, orcid: &str, scopes: &str) -> String {
        let mut codes = self.codes.lock().unwrap();
        let code = format!("code{}", codes.len());
        codes.insert(code.clone(), (orcid.to_owned(), scopes.to_owned()));
        code
    }

    pub(super) fn exchanges(&self) -> usize {
        self.exchanges.load(Ordering::SeqCst)
    }

    pub(super) fn go_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    async fn serve(&self, mut stream: TcpStream) {
        let mut read = Vec::new();
        let mut buffer = [0; 4096];
        let (head, length) = loop {
            let n = stream.read(&mut buffer).await.unwrap_or(0);
            if n == 0 {
                return;
            }
            read.extend_from_slice(&buffer[..n]);
            let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
            if read.len() >= end + 4 + length.unwrap_or(0) {
                break (head, end + 4);
            }
        };
        let (status, body) = self.answer(&head, &String::from_utf8_lossy(&read[length..]));
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let _ = stream.write_all(answer.as_bytes()).await;
    }

    fn answer(&self, head: &str, body: &str) -> (&'static str, String) {
        if self.down.load(Ordering::SeqCst) {
            return ("503 Service Unavailable", "{}".to_owned());
        }
        let base = &self.issuer;
        if head.starts_with("get /.well-known/openid-configuration") {
            let document = serde_json::json!({
                "issuer": base, "authorization_endpoint": format!("{base}/oauth/authorize"),
                "token_endpoint": format!("{base}/oauth/token"), "jwks_uri": format!("{base}/oauth/jwks"),
                "response_types_supported": ["code"], "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
            });
            return ("200 OK", document.to_string());
        }
        if !head.starts_with("post /oauth/token") {
            return ("404 Not Found", "{}".to_owned());
        }
        self.exchanges.fetch_add(1, Ordering::SeqCst);
        let form: HashMap<_, _> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let known = form.get("code").and_then(|code| self.codes.lock().unwrap().remove(code));
        match known {
            None => ("400 Bad Request", r#"{"error":"invalid_grant"}"#.to_owned()),
            Some((orcid, scope)) => {
                let token = format!("token-{orcid}-{}", self.exchanges());
                let answer = serde_json::json!({
                    "access_token": token, "refresh_token": format!("refresh-{token}"), "token_type": "bearer",
                    "expires_in": 631_138_518, "scope": scope, "orcid": orcid, "name": "Sofia Garcia",
                });
                ("200 OK", answer.to_string())
            }
        }
    }
}
