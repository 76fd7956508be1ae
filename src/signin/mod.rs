//! The journeys: signing in and out, from the first redirect to the last ticket. `proxy` brings requests
//! for our own addresses and sends the answers; this folder knows no socket and no engine.

mod account;
mod answer;
mod arrival;
mod arrive;
mod attempt;
mod back_channel;
mod badge;
mod begin;
mod callback;
mod choose;
mod confirm;
mod data;
mod disconnect;
mod endings;
mod finish;
mod form_token;
mod hint;
mod kept;
mod language;
mod me;
mod navigation;
mod outcomes;
mod places;
mod portal;
mod replay;
mod request;
mod sealed;
mod settings;
mod sign_in_page;
mod sign_out;
mod sign_out_there;
mod start;
mod ticket;
mod unconfirmed;
mod waiting;
mod whose;

#[cfg(test)]
mod tests;

pub use begin::Wants;
pub use kept::{Keeping, forget_form, is_posted_form, mentions_kept};
pub use navigation::is_navigation;
pub use replay::{Confirmation, LONGEST_CONFIRMATION, may_confirm};
pub use request::OwnRequest;
pub use settings::{SignInParts, SignInSettings, back_channel_url, callback_url, sign_out_return_url};
pub use whose::Ended;

use crate::assertion::Assertions;
use crate::domain::{Chance, ClientName, Clock, IncidentId, Language};
use crate::metrics::Metrics;
use crate::orcid::Provider;
use crate::pages::{ASSETS, Notice, Page, Pages, ProviderView, SiteView};
use crate::policy::{PolicySet, Site};
use crate::session::{Door, SessionFault, Sessions};
use crate::tokens::Providers;
use crate::vault::{LiveSession, Purpose, Sealer, Spool, Vault, VaultFault};
use arc_swap::ArcSwap;
use arrival::Arrival;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use language::Choice;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU16;
use std::time::Duration;

/// Between the end of a sign-in and the end of all patience with it.
const MARGIN: Duration = Duration::from_secs(2);

/// The sign-in of one gate.
pub struct SignIn {
    settings: SignInSettings,
    public_port: AtomicU16,
    vault: Arc<Vault>,
    spool: Arc<Spool>,
    sessions: Arc<Sessions>,
    providers: Arc<Providers>,
    policies: Arc<ArcSwap<PolicySet>>,
    pages: Arc<Pages>,
    assertions: Arc<Assertions>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    arrivals: Sealer,
    attempts: Sealer,
    tickets: Sealer,
    forms: Sealer,
    nonces: Sealer,
    verifiers: Sealer,
    people: Sealer,
    outcomes: outcomes::Outcomes,
    unconfirmed: unconfirmed::Unconfirmed,
    confirmations: outcomes::Outcomes,
    exchanges: tokio::sync::Semaphore,
    places: places::Places,
    webhook_places: places::Places,
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The store could not be asked. Whoever meets it fails closed (invariant 4).
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepFault {
    #[error(transparent)]
    Vault(#[from] VaultFault),
    #[error(transparent)]
    Session(#[from] SessionFault),
}

impl SignIn {
    pub fn new(parts: SignInParts) -> Arc<Self> {
        let vault = &parts.vault;
        Arc::new(Self {
            public_port: AtomicU16::new(parts.settings.public_port),
            arrivals: vault.sealer(Purpose::Arrival),
            attempts: vault.sealer(Purpose::Attempt),
            tickets: vault.sealer(Purpose::Ticket),
            forms: vault.sealer(Purpose::FormToken),
            nonces: vault.sealer(Purpose::Nonce),
            verifiers: vault.sealer(Purpose::Pkce),
            people: vault.sealer(Purpose::Person),
            outcomes: outcomes::Outcomes::default(),
            unconfirmed: unconfirmed::Unconfirmed::default(),
            confirmations: outcomes::Outcomes::default(),
            exchanges: tokio::sync::Semaphore::new(finish::EXCHANGES),
            places: places::Places::new(finish::EXCHANGES_EACH),
            webhook_places: places::Places::new(back_channel::EACH),
            spool: parts.spool,
            settings: parts.settings,
            sessions: parts.sessions,
            providers: parts.providers,
            policies: parts.policies,
            pages: parts.pages,
            assertions: parts.assertions,
            metrics: parts.metrics,
            clock: parts.clock,
            chance: parts.chance,
            vault: parts.vault,
        })
    }

    /// Answers under `/.lychgate/` on the sign-in host.
    pub async fn at_sign_in_host(&self, mut request: OwnRequest) -> Response<Bytes> {
        match language::choice(&request) {
            Choice::None => self.of_sign_in_host(request).await,
            Choice::Back(language) => language::remember(self.switched_language(&request), language),
            Choice::Here(language, path) => {
                (request.language, request.path) = (language, path);
                language::remember(self.of_sign_in_host(request).await, language)
            }
        }
    }

    async fn of_sign_in_host(&self, request: OwnRequest) -> Response<Bytes> {
        let (path, language) = (request.path.as_str(), request.language);
        if let Some(name) = path.strip_prefix(settings::CALLBACK) {
            return match self.callback(name, &request).await {
                Ok(answer) => answer,
                Err(fault) => self.broken_off(path, Notice::StoreUnavailable, language, &fault),
            };
        }
        if let Some(name) = path.strip_prefix(settings::BACK_CHANNEL) {
            return self.back_channel(name, &request).await;
        }
        let changing = match path {
            settings::SIGN_OUT => Some(self.sign_out(&request).await),
            settings::ACCOUNT_SESSIONS => Some(self.end_sessions(&request).await),
            settings::CONFIRM => Some(self.confirm(&request).await),
            settings::DISCONNECT => Some(self.disconnect(&request).await),
            _ => None,
        };
        if let Some(step) = changing {
            return self.settle(step, None, language);
        }
        if !request.is_reading() {
            return allowing(self.notice(Notice::MethodNotAllowed, None, language), "GET, HEAD");
        }
        let step = match path {
            settings::SIGN_IN => self.sign_in_page(&request).await,
            settings::START => self.start(&request).await,
            settings::CONTINUE => self.carry_on(&request).await,
            settings::CONNECTED => self.connected(&request).await,
            settings::ACCOUNT => self.account(&request).await,
            settings::ACCOUNT_DATA => self.data(&request).await,
            settings::DENIED => self.denied_page(&request).await,
            settings::SIGN_OUT_RETURN => self.back_from_sign_out(&request).await,
            settings::TROUBLE => Ok(self.trouble_page(&request)),
            settings::JWKS => Ok(self.jwks()),
            path => Ok(self.asset(path, None, language)),
        };
        self.settle(step, None, language)
    }

    /// Answers under `/.lychgate/` on a host of `site`. Nothing here can change a connection, another
    /// site or another session: the site's own script shares this origin.
    pub async fn at_site_host(&self, site: &Arc<Site>, mut request: OwnRequest) -> Response<Bytes> {
        match language::choice(&request) {
            Choice::None => self.of_site_host(site, request).await,
            Choice::Back(language) => language::remember(self.switched_language(&request), language),
            Choice::Here(language, path) => {
                (request.language, request.path) = (language, path);
                language::remember(self.of_site_host(site, request).await, language)
            }
        }
    }

    async fn of_site_host(&self, site: &Arc<Site>, request: OwnRequest) -> Response<Bytes> {
        let language = request.language;
        let step = match request.path.as_str() {
            settings::ARRIVE => self.arrive(site, &request).await,
            settings::SIGN_OUT => self.sign_out_here(site, &request).await,
            settings::REPLAY => self.replay(site, &request).await,
            _ if !request.is_reading() => {
                Ok(allowing(self.notice(Notice::MethodNotAllowed, Some(site), language), "GET, HEAD"))
            }
            settings::ME => self.me(site, &request).await,
            settings::BADGE => self.badge(site, &request).await,
            path => Ok(self.asset(path, Some(site), language)),
        };
        self.settle(step, Some(site), language)
    }

    /// How long an answer may take.
    pub fn patience(&self) -> Duration {
        self.providers.values().map(|provider| finish::patience(provider)).max().unwrap_or_default() + MARGIN
    }

    /// The answer where there is none, for it broke down or took longer than [`SignIn::patience`]; logged here. At
    /// a callback it is a redirect, as every other: the address holds a code (T47).
    pub fn broken_off(
        &self,
        path: &str,
        notice: Notice,
        language: Language,
        cause: &dyn fmt::Display,
    ) -> Response<Bytes> {
        let incident = IncidentId::draw(&*self.chance);
        tracing::error!(%incident, %cause, "a journey of the sign-in broke off");
        if path.starts_with(settings::CALLBACK) {
            return self.trouble(notice, Some(incident), None);
        }
        self.pages.answer(&Page::Notice { notice, incident: Some(incident), next: Vec::new(), site: None }, language)
    }

    /// A step that met a store that cannot answer becomes 503; logged here, once.
    fn settle(
        &self,
        step: Result<Response<Bytes>, StepFault>,
        site: Option<&Arc<Site>>,
        language: Language,
    ) -> Response<Bytes> {
        step.unwrap_or_else(|fault| {
            let incident = IncidentId::draw(&*self.chance);
            let site_name = site.map_or("", |site| site.name.as_str());
            tracing::error!(%incident, site.name = site_name, cause = %fault, "the store could not be asked during a sign-in");
            let site = site.map(|site| self.site_view(site));
            let notice = Notice::StoreUnavailable;
            self.pages.answer(&Page::Notice { notice, incident: Some(incident), next: Vec::new(), site }, language)
        })
    }

    /// Who is signed in on the sign-in host.
    async fn root(&self, request: &OwnRequest) -> Result<Option<Arc<LiveSession>>, SessionFault> {
        self.sessions.look_up(Door::SignInHost, request.cookies()).await
    }

    /// Who is signed in on the site host of the request.
    async fn visitor(&self, request: &OwnRequest) -> Result<Option<Arc<LiveSession>>, SessionFault> {
        self.sessions.look_up(Door::Site(&request.host), request.cookies()).await
    }

    /// The site an arrival came from, if it still answers there.
    fn site_of(&self, arrival: &Arrival) -> Option<Arc<Site>> {
        self.policies.load().site(&arrival.site).filter(|site| arrival.fits(site)).cloned()
    }

    fn site_view(&self, site: &Arc<Site>) -> SiteView {
        let url = Some(format!("{}/", self.origin(site.main_host())));
        SiteView { name: site.name.to_string(), title: site.title.clone(), url }
    }

    fn provider_view(&self, client: &ClientName) -> Option<ProviderView> {
        let settings = self.providers.get(client)?.settings();
        Some(ProviderView::new(settings.environment, &settings.issuer))
    }

    /// For sign-ins that no site asked for.
    fn default_provider(&self) -> Option<&Arc<Provider>> {
        let named = self.settings.default_client.as_ref().and_then(|name| self.providers.get(name));
        named.or_else(|| self.providers.values().next())
    }

    /// The answer that shows a page, in the visitor's language.
    fn show(&self, request: &OwnRequest, page: &Page) -> Response<Bytes> {
        self.pages.answer(page, request.language)
    }

    fn notice(&self, notice: Notice, site: Option<&Arc<Site>>, language: Language) -> Response<Bytes> {
        let site = site.map(|site| self.site_view(site));
        self.pages.answer(&Page::Notice { notice, incident: None, next: Vec::new(), site }, language)
    }

    fn asset(&self, path: &str, site: Option<&Arc<Site>>, language: Language) -> Response<Bytes> {
        let asset = if path.starts_with(ASSETS) { self.pages.asset(path) } else { None };
        asset.unwrap_or_else(|| self.notice(Notice::NotFound, site, language))
    }

    /// The public keys of our assertions. Apps may keep them for as long as a new key waits before it
    /// signs, and less.
    fn jwks(&self) -> Response<Bytes> {
        let mut answer = crate::pages::json(http::StatusCode::OK, &self.assertions.jwks(self.clock.now()));
        answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=600"));
        answer
    }
}

fn with_cookies(mut answer: Response<Bytes>, cookies: impl IntoIterator<Item = HeaderValue>) -> Response<Bytes> {
    for cookie in cookies {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    answer
}

/// RFC 9110 §15.5.6: a 405 names what is allowed.
fn allowing(mut answer: Response<Bytes>, allowed: &'static str) -> Response<Bytes> {
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    answer
}
