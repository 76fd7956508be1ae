//! [`Binder`]: an app's own cookies belong to the person they were set for (B10, B20). Beside each one the browser
//! keeps a companion of ours, which says whose it is and which values the app gave it; what has no companion that
//! fits whoever asks now, the app never sees. Companions are no secret and name nobody: two MACs and an address.
//!
//! The values are bound, not only the name: a browser may hold one name under several paths, and a page of the new
//! person may have been answered while the old one's cookie still lay under another path.

use super::cookie::{self, pairs};
use crate::domain::Host;
use crate::policy::{AppCookies, MOST_APP_COOKIES, can_be_bound};
use crate::vault::{ConnectionKey, Sealer};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{self, HeaderMap, HeaderValue};
use std::fmt;

/// What the name of a companion begins with; the app's own name for its cookie follows.
const PREFIX: &str = "__Host-Http-lychgate-app-";
/// Bytes of each MAC in a companion.
const TAG: usize = 12;
/// Values of one cookie that are good at once: under several paths, or one being replaced while requests are under way.
const VALUES: usize = 3;
/// Longest path and longest domain kept, in bytes. A cookie with a longer one cannot be expired, only withheld.
const LONGEST_PLACE: usize = 100;
/// For companions of cookies that outlive the browser: what browsers grant at most, 400 days (RFC 6265bis §5.6).
const LASTING: u32 = 34_560_000;

type Tag = [u8; TAG];

/// Companions of one app cookie as a browser sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Companion {
    /// The app's name for the cookie.
    name: String,
    owner: Tag,
    values: Vec<Tag>,
    place: Place,
}

/// Where the app put a cookie, as it said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    path: String,
    domain: String,
}

impl Companion {
    /// The name of the companion's own cookie.
    fn cookie(name: &str) -> String {
        format!("{PREFIX}{name}")
    }

    fn read(name: &[u8], value: &[u8]) -> Option<Self> {
        let name = name.strip_prefix(PREFIX.as_bytes()).filter(|name| can_be_bound(name))?;
        let name = std::str::from_utf8(name).ok()?.to_owned();
        let mut parts = std::str::from_utf8(value).ok()?.split('~');
        let (tags, path, domain) = (parts.next()?, parts.next()?, parts.next()?);
        let text = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).ok()?).ok();
        let place = Place { path: text(path)?, domain: text(domain)? };
        let mut tags = tags.split('.').map(|tag| {
            let mut bytes = [0; TAG];
            (URL_SAFE_NO_PAD.decode_slice(tag, &mut bytes) == Ok(TAG)).then_some(bytes)
        });
        let owner = tags.next()??;
        let values: Option<Vec<Tag>> = tags.take(VALUES).collect();
        (place.is_tame() && parts.next().is_none()).then_some(Self { name, owner, values: values?, place })
    }

    fn text(&self) -> String {
        let mut text = URL_SAFE_NO_PAD.encode(self.owner);
        for value in &self.values {
            text.push('.');
            text.push_str(&URL_SAFE_NO_PAD.encode(value));
        }
        let [path, domain] = [&self.place.path, &self.place.domain].map(|part| URL_SAFE_NO_PAD.encode(part));
        format!("{text}~{path}~{domain}")
    }

    /// Takes the app's cookie back from the browser. `Secure` and `HttpOnly`, for names whose prefix demands them.
    fn expire_cookie(&self) -> Option<HeaderValue> {
        let Place { path, domain } = &self.place;
        let domain = if domain.is_empty() { String::new() } else { format!("; Domain={domain}") };
        let path = if path.is_empty() { "/" } else { path };
        let line = format!("{}=; Path={path}{domain}; Max-Age=0; Secure; HttpOnly", self.name);
        HeaderValue::from_str(&line).ok()
    }
}

impl Place {
    /// Nothing that would end an attribute, or a header: a browser's word is repeated to it.
    fn is_tame(&self) -> bool {
        let plain = |text: &str| text.len() <= LONGEST_PLACE && text.bytes().all(|b| b.is_ascii_graphic() && b != b';');
        plain(&self.path) && plain(&self.domain)
    }
}

/// One `Set-Cookie` line of an app, as browsers read it (RFC 6265 §5.2).
struct Line<'a> {
    name: &'a [u8],
    value: &'a [u8],
    place: Place,
    /// Outlives the browser. What it says of how long does not matter: a companion may be the last to go.
    lasts: bool,
}

impl<'a> Line<'a> {
    /// `path` is the one asked for: where a cookie lies whose line names none.
    fn read(line: &'a HeaderValue, path: &str) -> Option<Self> {
        let mut parts = line.as_bytes().split(|byte| *byte == b';');
        let (name, value) = split(parts.next()?);
        let mut line = Self { name, value: value?, place: Place::default(), lasts: false };
        for part in parts {
            let (key, value) = split(part);
            let text = || value.and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default().to_owned();
            match key.to_ascii_lowercase().as_slice() {
                b"path" => line.place.path = text(),
                b"domain" => line.place.domain = text(),
                b"max-age" | b"expires" => line.lasts = true,
                _ => {}
            }
        }
        if !line.place.path.starts_with('/') {
            line.place.path = default_path(path).to_owned();
        }
        if !line.place.is_tame() {
            line.place = Place::default();
        }
        Some(line)
    }
}

/// `name=value`, trimmed.
fn split(part: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'=', part) {
        Some(at) => (part[..at].trim_ascii(), Some(part[at + 1..].trim_ascii())),
        None => (part.trim_ascii(), None),
    }
}

/// RFC 6265 §5.1.4.
fn default_path(target: &str) -> &str {
    let path = target.split('?').next().unwrap_or_default();
    match path.rfind('/') {
        Some(at) if at > 0 => &path[..at],
        _ => "/",
    }
}

/// Who asks, and what the browser brought: kept from the request for its answer.
pub struct Binding {
    /// Of the visitor, whatever the rule hides from the app; nobody for a guest.
    owner: Vec<u8>,
    is_guest: bool,
    host: Host,
    /// Cookies are taken back in answers to whoever opens a page, and in no other: what runs beside the first page
    /// of a new person would take back what that page has just set.
    may_expire: bool,
    /// This person's companions in the request.
    ours: Vec<Companion>,
    /// Another person's, or a guest's before somebody signed in.
    foreign: Vec<Companion>,
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Binding(…)")
    }
}

impl Binding {
    /// `visitor` is whoever is signed in at `host`.
    pub fn new(visitor: Option<&ConnectionKey>, host: &Host, may_expire: bool) -> Self {
        let owner = visitor.map(|key| format!("{}\0{}\0{}", key.environment, key.client, key.subject).into_bytes());
        Self {
            is_guest: owner.is_none(),
            owner: owner.unwrap_or_default(),
            host: host.clone(),
            may_expire,
            ours: Vec::new(),
            foreign: Vec::new(),
        }
    }

    /// The companions whose cookies end with this answer. A guest ends nobody's: whose time is up may be back in a
    /// minute, and what other sites' pages ask for comes without our cookies, as if from a guest.
    fn ends(&self) -> &[Companion] {
        if self.may_expire && !self.is_guest { &self.foreign } else { &[] }
    }
}

/// Makes and checks companions.
pub struct Binder {
    sealer: Sealer,
}

impl fmt::Debug for Binder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Binder(…)")
    }
}

impl Binder {
    pub(super) fn new(sealer: Sealer) -> Self {
        Self { sealer }
    }

    /// Takes from a request the bound cookies that were not set for who asks, and notes in `binding` what the
    /// answer needs. Our own cookies are left for whoever drops those.
    pub fn withhold(&self, which: &AppCookies, binding: &mut Binding, headers: &mut HeaderMap) {
        self.take_companions(which, binding, headers);
        let pieces = || headers.get_all(header::COOKIE).iter().flat_map(|value| cookie::pieces(value.as_bytes()));
        let is_kept = |piece: &&[u8]| {
            let (name, value) = cookie::pair_in(piece);
            !which.binds(name) || cookie::is_own(name) || self.fits(binding, name, value)
        };
        let pieces = || pieces().map(<[u8]>::trim_ascii).filter(|piece| !piece.is_empty());
        if pieces().all(|piece| is_kept(&piece)) {
            return;
        }
        let kept: Vec<&[u8]> = pieces().filter(is_kept).collect();
        match HeaderValue::from_bytes(&kept.join(&b"; "[..])) {
            Ok(value) if !kept.is_empty() => headers.insert(header::COOKIE, value),
            _ => headers.remove(header::COOKIE),
        };
    }

    fn take_companions(&self, which: &AppCookies, binding: &mut Binding, headers: &HeaderMap) {
        binding.ours.clear();
        binding.foreign.clear();
        let companions = read_companions(headers.get_all(header::COOKIE).iter());
        for companion in companions.into_iter().filter(|companion| which.binds(companion.name.as_bytes())) {
            let owner = message(binding, companion.name.as_bytes(), None);
            if self.sealer.verify_mac(&owner, &companion.owner) {
                binding.ours.push(companion);
            } else {
                binding.foreign.push(companion);
            }
        }
    }

    fn fits(&self, binding: &Binding, name: &[u8], value: &[u8]) -> bool {
        let Some(companion) = binding.ours.iter().find(|companion| companion.name.as_bytes() == name) else {
            return false;
        };
        let text = message(binding, name, Some(value));
        companion.values.iter().any(|tag| self.sealer.verify_mac(&text, tag))
    }

    /// Adds companions to an answer that sets bound cookies, and takes another person's cookies back. `target` is
    /// the path asked for. Gives whether anything was added.
    pub fn bind(&self, which: &AppCookies, binding: &Binding, target: &str, answer: &mut HeaderMap) -> bool {
        let lines: Vec<HeaderValue> = answer.get_all(header::SET_COOKIE).iter().cloned().collect();
        let set: Vec<Line<'_>> = lines
            .iter()
            .filter_map(|line| Line::read(line, target))
            .filter(|line| which.binds(line.name) && !cookie::is_own(line.name))
            .collect();
        let companions = self.companions(binding, &set);
        let ends = binding.ends();
        if companions.is_empty() && ends.is_empty() {
            return false;
        }
        // First what ends, or it would end what the app has just set in its place.
        answer.remove(header::SET_COOKIE);
        let is_set_anew = |companion: &Companion| companions.iter().any(|(new, _)| new.name == companion.name);
        for companion in ends {
            if let Some(line) = companion.expire_cookie() {
                answer.append(header::SET_COOKIE, line);
            }
            if !is_set_anew(companion) {
                answer.append(header::SET_COOKIE, cookie::expire(&Companion::cookie(&companion.name)));
            }
        }
        for line in lines {
            answer.append(header::SET_COOKIE, line);
        }
        for (companion, lasts) in &companions {
            let age = lasts.then_some(LASTING);
            answer.append(header::SET_COOKIE, cookie::set(&Companion::cookie(&companion.name), &companion.text(), age));
        }
        true
    }

    /// The companions that go with these lines, and whether each outlives the browser.
    fn companions(&self, binding: &Binding, set: &[Line<'_>]) -> Vec<(Companion, bool)> {
        let mut companions: Vec<(Companion, bool)> = Vec::new();
        for line in set {
            let tag = self.tag(&message(binding, line.name, Some(line.value)));
            let made = companions.iter().position(|(made, _)| made.name.as_bytes() == line.name);
            if let Some((companion, lasts)) = made.and_then(|at| companions.get_mut(at)) {
                companion.put(tag);
                companion.place = line.place.clone();
                *lasts |= line.lasts;
                continue;
            }
            let mut companion = match binding.ours.iter().find(|ours| ours.name.as_bytes() == line.name) {
                Some(ours) => ours.clone(),
                None => match self.fresh(binding, line, companions.len()) {
                    Some(fresh) => fresh,
                    None => continue,
                },
            };
            companion.put(tag);
            companion.place = line.place.clone();
            companions.push((companion, line.lasts));
        }
        companions
    }

    /// A companion for a cookie that had none of this person's; `None` when there are too many.
    fn fresh(&self, binding: &Binding, line: &Line<'_>, made: usize) -> Option<Companion> {
        let replaces = binding.foreign.iter().any(|foreign| foreign.name.as_bytes() == line.name);
        let held = binding.ours.len() + binding.foreign.len() + made;
        if !can_be_bound(line.name) || !replaces && held >= MOST_APP_COOKIES {
            tracing::warn!(
                cookie = %String::from_utf8_lossy(line.name).escape_debug(),
                most = MOST_APP_COOKIES,
                "an app sets a cookie that cannot be bound to its person, and will not see it again"
            );
            return None;
        }
        let name = std::str::from_utf8(line.name).ok()?.to_owned();
        let owner = self.tag(&message(binding, line.name, None));
        Some(Companion { name, owner, values: Vec::new(), place: Place::default() })
    }

    fn tag(&self, message: &[u8]) -> Tag {
        let mut tag = [0; TAG];
        tag.copy_from_slice(&self.sealer.mac(message)[..TAG]);
        tag
    }
}

impl Companion {
    /// The newest value first.
    fn put(&mut self, value: Tag) {
        self.values.retain(|known| *known != value);
        self.values.insert(0, value);
        self.values.truncate(VALUES);
    }
}

/// What a MAC is over. Every part has its length before it, so that no two sets of parts look alike.
fn message(binding: &Binding, name: &[u8], value: Option<&[u8]>) -> Vec<u8> {
    let mut message = vec![u8::from(value.is_some()), u8::from(binding.is_guest)];
    for part in [&binding.owner[..], binding.host.as_str().as_bytes(), name, value.unwrap_or_default()] {
        message.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        message.extend_from_slice(part);
    }
    message
}

/// The companions in a request. One sent twice was planted, and which one is not ours to guess (T66).
fn read_companions<'a>(cookies: impl Iterator<Item = &'a HeaderValue>) -> Vec<Companion> {
    let mut found: Vec<(Companion, bool)> = Vec::new();
    for (name, value) in pairs(cookies) {
        let Some(companion) = Companion::read(name, value) else { continue };
        if let Some((_, twice)) = found.iter_mut().find(|(known, _)| known.name == companion.name) {
            *twice = true;
        } else if found.len() < 2 * MOST_APP_COOKIES {
            // A browser holds the few that were made, and some that a race let through.
            found.push((companion, false));
        }
    }
    found.into_iter().filter(|(_, twice)| !twice).map(|(companion, _)| companion).collect()
}

/// The lines that take every bound cookie, and every companion, back from a browser: after a sign-out. Without its
/// companion, a cookie that a browser keeps nevertheless is never shown to an app again.
pub fn expire_all<'a>(cookies: impl Iterator<Item = &'a HeaderValue>) -> Vec<HeaderValue> {
    let lines = |companion: Companion| {
        let ours = cookie::expire(&Companion::cookie(&companion.name));
        companion.expire_cookie().into_iter().chain([ours])
    };
    read_companions(cookies).into_iter().flat_map(lines).collect()
}

#[cfg(test)]
#[path = "app_cookies_tests.rs"]
mod tests;
