//! A provider that lies: every lie the simulator can tell is told to the gate in a whole sign-in, under both
//! profiles, and is a test with its number (T35-T62, D1, D2, D4, D6, D7). Refused or accepted as the table of
//! lies says, for the right reason, with a page that leads on, with nothing stored and nothing secret logged.

mod answers;
mod callbacks;
mod documents;
mod id_tokens;
mod manners;
mod renewals;
mod rules;
mod stage;
mod userinfo;

use lychgate::simulator::{Verdict, lies};
use stage::Outcome;
use std::collections::BTreeMap;

/// One test for each lie. `$stage` takes the lie and what must come of it.
macro_rules! told {
    ($stage:path; $($test:ident: $lie:literal => $outcome:expr;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                $stage($lie, &$outcome).await;
            }
        )+

        /// What this file tests, for the test that none is forgotten.
        pub(super) const TESTED: &[(&str, Outcome)] = &[$(($lie, $outcome)),+];
    };
}
use told;

#[test]
fn every_lie_has_its_test_and_ends_as_its_verdict_says() {
    let groups = [
        id_tokens::TESTED,
        answers::TESTED,
        userinfo::TESTED,
        &[callbacks::POSTED],
        callbacks::TESTED,
        documents::TESTED,
    ];
    let tested: BTreeMap<&str, &Outcome> =
        groups.iter().flat_map(|group| group.iter()).map(|(lie, it)| (*lie, it)).collect();
    for lie in lies() {
        let outcome = tested.get(lie.name).unwrap_or_else(|| panic!("nobody tests {}", lie.name));
        let accepted = matches!(outcome, Outcome::SignedIn);
        assert_eq!(accepted, lie.verdict == Verdict::Accept, "{} is said to end otherwise", lie.name);
    }
    assert_eq!(tested.len(), lies().count(), "a test of a lie that does not exist");
}
