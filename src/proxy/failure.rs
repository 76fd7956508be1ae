//! Every error of the engine becomes a page here: whose fault it is decides the status, the words and
//! the log level, in one match.

use crate::pages::Notice;
use pingora::{Error, ErrorSource, ErrorType};

/// What to tell the visitor, and what the metric calls it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// `None`: the visitor is gone, nobody can be told.
    pub notice: Option<Notice>,
    pub kind: &'static str,
}

impl Failure {
    fn new(notice: Notice, kind: &'static str) -> Self {
        Self { notice: Some(notice), kind }
    }

    /// Whether the sysadmin has to act, as opposed to the visitor.
    pub(super) fn is_ours(&self) -> bool {
        !matches!(self.kind, "visitor-gone" | "bad-request" | "body-too-large" | "form-gone")
    }
}

/// `too_large` is set when our own body filter stopped the request, `form_gone` when the kept form it confirms was
/// taken by another one.
pub(super) fn classify(error: &Error, too_large: bool, form_gone: bool) -> Failure {
    if form_gone {
        return Failure::new(Notice::FormGone, "form-gone");
    }
    if too_large {
        return Failure::new(Notice::BodyTooLarge, "body-too-large");
    }
    match (error.esource(), error.etype()) {
        (_, ErrorType::HTTPStatus(400)) => Failure::new(Notice::BadRequest, "bad-request"),
        (_, ErrorType::HTTPStatus(503)) => Failure::new(Notice::StoreUnavailable, "store"),
        (
            ErrorSource::Upstream,
            ErrorType::ConnectTimedout
            | ErrorType::ReadTimedout
            | ErrorType::WriteTimedout
            | ErrorType::TLSHandshakeTimedout,
        ) => Failure::new(Notice::AppTimeout, "app-timeout"),
        (
            ErrorSource::Upstream,
            ErrorType::ConnectRefused
            | ErrorType::ConnectNoRoute
            | ErrorType::ConnectError
            | ErrorType::SocketError
            | ErrorType::TLSHandshakeFailure
            | ErrorType::InvalidCert
            | ErrorType::ConnectionClosed,
        ) => Failure::new(Notice::AppUnreachable, "app-unreachable"),
        (ErrorSource::Upstream, _) => Failure::new(Notice::AppBroken, "app-broken"),
        (ErrorSource::Downstream, ErrorType::WriteError | ErrorType::ReadError | ErrorType::ConnectionClosed) => {
            Failure { notice: None, kind: "visitor-gone" }
        }
        (ErrorSource::Downstream, _) => Failure::new(Notice::BadRequest, "bad-request"),
        (ErrorSource::Internal | ErrorSource::Unset, _) => Failure::new(Notice::Internal, "internal"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blame_decides_the_page() {
        let up = |kind| *Error::new_up(kind);
        let down = |kind| *Error::new_down(kind);
        for (error, kind) in [
            (up(ErrorType::ConnectRefused), "app-unreachable"),
            (up(ErrorType::ReadTimedout), "app-timeout"),
            (up(ErrorType::InvalidHTTPHeader), "app-broken"),
            (down(ErrorType::ReadError), "visitor-gone"),
            (down(ErrorType::InvalidHTTPHeader), "bad-request"),
            (*Error::new_in(ErrorType::InternalError), "internal"),
        ] {
            assert_eq!(classify(&error, false, false).kind, kind, "{error:?}");
        }
        assert_eq!(classify(&up(ErrorType::ReadError), true, false).kind, "body-too-large");
        assert_eq!(classify(&down(ErrorType::HTTPStatus(410)), false, true).kind, "form-gone");
    }
}
