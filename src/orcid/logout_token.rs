//! A provider's word that somebody signed out there: the logout token (OpenID Connect Back-Channel Logout
//! 1.0 §2.4, §2.6; T95). It comes from the open network, so nothing in it is believed before all of it is.

use super::claims::{OneOrMany, Watch, check_audience, is_id, is_subject};
use super::directory::BroughtBy;
use super::signed_token::{SignedToken, TokenKind, present};
use super::trouble::Check;
use super::{OrcidTrouble, Provider};
use crate::domain::UnixTime;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;

/// The one event a logout token reports.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// How old a token may be: time for a provider to try again, not for a thief to wait.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);

/// Kept beyond the last moment a token is accepted, for a clock that is set back a little.
const KEPT_LONGER: Duration = Duration::from_secs(5 * 60);

/// A believed logout token. At least one of `subject` and `sid` is there.
#[derive(Clone, PartialEq, Eq)]
pub struct LogoutToken {
    /// The person, as the provider calls them.
    pub subject: Option<String>,
    /// The provider's session.
    pub sid: Option<String>,
    /// The token's own name: it counts once.
    pub id: String,
    pub issued: UnixTime,
    /// How long its use must be remembered.
    pub remember_until: UnixTime,
}

impl std::fmt::Debug for LogoutToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogoutToken(…)")
    }
}

#[derive(Deserialize)]
struct RawClaims {
    iss: Option<String>,
    aud: Option<OneOrMany>,
    iat: Option<Value>,
    exp: Option<Value>,
    nbf: Option<Value>,
    jti: Option<String>,
    sub: Option<String>,
    sid: Option<String>,
    events: Option<HashMap<String, Value>>,
    /// Forbidden, so that no ID token passes for one (§2.4).
    #[serde(default, deserialize_with = "present")]
    nonce: bool,
}

impl Provider {
    /// Judges a token that somebody brought. What is local and cheap comes first: only a token that would
    /// be believed if it were signed right makes anybody look for a key, and that is limited apart from
    /// what sign-ins may ask for.
    pub async fn logout_token(&self, text: &str) -> Result<LogoutToken, OrcidTrouble> {
        let token =
            SignedToken::read(text, &self.settings.algorithms, TokenKind::Logout).map_err(OrcidTrouble::Lied)?;
        let claimed = self.claimed(&token).map_err(OrcidTrouble::Lied)?;
        self.directory.verify(&token, BroughtBy::Stranger, None).await?;
        Ok(claimed)
    }

    pub(super) fn claimed(&self, token: &SignedToken<'_>) -> Result<LogoutToken, Check> {
        let claims: RawClaims = token.payload()?;
        if claims.iss.as_deref() != Some(&self.settings.issuer) {
            return Err(Check::Issuer);
        }
        check_audience(claims.aud.as_ref(), None, &self.settings.client_id)?;
        let watch = Watch { now: self.clock.now(), leeway: self.settings.leeway };
        let issued = watch.check_issued(claims.iat.as_ref(), MAX_AGE)?;
        // Required since the final version of the standard; older providers leave it out.
        claims.exp.as_ref().map_or(Ok(()), |exp| watch.check_expiry(exp))?;
        watch.check_not_before(claims.nbf.as_ref())?;
        let event = claims.events.as_ref().and_then(|events| events.get(EVENT));
        if !event.is_some_and(Value::is_object) {
            return Err(Check::Events);
        }
        if claims.nonce {
            return Err(Check::OtherKind);
        }
        let id = claims.jti.filter(|id| is_id(id)).ok_or(Check::TokenId)?;
        let fits = |text: &Option<String>, fits: fn(&str) -> bool| text.as_deref().is_none_or(fits);
        if !fits(&claims.sub, is_subject) || !fits(&claims.sid, is_id) || claims.sub.is_none() && claims.sid.is_none() {
            return Err(Check::NobodyNamed);
        }
        let remember_until = issued.plus(MAX_AGE + 2 * self.settings.leeway + KEPT_LONGER);
        Ok(LogoutToken { subject: claims.sub, sid: claims.sid, id, issued, remember_until })
    }
}
