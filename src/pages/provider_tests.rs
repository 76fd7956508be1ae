//! What pages say where people sign in elsewhere than at ORCID, and after they signed out here.

use super::tests::{drawn, html, pages, settings};
use super::*;

#[test]
fn where_people_sign_in_elsewhere_no_page_speaks_of_orcid() {
    let pages = Pages::new(PagesSettings { no_orcid: true, ..settings() }).unwrap();
    for sample in samples::fair() {
        let at_orcid = sample.page.provider().is_some_and(|by| by.environment != crate::domain::Environment::Other);
        if at_orcid
            || matches!(sample.page, Page::SignOutAsk { .. } | Page::Kept(_))
            || sample.name.starts_with("refused")
        {
            continue;
        }
        let text = html(&pages.answer(&sample.page, Language::En));
        let text = text
            .replace("orcid-help@example.edu", "")
            .replace("Add works, affiliations", "")
            .replace("funding and other activities to your ORCID record", "");
        assert!(!text.contains("ORCID"), "{}", sample.name);
    }
    assert!(drawn(&pages, "refused").contains("Use another account"));
    assert!(drawn(&pages, "notice-provider_unreachable").contains("The sign-in service cannot be reached"));
    let both = super::tests::pages();
    assert!(drawn(&both, "denied-other").contains("You were not signed in"));
    assert!(drawn(&both, "denied").contains("Your ORCID iD was not connected"));
    assert!(drawn(&both, "notice-provider_unreachable").contains("ORCID cannot be reached"));
}

#[test]
fn the_page_after_a_sign_out_offers_the_providers_own_where_there_is_one() {
    let text = drawn(&pages(), "signed-out-leave");
    let link = "<a class=\"button\" href=\"https://login.example.edu/realms/staff/logout?client_id=gate&amp;state=x\">";
    for part in ["You may still be signed in at <bdi>login.example.edu</bdi>", link, "Sign in again"] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    assert!(!text.contains("<form"), "form-action would stop a form on its way there");
    let text = drawn(&pages(), "signed-out-there-too");
    assert!(text.contains("You are signed out at <bdi>login.example.edu</bdi> too"));
    assert!(!text.contains("You may still be signed in"));
    assert!(!drawn(&pages(), "signed-out-everywhere").contains("too</span>"));
}
