//! Lies of the discovery document (T62, D2, D6).

use super::{Lie, Told, Verdict, lies};
use serde_json::{Value, json};

/// A host that is not the provider's; reserved (RFC 6761), so that nothing is ever found there.
const ELSEWHERE: &str = "https://elsewhere.invalid";

lies! {
    "discovery-issuer-other", "T62 D2", Refuse, "names another issuer",
        [Discovery(|it, _| { it.insert("issuer".into(), json!(ELSEWHERE)); })];
    "discovery-issuer-slash", "T50 T62", Refuse, "its issuer ends in a slash",
        [Discovery(|it, facts| { it.insert("issuer".into(), json!(format!("{}/", facts.base))); })];
    "discovery-issuer-missing", "T62", Refuse, "names no issuer",
        [Discovery(|it, _| { it.remove("issuer"); })];
    "discovery-authorization-elsewhere", "T62", Refuse, "sends people to another host",
        [Discovery(|it, _| { elsewhere(it, "authorization_endpoint"); })];
    "discovery-token-elsewhere", "T62", Refuse, "wants codes and secrets at another host",
        [Discovery(|it, _| { elsewhere(it, "token_endpoint"); })];
    "discovery-keys-elsewhere", "T62", Refuse, "publishes its keys at another host",
        [Discovery(|it, _| { elsewhere(it, "jwks_uri"); })];
    "discovery-userinfo-elsewhere", "T62", Refuse, "has its userinfo at another host",
        [Discovery(|it, _| { elsewhere(it, "userinfo_endpoint"); })];
    "discovery-revocation-elsewhere", "T62", Refuse, "wants tokens for revocation at another host",
        [Discovery(|it, _| { elsewhere(it, "revocation_endpoint"); })];
    "discovery-token-insecure", "T62", Refuse, "has its token endpoint at plain http, beyond this machine",
        [Discovery(|it, _| { it.insert("token_endpoint".into(), json!("http://elsewhere.invalid/oauth/token")); })];
    "discovery-token-user", "T62", Refuse, "writes a name and a password into an address",
        [Discovery(|it, facts| { it.insert("token_endpoint".into(), json!(facts.base.replace("://", "://a:b@"))); })];
    "discovery-token-missing", "T62", Refuse, "names no token endpoint",
        [Discovery(|it, _| { it.remove("token_endpoint"); })];
    "discovery-keys-missing", "T62", Refuse, "names no keys",
        [Discovery(|it, _| { it.remove("jwks_uri"); })];
    "discovery-no-code", "T62", Refuse, "does not offer the authorization code flow",
        [Discovery(|it, _| { it.insert("response_types_supported".into(), json!(["id_token"])); })];
    "discovery-script", "T04 T62", Refuse, "sends people to an address that is script",
        [Discovery(|it, _| { it.insert("authorization_endpoint".into(), json!("javascript:alert(1)")); })];
    "discovery-fresh-keys", "D2", Accept, "publishes its keys at a new address each time",
        [Discovery(|it, facts| { it.insert("jwks_uri".into(), json!(format!("{}/oauth/jwks/{}", facts.base, facts.fresh))); })];
    "discovery-mtls-aliases", "D6", Accept, "lists further addresses for clients with certificates, elsewhere",
        [Discovery(|it, _| {
            it.insert("mtls_endpoint_aliases".into(), json!({"token_endpoint": format!("{ELSEWHERE}/oauth/token")}));
        })];
    "discovery-more-members", "T62", Accept, "has members nobody knows, and odd values in those few read",
        [Discovery(|it, _| {
            it.insert("claims_supported".into(), Value::Null);
            it.insert("display_values_supported".into(), json!(["hologram"]));
            it.insert("x-unheard-of".into(), json!({"deep": [[[[]]]]}));
        })];
}

fn elsewhere(it: &mut super::Object, name: &str) {
    it.insert(name.to_owned(), json!(format!("{ELSEWHERE}/oauth/any")));
}
