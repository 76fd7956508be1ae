//! Lies of what the browser brings back: T36, T37, T39-T41, T43, D7.

use super::stage::Outcome::{Puzzled, Refused, SignedIn};
use super::stage::{self, Outcome};
use super::told;

const UNKNOWN: &str = "This sign-in is not known here";
const UNREADABLE: &str = "request";

told! { stage::in_the_sign_in;
    t36_no_state: "callback-state-missing" => Puzzled(400, UNKNOWN);
    t36_another_state: "callback-state-other" => Puzzled(400, UNKNOWN);
    t39_the_state_twice: "callback-state-twice" => Puzzled(400, UNREADABLE);
    t39_two_codes: "callback-code-twice" => Puzzled(400, UNREADABLE);
    t40_an_empty_code: "callback-code-empty" => Puzzled(400, "The sign-in did not finish");
    t37_a_code_that_was_never_issued: "callback-code-other" => Refused(400, "refuses the code or token");
    t40_a_code_without_end: "callback-code-long" => Puzzled(400, UNREADABLE);
    t40_a_code_and_an_error: "callback-code-and-error" => Puzzled(400, UNREADABLE);
    t40_neither_code_nor_error: "callback-nothing" => Puzzled(400, "The sign-in did not finish");
    t41_d7_another_issuer: "callback-iss-other" => Puzzled(502, "could not be verified");
    t41_d7_an_issuer_with_a_slash: "callback-iss-slash" => Puzzled(502, "could not be verified");
    t41_d7_the_issuer_twice: "callback-iss-twice" => Puzzled(400, UNREADABLE);
    t41_the_issuer_unasked: "callback-iss-right" => SignedIn;
    t40_an_answer_behind_a_hash: "callback-in-fragment" => Puzzled(400, "The sign-in did not finish");
    t40_parameters_nobody_knows: "callback-more-parameters" => SignedIn;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t43_an_answer_that_is_posted() {
    stage::at_the_consent(POSTED.0, &POSTED.1).await;
}

pub(super) const POSTED: (&str, Outcome) = ("callback-post", Puzzled(405, "This cannot be done here"));
