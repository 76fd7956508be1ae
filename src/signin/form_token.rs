//! "Changing anything" (`design.md` §4): a POST, with a token bound to session and action, from our own
//! origin. Used by every step that changes something.

use super::request::only;
use crate::vault::{FormId, HashedSessionKey, Sealer};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, header};

/// What a form does; a token for one is none for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    SignOutHere,
    SignOut,
    EndSessions,
    Disconnect,
    Confirm,
    SendForm(FormId),
    ThrowFormAway(FormId),
}

impl Action {
    fn text(self) -> String {
        match self {
            Action::SignOutHere => "sign out of this site".to_owned(),
            Action::SignOut => "sign out".to_owned(),
            Action::EndSessions => "end sessions".to_owned(),
            Action::Disconnect => "disconnect".to_owned(),
            Action::Confirm => "confirm".to_owned(),
            Action::SendForm(id) => format!("send the form {id}"),
            Action::ThrowFormAway(id) => format!("throw the form {id} away"),
        }
    }
}

fn message(session: &HashedSessionKey, action: Action) -> Vec<u8> {
    [&session.0[..], action.text().as_bytes()].concat()
}

/// The hidden field of a form: only this session, shown this form, knows it.
pub(super) fn issue(sealer: &Sealer, session: &HashedSessionKey, action: Action) -> String {
    URL_SAFE_NO_PAD.encode(sealer.mac(&message(session, action)))
}

/// Checks the hidden field in constant time.
pub(super) fn verify(sealer: &Sealer, session: &HashedSessionKey, action: Action, token: &str) -> bool {
    let mut mac = [0; 32];
    match URL_SAFE_NO_PAD.decode_slice(token, &mut mac) {
        Ok(32) => sealer.verify_mac(&message(session, action), &mac),
        _ => false,
    }
}

/// Whether the browser says, or at least does not deny, that a page of `origin` sent the request.
///
/// `Sec-Fetch-Site` and `Origin` each may be absent (older browsers), then the token alone decides;
/// one that is there must agree. `Origin: null` is what a sandboxed frame of a stranger sends.
pub(super) fn from_our_page(headers: &HeaderMap, origin: &str) -> bool {
    let agrees = |name: &str, expected: &str| !headers.contains_key(name) || only(headers, name) == Some(expected);
    agrees("sec-fetch-site", "same-origin") && agrees(header::ORIGIN.as_str(), origin)
}

/// The same, if the browser says so: at least one of the two is there. Whoever sends neither may be anybody.
pub(super) fn surely_from_our_page(headers: &HeaderMap, origin: &str) -> bool {
    let says = headers.contains_key("sec-fetch-site") || headers.contains_key(header::ORIGIN);
    says && from_our_page(headers, origin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_form_from_elsewhere_changes_nothing() {
        let ours = "https://signin.example:8443";
        let table: &[(&[&str], &[&str], bool)] = &[
            (&["same-origin"], &[ours], true),
            (&["same-origin"], &[], true),
            (&[], &[ours], true),
            (&[], &[], true),
            (&["same-origin"], &["null"], false),
            (&[], &["null"], false),
            (&["none"], &[], false),
            (&["none"], &[ours], false),
            (&["same-site"], &[ours], false),
            (&["cross-site"], &[], false),
            (&["cross-site"], &[ours], false),
            (&["same-origin"], &["https://signin.example"], false),
            (&[], &["https://signin.example"], false),
            (&[], &["http://signin.example:8443"], false),
            (&[], &["https://SIGNIN.example:8443"], false),
            (&[], &["https://signin.example:8443.evil.example"], false),
            (&["same-origin", "same-origin"], &[], false),
            (&[], &[ours, "https://evil.example"], false),
            (&[""], &[], false),
        ];
        for (site, origin, expected) in table {
            let mut headers = HeaderMap::new();
            for value in *site {
                headers.append("sec-fetch-site", HeaderValue::from_static(value));
            }
            for value in *origin {
                headers.append(header::ORIGIN, HeaderValue::from_static(value));
            }
            assert_eq!(from_our_page(&headers, ours), *expected, "{site:?} {origin:?}");
            let says = !headers.is_empty();
            assert_eq!(surely_from_our_page(&headers, ours), *expected && says, "{site:?} {origin:?}");
        }
    }
}
