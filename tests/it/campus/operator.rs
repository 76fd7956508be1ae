//! What a sysadmin asks a running gate: its metrics, and the admin socket.

use super::{Campus, raw};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

impl Campus {
    /// The value of the metric whose line begins so; 0 while nothing was counted.
    pub async fn metric(&self, line: &str) -> f64 {
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let text = raw::exchange_plain(self.gate().addresses().ops, request).await.text();
        let found = text.lines().find_map(|one| one.strip_prefix(line)).unwrap_or("0");
        found.trim().parse().expect("metrics are numbers")
    }

    /// Asks the admin socket, such as `GET /status`: the status, and what it says.
    pub async fn admin(&self, start: &str) -> (u16, serde_json::Value) {
        ask_admin(&self.gate().addresses().admin, start).await
    }
}

/// Asks an admin socket, as `curl --unix-socket` does.
pub async fn ask_admin(socket: &Path, start: &str) -> (u16, serde_json::Value) {
    let mut stream = tokio::net::UnixStream::connect(socket).await.expect("the admin socket is there");
    let request = format!("{start} HTTP/1.1\r\nHost: gate\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("the admin socket listens");
    let mut text = String::new();
    let read = stream.read_to_string(&mut text);
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("it answers in time").expect("in UTF-8");
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("an answer has a status");
    (status, serde_json::from_str(text.split("\r\n\r\n").nth(1).expect("and a body")).expect("of JSON"))
}
