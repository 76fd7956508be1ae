//! Return targets too long to travel wait on the site host, in a sealed cookie of their own. Put there
//! when a visitor leaves for the sign-in host, taken out on arrival.

use super::arrival::{ArrivalHash, Target};
use super::begin::Wants;
use super::sealed::{self, Kind};
use super::{OwnRequest, SignIn};
use crate::domain::{ReturnTo, SiteName, UnixTime};
use crate::session::cookie;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use serde::{Deserialize, Serialize};

/// Names of waiting targets begin so; then their number, then `-1`, `-2` for further parts.
const PREFIX: &str = "__Host-Http-lychgate-to-";
/// Bytes of an attempt's cookie left for host, site, scopes and target together: 1,536 of cookie less its
/// name, the encoding, the seal and what else is in an attempt, ORCID's six scopes among it.
const TRAVELS: usize = 850;
/// However short the rest is, a longer target waits.
const LONGEST_TRAVELLER: usize = 1_024;
/// Longest page to go back to that travels along, if there is room.
const LONGEST_BEFORE: usize = 200;
/// Longest target that waits; beyond, the visitor lands on the front page and is told so.
pub(super) const WAITS: usize = 3 * 1024;
/// Browsers keep 4,096 bytes per cookie (RFC 6265bis §5.5), so a long one is parted.
const PART: usize = 3_600;
/// Parts a sealed target of the longest kind has.
const PARTS: usize = 2;
/// How many targets wait at a time. Two, and everything of ours stays below 12 KiB (T63).
const WAITING: usize = 2;
/// Seconds; as long as an attempt lives, and a little.
const AGE: u32 = 20 * 60;

#[derive(Serialize, Deserialize)]
struct Waiting {
    target: String,
    hash: ArrivalHash,
    at: UnixTime,
}

fn name(number: &str, part: usize) -> String {
    if part == 0 { format!("{PREFIX}{number}") } else { format!("{PREFIX}{number}-{part}") }
}

/// What host, site and scopes take of an attempt's cookie.
fn taken(wants: &Wants, site: &SiteName) -> usize {
    let scopes: usize = wants.scopes.iter().map(|scope| scope.as_str().len() + 1).sum();
    wants.return_to.host().as_str().len() + site.as_str().len() + scopes
}

impl SignIn {
    /// Decides how the target comes back, and gives the cookies that takes.
    pub(super) fn part_with_target(
        &self,
        request: &OwnRequest,
        wants: &Wants,
        site: &SiteName,
        hash: ArrivalHash,
    ) -> (Target, Vec<HeaderValue>) {
        let to = &wants.return_to;
        let target = to.target();
        let taken = taken(wants, site);
        if wants.target_lost {
            return (Target::TooLong, Vec::new());
        }
        if target.len() + taken <= TRAVELS && target.len() <= LONGEST_TRAVELLER {
            return (Target::Here(target.to_owned()), Vec::new());
        }
        if target.len() > WAITS {
            return (Target::TooLong, Vec::new());
        }
        let now = self.clock.now();
        let number: [u8; 6] = self.chance.bytes();
        let text = URL_SAFE_NO_PAD.encode(number);
        let waiting = Waiting { target: target.to_owned(), hash, at: now };
        let place = format!("{} {text}", to.host());
        let sealed = sealed::seal(&self.arrivals, Kind::WaitingTarget, &place, &waiting);
        let mut cookies = self.make_room(request);
        for (part, piece) in sealed.as_bytes().chunks(PART).enumerate() {
            let piece = std::str::from_utf8(piece).expect("sealed text is base64url");
            cookies.push(cookie::set(&name(&text, part), piece, Some(AGE)));
        }
        (Target::Waiting(number), cookies)
    }

    /// Bytes left in an attempt's cookie for the page they were on before.
    pub(super) fn room_beside(&self, wants: &Wants, site: &SiteName, target: &Target) -> usize {
        let here = if let Target::Here(target) = target { target.len() } else { 0 };
        TRAVELS.saturating_sub(here + taken(wants, site)).min(LONGEST_BEFORE)
    }

    /// Expires all but the newest of the targets that wait, and whatever only looks like one.
    fn make_room(&self, request: &OwnRequest) -> Vec<HeaderValue> {
        let mut alive: Vec<(UnixTime, String)> = Vec::new();
        let mut gone = Vec::new();
        for number in waiting_numbers(request) {
            match self.read_waiting(request, &number) {
                Some(waiting) => alive.push((waiting.at, number)),
                None => gone.push(number),
            }
        }
        alive.sort();
        let surplus = (alive.len() + 1).saturating_sub(WAITING);
        gone.extend(alive.into_iter().take(surplus).map(|(_, number)| number));
        gone.iter().flat_map(|number| (0..PARTS).map(|part| cookie::expire(&name(number, part)))).collect()
    }

    fn read_waiting(&self, request: &OwnRequest, number: &str) -> Option<Waiting> {
        let mut sealed = String::new();
        for part in 0..PARTS {
            match cookie::only(&name(number, part), request.cookies()) {
                Some(piece) => sealed.push_str(std::str::from_utf8(piece).ok()?),
                None => break,
            }
        }
        let place = format!("{} {number}", request.host);
        sealed::open(&self.arrivals, Kind::WaitingTarget, &place, &sealed)
    }

    /// The target that waits under `number` in this browser for this arrival, and the cookies that
    /// clear it away.
    pub(super) fn take_target(
        &self,
        request: &OwnRequest,
        number: [u8; 6],
        hash: ArrivalHash,
    ) -> (Option<ReturnTo>, Vec<HeaderValue>) {
        let number = URL_SAFE_NO_PAD.encode(number);
        let waiting = self.read_waiting(request, &number).filter(|waiting| waiting.hash == hash);
        let to = waiting.and_then(|waiting| ReturnTo::new(request.host.clone(), &waiting.target).ok());
        let clear = (0..PARTS).map(|part| cookie::expire(&name(&number, part))).collect();
        (to, clear)
    }
}

/// The numbers of the waiting targets a browser holds, at most eight.
fn waiting_numbers(request: &OwnRequest) -> Vec<String> {
    let names = cookie::pairs(request.cookies()).filter_map(|(name, _)| name.strip_prefix(PREFIX.as_bytes()));
    let numbers = names.filter(|number| number.len() == 8).filter_map(|number| std::str::from_utf8(number).ok());
    let safe = numbers.filter(|number| number.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    safe.take(8).map(str::to_owned).collect()
}
