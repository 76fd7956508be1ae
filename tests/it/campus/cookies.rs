//! A browser's cookie jar, with the rules of RFC 6265bis that an attacker plays with: host-only and domain
//! cookies, `Secure`, `SameSite` and the name prefixes. Used by `browser` and `ws`.

use lychgate::domain::UnixTime;
use url::Url;

/// Whether a cookie may travel on requests that another site caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    Strict,
    Lax,
    None,
}

/// One stored cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    pub name: String,
    pub value: String,
    /// The host that set it, or the `Domain` attribute.
    pub domain: String,
    pub host_only: bool,
    pub path: String,
    pub secure: bool,
    pub http_only: bool,
    pub same_site: SameSite,
    /// `None` for a cookie that lives as long as the browser.
    pub expires: Option<UnixTime>,
}

/// Who caused a request, as far as cookies care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Causer {
    /// The person (an address typed, a bookmark), or a page of the same site.
    SameSite,
    /// A page of another site, by a top-level navigation with a safe method.
    CrossSiteNavigation,
    /// A page of another site, in any other way.
    CrossSite,
}

/// The cookies of one browser.
#[derive(Debug, Default)]
pub struct Jar {
    cookies: Vec<Cookie>,
    rejected: Vec<String>,
}

/// No browser keeps a longer name and value (RFC 6265bis §5.6).
const MAX_PAIR: usize = 4096;

impl Jar {
    /// Takes one `Set-Cookie` line of an answer from `url`. What a browser would refuse is refused and kept
    /// in [`Jar::rejected`].
    pub fn take(&mut self, url: &Url, line: &str, now: UnixTime) {
        self.store(url, line, now, true);
    }

    /// What a script on a page of `url` does with `document.cookie = line`: it can neither make nor replace
    /// an `HttpOnly` cookie, nor one of a name that promises `HttpOnly`.
    pub fn take_from_script(&mut self, url: &Url, line: &str, now: UnixTime) {
        self.store(url, line, now, false);
    }

    fn store(&mut self, url: &Url, line: &str, now: UnixTime, by_header: bool) {
        match parse(url, line, now, by_header) {
            Ok(cookie) => {
                let same = |kept: &Cookie| {
                    kept.name == cookie.name
                        && kept.domain == cookie.domain
                        && kept.path == cookie.path
                        && kept.host_only == cookie.host_only
                };
                if !by_header && self.cookies.iter().any(|kept| same(kept) && kept.http_only) {
                    self.rejected.push(format!("{line} (a script may not replace an HttpOnly cookie)"));
                    return;
                }
                let place = self.cookies.iter().position(same);
                let gone = cookie.expires.is_some_and(|expires| expires <= now);
                match place {
                    // A replaced cookie keeps its age, and with it its place in the Cookie header.
                    Some(place) if !gone => self.cookies[place] = cookie,
                    Some(place) => drop(self.cookies.remove(place)),
                    None if !gone => self.cookies.push(cookie),
                    None => {}
                }
            }
            Err(why) => self.rejected.push(format!("{line} ({why})")),
        }
    }

    /// The `Cookie` header for a request to `url`, or `None` when no cookie fits. Longer paths come first,
    /// then older cookies (RFC 6265bis §5.8.3).
    pub fn header(&mut self, url: &Url, causer: Causer, now: UnixTime) -> Option<String> {
        let mut fitting: Vec<&Cookie> = self.fitting(url, causer, now).collect();
        fitting.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<String> = fitting.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    fn fitting(&mut self, url: &Url, causer: Causer, now: UnixTime) -> impl Iterator<Item = &Cookie> {
        self.cookies.retain(|cookie| cookie.expires.is_none_or(|expires| expires > now));
        let host = host_of(url);
        let trustworthy = is_trustworthy(url);
        let path = url.path().to_owned();
        self.cookies.iter().filter(move |cookie| {
            let named = if cookie.host_only { cookie.domain == host } else { domain_matches(&host, &cookie.domain) };
            let travels = match (cookie.same_site, causer) {
                (_, Causer::SameSite) | (SameSite::None, _) => true,
                (SameSite::Lax, Causer::CrossSiteNavigation) => true,
                (SameSite::Lax | SameSite::Strict, _) => false,
            };
            named && travels && path_matches(&path, &cookie.path) && (trustworthy || !cookie.secure)
        })
    }

    /// Everything kept, oldest first.
    pub fn all(&self) -> &[Cookie] {
        &self.cookies
    }

    /// The cookies a page at `url` would be sent.
    pub fn at(&mut self, url: &Url, now: UnixTime) -> Vec<Cookie> {
        self.fitting(url, Causer::SameSite, now).cloned().collect()
    }

    /// Puts `cookie` in as it is, past every rule: for tests that play a broken or ancient browser.
    pub fn plant(&mut self, cookie: Cookie) {
        self.cookies.push(cookie);
    }

    pub fn clear(&mut self) {
        self.cookies.clear();
    }

    /// `Set-Cookie` lines that were refused, each with the reason.
    pub fn rejected(&self) -> &[String] {
        &self.rejected
    }
}

/// Reads one `Set-Cookie` line by the rules of RFC 6265bis §5.6 and §5.7.
fn parse(url: &Url, line: &str, now: UnixTime, by_header: bool) -> Result<Cookie, &'static str> {
    let mut parts = line.split(';');
    let pair = parts.next().unwrap_or_default();
    let (name, value) = pair.split_once('=').ok_or("no name")?;
    let host = host_of(url);
    let mut cookie = Cookie {
        name: name.trim().to_owned(),
        value: value.trim().to_owned(),
        domain: host.clone(),
        host_only: true,
        path: default_path(url),
        secure: false,
        http_only: false,
        same_site: SameSite::Lax,
        expires: None,
    };
    let mut max_age = None;
    let mut path_given = false;
    for attribute in parts {
        let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        let value = value.trim();
        match key.trim().to_ascii_lowercase().as_str() {
            "domain" if !value.is_empty() => {
                cookie.domain = value.trim_start_matches('.').to_ascii_lowercase();
                cookie.host_only = false;
            }
            "path" if value.starts_with('/') => {
                cookie.path = value.to_owned();
                path_given = true;
            }
            "secure" => cookie.secure = true,
            "httponly" => cookie.http_only = true,
            "max-age" => max_age = value.parse::<i64>().ok(),
            "expires" => cookie.expires = parse_date(value),
            "samesite" => {
                cookie.same_site = match value.to_ascii_lowercase().as_str() {
                    "none" => SameSite::None,
                    "strict" => SameSite::Strict,
                    _ => SameSite::Lax,
                }
            }
            _ => {}
        }
    }
    if let Some(seconds) = max_age {
        cookie.expires = Some(UnixTime(now.0.saturating_add(seconds)));
    }
    check(&cookie, &host, is_trustworthy(url), path_given, by_header)?;
    Ok(cookie)
}

/// The reasons a browser has to throw a cookie away.
fn check(
    cookie: &Cookie,
    host: &str,
    trustworthy: bool,
    path_given: bool,
    by_header: bool,
) -> Result<(), &'static str> {
    if cookie.name.len() + cookie.value.len() > MAX_PAIR {
        return Err("name and value exceed 4096 bytes");
    }
    if cookie.name.bytes().chain(cookie.value.bytes()).any(|b| b < 0x20 || b == 0x7f) {
        return Err("control character");
    }
    if !cookie.host_only && !domain_matches(host, &cookie.domain) {
        return Err("a host may not set a cookie for another host's domain");
    }
    // Without a list of public suffixes: a name of one label never is a domain cookies may span.
    if !cookie.host_only && cookie.domain != host && !cookie.domain.contains('.') {
        return Err("the domain is a public suffix");
    }
    if cookie.secure && !trustworthy {
        return Err("Secure from an insecure origin");
    }
    if cookie.same_site == SameSite::None && !cookie.secure {
        return Err("SameSite=None without Secure");
    }
    if cookie.http_only && !by_header {
        return Err("a script may not set HttpOnly");
    }
    // Prefixes are matched without regard to case, or `__host-` would be a way round (T66).
    let name = cookie.name.to_ascii_lowercase();
    let bound_to_host = cookie.secure && cookie.host_only && path_given && cookie.path == "/";
    if name.starts_with("__secure-") && !cookie.secure {
        return Err("__Secure- asks for Secure");
    }
    if name.starts_with("__host-") && !bound_to_host {
        return Err("__Host- asks for Secure, Path=/ and no Domain");
    }
    if (name.starts_with("__host-http-") || name.starts_with("__http-")) && !(cookie.secure && cookie.http_only) {
        return Err("__Http- and __Host-Http- ask for Secure and HttpOnly");
    }
    Ok(())
}

fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_ascii_lowercase()
}

/// https, wss, or plain on this machine, which browsers trust as well.
fn is_trustworthy(url: &Url) -> bool {
    matches!(url.scheme(), "https" | "wss")
        || matches!(url.host_str(), Some(host) if host == "localhost" || host.ends_with(".localhost") || host.starts_with("127."))
}

fn domain_matches(host: &str, domain: &str) -> bool {
    host == domain
        || (host.ends_with(domain)
            && host.as_bytes().get(host.len() - domain.len() - 1) == Some(&b'.')
            && host.parse::<std::net::IpAddr>().is_err())
}

fn path_matches(request: &str, cookie: &str) -> bool {
    request == cookie
        || (request.starts_with(cookie)
            && (cookie.ends_with('/') || request.as_bytes().get(cookie.len()) == Some(&b'/')))
}

fn default_path(url: &Url) -> String {
    match url.path().rfind('/') {
        None | Some(0) => "/".to_owned(),
        Some(last) => url.path()[..last].to_owned(),
    }
}

/// Reads `Thu, 01 Jan 1970 00:00:00 GMT` (RFC 9110 §5.6.7, the preferred form only).
fn parse_date(text: &str) -> Option<UnixTime> {
    let mut words = text.split_ascii_whitespace().skip(1);
    let day: i64 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|name| *name == month)? as i64 + 1;
    let year: i64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.split(':').map(str::parse::<i64>);
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    // Days since 1970, counting years from March so that the leap day comes last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some(UnixTime(((days * 24 + hour) * 60 + minute) * 60 + second))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_780_000_000);

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn kept(at: &str, line: &str) -> bool {
        let mut jar = Jar::default();
        jar.take(&url(at), line, NOW);
        !jar.all().is_empty()
    }

    #[test]
    fn what_a_browser_keeps_and_what_it_refuses() {
        let https = "https://wiki.localhost:8443/a/b";
        for line in [
            "a=1",
            "__Host-a=1; Secure; Path=/",
            "__Host-Http-a=1; Secure; HttpOnly; Path=/; SameSite=Lax; Max-Age=900",
            "a=1; Domain=wiki.localhost",
            "a=1; SameSite=None; Secure",
        ] {
            assert!(kept(https, line), "{line}");
        }
        for line in [
            "nameless",
            "__Host-a=1; Secure",
            "__host-a=1; Path=/",
            "__Host-a=1; Secure; Path=/; Domain=wiki.localhost",
            "__Host-Http-a=1; Secure; Path=/",
            "__Http-a=1; HttpOnly",
            "a=1; Domain=localhost",
            "a=1; Domain=other.localhost",
            "a=1; SameSite=None",
            "a=1; Max-Age=0",
            "a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        ] {
            assert!(!kept(https, line), "{line}");
        }
        assert!(!kept("http://wiki.example/", "a=1; Secure"));
        assert!(!kept(https, &format!("a={}", "x".repeat(5000))));
    }

    #[test]
    fn cookies_travel_where_they_belong() {
        let mut jar = Jar::default();
        let home = url("https://wiki.campus.example/app/page");
        for line in [
            "host=1; Path=/",
            "wide=2; Domain=campus.example; Path=/",
            "deep=3; Path=/app",
            "here=4",
            "s=5; SameSite=Strict; Path=/",
        ] {
            jar.take(&home, line, NOW);
        }
        let mut at = |address: &str, causer| jar.header(&url(address), causer, NOW).unwrap_or_default();
        assert_eq!(at("https://wiki.campus.example/app/x", Causer::SameSite), "deep=3; here=4; host=1; wide=2; s=5");
        assert_eq!(at("https://wiki.campus.example/application", Causer::SameSite), "host=1; wide=2; s=5");
        assert_eq!(at("https://wiki.campus.example/", Causer::CrossSiteNavigation), "host=1; wide=2");
        assert_eq!(at("https://wiki.campus.example/", Causer::CrossSite), "");
        assert_eq!(at("https://other.campus.example/", Causer::SameSite), "wide=2");
        assert_eq!(at("https://evilcampus.example/", Causer::SameSite), "");
    }

    #[test]
    fn cookies_end_on_time_and_when_told() {
        let mut jar = Jar::default();
        let home = url("https://wiki.localhost/");
        jar.take(&home, "a=1; Max-Age=60", NOW);
        assert!(jar.header(&home, Causer::SameSite, UnixTime(NOW.0 + 59)).is_some());
        assert!(jar.header(&home, Causer::SameSite, UnixTime(NOW.0 + 60)).is_none());
        jar.take(&home, "b=1", NOW);
        jar.take(&home, "b=; Max-Age=0", NOW);
        assert!(jar.all().is_empty());
    }

    #[test]
    fn t63_a_script_cannot_plant_or_replace_the_session_cookie() {
        let mut jar = Jar::default();
        let home = url("https://wiki.localhost/");
        jar.take_from_script(&home, "__Host-Http-lychgate=evil; Secure; Path=/", NOW);
        assert!(jar.all().is_empty());
        jar.take(&home, "__Host-Http-lychgate=good; Secure; HttpOnly; Path=/", NOW);
        jar.take_from_script(&home, "__Host-Http-lychgate=evil; Secure; Path=/", NOW);
        assert_eq!(jar.all()[0].value, "good");
        assert_eq!(jar.rejected().len(), 2);
    }

    #[test]
    fn dates() {
        assert_eq!(parse_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(UnixTime(0)));
        assert_eq!(parse_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(UnixTime(784_111_777)));
        assert_eq!(parse_date("Tue, 29 Feb 2028 23:59:59 GMT"), Some(UnixTime(1_835_481_599)));
        assert_eq!(parse_date("nonsense"), None);
    }
}
