//! Lies of a successful token response (T45, T54, T55, T94, `orcid.md` §3.2).

use super::{Lie, Object, Told, Verdict, lies};
use serde_json::{Value, json};

lies! {
    "token-type-missing", "T45", Refuse, "says no token_type",
        [TokenAnswer(|it, _| { it.remove("token_type"); })];
    "token-type-mac", "T45", Refuse, "its token_type is mac",
        [TokenAnswer(|it, _| set(it, "token_type", json!("mac")))];
    "token-type-dpop", "T45", Refuse, "its token_type is DPoP",
        [TokenAnswer(|it, _| set(it, "token_type", json!("DPoP")))];
    "token-type-capital", "T45", Accept, "its token_type is BEARER",
        [TokenAnswer(|it, _| set(it, "token_type", json!("BEARER")))];
    "token-access-missing", "T45", Refuse, "has no access_token",
        [TokenAnswer(|it, _| { it.remove("access_token"); })];
    "token-access-empty", "T45", Refuse, "its access_token is empty",
        [TokenAnswer(|it, _| set(it, "access_token", json!("")))];
    "token-access-number", "T45", Refuse, "its access_token is a number",
        [TokenAnswer(|it, _| set(it, "access_token", json!(42)))];
    "token-access-lines", "T45", Refuse, "its access_token holds a line break",
        [TokenAnswer(|it, _| set(it, "access_token", json!("a\r\nX-ORCID-iD: b")))];
    "token-refresh-missing", "T45", Accept, "has no refresh_token",
        [TokenAnswer(|it, _| { it.remove("refresh_token"); })];
    "token-expires-missing", "T45", Accept, "does not say when it expires",
        [TokenAnswer(|it, _| { it.remove("expires_in"); })];
    "token-expires-negative", "T52", Refuse, "expires before it was made",
        [TokenAnswer(|it, _| set(it, "expires_in", json!(-1)))];
    "token-expires-endless", "T52", Refuse, "expires in 1e300 seconds",
        [TokenAnswer(|it, _| set(it, "expires_in", json!(1e300)))];
    "token-expires-late", "T52", Accept, "expires in the year 584 000 000 000",
        [TokenAnswer(|it, _| set(it, "expires_in", json!(u64::MAX)))];
    "token-scope-missing", "T94", Accept, "does not say the scopes: what was asked was granted",
        [TokenAnswer(|it, _| { it.remove("scope"); })];
    "token-scope-narrower", "T94", Accept, "grants openid alone, whatever was asked",
        [TokenAnswer(|it, _| set(it, "scope", json!("openid")))];
    "token-scope-wider", "T94", Accept, "grants more than was asked",
        [TokenAnswer(|it, _| set(it, "scope", json!("/read-limited /activities/update openid /person/update")))];
    "token-scope-spaced", "T94", Accept, "puts blanks between, before and after the scopes",
        [TokenAnswer(|it, _| if let Some(said) = it.get("scope").and_then(Value::as_str) {
            let spaced = format!("  {}  ", said.replace(' ', "   "));
            set(it, "scope", json!(spaced));
        })];
    "token-orcid-other", "T55", Refuse, "its orcid is somebody else's",
        [TokenAnswer(|it, facts| set(it, "orcid", json!(facts.somebody_else)))];
    "token-orcid-wrong", "T54", Refuse, "its orcid has a wrong check digit",
        [TokenAnswer(|it, _| set(it, "orcid", json!("0009-9999-0000-0018")))];
    "token-orcid-empty", "T54", Refuse, "its orcid is empty",
        [TokenAnswer(|it, _| set(it, "orcid", json!("")))];
    "token-orcid-number", "T54", Refuse, "its orcid is a number",
        [TokenAnswer(|it, _| set(it, "orcid", json!(9)))];
    "token-orcid-uri", "T55", Accept, "its orcid is written as an address",
        [TokenAnswer(|it, facts| if let Some(said) = it.get("orcid").and_then(Value::as_str) {
            let uri = format!("{}/{said}", facts.base);
            set(it, "orcid", json!(uri));
        })];
    "token-orcid-missing", "T55", Accept, "has no orcid; the id_token says who it is",
        [TokenAnswer(|it, _| { it.remove("orcid"); })];
    "token-name-number", "T13", Accept, "its name is a number",
        [TokenAnswer(|it, _| set(it, "name", json!(7)))];
    "token-name-blank", "T13", Accept, "its name is blank",
        [TokenAnswer(|it, _| set(it, "name", json!("   ")))];
    "token-name-lines", "T13", Accept, "its name holds line breaks and a null character",
        [TokenAnswer(|it, _| set(it, "name", json!("Ann\r\nX-ORCID-iD: 0009\u{0}")))];
    "token-name-long", "T13", Accept, "its name has 64 000 characters",
        [TokenAnswer(|it, _| set(it, "name", json!("n".repeat(64_000))))];
    "token-id-missing", "T45", Refuse, "openid was asked, and no id_token comes",
        [TokenAnswer(|it, _| { it.remove("id_token"); })];
    "token-id-null", "T45", Refuse, "its id_token is null",
        [TokenAnswer(|it, _| set(it, "id_token", Value::Null))];
    "token-id-list", "T45", Refuse, "its id_token is a list",
        [TokenAnswer(|it, _| set(it, "id_token", json!(["a.b.c"])))];
    "token-id-garbage", "T45", Refuse, "its id_token is no JWT",
        [TokenAnswer(|it, _| set(it, "id_token", json!("not.a.token")))];
    "token-id-long", "T45", Refuse, "its id_token has 64 000 characters",
        [TokenAnswer(|it, _| set(it, "id_token", json!(format!("{}.{}.x", "a".repeat(32_000), "b".repeat(32_000)))))];
    "token-more-members", "T45", Accept, "has members nobody knows",
        [TokenAnswer(|it, _| { set(it, "tokenVersion", json!(1)); set(it, "error", json!("none")); set(it, "persistent", json!({"deep": [[]]})); })];
}

fn set(it: &mut Object, name: &str, value: Value) {
    it.insert(name.to_owned(), value);
}
