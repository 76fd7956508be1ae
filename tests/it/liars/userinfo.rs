//! Lies of the userinfo endpoint, where the gate is told to ask it: T54, T55, D1, D6.

use super::stage::Outcome::{Refused, SignedIn};
use super::stage::{self, Outcome};
use super::told;

told! { stage::with_userinfo;
    t55_d1_userinfo_about_somebody_else: "userinfo-sub-other" => Refused(502, "contradicts itself");
    t55_userinfo_about_nobody: "userinfo-sub-missing" => Refused(502, "contradicts itself");
    t54_userinfo_about_no_id: "userinfo-sub-wrong" => Refused(502, "contradicts itself");
    t55_userinfo_without_id: "userinfo-id-missing" => SignedIn;
    d6_userinfo_with_claims_kept_elsewhere: "userinfo-distant-claims" => SignedIn;
}
