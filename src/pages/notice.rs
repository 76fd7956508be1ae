//! [`Notice`]: everything that can go wrong in front of a person, each with its status and a code for
//! scripts. The words stand in the text catalogue under `notice.CODE`.

use http::StatusCode;

macro_rules! notices {
    ($($(#[$doc:meta])* $name:ident = $status:ident, $code:literal;)+) => {
        /// What happened. Shown as a page (`Page::Notice`) or as JSON (`Pages::answer_json`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Notice { $($(#[$doc])* $name,)+ }

        impl Notice {
            /// All of them, for tables and previews.
            pub const ALL: &[Notice] = &[$(Notice::$name),+];

            pub fn status(self) -> StatusCode {
                match self { $(Notice::$name => StatusCode::$status,)+ }
            }

            /// Stable; the `error` member of a JSON answer and the key of the texts.
            pub fn code(self) -> &'static str {
                match self { $(Notice::$name => $code,)+ }
            }
        }
    };
}

notices! {
    /// The request cannot be read in one way only (invariant 1).
    BadRequest = BAD_REQUEST, "bad_request";
    /// No site answers under this name (RFC 9110 §15.5.20).
    UnknownHost = MISDIRECTED_REQUEST, "unknown_host";
    NotFound = NOT_FOUND, "not_found";
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method_not_allowed";
    TargetTooLong = URI_TOO_LONG, "target_too_long";
    HeadTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large";
    BodyTooLarge = PAYLOAD_TOO_LARGE, "body_too_large";
    TooManyRequests = TOO_MANY_REQUESTS, "too_many_requests";
    /// A sign-in is needed and the caller cannot be redirected (J16).
    SignInNeeded = UNAUTHORIZED, "sign_in_needed";
    /// Signed in, but a permission is missing and the caller cannot be redirected (J16, J4).
    PermissionNeeded = FORBIDDEN, "insufficient_scope";
    /// The policy said no to a caller that reads no pages.
    Refused = FORBIDDEN, "refused";
    /// The attempt is older than its fifteen minutes (B12).
    AttemptExpired = BAD_REQUEST, "attempt_expired";
    /// The browser does not hold the attempt this answer belongs to.
    AttemptUnknown = BAD_REQUEST, "attempt_unknown";
    /// The callback brought neither code nor error: an error may hide in the fragment (`orcid.md` §2.3).
    CallbackIncomplete = BAD_REQUEST, "callback_incomplete";
    /// The provider sent an error. 400, not 5xx: whoever writes the address chooses the error.
    ProviderError = BAD_REQUEST, "provider_error";
    /// The provider's answer did not stand up to verification.
    SignInFailed = BAD_GATEWAY, "sign_in_failed";
    ProviderUnreachable = SERVICE_UNAVAILABLE, "provider_unreachable";
    /// Cookies do not come back; also ends a redirect loop (B8).
    CookiesMissing = BAD_REQUEST, "cookies_missing";
    /// The browser brings a session that the gate has just begun, and the gate does not know it (B8).
    SessionUnknown = INTERNAL_SERVER_ERROR, "sign_in_lost";
    /// The browser brings a session cookie that is not one of ours, or two (B8, T66).
    CookiesDisturbed = BAD_REQUEST, "cookies_disturbed";
    /// Signed in, and what the page needs is not to be had (B8).
    NeverEnough = FORBIDDEN, "never_enough";
    /// The gate's own clock has gone back between one step and the next (B8).
    ClockMoved = INTERNAL_SERVER_ERROR, "clock_moved";
    /// The ticket to a site is too old or was used before (J5).
    TicketExpired = BAD_REQUEST, "ticket_expired";
    /// The ticket belongs to another browser: signs nobody in (J5).
    TicketForeign = FORBIDDEN, "ticket_foreign";
    /// A changing request that another site sent.
    CrossSiteRefused = FORBIDDEN, "cross_site_refused";
    /// The form's token is not of this session or no longer valid.
    FormExpired = FORBIDDEN, "form_expired";
    /// The session ended between page and form.
    SessionEnded = UNAUTHORIZED, "session_ended";
    /// A kept form belongs to another researcher (J4: replayed only for the same iD).
    OtherResearcher = FORBIDDEN, "other_researcher";
    /// What was posted is not kept over the sign-in: not by this site, or not for this sender (J4, T92).
    FormNotKept = FORBIDDEN, "form_not_kept";
    /// What was posted is larger than what is kept (J4).
    FormTooLarge = PAYLOAD_TOO_LARGE, "form_too_large";
    /// There is no room for what was posted (J4).
    FormsFull = SERVICE_UNAVAILABLE, "no_room_for_form";
    /// A kept form that is not there: sent, thrown away, too old, or another browser's (T92).
    FormGone = GONE, "form_gone";
    /// As the sender wished.
    FormThrownAway = OK, "thrown_away";
    /// Signed in, but the address to go back to was too long to keep; not an error.
    ReturnTargetLost = OK, "return_target_lost";
    StoreUnavailable = SERVICE_UNAVAILABLE, "store_unavailable";
    AppUnreachable = BAD_GATEWAY, "app_unreachable";
    AppTimeout = GATEWAY_TIMEOUT, "app_timeout";
    AppBroken = BAD_GATEWAY, "app_broken";
    Internal = INTERNAL_SERVER_ERROR, "internal";
    ShuttingDown = SERVICE_UNAVAILABLE, "shutting_down";
}

impl Notice {
    /// Seconds to wait before another try, for the `Retry-After` header (RFC 9110 §10.2.3).
    pub fn retry_after(self) -> Option<u32> {
        match self {
            Notice::ShuttingDown => Some(2),
            Notice::TooManyRequests | Notice::StoreUnavailable => Some(10),
            Notice::ProviderUnreachable => Some(30),
            _ => None,
        }
    }

    /// Whether trying the same address again may help, so that the page offers it by itself.
    pub fn may_pass(self) -> bool {
        matches!(self.status().as_u16(), 429 | 500..=599)
    }
}
