//! The app's WebSocket: every message goes back as it came. Runs in the app's process.

use futures_util::{SinkExt, StreamExt};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Where it is opened.
pub const PATH: &str = "/echo";

/// Accepts a WebSocket and serves it until somebody ends it. Needs a `LocalSet` around it.
pub fn accept(mut request: Request<Incoming>) -> Response<()> {
    let mut answer = Response::new(());
    let accepted = request.headers().get(header::SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let Some(accepted) = accepted.and_then(|key| key.parse().ok()) else {
        *answer.status_mut() = StatusCode::BAD_REQUEST;
        return answer;
    };
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in [
        (header::CONNECTION, header::HeaderValue::from_static("Upgrade")),
        (header::UPGRADE, header::HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_ACCEPT, accepted),
    ] {
        answer.headers_mut().insert(name, value);
    }
    tokio::task::spawn_local(async move {
        // An error here is a connection that a contender cut; the load notices.
        let Ok(upgraded) = hyper::upgrade::on(&mut request).await else { return };
        let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        while let Some(Ok(message)) = socket.next().await {
            if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                return;
            }
        }
    });
    answer
}
