//! From an [`Admission`] to the peer to connect to. Without the permit there is no address
//! (invariant 2); without a name an https app is never contacted, because it could not be verified.

use crate::domain::{Clock, UnixTime};
use crate::policy::{Admission, AppAuthority, SiteKind, SiteLimits, Upstream};
use pingora::protocols::ALPN;
use pingora::protocols::tls::CaType;
use pingora::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy, PeerOptions};
use pingora::utils::tls::{WrappedX509, parse_x509};
use rustls::pki_types::CertificateDer;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use thiserror::Error;

/// Why no peer could be named.
#[derive(Debug, Error)]
pub enum NoPeer {
    #[error("the host name of the app does not resolve: {0}")]
    Resolve(String),
    #[error("the site has no app behind it")]
    NoUpstream,
    #[error("the socket of the app cannot be used: {0}")]
    Socket(String),
}

/// Name and port, and what was found when.
type Known = HashMap<(String, u16), (UnixTime, Vec<SocketAddr>)>;

/// Looks names up without blocking a listener core, and remembers the answer for a while.
pub struct Resolver {
    known: Mutex<Known>,
    background: tokio::runtime::Handle,
    clock: Arc<dyn Clock>,
}

/// How long a looked-up address is used before it is asked for again.
const REMEMBER: Duration = Duration::from_secs(30);
/// A look-up that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(5);

impl Resolver {
    pub fn new(background: tokio::runtime::Handle, clock: Arc<dyn Clock>) -> Self {
        Self { known: Mutex::default(), background, clock }
    }

    fn remembered(&self, key: &(String, u16)) -> Option<(bool, SocketAddr)> {
        let known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (at, addresses) = known.get(key)?;
        let fresh = self.clock.now().since(*at) < REMEMBER;
        addresses.first().map(|address| (fresh, *address))
    }

    /// The address of `host`, which may be a name or an IP address. A stale answer is better than
    /// none when the name server fails.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<SocketAddr, NoPeer> {
        if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(SocketAddr::new(ip, port));
        }
        let key = (host.to_owned(), port);
        let remembered = self.remembered(&key);
        if let Some((true, address)) = remembered {
            return Ok(address);
        }
        // RFC 6761 §6.3: names under localhost are the loopback, whatever the resolver says.
        if host == "localhost" || host.ends_with(".localhost") {
            return Ok(SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port));
        }
        let name = key.clone();
        let look_up = self.background.spawn(async move {
            tokio::time::timeout(PATIENCE, tokio::net::lookup_host(name))
                .await
                .map(|found| found.map(Iterator::collect))
        });
        match look_up.await {
            Ok(Ok(Ok(addresses))) => self.remember(key, addresses, host),
            _ => remembered.map(|(_, address)| address).ok_or_else(|| NoPeer::Resolve(host.to_owned())),
        }
    }

    fn remember(&self, key: (String, u16), addresses: Vec<SocketAddr>, host: &str) -> Result<SocketAddr, NoPeer> {
        let first = addresses.first().copied().ok_or_else(|| NoPeer::Resolve(host.to_owned()))?;
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Names come from configuration, so the map is small; a reload may leave a few behind.
        if known.len() > 10_000 {
            known.clear();
        }
        known.insert(key, (self.clock.now(), addresses));
        Ok(first)
    }
}

/// Certificate authorities of upstreams as the engine takes them, made once for each content.
#[derive(Default)]
pub struct Authorities {
    made: Mutex<HashMap<[u8; 32], Arc<CaType>>>,
}

impl Authorities {
    fn of(&self, authority: &AppAuthority) -> Arc<CaType> {
        let mut made = self.made.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Contents come from policies, so the map is small; every reload may leave a few behind.
        if made.len() > 1_000 {
            made.clear();
        }
        let wrap = |der: &CertificateDer<'_>| WrappedX509::new(der.as_ref().to_vec(), parse_x509);
        let make = || authority.certificates().iter().map(wrap).collect();
        made.entry(authority.digest()).or_insert_with(make).clone()
    }
}

/// Sets connections apart by the content of the authority that vouched for them: the engine's pool does not, and
/// neither may one be lent to a site that trusts another, nor outlive the authority in the site's own file.
fn group(authority: &AppAuthority) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(authority.digest())
}

/// Chooses and describes the peer for an admitted request. `attempt` counts from zero, so that a
/// retry goes to the next upstream. `streams` is true for upgrades and event streams, which may be
/// silent for as long as the site allows.
pub(super) async fn peer(
    admission: &Admission,
    attempt: usize,
    streams: bool,
    resolver: &Resolver,
    authorities: &Authorities,
) -> Result<Box<HttpPeer>, NoPeer> {
    let site = admission.site();
    let SiteKind::App { upstreams } = &site.kind else { return Err(NoPeer::NoUpstream) };
    let upstream = upstreams.get(attempt % upstreams.len().max(1)).ok_or(NoPeer::NoUpstream)?;
    let mut peer = match upstream {
        Upstream::Http { host, port } => {
            HttpPeer::new(resolver.resolve(host.as_str(), *port).await?, false, String::new())
        }
        Upstream::Https { host, port, authority, insecure_skip_verify } => {
            let address = resolver.resolve(host.as_str(), *port).await?;
            // An empty name would switch verification off without a word.
            let name = host.as_str().trim_matches(['[', ']']);
            let mut peer = HttpPeer::new(address, true, name.to_owned());
            peer.options.verify_cert = !insecure_skip_verify;
            peer.options.verify_hostname = !insecure_skip_verify;
            if let Some(authority) = authority {
                peer.options.ca = Some(authorities.of(authority));
                peer.group_key = group(authority);
            }
            peer
        }
        Upstream::Unix { path } => {
            let text = path.to_str().ok_or_else(|| NoPeer::Socket(path.display().to_string()))?;
            HttpPeer::new_uds(text, false, String::new()).map_err(|fault| NoPeer::Socket(fault.to_string()))?
        }
    };
    set_limits(&mut peer.options, &site.limits, streams);
    peer.options.alpn = ALPN::H1;
    peer.options.http_upstream_request_policy =
        if site.websocket { HttpUpstreamRequestPolicy::standard() } else { HttpUpstreamRequestPolicy::deny_upgrades() };
    Ok(Box::new(peer))
}

/// The engine has one read limit for the head and for each pause in the body. An ordinary answer
/// gets the larger of the two configured ones, a stream only the limit for pauses.
fn set_limits(options: &mut PeerOptions, limits: &SiteLimits, streams: bool) {
    options.connection_timeout = Some(limits.connect);
    options.total_connection_timeout = Some(limits.connect.saturating_mul(2));
    options.read_timeout = match (streams, limits.first_byte, limits.idle) {
        (true, _, idle) => idle,
        (false, Some(first), Some(idle)) => Some(first.max(idle)),
        (false, first, None) => first,
        (false, None, idle) => idle,
    };
    options.write_timeout = Some(limits.first_byte.unwrap_or(WRITE_PATIENCE));
    options.idle_timeout = Some(KEEP_UPSTREAM);
}

/// An app that takes no bytes for this long is gone.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);
/// How long an unused connection to an app is kept for the next request.
const KEEP_UPSTREAM: Duration = Duration::from_secs(50);
