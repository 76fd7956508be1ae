//! [`Shared`]: what every listener core reads and none owns. `app` builds it once.

use super::upstream::{Authorities, Resolver};
use crate::assertion::Assertions;
use crate::domain::{Chance, Clock, Host, IncidentId, Language};
use crate::metrics::Metrics;
use crate::pages::{Notice, Page, Pages};
use crate::policy::PolicySet;
use crate::session::Sessions;
use crate::signin::SignIn;
use crate::vault::Spool;
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::Response;
use std::sync::Arc;

/// The gate's parts, as the phases of a request need them.
pub struct Shared {
    pub policies: Arc<ArcSwap<PolicySet>>,
    pub sessions: Arc<Sessions>,
    /// Forms kept over a sign-in.
    pub forms: Arc<Spool>,
    pub sign_in: Arc<SignIn>,
    pub pages: Arc<Pages>,
    pub assertions: Arc<Assertions>,
    pub metrics: Arc<Metrics>,
    /// Turns for kept forms on their way to apps.
    pub replays: Arc<tokio::sync::Semaphore>,
    pub background: tokio::runtime::Handle,
    pub clock: Arc<dyn Clock>,
    pub chance: Arc<dyn Chance>,
    pub sign_in_host: Host,
    pub public_port: u16,
    /// Bytes, over a whole request head.
    pub head_limit: usize,
    pub resolver: Resolver,
    pub authorities: Authorities,
}

impl Shared {
    pub fn incident(&self) -> IncidentId {
        IncidentId::draw(&*self.chance)
    }

    /// The page for something that went wrong.
    pub fn notice(&self, notice: Notice, incident: Option<IncidentId>, language: Language) -> Response<Bytes> {
        self.pages.answer(&Page::Notice { notice, incident, next: Vec::new(), site: None }, language)
    }
}
