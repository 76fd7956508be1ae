//! [`Passage`]: what is known so far about one request on its way through the engine's phases. The
//! engine makes one per request and drops it at the end, however the request ended.

use super::door::Listed;
use super::replay::Replay;
use super::visit::Visit;
use crate::domain::{IncidentId, SiteName};
use crate::policy::{Admission, PolicySet};
use crate::session::app_cookies::Binding;
use http::header::{HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::Instant;

/// State carried between the phases of one request. Never reused for the next request of a connection.
pub struct Passage {
    pub started: Instant,
    pub visit: Option<Visit>,
    /// The policy in force when the request arrived: one request sees one generation.
    pub policies: Option<Arc<PolicySet>>,
    /// The site asked for, once it is known.
    pub site: Option<SiteName>,
    /// The answer carries `Strict-Transport-Security`.
    pub hsts: bool,
    pub admission: Option<Admission>,
    /// Path and query as the app will see them.
    pub target: String,
    pub assertion: Option<(HeaderName, HeaderValue)>,
    /// Whose the app's own cookies must be, where the site binds them to people.
    pub app_cookies: Option<Box<Binding>>,
    /// What the access log calls the outcome.
    pub outcome: &'static str,
    pub incident: Option<IncidentId>,
    pub body_seen: u64,
    pub attempts: usize,
    /// Interim answers (1xx) of the app so far.
    pub interim: usize,
    pub body_too_large: bool,
    /// A kept form that is sent on with this request.
    pub replay: Option<Box<Replay>>,
    /// Dropped with the passage: the request leaves the list of open ones.
    pub listed: Option<Listed>,
}

impl Passage {
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            visit: None,
            policies: None,
            site: None,
            hsts: false,
            admission: None,
            target: String::new(),
            assertion: None,
            app_cookies: None,
            outcome: "unread",
            incident: None,
            body_seen: 0,
            attempts: 0,
            interim: 0,
            body_too_large: false,
            replay: None,
            listed: None,
        }
    }

    /// The site's name for logs and metrics.
    pub fn site_name(&self) -> &str {
        self.site.as_ref().map_or("-", SiteName::as_str)
    }
}
