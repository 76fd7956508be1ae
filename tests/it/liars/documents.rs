//! Lies of the two documents the gate keeps, told from the start: discovery (T41, T50, T62, D2, D6) and keys
//! (T57, T58, D1, D2).

use super::stage::Outcome::{NotBegun, Refused, SignedIn};
use super::stage::{self, Outcome};
use super::told;

told! { stage::from_the_start;
    t62_d2_another_issuer: "discovery-issuer-other" => NotBegun("its issuer is not the one that was asked");
    t50_t62_an_issuer_with_a_slash: "discovery-issuer-slash" => NotBegun("its issuer is not the one that was asked");
    t62_no_issuer: "discovery-issuer-missing" => NotBegun("does not parse");
    t62_people_sent_elsewhere: "discovery-authorization-elsewhere" => NotBegun("on another host than the issuer");
    t62_codes_sent_elsewhere: "discovery-token-elsewhere" => NotBegun("on another host than the issuer");
    t62_keys_from_elsewhere: "discovery-keys-elsewhere" => NotBegun("on another host than the issuer");
    t62_userinfo_elsewhere: "discovery-userinfo-elsewhere" => NotBegun("on another host than the issuer");
    t62_revocation_elsewhere: "discovery-revocation-elsewhere" => NotBegun("on another host than the issuer");
    t62_codes_sent_in_the_clear: "discovery-token-insecure" => NotBegun("neither https nor");
    t62_a_password_in_an_address: "discovery-token-user" => NotBegun("user information or a fragment");
    t62_no_token_endpoint: "discovery-token-missing" => NotBegun("names no token endpoint");
    t62_no_keys: "discovery-keys-missing" => NotBegun("does not parse");
    t62_no_code_flow: "discovery-no-code" => NotBegun("does not offer the authorization code flow");
    t04_t62_people_sent_to_a_script: "discovery-script" => NotBegun("neither https nor");
    d2_keys_at_a_new_address: "discovery-fresh-keys" => SignedIn;
    d6_aliases_for_certificates: "discovery-mtls-aliases" => SignedIn;
    t62_members_nobody_knows: "discovery-more-members" => SignedIn;
    t41_d7_an_issuer_promised_and_forgotten: "callback-iss-forgotten" => Refused(502, "names another issuer, or none");
    t58_keys_of_other_kinds: "keys-extra" => SignedIn;
    t58_d1_keys_without_kid: "keys-no-kid" => SignedIn;
    t58_keys_without_use: "keys-no-use" => SignedIn;
    t58_another_key_of_the_same_kid: "keys-same-kid" => SignedIn;
    t58_a_small_key: "keys-small" => Refused(502, "no key this gate can use");
    t58_a_private_key: "keys-private" => Refused(502, "no key this gate can use");
    t58_a_key_for_encryption: "keys-encryption" => Refused(502, "no key this gate can use");
    t58_a_key_for_another_algorithm: "keys-other-alg" => Refused(502, "no key this gate can use");
    t49_d1_another_key_under_the_same_kid: "keys-other" => Refused(502, "signature is wrong");
    t58_no_key_at_all: "keys-empty" => Refused(502, "no key this gate can use");
    t58_a_thousand_keys: "keys-many" => Refused(502, "longer than this gate reads");
    t58_five_megabytes_of_keys: "keys-huge" => Refused(502, "longer than this gate reads");
    t58_a_key_that_is_none: "keys-malformed" => Refused(502, "unusable");
}
