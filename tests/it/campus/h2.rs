//! HTTP/2 frames written by hand, for what no client library will send (T78): literal header blocks without
//! Huffman coding or the dynamic table, and frames of any kind.

use super::raw::Raw;
use std::time::Duration;
use tokio::time::Instant;

/// The kinds of frames (RFC 9113 §6).
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

pub const END_STREAM: u8 = 0x1;
pub const ACK: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;

/// The client's preface and empty settings.
pub fn preface() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(kind::SETTINGS, 0, 0, &[])].concat()
}

/// One frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("test frames are short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header block: every field a literal without indexing (RFC 7541 §6.2.2).
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(&mut block, name.as_bytes());
        string(&mut block, value.as_bytes());
    }
    block
}

/// The block of an ordinary GET, with more fields behind it.
pub fn get(authority: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let usual = [(":method", "GET"), (":scheme", "https"), (":authority", authority), (":path", path)];
    block(&[&usual[..], more].concat())
}

/// HEADERS that open `stream` and end it.
pub fn headers(stream: u32, block: &[u8]) -> Vec<u8> {
    frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, block)
}

pub fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(kind::RST_STREAM, 0, stream, &code.to_be_bytes())
}

fn string(block: &mut Vec<u8>, bytes: &[u8]) {
    // A length prefix of seven bits (RFC 7541 §5.1); the eighth would announce Huffman coding.
    let mut length = bytes.len();
    if length < 127 {
        block.push(u8::try_from(length).expect("below 127"));
    } else {
        block.push(127);
        length -= 127;
        while length >= 128 {
            block.push(u8::try_from(length % 128).expect("below 128") | 0x80);
            length /= 128;
        }
        block.push(u8::try_from(length).expect("below 128"));
    }
    block.extend_from_slice(bytes);
}

/// A frame the server sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The error code of RST_STREAM and GOAWAY.
    pub fn error_code(&self) -> Option<u32> {
        let at = match self.kind {
            kind::RST_STREAM => 0,
            kind::GOAWAY => 4,
            _ => return None,
        };
        Some(u32::from_be_bytes(self.payload.get(at..at + 4)?.try_into().ok()?))
    }
}

/// Reads frames until `enough` says so, the connection ends, or `patience` is over. Settings are acknowledged
/// and pings answered on the way.
pub async fn frames(raw: &mut Raw, patience: Duration, enough: impl Fn(&Frame) -> bool) -> Vec<Frame> {
    let end = Instant::now() + patience;
    let mut frames = Vec::new();
    while let Ok(Ok(frame)) = tokio::time::timeout_at(end, next(raw)).await {
        match (frame.kind, frame.flags & ACK) {
            (kind::SETTINGS, 0) => raw.send(self::frame(kind::SETTINGS, ACK, 0, &[])).await,
            (kind::PING, 0) => raw.send(self::frame(kind::PING, ACK, 0, &frame.payload)).await,
            _ => {}
        }
        let last = enough(&frame);
        frames.push(frame);
        if last {
            break;
        }
    }
    frames
}

async fn next(raw: &mut Raw) -> std::io::Result<Frame> {
    let head = raw.read_exactly(9).await?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
    let payload = raw.read_exactly(usize::try_from(length).expect("24 bits fit")).await?;
    Ok(Frame { kind: head[3], flags: head[4], stream, payload })
}
