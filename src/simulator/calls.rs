//! The request log: how often each endpoint was asked, and the last requests. Written by `server`, read
//! through the handle by tests.

use http::{Method, StatusCode};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most requests remembered one by one.
const MOST_LINES: usize = 1_000;

macro_rules! endpoints {
    ($($variant:ident => $name:literal),* $(,)?) => {
        /// Where a request went.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Endpoint { $($variant),* }

        impl Endpoint {
            const ALL: &'static [(Endpoint, &'static str)] = &[$((Endpoint::$variant, $name)),*];

            pub(super) fn name(self) -> &'static str {
                match self { $(Endpoint::$variant => $name),* }
            }
        }
    };
}

endpoints! {
    Discovery => "discovery",
    Jwks => "jwks",
    ForeignKeys => "foreign-keys",
    Authorize => "authorize",
    Consent => "consent",
    SignIn => "signin",
    SecondFactor => "second-factor",
    Register => "register",
    SignOut => "signout",
    Token => "token",
    Revoke => "revoke",
    UserInfo => "userinfo",
    Trusted => "trusted",
    Record => "record",
    Api => "api",
    Webhook => "webhook",
    Front => "front",
    Style => "style",
    Other => "other",
}

/// One request, without anything secret: no query, no header, no body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// `token`, `authorize`, … as [`super::SimulatorHandle::calls`] takes them.
    pub endpoint: &'static str,
    pub method: Method,
    /// `None` if the outage switch swallowed the request.
    pub status: Option<StatusCode>,
}

#[derive(Default)]
pub(super) struct Calls {
    counts: [AtomicU64; Endpoint::ALL.len()],
    lines: Mutex<VecDeque<Call>>,
    /// Bytes of endless answers that somebody took (`manners`).
    pub(super) blanks: std::sync::Arc<AtomicU64>,
}

impl Calls {
    /// Notes that a request arrived.
    pub(super) fn count(&self, endpoint: Endpoint) {
        self.counts[endpoint as usize].fetch_add(1, Ordering::SeqCst);
    }

    /// Notes how a request ended.
    pub(super) fn note(&self, endpoint: Endpoint, method: &Method, status: Option<StatusCode>) {
        let mut lines = self.lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if lines.len() >= MOST_LINES {
            lines.pop_front();
        }
        lines.push_back(Call { endpoint: endpoint.name(), method: method.clone(), status });
    }

    /// Requests so far at the endpoint of this name; `None` if there is no such endpoint.
    pub(super) fn of(&self, name: &str) -> Option<u64> {
        let (endpoint, _) = Endpoint::ALL.iter().find(|(_, known)| *known == name)?;
        Some(self.counts[*endpoint as usize].load(Ordering::SeqCst))
    }

    /// Requests so far, by the name of the endpoint.
    pub(super) fn counts(&self) -> std::collections::BTreeMap<&'static str, u64> {
        Endpoint::ALL.iter().map(|(at, name)| (*name, self.counts[*at as usize].load(Ordering::SeqCst))).collect()
    }

    pub(super) fn lines(&self) -> Vec<Call> {
        self.lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter().cloned().collect()
    }
}
