//! Lies of the token response: T13, T45, T52, T54, T55, T94.

use super::stage::Outcome::{Refused, SignedIn};
use super::stage::{self, Outcome};
use super::told;

told! { stage::in_the_sign_in;
    t45_no_token_type: "token-type-missing" => Refused(502, "unusable");
    t45_a_mac_token: "token-type-mac" => Refused(502, "token type is not Bearer");
    t45_a_dpop_token: "token-type-dpop" => Refused(502, "token type is not Bearer");
    t45_a_bearer_token_in_capitals: "token-type-capital" => SignedIn;
    t45_no_access_token: "token-access-missing" => Refused(502, "unusable");
    t45_an_empty_access_token: "token-access-empty" => Refused(502, "unusable");
    t45_an_access_token_that_is_a_number: "token-access-number" => Refused(502, "unusable");
    t45_an_access_token_with_a_line_break: "token-access-lines" => Refused(502, "unusable");
    t45_no_refresh_token: "token-refresh-missing" => SignedIn;
    t45_no_expiry: "token-expires-missing" => SignedIn;
    t52_a_negative_expiry: "token-expires-negative" => Refused(502, "unusable");
    t52_an_endless_expiry: "token-expires-endless" => Refused(502, "unusable");
    t52_an_expiry_after_the_sun: "token-expires-late" => SignedIn;
    t94_no_scope: "token-scope-missing" => SignedIn;
    t94_a_narrower_scope: "token-scope-narrower" => SignedIn;
    t94_a_wider_scope: "token-scope-wider" => SignedIn;
    t94_scopes_among_blanks: "token-scope-spaced" => SignedIn;
    t55_somebody_elses_orcid: "token-orcid-other" => Refused(502, "contradicts itself");
    t54_an_orcid_with_a_wrong_check_digit: "token-orcid-wrong" => Refused(502, "subject is not an ORCID iD");
    t54_an_empty_orcid: "token-orcid-empty" => Refused(502, "subject is not an ORCID iD");
    t54_an_orcid_that_is_a_number: "token-orcid-number" => Refused(502, "subject is not an ORCID iD");
    t55_an_orcid_written_as_an_address: "token-orcid-uri" => SignedIn;
    t55_no_orcid_beside_the_id_token: "token-orcid-missing" => SignedIn;
    t13_a_name_that_is_a_number: "token-name-number" => SignedIn;
    t13_a_blank_name: "token-name-blank" => SignedIn;
    t13_a_name_with_line_breaks: "token-name-lines" => SignedIn;
    t13_a_name_without_end: "token-name-long" => SignedIn;
    t45_no_id_token: "token-id-missing" => Refused(502, "no ID token came");
    t45_a_null_id_token: "token-id-null" => Refused(502, "no ID token came");
    t45_an_id_token_that_is_a_list: "token-id-list" => Refused(502, "unusable");
    t45_an_id_token_that_is_none: "token-id-garbage" => Refused(502, "not a signed JWT");
    t45_an_id_token_without_end: "token-id-long" => Refused(502, "not a signed JWT");
    t45_members_nobody_knows: "token-more-members" => SignedIn;
}
