//! [`Sessions`]: from a browser's cookies to who is signed in at this door. `proxy` asks on every request,
//! `signin` on every step; the warm path waits for nothing.

pub mod app_cookies;
pub mod cookie;
mod flights;

use crate::domain::{Chance, Host, UnixTime};
use crate::vault::{HashedSessionKey, Lapsed, LiveSession, Purpose, Sealer, SessionKind, Vault, VaultFault, Warm};
use app_cookies::Binder;
use cookie::SessionKey;
use flights::Flights;
use http::HeaderValue;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long a request waits for a session to be read from the store before it fails closed.
const DEADLINE: Duration = Duration::from_secs(3);

/// Where the visitor knocks. A session opens only the door it was made for: a root session the
/// sign-in host, a site session one host of a site (`design.md` §4).
#[derive(Clone, Copy, Debug)]
pub enum Door<'a> {
    SignInHost,
    Site(&'a Host),
}

/// What the cookies say, without waiting.
#[derive(Debug)]
pub enum Found {
    /// Nobody, or nothing that could be believed.
    Guest,
    Live(Arc<LiveSession>),
    /// Authentic, but not in memory: [`Sessions::load`] it.
    Cold(HashedSessionKey),
}

/// Whether a session seen earlier still stands; for open connections.
#[derive(Debug)]
pub enum Standings {
    Live(Arc<LiveSession>),
    Ended,
    /// The store cannot say.
    Unknown,
}

/// The store could not say who this is: 503, never an anonymous pass (invariant 4, T70).
#[derive(Clone, Debug, thiserror::Error)]
pub enum SessionFault {
    #[error("{0}")]
    Vault(Arc<VaultFault>),
    #[error("the store did not answer in time")]
    TooSlow,
    #[error("too many sessions are being read from the store at once")]
    TooMany,
}

/// Looks sessions up; thin over the vault.
pub struct Sessions {
    vault: Arc<Vault>,
    cookies: Sealer,
    app_cookies: Binder,
    flights: Flights,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions(…)")
    }
}

impl Sessions {
    pub fn new(vault: Arc<Vault>) -> Self {
        Self {
            cookies: vault.sealer(Purpose::SessionCookie),
            app_cookies: Binder::new(vault.sealer(Purpose::AppCookie)),
            vault,
            flights: Flights::default(),
        }
    }

    /// Binds the cookies of apps to people.
    pub fn app_cookies(&self) -> &Binder {
        &self.app_cookies
    }

    /// A fresh key for a browser. The session it names is begun by the vault.
    pub fn draw(&self, chance: &dyn Chance) -> SessionKey {
        SessionKey::draw(chance, |data| self.cookies.mac(data))
    }

    /// The key of a session cookie this gate once gave, whatever has become of the session.
    pub fn authentic<'a>(&self, cookies: impl Iterator<Item = &'a HeaderValue>) -> Option<HashedSessionKey> {
        let value = cookie::only(cookie::SESSION, cookies)?;
        let key = SessionKey::read(value, |data, tag| self.cookies.verify_mac(data, tag))?;
        Some(HashedSessionKey(key.hash()))
    }

    /// Who knocks. Touches no disk and allocates nothing when the session is in memory; counts as use.
    pub fn find<'a>(&self, door: Door<'_>, cookies: impl Iterator<Item = &'a HeaderValue>) -> Found {
        let Some(key) = self.authentic(cookies) else { return Found::Guest };
        match self.vault.warm(&key) {
            Warm::Live(live) if opens(&live, door) => Found::Live(live),
            Warm::Live(_) | Warm::Gone => Found::Guest,
            Warm::Cold => Found::Cold(key),
        }
    }

    /// Reads a session that is not in memory. Many requests for the same one read it once; none waits
    /// longer than three seconds.
    pub async fn load(&self, door: Door<'_>, key: HashedSessionKey) -> Result<Option<Arc<LiveSession>>, SessionFault> {
        Ok(self.read(key).await?.filter(|live| opens(live, door)))
    }

    async fn read(&self, key: HashedSessionKey) -> Result<Option<Arc<LiveSession>>, SessionFault> {
        let vault = self.vault.clone();
        let flight = self.flights.board(key, move || async move {
            vault.session(&key).await.map_err(|fault| SessionFault::Vault(Arc::new(fault)))
        })?;
        tokio::time::timeout(DEADLINE, flight).await.map_err(|_| SessionFault::TooSlow)?
    }

    /// Whether a session that was found at its door earlier still stands, as far as memory knows. Asked
    /// for open exchanges again and again; counts as no use.
    pub fn standing_in_memory(&self, key: &HashedSessionKey) -> Option<Standings> {
        match self.vault.peek(key) {
            Warm::Live(live) => Some(Standings::Live(live)),
            Warm::Gone => Some(Standings::Ended),
            Warm::Cold => None,
        }
    }

    /// The same, from the store if need be: not for a listener core.
    pub async fn standing(&self, key: HashedSessionKey) -> Standings {
        if let Some(known) = self.standing_in_memory(&key) {
            return known;
        }
        match self.peek(&key).await {
            Ok(Some(live)) => Standings::Live(live),
            Ok(None) => Standings::Ended,
            Err(fault) => {
                tracing::warn!(cause = %fault, "whether a session still stands could not be looked up");
                Standings::Unknown
            }
        }
    }

    /// What a session was that has ended, if it only lapsed; in doubt `None`. For open WebSockets of sites that let
    /// them outlive it; not for a listener core.
    pub async fn lapsed(&self, key: HashedSessionKey) -> Option<Lapsed> {
        in_time(self.vault.lapsed(&key)).await.unwrap_or_else(|fault| {
            tracing::warn!(cause = %fault, "how a session ended could not be looked up; what it opened is ended");
            None
        })
    }

    /// The same of the session that these cookies opened this door with.
    pub async fn lapsed_at<'a>(
        &self,
        door: Door<'_>,
        cookies: impl Iterator<Item = &'a HeaderValue>,
    ) -> Result<Option<Lapsed>, SessionFault> {
        let Some(key) = self.authentic(cookies) else { return Ok(None) };
        let lapsed = in_time(self.vault.lapsed(&key)).await?;
        Ok(lapsed.filter(|lapsed| opens(&lapsed.was, door)))
    }

    async fn peek(&self, key: &HashedSessionKey) -> Result<Option<Arc<LiveSession>>, SessionFault> {
        in_time(self.vault.session_unused(key)).await
    }

    /// [`Sessions::look_up`] that counts as no use: a script that asks every minute who is here keeps nobody here.
    pub async fn look_at<'a>(
        &self,
        door: Door<'_>,
        cookies: impl Iterator<Item = &'a HeaderValue>,
    ) -> Result<Option<Arc<LiveSession>>, SessionFault> {
        let Some(key) = self.authentic(cookies) else { return Ok(None) };
        Ok(self.peek(&key).await?.filter(|live| opens(live, door)))
    }

    /// When a live session ends by idleness, if nobody uses it any more.
    pub fn idle_end(&self, live: &LiveSession) -> UnixTime {
        self.vault.idle_end(&live.session.key).unwrap_or(live.session.expires)
    }

    /// [`Sessions::find`], and [`Sessions::load`] if need be.
    pub async fn look_up<'a>(
        &self,
        door: Door<'_>,
        cookies: impl Iterator<Item = &'a HeaderValue>,
    ) -> Result<Option<Arc<LiveSession>>, SessionFault> {
        match self.find(door, cookies) {
            Found::Guest => Ok(None),
            Found::Live(live) => Ok(Some(live)),
            Found::Cold(key) => self.load(door, key).await,
        }
    }
}

async fn in_time<T>(read: impl Future<Output = Result<T, VaultFault>>) -> Result<T, SessionFault> {
    let read = tokio::time::timeout(DEADLINE, read).await.map_err(|_| SessionFault::TooSlow)?;
    read.map_err(|fault| SessionFault::Vault(Arc::new(fault)))
}

/// Whether a session was made for this door. A cookie carried to another host signs nobody in there.
fn opens(live: &LiveSession, door: Door<'_>) -> bool {
    match (&live.session.kind, door) {
        (SessionKind::Root, Door::SignInHost) => true,
        (SessionKind::Site { host, .. }, Door::Site(here)) => host == here,
        (SessionKind::Root, Door::Site(_)) | (SessionKind::Site { .. }, Door::SignInHost) => false,
    }
}

#[cfg(test)]
mod tests;
