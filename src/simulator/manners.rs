//! [`Manner`]: how an endpoint gives its answers, whatever is in them: late, broken, endless, elsewhere
//! (`attacks.md` T44, T62). Set per endpoint by a switch, applied by `server` on the way out.

use super::answer::Answer;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// What `huge` adds, in bytes.
const HUGE: u64 = 50 * 1024 * 1024;
/// How long `late` waits.
const LATE: Duration = Duration::from_millis(1_500);
/// How often `drip` lets a byte go.
const DRIP: Duration = Duration::from_millis(200);

/// How addresses end that `redirect` leads to.
const FOLLOWED: &str = "followed=yes";

/// How an answer is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Manner {
    #[default]
    Usual,
    /// 307 to an address that has the right answer.
    Redirect,
    /// The right answer, [`LATE`] late.
    Late,
    /// 200 and a page instead of JSON.
    Html,
    /// The right body, called text/plain.
    Text,
    /// 200 and nothing.
    Empty,
    /// JSON that ends in the middle.
    Broken,
    /// A JSON list instead of an object.
    List,
    /// 404, 500, 503, 429 with a page.
    NotFound,
    Error,
    Unavailable,
    TooMany,
    /// The right body with fifty megabytes of blanks before it.
    Huge,
    /// One byte after the other, five a second.
    Drip,
    /// The head, and then nothing.
    Stall,
    /// Nothing at all.
    Hang,
    /// Half the body, and then the connection ends.
    Cut,
}

/// Names of all manners; `read` and `write` go by it.
const NAMES: &[(Manner, &str)] = &[
    (Manner::Usual, "usual"),
    (Manner::Redirect, "redirect"),
    (Manner::Late, "late"),
    (Manner::Html, "html"),
    (Manner::Text, "text"),
    (Manner::Empty, "empty"),
    (Manner::Broken, "broken"),
    (Manner::List, "list"),
    (Manner::NotFound, "not-found"),
    (Manner::Error, "error"),
    (Manner::Unavailable, "unavailable"),
    (Manner::TooMany, "too-many"),
    (Manner::Huge, "huge"),
    (Manner::Drip, "drip"),
    (Manner::Stall, "stall"),
    (Manner::Hang, "hang"),
    (Manner::Cut, "cut"),
];

impl Manner {
    pub(super) fn choices() -> String {
        NAMES.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(" | ")
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        NAMES.iter().find(|(_, name)| *name == text).map(|(manner, _)| *manner)
    }

    pub(super) fn write(self) -> &'static str {
        NAMES.iter().find(|(manner, _)| *manner == self).map_or("usual", |(_, name)| name)
    }

    /// The answer as it leaves. Waits for ever if it is not to leave at all.
    /// `sent` counts the blanks of `huge` that were taken.
    pub(super) async fn give(self, answer: Answer, target: &str, sent: &Arc<AtomicU64>) -> Given {
        use Manner::*;
        match self {
            Usual => answer.map(Delivery::Whole),
            Redirect if target.ends_with(FOLLOWED) => answer.map(Delivery::Whole),
            Redirect => redirected(answer, target),
            Late => {
                tokio::time::sleep(LATE).await;
                answer.map(Delivery::Whole)
            }
            Html => page(answer, StatusCode::OK),
            NotFound => page(answer, StatusCode::NOT_FOUND),
            Error => page(answer, StatusCode::INTERNAL_SERVER_ERROR),
            Unavailable => page(answer, StatusCode::SERVICE_UNAVAILABLE),
            TooMany => page(answer, StatusCode::TOO_MANY_REQUESTS),
            Text => typed(answer, "text/plain").map(Delivery::Whole),
            Empty => with_body(answer, Bytes::new()),
            List => with_body(answer, Bytes::from_static(b"[]")),
            Hang => std::future::pending().await,
            Broken | Huge | Drip | Stall | Cut => {
                let (parts, body) = answer.into_parts();
                // A body that is in memory collects at once and cannot fail.
                let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
                let half = bytes.slice(..bytes.len() / 2);
                let delivery = match self {
                    Broken => Delivery::Whole(Full::new(half)),
                    Huge => Delivery::Blanks { left: HUGE, then: Some(bytes), sent: sent.clone() },
                    Drip => Delivery::drip(bytes),
                    Stall => Delivery::Never,
                    _ => Delivery::Cut(Some(half)),
                };
                Response::from_parts(parts, delivery)
            }
        }
    }
}

/// What `server` sends.
pub(super) type Given = Response<Delivery>;

fn with_body(answer: Answer, body: Bytes) -> Given {
    answer.map(|_| Delivery::Whole(Full::new(body)))
}

fn typed(mut answer: Answer, kind: &'static str) -> Answer {
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

fn page(answer: Answer, status: StatusCode) -> Given {
    let mut answer = typed(answer, super::answer::HTML);
    *answer.status_mut() = status;
    let reason = status.canonical_reason().unwrap_or("");
    let page = format!(
        "<!doctype html><html lang=\"en\"><title>SIMULATED: {reason}</title><h1>SIMULATED: {reason}</h1></html>"
    );
    with_body(answer, page.into())
}

fn redirected(mut answer: Answer, target: &str) -> Given {
    *answer.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    let question = if target.contains('?') { '&' } else { '?' };
    if let Ok(location) = HeaderValue::from_str(&format!("{target}{question}{FOLLOWED}")) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    with_body(answer, Bytes::new())
}

/// A body that arrives, or does not.
pub(super) enum Delivery {
    Whole(Full<Bytes>),
    Blanks { left: u64, then: Option<Bytes>, sent: Arc<AtomicU64> },
    Drip { bytes: Bytes, ticks: Interval },
    Never,
    Cut(Option<Bytes>),
}

impl Delivery {
    fn drip(bytes: Bytes) -> Self {
        let mut ticks = interval(DRIP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self::Drip { bytes, ticks }
    }
}

type Piece = Option<Result<Frame<Bytes>, io::Error>>;

fn piece(bytes: Bytes) -> Poll<Piece> {
    Poll::Ready(Some(Ok(Frame::data(bytes))))
}

impl Body for Delivery {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Piece> {
        const BLANKS: &[u8] = &[b' '; 64 * 1024];
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
            Self::Blanks { left: 0, then, .. } => then.take().map_or(Poll::Ready(None), piece),
            Self::Blanks { left, sent, .. } => {
                let now = usize::try_from(*left).unwrap_or(BLANKS.len()).min(BLANKS.len());
                *left -= now as u64;
                sent.fetch_add(now as u64, Ordering::Relaxed);
                piece(Bytes::from_static(&BLANKS[..now]))
            }
            Self::Drip { bytes, .. } if bytes.is_empty() => Poll::Ready(None),
            Self::Drip { bytes, ticks } => match ticks.poll_tick(context) {
                Poll::Ready(_) => piece(bytes.split_to(1)),
                Poll::Pending => Poll::Pending,
            },
            Self::Never => Poll::Pending,
            Self::Cut(half) => match half.take() {
                Some(half) => piece(half),
                None => Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into()))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(body) if body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            _ => SizeHint::default(),
        }
    }
}
