//! Journeys through the real vault and a provider on loopback, without sockets of our own: [`Campus`] is
//! the gate, [`Browser`] keeps cookies as browsers do.

mod attacks;
mod journeys;
mod provider;
mod sealing;

use super::*;
use crate::assertion::{AssertionKeys, Assertions, generate_key};
use crate::domain::{
    ClientSecret, Environment, Host, Language, Membership, Scope, StoppedClock, SystemChance, UnixTime, return_to,
};
use crate::orcid::{ClientAuthentication, ProviderSettings, SigningAlgorithm, Timeouts};
use crate::pages::PagesSettings;
use crate::policy::{
    CanonicalPath, ClientFacts, Decision, Facts, PathSwitches, PolicyContext, SiteKind, decide, load_files,
};
use crate::vault::{SpoolLimits, VaultSettings, generate_key_file};
use http::{HeaderMap, Method, StatusCode};
use provider::StubProvider;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

pub(super) const SOFIA: &str = "0000-0001-2345-6789";
pub(super) const JOSIAH: &str = "0000-0002-1825-0097";
pub(super) const PORT: u16 = 8443;

const WIKI: &str = r#"
[site]
name = "wiki"
hosts = ["wiki.example"]
upstream = ["http://127.0.0.1:1"]
[[rule]]
name = "deposit"
paths = ["/deposit"]
access = "signed-in"
scopes = ["/activities/update"]
why = "so that your deposit appears on your record"
[[rule]]
name = "nobody"
paths = ["/nobody"]
access = "signed-in"
researchers = ["0000-0002-1694-233X"]
[[rule]]
access = "signed-in"
[[case]]
request = "GET /"
expect = "sign-in"
"#;

const LIBRARY: &str = r#"
[site]
name = "library"
hosts = ["library.example"]
upstream = ["http://127.0.0.1:1"]
sign_in = "direct"
[[rule]]
access = "signed-in"
[[case]]
request = "GET /"
expect = "sign-in"
"#;

const PORTAL: &str = r#"
[site]
name = "portal"
hosts = ["portal.example"]
portal = true
[[rule]]
access = "signed-in"
scopes = ["/activities/update"]
[[case]]
request = "GET /"
expect = "sign-in"
"#;

const SPOOL: SpoolLimits = SpoolLimits {
    body: 1 << 20,
    per_browser: 2,
    per_address: 1 << 24,
    total: 1 << 24,
    lifetime: Duration::from_secs(900),
};

pub(super) struct Campus {
    pub(super) gate: Arc<SignIn>,
    pub(super) clock: Arc<StoppedClock>,
    provider: StubProvider,
    pub(super) place: tempfile::TempDir,
}

fn policies() -> PolicySet {
    let client = "orcid".parse::<ClientName>().unwrap();
    let facts = ClientFacts {
        environment: Environment::Simulator,
        membership: Membership::Member,
        base_scope: Scope::authenticate(),
        foreign_subjects: false,
    };
    let context = PolicyContext {
        sign_in_host: "signin.example".parse().unwrap(),
        clients: BTreeMap::from([(client.clone(), facts)]),
        default_client: Some(client),
    };
    let files = [("wiki", WIKI), ("library", LIBRARY), ("portal", PORTAL)];
    let files: Vec<_> =
        files.iter().map(|(name, text)| (PathBuf::from(format!("{name}.toml")), (*text).to_owned())).collect();
    let (set, problems) = load_files(&files, &context);
    set.unwrap_or_else(|| panic!("{problems:?}"))
}

fn provider_settings(issuer: &str) -> ProviderSettings {
    let name: ClientName = "orcid".parse().unwrap();
    ProviderSettings {
        redirect_uri: callback_url(&"signin.example".parse().unwrap(), PORT, &name),
        name,
        environment: Environment::Simulator,
        membership: Membership::Member,
        client_id: "APP-1".into(),
        client_secret: ClientSecret::new("secret"),
        issuer: issuer.to_owned(),
        authentication: ClientAuthentication::Post,
        algorithms: vec![SigningAlgorithm::Rs256],
        base_scope: Scope::authenticate(),
        foreign_subjects: false,
        subject_claim: None,
        extra_scopes: Default::default(),
        offer_sign_out: true,
        title: None,
        show_login: true,
        renew: false,
        userinfo: false,
        cache_file: None,
        ca_file: None,
        leeway: Duration::from_secs(60),
        timeouts: Timeouts::default(),
    }
}

impl Campus {
    pub(super) async fn open() -> Self {
        let place = tempfile::tempdir().unwrap();
        let clock = Arc::new(StoppedClock::at(1_790_000_000));
        let provider = StubProvider::start().await;
        let gate = Self::gate(&place, &clock, &provider);
        Self { gate, clock, provider, place }
    }

    fn gate(place: &tempfile::TempDir, clock: &Arc<StoppedClock>, stub: &StubProvider) -> Arc<SignIn> {
        let chance: Arc<dyn Chance> = Arc::new(SystemChance::default());
        let clock: Arc<dyn Clock> = clock.clone();
        let key_file = place.path().join("keys");
        if !key_file.exists() {
            generate_key_file(&key_file, &*clock, &*chance).unwrap();
        }
        let settings = VaultSettings {
            directory: place.path().join("vault"),
            key_file,
            simulated: true,
            idle: Duration::from_secs(8 * 3600),
            absolute: Duration::from_secs(24 * 3600),
            outage_grace: std::time::Duration::ZERO,
            warm_sessions: 1_000,
        };
        let vault = Vault::open(settings, clock.clone(), chance.clone()).unwrap();
        let orcid = Provider::new(provider_settings(&stub.issuer), clock.clone()).unwrap();
        let keys = AssertionKeys::new(&[generate_key(clock.now()).unwrap()]).unwrap();
        let settings = SignInSettings {
            sign_in_host: "signin.example".parse().unwrap(),
            public_port: 1,
            default_client: None,
            outage_grace: Duration::ZERO,
        };
        let gate = SignIn::new(SignInParts {
            settings,
            sessions: Arc::new(Sessions::new(vault.clone())),
            spool: vault.spool(SPOOL).unwrap(),
            vault,
            providers: Arc::new(BTreeMap::from([(orcid.settings().name.clone(), orcid)])),
            policies: Arc::new(ArcSwap::from_pointee(policies())),
            metrics: Arc::new(Metrics::new().unwrap()),
            pages: Arc::new(Pages::new(PagesSettings::default()).unwrap()),
            assertions: Arc::new(Assertions::new(
                "https://signin.example:8443".into(),
                keys,
                chance.clone(),
                Duration::from_secs(300),
                Duration::ZERO,
            )),
            clock,
            chance,
        });
        gate.set_public_port(PORT);
        gate
    }

    /// Ends the gate and starts it again on the same vault.
    pub(super) fn restart(mut self) -> Self {
        self.gate.vault.close();
        self.gate = Self::gate(&self.place, &self.clock, &self.provider);
        self
    }

    pub(super) fn browser(&self) -> Browser<'_> {
        Browser { campus: self, jars: BTreeMap::new() }
    }

    /// What `proxy` does with a request, in short.
    async fn answer(&self, request: OwnRequest) -> Response<Bytes> {
        let gate = &self.gate;
        if request.host == gate.settings.sign_in_host {
            return gate.at_sign_in_host(request).await;
        }
        let site = gate.policies.load().site_for_host(&request.host).unwrap().clone();
        if request.path.starts_with("/.lychgate/") {
            return gate.at_site_host(&site, request).await;
        }
        let live = gate.visitor(&request).await.unwrap();
        if matches!(site.kind, SiteKind::Portal) {
            return gate.portal_page(&site, &request, live.as_deref());
        }
        let path = CanonicalPath::parse(&request.path, &PathSwitches::default()).unwrap();
        let facts = Facts {
            site: &site,
            method: &request.method,
            path: &path,
            visitor: live.as_ref().map(|live| &live.identity),
            peer: request.peer,
            now: self.clock.now(),
        };
        match decide(&facts) {
            Decision::Admit(admission) => {
                let who = admission.identity().map_or("nobody".to_owned(), |identity| identity.subject.to_string());
                Response::new(format!("the app greets {who}").into())
            }
            Decision::AskSignIn(ask) | Decision::AskScopes(ask) => gate.begin_or_401(&ask, &request, live.as_deref()),
            Decision::Refuse(refusal) => {
                gate.refused(&refusal, &request, live.as_deref(), IncidentId::draw(&*gate.chance))
            }
        }
    }
}

/// Where a browser came to rest.
pub(super) struct Shown {
    /// Without the query.
    pub(super) url: String,
    /// Path and query.
    pub(super) asked_for: String,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Shown {
    /// The first link or form target on the page whose address contains `part`.
    pub(super) fn link(&self, part: &str) -> String {
        let text = self.body.replace("&amp;", "&").replace("&#x2f;", "/").replace("&#x3d;", "=");
        let links = text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
        let mut found = links.filter(|link| link.contains(part));
        let link = found.next().unwrap_or_else(|| panic!("no link to {part} on {}:\n{text}", self.url)).to_owned();
        if link.starts_with('/') { format!("{}{link}", origin_of(&self.url)) } else { link }
    }

    pub(super) fn field(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let rest = self.body.split(&start).nth(1).unwrap_or_else(|| panic!("no field {name}:\n{}", self.body));
        rest.split('"').next().unwrap().to_owned()
    }
}

pub(super) fn origin_of(url: &str) -> String {
    url.split('/').take(3).collect::<Vec<_>>().join("/")
}

/// Cookies per host, name to value.
#[derive(Clone)]
pub(super) struct Browser<'a> {
    campus: &'a Campus,
    pub(super) jars: BTreeMap<String, BTreeMap<String, String>>,
}

impl Browser<'_> {
    pub(super) fn request(&self, method: Method, url: &str) -> OwnRequest {
        let rest = url.strip_prefix("https://").unwrap_or_else(|| panic!("not ours: {url}"));
        let (authority, target) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let (host, port) = Host::from_authority(authority).unwrap();
        assert_eq!(port, Some(PORT), "absolute addresses carry the configured port");
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query.to_owned())));
        let mut headers = HeaderMap::new();
        headers.insert("sec-fetch-mode", HeaderValue::from_static("navigate"));
        headers.insert("sec-fetch-dest", HeaderValue::from_static("document"));
        headers.insert("user-agent", HeaderValue::from_static("Test/1.0"));
        if let Some(jar) = self.jars.get(host.as_str()).filter(|jar| !jar.is_empty()) {
            let line = jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
            headers.insert("cookie", HeaderValue::from_str(&line).unwrap());
        }
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        OwnRequest {
            host,
            method,
            path: path.to_owned(),
            query,
            headers,
            body: Bytes::new(),
            peer,
            language: Language::En,
        }
    }

    /// One request and its answer, redirects not followed.
    pub(super) async fn send(&mut self, request: OwnRequest) -> Shown {
        let url = format!("{}{}", return_to::origin(&request.host, PORT), request.path);
        let query = request.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        let asked_for = format!("{}{query}", request.path);
        let host = request.host.clone();
        let answer = self.campus.answer(request).await;
        let (head, body) = answer.into_parts();
        for line in head.headers.get_all("set-cookie") {
            self.keep(host.as_str(), line.to_str().unwrap());
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        Shown { url, asked_for, status: head.status, headers: head.headers, body }
    }

    fn keep(&mut self, host: &str, line: &str) {
        let (pair, attributes) = line.split_once("; ").unwrap();
        assert!(attributes.starts_with("Path=/; Secure; HttpOnly; SameSite=Lax"), "{line}");
        assert!(pair.len() <= 4_096, "a browser would drop it");
        let (name, value) = pair.split_once('=').unwrap();
        assert!(name.starts_with("__Host-Http-lychgate"), "{line}");
        let jar = self.jars.entry(host.to_owned()).or_default();
        if attributes.ends_with("Max-Age=0") {
            jar.remove(name);
        } else {
            jar.insert(name.to_owned(), value.to_owned());
        }
        let size: usize = jar.iter().map(|(name, value)| name.len() + value.len() + 3).sum();
        assert!(size <= 12 * 1024, "all of ours together stay below 12 KiB (T63)");
    }

    pub(super) async fn step(&mut self, url: &str) -> Shown {
        self.send(self.request(Method::GET, url)).await
    }

    /// Opens an address and follows redirects, until a page or the provider.
    pub(super) async fn open(&mut self, url: &str) -> Shown {
        let mut url = url.to_owned();
        for _ in 0..12 {
            let page = self.step(&url).await;
            let Some(location) = page.headers.get("location") else { return page };
            assert_eq!(page.status, StatusCode::SEE_OTHER);
            assert_eq!(page.headers["cache-control"], "no-store");
            assert_eq!(page.headers["referrer-policy"], "no-referrer", "T47");
            let location = location.to_str().unwrap();
            url =
                if location.starts_with('/') { format!("{}{location}", origin_of(&url)) } else { location.to_owned() };
            if url.starts_with(&self.campus.provider.issuer) {
                return Shown { url, ..page };
            }
        }
        panic!("redirected for ever, last to {url}");
    }

    /// At the provider: agrees as `orcid` to `scopes` and gives the way back.
    pub(super) fn agreed(&self, at_provider: &Shown, orcid: &str, scopes: &str) -> String {
        let code = self.campus.provider.agree(orcid, scopes);
        self.way_back(at_provider, &format!("code={code}"))
    }

    pub(super) fn way_back(&self, at_provider: &Shown, says: &str) -> String {
        let url = url::Url::parse(&at_provider.url).unwrap();
        let asked: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
        format!("{}?{says}&state={}", asked["redirect_uri"], asked["state"])
    }

    /// The whole first visit: sign-in page, provider, thanks, onward.
    pub(super) async fn sign_in(&mut self, url: &str, orcid: &str) -> Shown {
        let page = self.open(url).await;
        let at_provider =
            if page.url.starts_with("http://127") { page } else { self.open(&page.link("/sign-in/start?")).await };
        let back = self.agreed(&at_provider, orcid, "/authenticate");
        let landed = self.open(&back).await;
        if landed.url.ends_with("/.lychgate/connected") { self.open(&landed.link("/sign-in?")).await } else { landed }
    }

    pub(super) async fn post(&mut self, url: &str, form: &str, from: Option<&str>) -> Shown {
        let mut request = self.request(Method::POST, url);
        request.headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
        if let Some(origin) = from {
            request.headers.insert("origin", HeaderValue::from_str(origin).unwrap());
        }
        request.body = Bytes::from(form.to_owned());
        self.send(request).await
    }
}

pub(super) fn now(campus: &Campus) -> UnixTime {
    campus.clock.now()
}
