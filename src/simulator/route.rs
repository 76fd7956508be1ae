//! Which endpoint a request goes to, and by which method. Called by `server`; the map of the simulator.

use super::answer::{Answer, HTML, JSON, plain, with};
use super::browser::Browser;
use super::calls::Endpoint;
use super::discovery::{self, with_cors};
use super::face::{Face, is_versioned};
use super::visit::Visit;
use super::world::World;
use super::{api, consent, lies, pages, register, second_factor, sign_in, token, trusted, userinfo};
use crate::domain::OrcidId;
use http::{Method, StatusCode, header};
use minijinja::context;

/// Where a request goes, by host, path and, for the consent form, method.
pub(super) fn endpoint(face: Face, method: &Method, path: &str) -> Endpoint {
    if face != Face::Root {
        // No page and no sign-in on the hosts of the APIs.
        return match path {
            "/oauth/token" => Endpoint::Token,
            _ if api::is_webhook(path) => Endpoint::Webhook,
            _ => Endpoint::Api,
        };
    }
    match path {
        _ if is_versioned(path) => Endpoint::Api,
        _ if api::is_webhook(path) => Endpoint::Webhook,
        "/" => Endpoint::Front,
        "/.well-known/openid-configuration" => Endpoint::Discovery,
        "/oauth/jwks" => Endpoint::Jwks,
        lies::FOREIGN_KEYS => Endpoint::ForeignKeys,
        // Where a lie of the discovery document publishes the keys.
        _ if path.starts_with("/oauth/jwks/") => Endpoint::Jwks,
        "/oauth/authorize" if method == Method::POST => Endpoint::Consent,
        "/oauth/authorize" => Endpoint::Authorize,
        "/oauth/token" => Endpoint::Token,
        "/oauth/revoke" => Endpoint::Revoke,
        "/oauth/userinfo" => Endpoint::UserInfo,
        "/signin" => Endpoint::SignIn,
        "/signin/second-factor" => Endpoint::SecondFactor,
        "/register" => Endpoint::Register,
        "/signout" => Endpoint::SignOut,
        consent::ACCOUNT | "/trusted-parties" | "/account" => Endpoint::Trusted,
        pages::STYLE_PATH => Endpoint::Style,
        _ if record_of(path).is_some() => Endpoint::Record,
        _ => Endpoint::Other,
    }
}

/// An iD as the whole path. Bare forms only: the domain would take a whole address, too.
fn record_of(path: &str) -> Option<OrcidId> {
    let bare = path
        .strip_prefix('/')
        .map(|bare| bare.strip_suffix('/').unwrap_or(bare))
        .filter(|bare| bare.len() == 16 || bare.len() == 19)?;
    bare.parse().ok()
}

/// Answers a request.
pub(super) fn answer(world: &World, endpoint: Endpoint, visit: &Visit) -> Answer {
    use Endpoint::*;
    // HEAD is a GET whose body the server leaves out.
    let method = if visit.method == Method::HEAD { &Method::GET } else { &visit.method };
    match (endpoint, method.as_str()) {
        (Discovery | Jwks | UserInfo, "OPTIONS")
            if visit.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) =>
        {
            discovery::preflight(&visit.headers)
        }
        (Discovery, "GET") => {
            with_cors(plain(StatusCode::OK, JSON, discovery::told(world, &world.switches())), &visit.headers)
        }
        (Jwks, "GET") => {
            with_cors(plain(StatusCode::OK, JSON, discovery::keys(world, &world.switches())), &visit.headers)
        }
        (ForeignKeys, "GET") => plain(StatusCode::OK, JSON, discovery::foreign_keys(world)),
        (UserInfo, "GET" | "POST") => with_cors(userinfo::answer(world, visit), &visit.headers),
        (Api, _) => api::answer(world, visit),
        (Token, _) if visit.face == Face::Public => api::token_elsewhere(world),
        (Webhook, _) => api::webhook(world, visit),
        (Token, "POST") => token::answer(world, visit),
        (Token, _) if visit.face == Face::Member => api::not_at_the_token_path(visit),
        (Revoke, "POST") => token::revoke(world, visit),
        (Authorize, "GET") => consent::ask(world, visit),
        (Consent, _) => consent::decide(world, visit),
        (SignIn, "GET") => sign_in::show(world, visit),
        (SignIn, "POST") => sign_in::submit(world, visit),
        (SecondFactor, "POST") => second_factor::submit(world, visit),
        (Register, "GET") => register::show(world, visit),
        (Register, "POST") => register::submit(world, visit),
        (SignOut, "GET") => sign_in::ask_sign_out(world, visit),
        (SignOut, "POST") => sign_in::sign_out(world, visit),
        (Trusted, "GET") => trusted::show(world, visit),
        (Trusted, "POST") => trusted::revoke(world, visit),
        (Front, "GET") => front(world, visit),
        (Style, "GET") => plain(StatusCode::OK, "text/css; charset=utf-8", pages::STYLE),
        (Record, "GET") => match record_of(&visit.path) {
            Some(orcid) => api::landing(world, visit, orcid),
            None => api::not_found(world, visit),
        },
        (Other, _) => api::not_found(world, visit),
        (other, _) => not_allowed(other),
    }
}

fn not_allowed(endpoint: Endpoint) -> Answer {
    use Endpoint::*;
    let allowed = match endpoint {
        Token | Revoke | Consent | SecondFactor => "POST",
        Authorize | SignIn | Register | SignOut | Trusted | UserInfo => "GET, HEAD, POST",
        _ => "GET, HEAD",
    };
    let page = "<!doctype html><html lang=\"en\"><title>SIMULATED: Method not allowed</title>\
                <h1>SIMULATED: this address does not take that method</h1></html>";
    with(plain(StatusCode::METHOD_NOT_ALLOWED, HTML, page), header::ALLOW, allowed)
}

fn front(world: &World, visit: &Visit) -> Answer {
    let browser = Browser::of(world, visit);
    let values = context! {
        people => pages::people(world),
        person => browser.person.as_deref().map(sign_in::view),
    };
    browser.page(world, "front.html", values, &[], StatusCode::OK)
}
