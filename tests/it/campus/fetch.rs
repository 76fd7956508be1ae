//! The rules by which a browser tells a server who caused a request: same origin and same site, `Sec-Fetch-*`,
//! `Origin`, `Referer`, and the `form-action` of a page. Pure; used by `browser`.

use super::cookies::Causer;
use http::Method;
use url::Url;

/// What caused a request.
#[derive(Clone, Debug)]
pub enum Initiator {
    /// An address typed, a bookmark.
    Person,
    /// A page: a link clicked, a form sent, a script.
    Page { url: Url, policy: ReferrerPolicy, form_action: Vec<String> },
}

/// What the request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A page to show.
    Navigation,
    /// A script's `fetch`.
    Script,
    /// An image of a page.
    Image,
    /// Not a browser at all: no header is added.
    Tool,
}

/// Referrer Policy §3, the values pages of ours use and the browser's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReferrerPolicy {
    NoReferrer,
    SameOrigin,
    Origin,
    StrictOrigin,
    #[default]
    StrictOriginWhenCrossOrigin,
    UnsafeUrl,
}

impl ReferrerPolicy {
    /// The last value of a `Referrer-Policy` header that is understood.
    pub fn read(header: &str) -> Option<Self> {
        header.rsplit(',').find_map(|word| match word.trim() {
            "no-referrer" => Some(Self::NoReferrer),
            "same-origin" => Some(Self::SameOrigin),
            "origin" => Some(Self::Origin),
            "strict-origin" => Some(Self::StrictOrigin),
            "strict-origin-when-cross-origin" => Some(Self::StrictOriginWhenCrossOrigin),
            "unsafe-url" => Some(Self::UnsafeUrl),
            _ => None,
        })
    }
}

/// One request on its way through redirects.
#[derive(Clone, Debug)]
pub struct Journey {
    pub initiator: Initiator,
    pub purpose: Purpose,
    pub policy: ReferrerPolicy,
    /// Every address so far, the current one last.
    pub addresses: Vec<Url>,
    /// A redirect from one foreign origin to another hides who asked (Fetch §4.4).
    tainted: bool,
}

impl Journey {
    pub fn new(initiator: Initiator, purpose: Purpose, url: Url) -> Self {
        let policy = match &initiator {
            Initiator::Page { policy, .. } => *policy,
            Initiator::Person => ReferrerPolicy::default(),
        };
        Self { initiator, purpose, policy, addresses: vec![url], tainted: false }
    }

    pub fn url(&self) -> &Url {
        self.addresses.last().expect("a journey starts at an address")
    }

    /// Goes on to `next`, as the answer to a redirect.
    pub fn redirect(&mut self, next: Url, policy: Option<ReferrerPolicy>) {
        if let Initiator::Page { url, .. } = &self.initiator
            && !same_origin(self.url(), &next)
            && !same_origin(url, self.url())
        {
            self.tainted = true;
        }
        self.policy = policy.unwrap_or(self.policy);
        self.addresses.push(next);
    }

    /// `Sec-Fetch-Site` (Fetch Metadata §2.3).
    pub fn site(&self) -> &'static str {
        let Initiator::Page { url: page, .. } = &self.initiator else { return "none" };
        let mut site = "same-origin";
        for url in self.addresses.iter().filter(|url| !same_origin(page, url)) {
            if !same_site(page, url) {
                return "cross-site";
            }
            site = "same-site";
        }
        site
    }

    /// Which cookies may go along.
    pub fn causer(&self, method: &Method) -> Causer {
        match &self.initiator {
            Initiator::Page { url, .. } if !same_site(url, self.url()) => {
                let safe = matches!(*method, Method::GET | Method::HEAD);
                if safe && self.purpose == Purpose::Navigation {
                    Causer::CrossSiteNavigation
                } else {
                    Causer::CrossSite
                }
            }
            _ => Causer::SameSite,
        }
    }

    /// The `Origin` header, if one is sent (Fetch §3.2).
    pub fn origin(&self, method: &Method) -> Option<String> {
        let Initiator::Page { url: page, .. } = &self.initiator else { return None };
        let crosses = self.addresses.iter().any(|url| !same_origin(page, url));
        let asks_across = self.purpose == Purpose::Script && crosses;
        if matches!(*method, Method::GET | Method::HEAD) && !asks_across {
            return None;
        }
        let downgrade = page.scheme() == "https" && self.url().scheme() != "https";
        let hidden = match self.policy {
            _ if self.purpose == Purpose::Script => false,
            ReferrerPolicy::NoReferrer => true,
            ReferrerPolicy::SameOrigin => !same_origin(page, self.url()),
            ReferrerPolicy::StrictOrigin | ReferrerPolicy::StrictOriginWhenCrossOrigin => downgrade,
            ReferrerPolicy::Origin | ReferrerPolicy::UnsafeUrl => false,
        };
        Some(if hidden || self.tainted { "null".to_owned() } else { origin_of(page) })
    }

    /// The `Referer` header, if one is sent (Referrer Policy §8.3).
    pub fn referer(&self) -> Option<String> {
        let Initiator::Page { url: page, .. } = &self.initiator else { return None };
        let mut whole = page.clone();
        whole.set_fragment(None);
        let origin_only = || format!("{}/", origin_of(page));
        let same = same_origin(page, self.url());
        let downgrade = page.scheme() == "https" && self.url().scheme() != "https";
        match self.policy {
            ReferrerPolicy::NoReferrer => None,
            ReferrerPolicy::SameOrigin => same.then(|| whole.to_string()),
            ReferrerPolicy::Origin => Some(origin_only()),
            ReferrerPolicy::StrictOrigin => (!downgrade).then(origin_only),
            ReferrerPolicy::StrictOriginWhenCrossOrigin if same => Some(whole.to_string()),
            ReferrerPolicy::StrictOriginWhenCrossOrigin => (!downgrade).then(origin_only),
            ReferrerPolicy::UnsafeUrl => Some(whole.to_string()),
        }
    }

    /// Panics as Chromium would refuse: a form may only lead, redirects included, where its page's
    /// `form-action` says (CSP §6.4.1).
    pub fn assert_form_may_lead_here(&self) {
        if let Initiator::Page { url: page, form_action, .. } = &self.initiator {
            for list in form_action {
                assert!(
                    source_list_matches(list, page, self.url()),
                    "a browser would stop here: the form on {page} may not lead to {} (form-action {list})",
                    self.url()
                );
            }
        }
    }
}

/// The `form-action` source lists of a page's `Content-Security-Policy` headers.
pub fn form_actions<'a>(policies: impl Iterator<Item = &'a str>) -> Vec<String> {
    policies
        .flat_map(|policy| policy.split(','))
        .filter_map(|policy| {
            policy.split(';').find_map(|directive| directive.trim().strip_prefix("form-action ").map(str::to_owned))
        })
        .collect()
}

fn source_list_matches(list: &str, page: &Url, target: &Url) -> bool {
    list.split_ascii_whitespace().any(|source| match source {
        "'none'" => false,
        "'self'" => same_origin(page, target),
        "*" => true,
        scheme if scheme.ends_with(':') => target.scheme() == scheme.trim_end_matches(':'),
        wild if wild.contains("://*.") => Url::parse(&wild.replacen("://*.", "://", 1)).is_ok_and(|parent| {
            let below = |host: &str| parent.host_str().is_some_and(|parent| host.ends_with(&format!(".{parent}")));
            parent.scheme() == target.scheme()
                && parent.port_or_known_default() == target.port_or_known_default()
                && target.host_str().is_some_and(below)
        }),
        origin => Url::parse(origin).is_ok_and(|origin| {
            same_origin(&origin, target) && (origin.path() == "/" || target.path().starts_with(origin.path()))
        }),
    })
}

/// `https://host:port`, the port left out when it is the scheme's own.
pub fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

pub fn same_origin(a: &Url, b: &Url) -> bool {
    a.origin() == b.origin()
}

/// Schemeful same-site. Without a list of public suffixes the last two labels make a site, which is right
/// for `*.localhost` (every host a site of its own) and for names under one campus domain.
pub fn same_site(a: &Url, b: &Url) -> bool {
    let site = |url: &Url| match url.host() {
        Some(url::Host::Domain(name)) => {
            let labels: Vec<&str> = name.trim_end_matches('.').rsplit('.').take(2).collect();
            labels.join(".")
        }
        other => format!("{other:?}"),
    };
    a.scheme() == b.scheme() && site(a) == site(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn from(page: &str, policy: ReferrerPolicy, to: &str) -> Journey {
        let initiator = Initiator::Page { url: url(page), policy, form_action: Vec::new() };
        Journey::new(initiator, Purpose::Navigation, url(to))
    }

    #[test]
    fn sites() {
        assert!(same_site(&url("https://a.campus.example/"), &url("https://b.campus.example:9/")));
        assert!(!same_site(&url("https://wiki.localhost/"), &url("https://library.localhost/")));
        assert!(!same_site(&url("http://a.example/"), &url("https://a.example/")));
        assert!(!same_site(&url("http://127.0.0.1/"), &url("http://127.0.0.2/")));
    }

    #[test]
    fn sources_of_form_action() {
        let page = url("https://gate.campus.example/");
        for (source, target, matches) in [
            ("'self'", "https://gate.campus.example/x", true),
            ("https://*.campus.example", "https://library.campus.example/x", true),
            ("https://*.campus.example", "https://campus.example/x", false),
            ("https://*.campus.example", "https://library.campus.example:8443/x", false),
            ("https://*.campus.example:8443", "https://library.campus.example:8443/x", true),
            ("https://*.campus.example", "http://library.campus.example/x", false),
            ("https://*.campus.example", "https://notcampus.example/x", false),
        ] {
            assert_eq!(source_list_matches(source, &page, &url(target)), matches, "{source} {target}");
        }
    }

    #[test]
    fn a_chain_of_redirects_is_as_foreign_as_its_most_foreign_link() {
        let mut journey = from("https://wiki.localhost/a", ReferrerPolicy::default(), "https://wiki.localhost/b");
        assert_eq!(journey.site(), "same-origin");
        journey.redirect(url("http://127.0.0.1:9/authorize"), None);
        assert_eq!(journey.site(), "cross-site");
        journey.redirect(url("https://wiki.localhost/c"), None);
        assert_eq!(journey.site(), "cross-site");
        assert_eq!(journey.causer(&Method::GET), Causer::SameSite);
        assert_eq!(journey.origin(&Method::POST).as_deref(), Some("null"), "two foreign origins were crossed");
    }

    #[test]
    fn a_foreign_form_is_recognised() {
        let journey =
            from("https://evil.example/x?y#z", ReferrerPolicy::default(), "https://wiki.localhost/.lychgate/sign-out");
        assert_eq!(journey.site(), "cross-site");
        assert_eq!(journey.causer(&Method::POST), Causer::CrossSite);
        assert_eq!(journey.causer(&Method::GET), Causer::CrossSiteNavigation);
        assert_eq!(journey.origin(&Method::POST).as_deref(), Some("https://evil.example"));
        assert_eq!(journey.referer().as_deref(), Some("https://evil.example/"));
    }

    #[test]
    fn no_referrer_makes_even_same_origin_posts_say_null() {
        let journey = from("https://wiki.localhost/x", ReferrerPolicy::NoReferrer, "https://wiki.localhost/y");
        assert_eq!(journey.origin(&Method::POST).as_deref(), Some("null"));
        assert_eq!(journey.referer(), None);
    }

    #[test]
    fn form_action_is_obeyed_along_redirects() {
        let page = url("https://sign-in.localhost:8443/x");
        let list = "'self' http://127.0.0.1:9400";
        assert!(source_list_matches(list, &page, &url("https://sign-in.localhost:8443/y")));
        assert!(source_list_matches(list, &page, &url("http://127.0.0.1:9400/oauth/authorize")));
        assert!(!source_list_matches(list, &page, &url("https://wiki.localhost:8443/")));
        assert!(!source_list_matches("'none'", &page, &page));
        let found = form_actions(["default-src 'none'; form-action 'self'; frame-ancestors 'none'"].into_iter());
        assert_eq!(found, ["'self'"]);
    }
}
