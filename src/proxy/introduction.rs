//! [`Introduction`]: how a visitor is introduced to an app, in the fields that are the same for every request of one
//! connection: who they are, where they come from, which host they asked for. Made from the permit, and kept for the
//! connection's next request, because making it costs more than everything else that is done to a request's head.

use crate::domain::{Host, Identity};
use crate::policy::{Admission, HostHeader, Site, SiteKind, Upstream};
use http::header::{self, HeaderName, HeaderValue};
use pingora::{ErrorType, OrErr};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

/// The fields that we alone write, besides the assertion.
#[derive(Debug)]
pub struct Introduction {
    site: Arc<Site>,
    identity: Option<Arc<Identity>>,
    host: Host,
    fields: Vec<(HeaderName, HeaderValue)>,
}

impl Introduction {
    /// `peer` is the connection's other end; `public_port` the one visitors see.
    pub fn new(admission: &Admission, peer: IpAddr, host: &Host, public_port: u16) -> pingora::Result<Self> {
        let site = admission.site();
        let asked = authority(host.as_str(), public_port)?;
        let mut fields = forwarding(peer, &asked, public_port)?;
        fields.push((header::HOST, host_field(site, asked)?));
        if let Some(identity) = admission.identity() {
            fields.extend(site.hand_off.values(identity));
        }
        Ok(Self { site: site.clone(), identity: admission.identity().cloned(), host: host.clone(), fields })
    }

    /// Whether it would be made the same for this permit. Site and identity are compared by where they lie: neither
    /// ever changes, and as this holds them, nothing else can come to lie there.
    pub fn serves(&self, admission: &Admission, host: &Host) -> bool {
        let same_person = match (&self.identity, admission.identity()) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (None, None) => true,
            _ => false,
        };
        same_person && Arc::ptr_eq(&self.site, admission.site()) && self.host == *host
    }

    pub fn site(&self) -> &Site {
        &self.site
    }

    pub fn fields(&self) -> &[(HeaderName, HeaderValue)] {
        &self.fields
    }
}

/// What the site wants to see as `Host`; `asked` is the authority the visitor asked for.
fn host_field(site: &Site, asked: HeaderValue) -> pingora::Result<HeaderValue> {
    match &site.host_header {
        HostHeader::Pass => Ok(asked),
        HostHeader::Upstream => match &site.kind {
            SiteKind::App { upstreams } => value(upstreams.first().map(upstream_authority).unwrap_or_default()),
            SiteKind::Portal => Ok(HeaderValue::from_static("")),
        },
        HostHeader::Name(text) => value(text.clone()),
    }
}

fn upstream_authority(upstream: &Upstream) -> String {
    let with_port = |host: &dyn std::fmt::Display, port: u16, usual: u16| {
        if port == usual { host.to_string() } else { format!("{host}:{port}") }
    };
    match upstream {
        Upstream::Http { host, port } => with_port(host, *port, 80),
        Upstream::Https { host, port, .. } => with_port(host, *port, 443),
        Upstream::Unix { .. } => "localhost".to_owned(),
    }
}

fn authority(host: &str, public_port: u16) -> pingora::Result<HeaderValue> {
    if public_port == 443 { value(host.to_owned()) } else { value(format!("{host}:{public_port}")) }
}

/// A text as the value of a field, without a copy.
fn value(text: String) -> pingora::Result<HeaderValue> {
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text))
        .or_err(ErrorType::InvalidHTTPHeader, "a value of ours fits no field")
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Who asks and what for, in the fields apps know (RFC 7239, and what was there before it).
fn forwarding(peer: IpAddr, asked: &HeaderValue, public_port: u16) -> pingora::Result<Vec<(HeaderName, HeaderValue)>> {
    let mut forwarded = String::new();
    let host = asked.to_str().unwrap_or_default();
    // Writing into a text cannot fail.
    let _ = match peer {
        IpAddr::V4(_) => write!(forwarded, "for={peer};host=\"{host}\";proto=https"),
        IpAddr::V6(_) => write!(forwarded, "for=\"[{peer}]\";host=\"{host}\";proto=https"),
    };
    let from = value(peer.to_string())?;
    Ok(vec![
        (X_FORWARDED_FOR, from.clone()),
        (X_REAL_IP, from),
        (X_FORWARDED_HOST, asked.clone()),
        (X_FORWARDED_PROTO, HeaderValue::from_static("https")),
        (X_FORWARDED_PORT, HeaderValue::from(public_port)),
        (header::FORWARDED, value(forwarded)?),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ClientName, Environment, Membership, Mfa, Scope, ScopeSet, Subject, UnixTime};
    use crate::policy::{CanonicalPath, ClientFacts, Decision, Facts, PolicyContext, PolicySet, decide, load_files};
    use std::collections::BTreeMap;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const NOW: UnixTime = UnixTime(1_790_000_000);

    fn policies() -> PolicySet {
        let client: ClientName = "main".parse().unwrap();
        let facts = ClientFacts {
            environment: Environment::Simulator,
            membership: Membership::Public,
            base_scope: Scope::openid(),
            foreign_subjects: false,
        };
        let context = PolicyContext {
            sign_in_host: "gate.example".parse().unwrap(),
            clients: BTreeMap::from([(client.clone(), facts)]),
            default_client: Some(client),
        };
        let site = |name: &str, more: &str| {
            let text = format!(
                "[site]\nname = \"{name}\"\nhosts = [\"{name}.example\", \"{name}.example.org\"]\n\
                 upstream = \"http://127.0.0.1:8080\"\n{more}[[rule]]\nname = \"all\"\naccess = \"optional\"\n\
                 [[case]]\nrequest = \"GET /\"\nexpect = \"admit\"\n"
            );
            (format!("{name}.toml").into(), text)
        };
        let (set, problems) = load_files(&[site("wiki", ""), site("forum", "host_header = \"upstream\"\n")], &context);
        set.unwrap_or_else(|| panic!("{problems:?}"))
    }

    fn somebody(id: &str) -> Arc<Identity> {
        Arc::new(Identity {
            subject: Subject::Orcid(id.parse().unwrap()),
            environment: Environment::Simulator,
            client: "main".parse().unwrap(),
            name: None,
            given_name: None,
            family_name: None,
            scopes: ScopeSet::from_iter([Scope::openid()]),
            signed_in_at: NOW,
            proven_at: None,
            mfa: Mfa::Unknown,
            session_expires: UnixTime(NOW.0 + 3600),
            broken: None,
        })
    }

    fn admitted(set: &PolicySet, host: &str, visitor: Option<&Arc<Identity>>) -> Admission {
        let site = set.site_for_host(&host.parse().unwrap()).unwrap();
        let path = CanonicalPath::parse("/", &site.switches).unwrap();
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        match decide(&Facts { site, method: &http::Method::GET, path: &path, visitor, peer, now: NOW }) {
            Decision::Admit(admission) => admission,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_made_for_somebody_serves_nobody_else_and_no_other_site() {
        let (set, again) = (policies(), policies());
        let josiah = somebody("0000-0002-1825-0097");
        let host: Host = "wiki.example".parse().unwrap();
        let permit = admitted(&set, "wiki.example", Some(&josiah));
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let introduction = Introduction::new(&permit, peer, &host, 443).unwrap();
        assert!(introduction.serves(&permit, &host));
        assert!(introduction.serves(&admitted(&set, "wiki.example", Some(&josiah)), &host));
        // The same person signed in anew, another, a guest, another site, a later policy, another host.
        for (permit, at) in [
            (admitted(&set, "wiki.example", Some(&somebody("0000-0002-1825-0097"))), "wiki.example"),
            (admitted(&set, "wiki.example", Some(&somebody("0000-0001-5109-3700"))), "wiki.example"),
            (admitted(&set, "wiki.example", None), "wiki.example"),
            (admitted(&set, "forum.example", Some(&josiah)), "wiki.example"),
            (admitted(&again, "wiki.example", Some(&josiah)), "wiki.example"),
            (admitted(&set, "wiki.example.org", Some(&josiah)), "wiki.example.org"),
        ] {
            assert!(!introduction.serves(&permit, &at.parse().unwrap()), "{permit:?} at {at}");
        }
    }

    #[test]
    fn what_an_app_is_told() {
        let set = policies();
        let told = |host: &str, peer: IpAddr, port: u16, visitor: Option<&Arc<Identity>>| {
            let permit = admitted(&set, host, visitor);
            let introduction = Introduction::new(&permit, peer, &host.parse().unwrap(), port).unwrap();
            let text = |(name, value): &(HeaderName, HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
            introduction.fields().iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(
            told("wiki.example", IpAddr::V4(Ipv4Addr::LOCALHOST), 8443, None),
            [
                "x-forwarded-for: 127.0.0.1",
                "x-real-ip: 127.0.0.1",
                "x-forwarded-host: wiki.example:8443",
                "x-forwarded-proto: https",
                "x-forwarded-port: 8443",
                "forwarded: for=127.0.0.1;host=\"wiki.example:8443\";proto=https",
                "host: wiki.example:8443",
            ]
        );
        let signed_in =
            told("forum.example", IpAddr::V6(Ipv6Addr::LOCALHOST), 443, Some(&somebody("0000-0002-1825-0097")));
        assert!(signed_in.contains(&"forwarded: for=\"[::1]\";host=\"forum.example\";proto=https".to_owned()));
        assert!(signed_in.contains(&"host: 127.0.0.1:8080".to_owned()));
        assert!(signed_in.contains(&"x-orcid-id: 0000-0002-1825-0097".to_owned()), "{signed_in:?}");
    }
}
