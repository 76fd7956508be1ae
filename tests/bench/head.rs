//! A request head of so many bytes, as it reaches a campus: what a browser sends, cookies of other apps under the same
//! name, and fields that scripts and proxies on the way have added, of 200 to 500 bytes each.

use crate::contenders::Contender;
use crate::load::BROWSER;

/// The length of what is added, by turns.
const LENGTHS: [usize; 5] = [210, 480, 330, 270, 400];
/// Browsers keep more, but few apps take a longer `Cookie`.
const MOST_COOKIES: usize = 4096;
/// What is left over for the last field, so that it has a name and a value.
const LEAST: usize = 20;

/// `contender` with the cookie, and the fields besides it, that make a head of `bytes` over HTTP/1.1, from the request
/// line to the empty line.
pub fn of(contender: &Contender, bytes: usize) -> (Contender, Vec<(String, String)>) {
    let mut cookie = contender.cookie.clone().unwrap_or_default();
    let mut fields: Vec<(String, String)> = Vec::new();
    let left = |cookie: &str, fields: &[(String, String)]| bytes.checked_sub(length(&contender.url, cookie, fields));
    // The name of the client first: without it h2load would send its own.
    let (agents, others): (Vec<_>, Vec<_>) = BROWSER.iter().partition(|(name, _)| *name == "user-agent");
    for (name, value) in agents.into_iter().chain(others) {
        fields.push(((*name).to_owned(), (*value).to_owned()));
        if left(&cookie, &fields).is_none_or(|left| left < LEAST) {
            fields.pop();
        }
    }
    for turn in 0.. {
        let room = left(&cookie, &fields).expect("the fields so far fit");
        let next = LENGTHS[turn % LENGTHS.len()];
        let last = room < next + LEAST;
        let next = if last { room } else { next };
        if turn % 2 == 0 || last || cookie.len() + next > MOST_COOKIES {
            let name = format!("x-portal-{turn:02}");
            // Beside name and value, a colon, a space and the end of the line.
            let value = filler(turn, next - name.len() - 4);
            fields.push((name, value));
        } else {
            let name = format!("; app{turn:02}=");
            cookie.push_str(&name);
            cookie.push_str(&filler(turn, next - name.len()));
        }
        if last {
            break;
        }
    }
    assert_eq!(length(&contender.url, &cookie, &fields), bytes, "the head has another length than wanted");
    (Contender { cookie: Some(cookie), ..contender.clone() }, fields)
}

/// The bytes of the whole head, as h2load writes it.
fn length(url: &str, cookie: &str, fields: &[(String, String)]) -> usize {
    let (host, path) = url.trim_start_matches("https://").split_once('/').expect("a URL with a path");
    let first = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\ncookie: {cookie}\r\n\r\n");
    first.len() + fields.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>()
}

/// Characters as in tokens.
fn filler(seed: usize, length: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..length).map(|at| char::from(ALPHABET[(seed * 17 + at * 29 + at * at) % ALPHABET.len()])).collect()
}
