//! [`Arrival`]: who sent the browser to the sign-in host, and where it wants to go back to (J5). The site
//! host seals it; the sign-in host refuses anything unsealed; the ticket brings its hash back.

use super::sealed::{self, Kind};
use super::{OwnRequest, SignIn};
use crate::domain::{Chance, ClientName, Host, ReturnTo, ScopeSet, SiteName, UnixTime};
use crate::policy::Site;
use crate::session::cookie;
use http::HeaderValue;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The cookie whose hash binds arrival and ticket to one browser, on the site host.
pub(super) const ARRIVAL_COOKIE: &str = "__Host-Http-lychgate-arrival";
/// Marks that somebody signed out of this site a moment ago, on the site host.
pub(super) const LEFT_COOKIE: &str = "__Host-Http-lychgate-left";
/// Seconds a sign-out of one site is remembered, so that single sign-on asks before it undoes it.
pub(super) const LEFT_AGE: u32 = 900;
/// How long a sealed arrival is taken as it is; an older one leads back to the site and begins anew.
const ARRIVAL_LIFE: Duration = Duration::from_secs(60 * 60);
/// Being sent to sign in this soon after an arrival looks like a loop, …
const LOOP_WINDOW: Duration = Duration::from_secs(60);
/// … and after so many rounds it is one (B8). Parallel tabs make no rounds: they leave before they arrive.
const LOOP_ROUNDS: u8 = 3;

/// What lies in the arrival cookie, sealed: the secret and a loop counter.
#[derive(Serialize, Deserialize)]
pub(super) struct ArrivalCookie {
    secret: [u8; 20],
    /// When a ticket was last brought here.
    arrived: UnixTime,
    /// Since then they have been sent to sign in again.
    again: bool,
    /// How often in a row that ended in another arrival right after.
    rounds: u8,
}

/// SHA-256 of the arrival cookie's secret, cut to 160 bits.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ArrivalHash([u8; 20]);

/// How the sign-in host should treat the visitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Mode {
    /// As the site's policy file says.
    Usual,
    /// Ask before single sign-on: they signed out here just now.
    Ask,
    /// They asked for another iD.
    Another,
    /// They want to connect once more, to change what they allow.
    Again,
    /// They have seen a page that explains everything (the portal): on to the provider.
    Direct,
    /// They have just seen a page that names them, and went on from there.
    Known,
}

/// Where to go back to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Target {
    Here(String),
    /// Too long to travel: waits in a cookie of the site host under this number.
    Waiting([u8; 6]),
    /// Too long even for that: the front page, and a word about it.
    TooLong,
}

/// Travels sealed from the site host to the sign-in host, through an attempt, and back.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Arrival {
    pub(super) site: SiteName,
    pub(super) host: Host,
    pub(super) target: Target,
    pub(super) hash: ArrivalHash,
    pub(super) at: UnixTime,
    /// What the rule needs, and which rule, for its reasons.
    pub(super) scopes: ScopeSet,
    pub(super) rule: Option<u16>,
    /// Seconds since the sign-in that the rule allows.
    pub(super) max_age: Option<u32>,
    pub(super) mode: Mode,
    /// The registration somebody chose, where the site knows several.
    pub(super) client: Option<ClientName>,
    /// Path and query of the page they were on before, if it is short.
    pub(super) came_from: Option<String>,
}

impl ArrivalCookie {
    pub(super) fn draw(chance: &dyn Chance) -> Self {
        Self { secret: chance.bytes(), arrived: UnixTime(0), again: false, rounds: 0 }
    }

    pub(super) fn hash(&self) -> ArrivalHash {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.secret);
        let mut hash = [0; 20];
        hash.copy_from_slice(&digest.as_ref()[..20]);
        ArrivalHash(hash)
    }

    /// It was brought here later than now: the clock has gone back, or another node's is ahead.
    pub(super) fn is_ahead_of(&self, now: UnixTime) -> bool {
        self.arrived > now.plus(Duration::from_secs(60))
    }

    /// A ticket came for which another tab had set out, before both knew the same cookie: no round of a
    /// loop (J15). Whoever loses sessions meets none of these, since all their tickets fit the cookie.
    pub(super) fn forget_rounds(&mut self) {
        self.again = false;
        self.rounds = 0;
    }
}

impl Arrival {
    /// The same arrival, taken up again now.
    pub(super) fn renewed(&self, now: UnixTime, mode: Mode) -> Arrival {
        Arrival { at: now, mode, ..self.clone() }
    }

    /// The same arrival, with a registration chosen.
    pub(super) fn by(self, client: &ClientName) -> Arrival {
        Arrival { client: Some(client.clone()), ..self }
    }

    pub(super) fn is_stale(&self, now: UnixTime) -> bool {
        now.since(self.at) > ARRIVAL_LIFE || self.at > now.plus(Duration::from_secs(60))
    }

    /// Whether `site` is the one it came from, still answering there.
    pub(super) fn fits(&self, site: &Site) -> bool {
        site.name == self.site && site.hosts.contains(&self.host)
    }
}

impl SignIn {
    /// The browser's arrival cookie for this host, if it holds an authentic one.
    pub(super) fn arrival_cookie(&self, request: &OwnRequest) -> Option<ArrivalCookie> {
        let value = cookie::only(ARRIVAL_COOKIE, request.cookies())?;
        let text = std::str::from_utf8(value).ok()?;
        sealed::open(&self.arrivals, Kind::ArrivalCookie, request.host.as_str(), text)
    }

    pub(super) fn set_arrival_cookie(&self, host: &Host, cookie: &ArrivalCookie) -> HeaderValue {
        let text = sealed::seal(&self.arrivals, Kind::ArrivalCookie, host.as_str(), cookie);
        cookie::set(ARRIVAL_COOKIE, &text, None)
    }

    /// The arrival cookie to leave the site host with: the one there is, so that parallel tabs all
    /// arrive (J15), or a fresh one. `Err` when the visitor goes round in circles: the cookie to set
    /// with the page that says so, which lets the next click start over.
    pub(super) fn sent_again(&self, held: Option<ArrivalCookie>) -> Result<ArrivalCookie, ArrivalCookie> {
        let Some(mut cookie) = held else { return Ok(ArrivalCookie::draw(&*self.chance)) };
        if self.clock.now().since(cookie.arrived) > LOOP_WINDOW {
            return Ok(ArrivalCookie { again: false, rounds: 0, ..cookie });
        }
        if cookie.rounds >= LOOP_ROUNDS {
            return Err(ArrivalCookie { arrived: UnixTime(0), again: false, rounds: 0, ..cookie });
        }
        cookie.again = true;
        Ok(cookie)
    }

    /// The arrival cookie after a ticket was brought here, whatever became of it.
    pub(super) fn arrived_cookie(&self, host: &Host, mut cookie: ArrivalCookie) -> HeaderValue {
        cookie.rounds = cookie.rounds.saturating_add(u8::from(cookie.again));
        cookie.again = false;
        cookie.arrived = self.clock.now();
        self.set_arrival_cookie(host, &cookie)
    }

    /// The address on the sign-in host that an arrival leads to. `path` is one of ours.
    pub(super) fn address_with(&self, path: &str, arrival: &Arrival) -> String {
        format!("{}{path}?arrival={}", self.home(), self.seal_arrival(arrival))
    }

    pub(super) fn seal_arrival(&self, arrival: &Arrival) -> String {
        sealed::seal(&self.arrivals, Kind::Arrival, self.settings.sign_in_host.as_str(), arrival)
    }

    /// Reads the `arrival` parameter. Anything not sealed by us is as good as none.
    pub(super) fn open_arrival(&self, text: &str) -> Option<Arrival> {
        sealed::open(&self.arrivals, Kind::Arrival, self.settings.sign_in_host.as_str(), text)
    }

    /// Where the site host sends somebody who is to begin anew: the page itself if it travelled along,
    /// else the front page. The target was checked when it was sealed; it is checked again, so that an
    /// open redirect would need two mistakes.
    pub(super) fn way_back(&self, arrival: &Arrival) -> String {
        let to = match &arrival.target {
            Target::Here(target) => ReturnTo::new(arrival.host.clone(), target).ok(),
            Target::Waiting(_) | Target::TooLong => None,
        };
        to.unwrap_or_else(|| ReturnTo::front_page(arrival.host.clone())).url(self.port())
    }
}
