//! A WebSocket as a page's script opens one: over TLS, with the browser's cookies and an `Origin`.

use super::browser::{Browser, page_at};
use super::fetch::{Journey, Purpose, ReferrerPolicy, origin_of};
use super::http::{PATIENCE, client_config, connect_tls};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use url::Url;

/// An open WebSocket.
pub struct WebSocket {
    stream: WebSocketStream<TlsStream<TcpStream>>,
}

/// The answer of a server that did not want one.
#[derive(Debug)]
pub struct Declined {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// What came next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    Text(String),
    Binary(Vec<u8>),
    /// A closing handshake, with its code if it had one.
    Closed(Option<u16>),
    /// The connection ended without one.
    Cut,
}

impl WebSocket {
    /// Opens `url` (`wss://…`) from a page of the same origin.
    pub async fn open(browser: &Browser, url: &str) -> Result<Self, Declined> {
        let page = url.replacen("wss://", "https://", 1);
        Self::open_from(browser, url, &page, &[]).await
    }

    /// Opens `url` from a page at `page`, with more headers; a name given here replaces the browser's own.
    pub async fn open_from(
        browser: &Browser,
        url: &str,
        page: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Declined> {
        let address: Url = url.parse().expect("the test gives an address");
        // A cookie's site is the site of the https address: the schemes wss and https count as one.
        let as_https: Url = url.replacen("wss://", "https://", 1).parse().expect("still an address");
        let page: Url = page.parse().expect("the test gives an address");
        let mut request = url.into_client_request().expect("the test gives a WebSocket's address");
        let origin = HeaderValue::from_str(&origin_of(&page)).expect("origins are ASCII");
        request.headers_mut().insert(http::header::ORIGIN, origin);
        let journey = Journey::new(page_at(page, ReferrerPolicy::default()), Purpose::Script, as_https.clone());
        if let Some(cookies) = browser.cookie_header(&journey, &Method::GET) {
            let cookies = HeaderValue::from_str(&cookies).expect("the jar checked them");
            request.headers_mut().insert(http::header::COOKIE, cookies);
        }
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("the test gives a header name");
            request.headers_mut().insert(name, HeaderValue::from_str(value).expect("the test gives a header value"));
        }
        let config = client_config(browser.network().roots(), &["http/1.1"]);
        let host = address.host_str().expect("the address has a host");
        let opening = async {
            let (stream, _) =
                connect_tls(browser.network().address(&address), host, config).await.map_err(Error::Io)?;
            client_async(request, stream).await
        };
        match tokio::time::timeout(PATIENCE, opening).await {
            Ok(Ok((stream, response))) => {
                browser.remember(&as_https, response.headers());
                Ok(Self { stream })
            }
            Ok(Err(Error::Http(response))) => {
                let (parts, body) = response.into_parts();
                Err(Declined { status: parts.status, headers: parts.headers, body: body.unwrap_or_default() })
            }
            Ok(Err(error)) => panic!("{url}: {error}"),
            Err(_) => panic!("{url}: no answer in time"),
        }
    }

    pub async fn send(&mut self, text: &str) {
        self.stream.send(Message::text(text)).await.expect("the WebSocket is open");
    }

    /// The next message or the end; `None` when nothing comes `within` that time.
    pub async fn next(&mut self, within: Duration) -> Option<Next> {
        let next = async {
            loop {
                return match self.stream.next().await {
                    Some(Ok(Message::Text(text))) => Next::Text(text.to_string()),
                    Some(Ok(Message::Binary(bytes))) => Next::Binary(bytes.to_vec()),
                    Some(Ok(Message::Close(frame))) => Next::Closed(frame.map(|frame| frame.code.into())),
                    Some(Ok(_)) => continue,
                    Some(Err(_)) | None => Next::Cut,
                };
            }
        };
        tokio::time::timeout(within, next).await.ok()
    }

    /// Sends `text` and returns what comes back, which must be text.
    pub async fn ask(&mut self, text: &str) -> String {
        self.send(text).await;
        match self.next(PATIENCE).await {
            Some(Next::Text(text)) => text,
            other => panic!("expected a message, got {other:?}"),
        }
    }

    /// Panics unless the other side ends it within that time, politely or not.
    pub async fn assert_ends(&mut self, within: Duration) {
        loop {
            match self.next(within).await {
                Some(Next::Closed(_) | Next::Cut) => return,
                Some(_) => {}
                None => panic!("the WebSocket is still open after {within:?}"),
            }
        }
    }

    /// Says good-bye.
    pub async fn close(mut self) {
        // The other side may have gone already.
        let _ = self.stream.close(None).await;
    }
}
