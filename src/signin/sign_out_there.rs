//! Signing out at the provider too (OpenID Connect RP-Initiated Logout 1.0): the way there from the page after a
//! sign-out here, and `/.lychgate/sign-out/return`, the way back. Nothing here ends or begins anything.

use super::sealed::{self, Kind};
use super::settings::{ACCOUNT, SIGN_OUT_RETURN};
use super::{OwnRequest, SignIn, StepFault, with_cookies};
use crate::domain::{ClientName, UnixTime};
use crate::orcid::Provider;
use crate::pages::{self, Reach, There};
use crate::session::cookie;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderValue, Response};
use serde::{Deserialize, Serialize};

/// One at a time: of two tabs, the later one's way back is known.
const COOKIE: &str = "__Host-Http-lychgate-out";
/// Seconds a person may take at the provider.
const LIFE: u32 = 15 * 60;

/// Who left for which provider: the browser keeps it sealed, the address carries only `state`.
#[derive(Serialize, Deserialize)]
struct Leaving {
    state: [u8; 20],
    client: ClientName,
    at: UnixTime,
}

impl SignIn {
    /// The provider's own sign-out address and the cookie by which the way back is known; `None` where it
    /// has none.
    pub(super) fn way_out(&self, provider: &Provider) -> Option<(String, HeaderValue)> {
        let state: [u8; 20] = self.chance.bytes();
        let back = format!("{}{SIGN_OUT_RETURN}", self.home());
        let address = provider.sign_out_url(&back, &URL_SAFE_NO_PAD.encode(state))?;
        let leaving = Leaving { state, client: provider.settings().name.clone(), at: self.clock.now() };
        let text = sealed::seal(&self.arrivals, Kind::Leaving, self.settings.sign_in_host.as_str(), &leaving);
        Some((address, cookie::set(COOKIE, &text, Some(LIFE))))
    }

    /// The provider sent the browser back. Only one that left from here, with the `state` it was given, is told
    /// that it is signed out there as well (conformance D5); whoever is signed in here again is told nothing of
    /// the kind.
    pub(super) async fn back_from_sign_out(&self, request: &OwnRequest) -> Result<Response<Bytes>, StepFault> {
        let left = self.left_for(request);
        let ended = left.iter().map(|_| cookie::expire(COOKIE));
        if self.root(request).await?.is_some() {
            return Ok(with_cookies(pages::redirect(ACCOUNT), ended));
        }
        let provider = left.as_ref().and_then(|client| self.providers.get(client));
        let answer = match provider {
            Some(provider) => self.signed_out_page(request, Reach::Everywhere, provider, There::SignedOutToo),
            None => self.signed_out(request, Reach::Everywhere, None),
        };
        Ok(with_cookies(answer, ended))
    }

    /// The registration whose provider this browser left for, if `state` is the one it was given.
    fn left_for(&self, request: &OwnRequest) -> Option<ClientName> {
        let parameters = request.parameters().ok()?;
        let state = parameters.get("state")?;
        let text = std::str::from_utf8(cookie::only(COOKIE, request.cookies())?).ok()?;
        let place = self.settings.sign_in_host.as_str();
        let leaving: Leaving = sealed::open(&self.arrivals, Kind::Leaving, place, text)?;
        let in_time = self.clock.now().since(leaving.at).as_secs() <= u64::from(LIFE);
        (in_time && URL_SAFE_NO_PAD.encode(leaving.state) == state).then_some(leaving.client)
    }
}
