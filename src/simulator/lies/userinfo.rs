//! Lies of the userinfo endpoint (T55, D1 11, D6).

use super::{Lie, Told, Verdict, lies};
use serde_json::json;

lies! {
    "userinfo-sub-other", "T55 D1", Refuse, "is about somebody else",
        [UserInfo(|it, facts| { it.insert("sub".into(), json!(facts.somebody_else)); })];
    "userinfo-sub-missing", "T55", Refuse, "does not say about whom it is",
        [UserInfo(|it, _| { it.remove("sub"); })];
    "userinfo-sub-wrong", "T54", Refuse, "its sub is no iD",
        [UserInfo(|it, _| { it.insert("sub".into(), json!("somebody")); })];
    "userinfo-id-missing", "T55", Accept, "has no id, as older documents of ORCID show it",
        [UserInfo(|it, _| { it.remove("id"); })];
    "userinfo-distant-claims", "D6", Accept, "keeps further claims at other addresses",
        [UserInfo(|it, _| {
            it.insert("_claim_names".into(), json!({"name": "src1"}));
            it.insert("_claim_sources".into(), json!({"src1": {"endpoint": "https://elsewhere.invalid/claims"}}));
        })];
}
