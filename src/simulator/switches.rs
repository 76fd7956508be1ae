//! [`Switches`]: everything about orcid.org that is known to differ or to change, as one table of named
//! values (`orcid.md` §13). Set at the start (`--set`) or while the simulator runs; read once a request.

use super::calls::Endpoint;
use super::lies::{self, Lie};
use super::manners::Manner;
use crate::domain::{Problem, quantity};
use std::collections::{BTreeMap, BTreeSet};

/// A value a switch may have: read from text and written as the same text.
trait Value: Sized {
    /// What may be written, for people.
    fn choices() -> String;
    fn read(text: &str) -> Option<Self>;
    fn write(&self) -> String;
}

macro_rules! choices {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident => $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant),* }

        impl Value for $name {
            fn choices() -> String {
                [$($text),*].join(" | ")
            }

            fn read(text: &str) -> Option<Self> {
                match text { $($text => Some($name::$variant),)* _ => None }
            }

            fn write(&self) -> String {
                match self { $($name::$variant => $text),* }.to_owned()
            }
        }
    };
}

choices! {
    /// Which of its two authorization servers orcid.org runs (`orcid.md` §0).
    Profile {
        /// The separate server behind a forwarding proxy, since spring 2026.
        Y2026 => "2026",
        /// Spring Security OAuth inside ORCID-Source, until then.
        Legacy => "legacy",
    }
}

choices! {
    /// Where an error of the authorization request is told (`orcid.md` §2.3).
    Placement {
        /// As the profile has it: legacy in the query, 2026 in the fragment.
        Profile => "profile",
        Query => "query",
        Fragment => "fragment",
    }
}

choices! {
    /// What a second exchange of a code does (`orcid.md` §3.3).
    CodeReuse {
        /// It fails and takes back what the first one gave.
        Revokes => "revokes",
        /// It only fails.
        Refused => "refused",
    }
}

choices! {
    /// How `amr` is said to member clients (`orcid.md` §1.4).
    Amr {
        /// ORCID's way.
        Text => "string",
        /// The standard's way.
        List => "array",
        Absent => "absent",
    }
}

choices! {
    /// In which order the token response says its members (`orcid.md` §3.2).
    KeyOrder {
        Orcid => "orcid",
        Reversed => "reversed",
        Alphabetical => "alphabetical",
    }
}

choices! {
    /// What discovery says about PKCE, and then holds clients to (`orcid.md` §2.1: ORCID says nothing).
    Pkce {
        Absent => "absent",
        S256 => "S256",
        /// Offers the method nobody should use (RFC 7636 §4.2) alone.
        Plain => "plain",
    }
}

choices! {
    /// Whether answers name the issuer (RFC 9207; ORCID's do not).
    IssuerParameter {
        Absent => "absent",
        /// Sent, and promised in discovery.
        Promised => "promised",
    }
}

choices! {
    /// How clients may prove themselves at the token endpoint (`orcid.md` §3.4).
    ClientAuthentication {
        /// Both work, and discovery lists `client_secret_post` alone.
        Orcid => "orcid",
        /// `client_secret_post` alone works.
        Post => "post",
        /// `client_secret_basic` alone is listed and works.
        Basic => "basic",
    }
}

impl Value for bool {
    fn choices() -> String {
        "on | off".to_owned()
    }

    fn read(text: &str) -> Option<Self> {
        match text {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        }
    }

    fn write(&self) -> String {
        if *self { "on" } else { "off" }.to_owned()
    }
}

/// A whole number within bounds that belong to its kind.
macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident($least:literal ..= $most:literal), $unit:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub i64);

        impl Value for $name {
            fn choices() -> String {
                let (least, most): (i64, i64) = ($least, $most);
                format!("{least} to {most} {}", $unit)
            }

            fn read(text: &str) -> Option<Self> {
                text.parse::<i64>().ok().filter(|number| ($least..=$most).contains(number)).map(Self)
            }

            fn write(&self) -> String {
                self.0.to_string()
            }
        }
    )*};
}

numbers! {
    /// A length of time of the protocol.
    Seconds(1 ..= 9_999_999_999), "seconds";
    /// How far a clock is off.
    Skew(-4_000_000_000 ..= 4_000_000_000), "seconds";
    /// How long an answer is held back.
    Milliseconds(0 ..= 60_000), "milliseconds";
    /// How many further requests or deliveries.
    Count(0 ..= 1_000_000), "times";
}

/// An OAuth error word that every authorization request is answered with, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorWord(pub Option<String>);

impl Value for ErrorWord {
    fn choices() -> String {
        "none | access_denied | login_required | temporarily_unavailable | …".to_owned()
    }

    fn read(text: &str) -> Option<Self> {
        // RFC 6749 §4.1.2.1, plus markup: what a careless page breaks on is worth sending.
        let fits = !text.is_empty() && text.len() <= 200 && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        fits.then(|| Self((text != "none").then(|| text.to_owned())))
    }

    fn write(&self) -> String {
        self.0.clone().unwrap_or_else(|| "none".to_owned())
    }
}

/// One row of the table.
struct Row {
    field: &'static str,
    about: &'static str,
    choices: fn() -> String,
    read: fn(&Switches) -> String,
    write: fn(&mut Switches, &str) -> bool,
}

macro_rules! switches {
    ($($(#[$doc:meta])* $field:ident: $kind:ty = $usual:expr, $about:literal;)*) => {
        /// How the simulator behaves at the moment. The default is orcid.org in autumn 2026.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Switches {
            $($(#[$doc])* #[doc = $about] pub $field: $kind,)*
            answers: BTreeMap<&'static str, Manner>,
            lies: BTreeSet<&'static str>,
        }

        impl Default for Switches {
            fn default() -> Self {
                Self { $($field: $usual,)* answers: BTreeMap::new(), lies: BTreeSet::new() }
            }
        }

        const ROWS: &[Row] = &[$(Row {
            field: stringify!($field),
            about: $about,
            choices: <$kind as Value>::choices,
            read: |switches| Value::write(&switches.$field),
            write: |switches, text| match Value::read(text) {
                Some(value) => { switches.$field = value; true }
                None => false,
            },
        }),*];
    };
}

switches! {
    profile: Profile = Profile::Y2026, "which orcid.org: the server of 2026, or the one before it";
    error_placement: Placement = Placement::Profile, "where errors of the authorization request are told";
    deny_description: bool = true, "error_description after \"Deny access\"";
    authorize_error: ErrorWord = ErrorWord(None), "answers every authorization request with this error";
    interstitial: bool = false, "one more page between consent and the way back";
    iss_parameter: IssuerParameter = IssuerParameter::Absent, "the iss parameter of RFC 9207";
    pkce: Pkce = Pkce::Absent, "PKCE methods that discovery lists and the token endpoint checks";
    client_auth: ClientAuthentication = ClientAuthentication::Orcid, "how clients prove themselves";
    code_lifetime: Seconds = Seconds(600), "life of an authorization code";
    code_reuse: CodeReuse = CodeReuse::Revokes, "what using a code twice does";
    expires_in: Seconds = Seconds(631_138_518), "life of a token pair; 3600 is the other one seen";
    id_token_lifetime: Seconds = Seconds(86_400), "life of an id_token";
    refresh_id_token: bool = false, "a refreshed pair comes with an id_token";
    token_order: KeyOrder = KeyOrder::Orcid, "order of the members of a token response";
    amr: Amr = Amr::Text, "how amr is said";
    jwks_alg: bool = false, "\"alg\":\"RS256\" on published keys";
    clock_skew: Skew = Skew(0), "how far ORCID's clock is ahead of this machine's";
    latency: Milliseconds = Milliseconds(0), "every answer comes this much later";
    unavailable_next: Count = Count(0), "so many requests are answered 503 (a burst)";
    over_quota: bool = false, "anonymous API reads are answered 429";
    webhook_period: Seconds = Seconds(300), "how often changed records are reported to webhooks";
    webhook_failures: Count = Count(0), "so many webhook deliveries fail without being sent";
}

/// What the table says of one switch.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SwitchView {
    pub name: String,
    pub value: String,
    pub usual: String,
    pub choices: String,
    pub about: String,
}

/// `answer.` and the endpoint's name.
const ANSWER: &str = "answer.";
/// A comma-separated list of lies, or `none`.
const LIE: &str = "lie";

/// Endpoints whose manner of answering can be set.
const WITH_MANNERS: &[Endpoint] = &[
    Endpoint::Discovery,
    Endpoint::Jwks,
    Endpoint::Token,
    Endpoint::Revoke,
    Endpoint::UserInfo,
    Endpoint::Authorize,
    Endpoint::Record,
    Endpoint::Api,
];

fn name_of(row: &Row) -> String {
    row.field.replace('_', "-")
}

impl Switches {
    /// Sets one switch. The error says what is known and what was expected.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), Problem> {
        let (name, text) = (name.trim(), text.trim());
        if name == LIE {
            return self.tell(text);
        }
        if let Some(endpoint) = name.strip_prefix(ANSWER) {
            let endpoint = WITH_MANNERS.iter().find(|known| known.name() == endpoint).ok_or_else(|| unknown(name))?;
            let manner = Manner::read(text).ok_or_else(|| unfit(name, text, Manner::choices()))?;
            match manner {
                Manner::Usual => self.answers.remove(endpoint.name()),
                other => self.answers.insert(endpoint.name(), other),
            };
            return Ok(());
        }
        let row = ROWS.iter().find(|row| name_of(row) == name).ok_or_else(|| unknown(name))?;
        if (row.write)(self, text) { Ok(()) } else { Err(unfit(name, text, (row.choices)())) }
    }

    /// Sets a switch written as `NAME=VALUE`.
    pub fn set_pair(&mut self, pair: &str) -> Result<(), Problem> {
        match pair.split_once('=') {
            Some((name, text)) => self.set(name, text),
            None => Err(Problem::error("a switch is set as NAME=VALUE").found(shown(pair))),
        }
    }

    fn tell(&mut self, text: &str) -> Result<(), Problem> {
        let mut chosen = BTreeSet::new();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "none") {
            chosen.insert(known_lie(name)?.name);
        }
        self.lies = chosen;
        Ok(())
    }

    /// Begins or stops telling one lie, besides those told already.
    pub fn lie(&mut self, name: &str, told: bool) -> Result<(), Problem> {
        let lie = known_lie(name)?;
        if told {
            self.lies.insert(lie.name)
        } else {
            self.lies.remove(lie.name)
        };
        Ok(())
    }

    /// The lies being told.
    pub fn lies(&self) -> impl Iterator<Item = &'static Lie> + '_ {
        self.lies.iter().filter_map(|name| lies::find(name))
    }

    /// Whether this lie is told.
    pub(super) fn tells(&self, name: &str) -> bool {
        self.lies.contains(name)
    }

    /// How answers of this endpoint are given.
    pub(super) fn manner(&self, endpoint: Endpoint) -> Manner {
        self.answers.get(endpoint.name()).copied().unwrap_or_default()
    }

    /// Whether errors of the authorization request go into the query.
    pub(super) fn errors_in_query(&self) -> bool {
        match self.error_placement {
            Placement::Query => true,
            Placement::Fragment => false,
            Placement::Profile => self.is_legacy(),
        }
    }

    pub(super) fn is_legacy(&self) -> bool {
        self.profile == Profile::Legacy
    }

    /// Every switch with its value, in the order of the table.
    pub fn table(&self) -> Vec<SwitchView> {
        let usual = Switches::default();
        let view = |name: String, read: &dyn Fn(&Switches) -> String, choices: String, about: String| SwitchView {
            value: read(self),
            usual: read(&usual),
            name,
            choices,
            about,
        };
        let mut table: Vec<SwitchView> =
            ROWS.iter().map(|row| view(name_of(row), &row.read, (row.choices)(), row.about.to_owned())).collect();
        for endpoint in WITH_MANNERS {
            let about = format!("how the answers of {} are given", endpoint.name());
            let read = |switches: &Switches| switches.manner(*endpoint).write().to_owned();
            table.push(view(format!("{ANSWER}{}", endpoint.name()), &read, Manner::choices(), about));
        }
        let read = |switches: &Switches| match switches.lies.is_empty() {
            true => "none".to_owned(),
            false => switches.lies.iter().copied().collect::<Vec<_>>().join(","),
        };
        let about = "untruths told, by name; the list is in --lies".to_owned();
        table.push(view(LIE.to_owned(), &read, "none | NAME[,NAME…]".to_owned(), about));
        table
    }
}

fn known_lie(name: &str) -> Result<&'static Lie, Problem> {
    lies::find(name).ok_or_else(|| {
        let problem =
            Problem::error("no lie is called that").found(shown(name)).remedy("lychgate simulator --lies lists them");
        match quantity::nearest(name, lies::all().map(|lie| lie.name)) {
            Some(close) => problem.expected(format!("did you mean {close}?")),
            None => problem,
        }
    })
}

fn unknown(name: &str) -> Problem {
    let problem = Problem::error("no switch is called that").found(shown(name));
    let known: Vec<String> = Switches::default().table().into_iter().map(|view| view.name).collect();
    match quantity::nearest(name, known.iter().map(String::as_str)) {
        Some(close) => problem.expected(format!("did you mean {close}?")),
        None => problem.remedy("lychgate simulator --switches lists them"),
    }
}

fn unfit(name: &str, text: &str, choices: String) -> Problem {
    Problem::error("the switch does not take that value").key(name.to_owned()).found(shown(text)).expected(choices)
}

fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_switch_takes_what_it_shows_and_refuses_the_rest() {
        let usual = Switches::default();
        for view in usual.table() {
            let mut switches = usual.clone();
            switches.set(&view.name, &view.usual).unwrap();
            assert_eq!(switches, usual, "{}", view.name);
            assert!(!view.about.is_empty() && !view.choices.is_empty());
            let refused = switches.set(&view.name, "\u{1}").unwrap_err();
            assert!(refused.to_string().contains("expected") || view.name == LIE, "{refused}");
            if view.choices.contains(" | ") && !view.choices.contains('…') {
                for choice in view.choices.split(" | ") {
                    switches.set(&view.name, choice).unwrap();
                    let now = switches.table().into_iter().find(|now| now.name == view.name).unwrap();
                    assert_eq!(now.value, choice, "{}", view.name);
                }
            }
        }
    }

    #[test]
    fn a_misspelt_name_is_met_with_the_right_one() {
        let mut switches = Switches::default();
        for (pair, says) in [
            ("profle=legacy", "did you mean profile?"),
            ("profile=2025", "2026 | legacy"),
            ("answer.tokn=html", "did you mean answer.token?"),
            ("answer.token=htm", "html"),
            ("lie=id-token-alg-nonee", "did you mean id-token-alg-none?"),
            ("expires-in=0", "1 to 9999999999 seconds"),
            ("expires-in", "NAME=VALUE"),
        ] {
            let problem = switches.set_pair(pair).unwrap_err().to_string();
            assert!(problem.contains(says), "{pair}: {problem}");
        }
        assert_eq!(switches, Switches::default(), "nothing was changed by a mistake");
    }

    #[test]
    fn lies_are_told_together_or_one_by_one() {
        let mut switches = Switches::default();
        switches.set("lie", "id-token-alg-none, keys-extra").unwrap();
        switches.lie("userinfo-sub-other", true).unwrap();
        switches.lie("keys-extra", false).unwrap();
        let told: Vec<&str> = switches.lies().map(|lie| lie.name).collect();
        assert_eq!(told, ["id-token-alg-none", "userinfo-sub-other"]);
        switches.set("lie", "none").unwrap();
        assert_eq!(switches, Switches::default());
    }
}
