//! Lies of the authorization response: what the browser brings back (T36, T39-T43, D7).

use super::{Lie, Told, Verdict, lies};

type Parameters = Vec<(String, String)>;

lies! {
    "callback-state-missing", "T36", Refuse, "forgets the state",
        [Callback(|it, _| drop_all(it, "state"))];
    "callback-state-other", "T36", Refuse, "answers another state",
        [Callback(|it, _| set(it, "state", "c3RhdGUtb2Ytc29tZWJvZHk"))];
    "callback-state-twice", "T39", Refuse, "says the state twice",
        [Callback(|it, _| again(it, "state"))];
    "callback-code-twice", "T39", Refuse, "says two codes",
        [Callback(|it, _| it.push(("code".into(), "aB3dE6".into())))];
    "callback-code-empty", "T40", Refuse, "its code is empty",
        [Callback(|it, _| set(it, "code", ""))];
    "callback-code-other", "T37", Refuse, "its code was never issued",
        [Callback(|it, _| set(it, "code", "zZzZzZ"))];
    "callback-code-long", "T40", Refuse, "its code has three thousand characters",
        [Callback(|it, _| set(it, "code", &"c".repeat(3_000)))];
    "callback-code-and-error", "T40", Refuse, "brings a code and an error",
        [Callback(|it, _| it.push(("error".into(), "access_denied".into())))];
    "callback-nothing", "T40", Refuse, "brings neither code nor error",
        [Callback(|it, _| it.clear())];
    "callback-iss-other", "T41 D7", Refuse, "names another issuer (RFC 9207)",
        [Callback(|it, _| set(it, "iss", "https://elsewhere.invalid"))];
    "callback-iss-slash", "T41 D7", Refuse, "its issuer ends in a slash",
        [Callback(|it, facts| set(it, "iss", &format!("{}/", facts.base)))];
    "callback-iss-twice", "T39 T41 D7", Refuse, "names the issuer twice",
        [Callback(|it, facts| { set(it, "iss", &facts.base); again(it, "iss"); })];
    "callback-iss-right", "T41", Accept, "names the issuer without having promised to",
        [Callback(|it, facts| set(it, "iss", &facts.base))];
    "callback-iss-forgotten", "T41 D7", Refuse, "promises to name the issuer, and does not",
        [
            Discovery(|it, _| {
                it.insert("authorization_response_iss_parameter_supported".into(), true.into());
            }),
            Callback(|it, _| drop_all(it, "iss"))
        ];
    "callback-post", "T43", Refuse, "has the browser post the answer instead of getting it",
        [Elsewhere];
    "callback-in-fragment", "T40", Refuse, "puts the answer behind a #, where no server sees it",
        [Elsewhere];
    "callback-more-parameters", "T40", Accept, "brings parameters nobody knows",
        [Callback(|it, _| { it.push(("session_state".into(), "x.y".into())); it.push(("scope".into(), "openid /admin".into())); })];
}

fn drop_all(it: &mut Parameters, name: &str) {
    it.retain(|(key, _)| key != name);
}

fn set(it: &mut Parameters, name: &str, value: &str) {
    drop_all(it, name);
    it.push((name.to_owned(), value.to_owned()));
}

fn again(it: &mut Parameters, name: &str) {
    let said: Vec<_> = it.iter().filter(|(key, _)| key == name).cloned().collect();
    it.extend(said);
}
