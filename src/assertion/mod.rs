//! [`Assertions`]: short-lived signed statements about a visitor for apps that check signatures (RFC 7515, RFC 7519).
//! `proxy` asks for one per admitted request; `signin` publishes the keys at `/.lychgate/jwks.json`.

mod cache;
mod claims;
mod keys;

pub use keys::{AssertionKeys, KeyMaterial, PUBLISH_AHEAD, Rotation, VERIFIES_AFTER, generate_key, plan_rotation};

use crate::domain::{Chance, Identity, SiteName, UnixTime};
use cache::{Cache, Place};
use http::HeaderValue;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// The longest life of an assertion, in seconds (`design.md` §4, T18).
const LONGEST: i64 = 300;

/// Why no assertion could be made. The app then gets none: its own check fails closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssertionFault {
    #[error("there is no key to sign assertions with")]
    NoKey,
    #[error("a signing key in the vault cannot be read")]
    BadKey,
    #[error("the signature could not be computed")]
    Signing,
}

/// Signs assertions, once per session, site and minute, and remembers them so long (`design.md` §7).
pub struct Assertions {
    issuer: String,
    keys: RwLock<Arc<AssertionKeys>>,
    chance: Arc<dyn Chance>,
    /// Seconds.
    lifetime: i64,
    grace: Duration,
    cache: Cache,
}

impl fmt::Debug for Assertions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assertions").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Assertions {
    /// `issuer` is the https origin of the sign-in host, from the configuration. One assertion is presented
    /// for up to a minute, so `lifetime` is longer than that, and at most five minutes (`design.md` §4). By `grace`
    /// at most sessions outlive their end while their provider is away.
    pub fn new(
        issuer: String,
        keys: AssertionKeys,
        chance: Arc<dyn Chance>,
        lifetime: Duration,
        grace: Duration,
    ) -> Self {
        let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(LONGEST).min(LONGEST);
        Self { issuer, keys: RwLock::new(Arc::new(keys)), chance, lifetime, grace, cache: Cache::default() }
    }

    /// Puts rotated keys in place. Assertions already handed out stay verifiable: the set overlaps.
    pub fn replace_keys(&self, keys: AssertionKeys) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        self.cache.clear();
    }

    /// The public half of the keys (RFC 7517 §5), for `/.lychgate/jwks.json`.
    pub fn jwks(&self, now: UnixTime) -> serde_json::Value {
        self.keys_in_use().jwks(now)
    }

    /// The header value that says who is asking, for `site` alone.
    ///
    /// `session_binding` is the session's stored hash: the `sid` claim is a further hash of it and the
    /// site, so that it links requests of one session at one site and nothing else.
    pub fn header_for(
        &self,
        session_binding: &[u8; 32],
        site: &SiteName,
        audience: &str,
        identity: &Arc<Identity>,
        now: UnixTime,
    ) -> Result<HeaderValue, AssertionFault> {
        let place = Place { session: session_binding, site, audience, identity, now };
        if let Some(value) = self.cache.get(&place) {
            return Ok(value);
        }
        let expires = UnixTime(now.0.saturating_add(self.lifetime)).min(identity.ends(now, self.grace));
        let claims = claims::Claims {
            issuer: &self.issuer,
            audience,
            identity,
            issued: now,
            expires,
            jti: self.chance.bytes(),
            sid: claims::session_id(session_binding, site),
        };
        let compact = self.keys_in_use().sign(&claims.to_json(), now)?;
        let mut value = HeaderValue::try_from(compact).map_err(|_| AssertionFault::Signing)?;
        value.set_sensitive(true);
        self.cache.put(&place, expires, value.clone());
        Ok(value)
    }

    fn keys_in_use(&self) -> Arc<AssertionKeys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests;
