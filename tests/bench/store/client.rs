//! A browser of few words: one TLS connection that is kept, one request after the other over HTTP/1.1.

use crate::campus::http::client_config;
use crate::load::BROWSER;
use crate::stage::Stage;
use rustls::{ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer that takes longer is a fault.
const PATIENCE: Duration = Duration::from_secs(30);
/// No answer of the benchmark's app is longer.
const LONGEST: usize = 64 * 1024;

pub struct Client {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
    /// What every request begins with.
    head: String,
}

/// What came back.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Client {
    /// Connects to the site `host` at `address`.
    pub fn connect(stage: &Stage, address: SocketAddr, host: &str) -> Self {
        let config = client_config(stage.authority.roots(), &["http/1.1"]);
        let name = ServerName::try_from(host.to_owned()).expect("a host of the benchmark");
        let session = ClientConnection::new(config, name).expect("a client of our own");
        let tcp = TcpStream::connect(address).expect("the gate accepts");
        tcp.set_nodelay(true).and(tcp.set_read_timeout(Some(PATIENCE))).expect("Linux");
        let mut head = format!("GET /loans HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in BROWSER {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        Self { stream: BufReader::new(StreamOwned::new(session, tcp)), head }
    }

    /// Asks for the loans, with the session cookie that was given out for `key`.
    pub fn ask(&mut self, key: Option<&str>) -> Answer {
        let cookie =
            key.map_or(String::new(), |key| format!("cookie: {}={key}\r\n", lychgate::session::cookie::SESSION));
        let request = format!("{}{cookie}\r\n", self.head);
        self.stream.get_mut().write_all(request.as_bytes()).expect("the gate reads");
        let first = self.line();
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not an answer: {first}"));
        let mut length = None;
        loop {
            let line = self.line().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok();
            }
        }
        let length: usize = length.filter(|length| *length <= LONGEST).expect("the answer has a short length");
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("the whole answer comes");
        Answer { status, body }
    }

    /// A line of the head, without its end.
    fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).unwrap_or_else(|error| panic!("no answer came: {error}"));
        assert!(read > 0, "the gate has closed the connection");
        line.trim_end().to_owned()
    }
}
