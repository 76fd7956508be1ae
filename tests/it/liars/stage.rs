//! The stage of a lie: a campus whose ORCID tells it, somebody who signs in, and what must hold afterwards.

use crate::campus::answer::Answer;
use crate::campus::browser::Browser;
use crate::campus::{Builder, Campus, LIBRARY, SIGN_IN, people};
use crate::sign_in_attacks::{TODAY, session};
use lychgate::domain::StoppedClock;
use std::path::Path;
use std::sync::Arc;

pub const LOANS: &str = "https://library.campus.example/loans?id=7";
/// Longer than the gate keeps any answer of the simulator, in seconds.
const STALE: i64 = 6 * 60;
const PROFILES: [&str; 2] = ["2026", "legacy"];

/// What comes of a lie.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// It is odd but allowed: the person arrives, as who they are.
    SignedIn,
    /// Nobody is signed in; the page has this status, and the log gives this reason under its number.
    Refused(u16, &'static str),
    /// Nobody is signed in, and the page, which blames nobody, says this.
    Puzzled(u16, &'static str),
    /// It cannot even begin: the page of the first step has status 503, and the log this reason.
    NotBegun(&'static str),
}

/// A campus whose clock stands still and whose ORCID can be told to lie.
pub struct Stage {
    pub campus: Campus,
    clock: Arc<StoppedClock>,
}

impl Stage {
    pub async fn of(builder: Builder) -> Self {
        let clock = Arc::new(StoppedClock::at(TODAY));
        Self { campus: builder.clock(clock.clone()).open().await, clock }
    }

    pub async fn set(&self, name: &str, value: &str) {
        self.campus.simulator.set(name, value).await.unwrap_or_else(|problem| panic!("{problem}"));
    }

    /// ORCID is honest again, and old answers of it are no longer good enough for the gate.
    pub fn come_to_rights(&self) {
        self.campus.simulator.reset();
        self.clock.advance(STALE);
    }

    /// One sign-in, and what must come of it.
    pub async fn expect(&self, what: &str, outcome: &Outcome) {
        let person = people::ordinary();
        let browser = self.campus.browser();
        self.campus.library().forget();
        let before = journal(self.campus.folder());
        let page = people::arrive(browser.open(LOANS).await, &person).await;
        if let Outcome::SignedIn = outcome {
            page.assert_status(200).assert_at(LOANS);
            let seen = self.campus.library().last_request();
            assert_eq!(seen.all("x-orcid-id"), [person.orcid.as_str()], "{what}");
            return;
        }
        self.assert_nobody_is_signed_in(&browser, what).await;
        assert_eq!(journal(self.campus.folder()), before, "{what}: something was stored");
        match outcome {
            Outcome::Refused(status, reason) => {
                self.assert_logged(&page, reason, what);
                page.assert_status(*status).assert_says("Start again");
            }
            Outcome::NotBegun(reason) => {
                page.assert_status(503).assert_says("stays signed in");
                self.assert_logged(&page, reason, what);
            }
            Outcome::Puzzled(status, says) => {
                page.assert_status(*status).assert_says(says);
            }
            Outcome::SignedIn => unreachable!("answered above"),
        }
    }

    async fn assert_nobody_is_signed_in(&self, browser: &Browser, what: &str) {
        assert_eq!((session(browser, SIGN_IN), session(browser, LIBRARY)), (None, None), "{what}");
        assert!(self.campus.library().requests().is_empty(), "{what}: the app was asked");
        browser.get(LOANS).by_script_on(LIBRARY).send().await.assert_status(401);
    }

    /// The page shows a number, and the log has the reason under it.
    #[track_caller]
    fn assert_logged(&self, page: &Answer, reason: &str, what: &str) {
        let incident = incident(page);
        let lines = self.campus.watch.lines_with(&incident);
        assert!(
            lines.iter().any(|line| line.contains(reason)),
            "{what}: {incident} is not about {reason:?}: {lines:?}"
        );
    }
}

/// The number on a page that says what went wrong.
#[track_caller]
pub fn incident(page: &Answer) -> String {
    let text = page.text();
    let number = |word: &str| {
        let (one, other) = word.split_once('-').unwrap_or_default();
        let fits = |part: &str| part.len() == 4 && part.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        fits(one) && fits(other)
    };
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.find(|word| number(word)).unwrap_or_else(|| panic!("no incident number\n{}", page.story())).to_owned()
}

/// What the journal of the vault holds: what a sign-in leaves behind for good.
fn journal(folder: &Path) -> u64 {
    let directory = std::fs::read_dir(folder.join("state/vault")).expect("the vault is there");
    let files =
        directory.filter_map(Result::ok).filter(|entry| entry.file_name().to_string_lossy().contains("journal"));
    let sizes: Vec<u64> = files.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).collect();
    assert!(!sizes.is_empty(), "the journal is no longer where this looks");
    sizes.iter().sum()
}

/// A lie told in the sign-in itself: under both profiles; and afterwards everything is as before.
pub async fn in_the_sign_in(lie: &str, outcome: &Outcome) {
    told_at(Stage::of(Campus::build()).await, lie, outcome).await;
}

/// The same on a campus that asks userinfo as well.
pub async fn with_userinfo(lie: &str, outcome: &Outcome) {
    told_at(Stage::of(Campus::build().configuration("userinfo = true\n")).await, lie, outcome).await;
}

/// The same where nobody has consented yet, so that ORCID asks.
pub async fn at_the_consent(lie: &str, outcome: &Outcome) {
    told_under_both(Stage::of(Campus::build()).await, lie, outcome).await;
}

async fn told_at(stage: Stage, lie: &str, outcome: &Outcome) {
    // An earlier sign-in, so that there is something to replay.
    stage.expect("before", &Outcome::SignedIn).await;
    told_under_both(stage, lie, outcome).await;
}

async fn told_under_both(stage: Stage, lie: &str, outcome: &Outcome) {
    for profile in PROFILES {
        stage.set("profile", profile).await;
        stage.set("lie", lie).await;
        stage.expect(&format!("{lie} ({profile})"), outcome).await;
    }
    // T59: keys are where discovery says, whatever else names them.
    assert_eq!(stage.campus.simulator.calls("foreign-keys"), 0, "{lie}");
    stage.come_to_rights();
    stage.expect("afterwards", &Outcome::SignedIn).await;
    stage.campus.close().await;
}

/// A lie of a document that the gate reads once and keeps: told before it first asks.
pub async fn from_the_start(lie: &str, outcome: &Outcome) {
    for profile in PROFILES {
        let stage = Stage::of(Campus::build().switch("profile", profile).switch("lie", lie)).await;
        stage.expect(&format!("{lie} ({profile})"), outcome).await;
        stage.come_to_rights();
        stage.expect("afterwards", &Outcome::SignedIn).await;
        stage.campus.close().await;
    }
}
