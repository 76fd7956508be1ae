//! The app behind every contender: one thread that answers at once, and sends and takes
//! bodies of any length, and back what comes over a WebSocket. Runs in a process of its own.

use super::echo;
use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use tokio::net::TcpListener;

/// The answer to an ordinary request.
const ANSWER: &[u8] = b"<!doctype html><title>Loans</title><p>Seven.</p>";
/// A piece of a long body.
const PIECE: &[u8] = &[0; 64 * 1024];

type Body = BoxBody<Bytes, Infallible>;

fn whole(bytes: &'static [u8]) -> Body {
    Full::new(Bytes::from_static(bytes)).boxed()
}

/// Prints one line of JSON with its address, and answers until the process is ended.
pub fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        super::say(format_args!("{{\"listeners\":{{\"app\":\"{address}\"}}}}"));
        loop {
            let Ok((tcp, _)) = listener.accept().await else { continue };
            let _ = tcp.set_nodelay(true);
            tokio::task::spawn_local(async move {
                let service = hyper::service::service_fn(answer);
                let serving = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(tcp), service)
                    .with_upgrades();
                // Errors here are connections that a contender cut.
                let _ = serving.await;
            });
        }
    });
}

async fn answer(mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    if path == echo::PATH {
        return Ok(echo::accept(request).map(|()| whole(b"")));
    }
    let mut answer = Response::new(whole(b""));
    if path == "/auth" {
        *answer.status_mut() = StatusCode::NO_CONTENT;
        return Ok(answer);
    }
    if let Some(length) = path.strip_prefix("/bytes/").and_then(|length| length.parse::<u64>().ok()) {
        answer.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        *answer.body_mut() = long(length);
    } else if path == "/sink" {
        let taken =
            request.body_mut().into_data_stream().try_fold(0, |sum, piece| async move { Ok(sum + piece.len()) });
        let taken = taken.await.map_or_else(|error| error.to_string(), |sum| sum.to_string());
        *answer.body_mut() = Full::new(Bytes::from(taken)).boxed();
    } else {
        answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/html"));
        *answer.body_mut() = whole(ANSWER);
    }
    Ok(answer)
}

fn long(length: u64) -> Body {
    let pieces = stream::unfold(length, |left| async move {
        let next = left.min(PIECE.len() as u64);
        let piece = Bytes::from_static(&PIECE[..usize::try_from(next).ok()?]);
        (next > 0).then(|| (Ok(Frame::data(piece)), left - next))
    });
    BodyExt::boxed(StreamBody::new(Box::pin(pieces)))
}
