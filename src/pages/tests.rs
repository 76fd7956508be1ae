//! Every page drawn from the samples and looked at: shape, headers, size, escaping. What an operator's files
//! change is in `override_tests`.
//! Journeys that end on these pages are in `tests/it`.

use super::*;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use std::collections::BTreeSet;

pub(super) fn settings() -> PagesSettings {
    PagesSettings {
        organisation: Organisation {
            name: "University of Somewhere".into(),
            about: Some("We link your work to you, so that you report it once.".into()),
            contact: Some("orcid-help@example.edu".into()),
            privacy: Some("https://www.example.edu/privacy".into()),
        },
        templates: None,
        sites: None,
        simulated: false,
        provider_origins: vec!["https://orcid.org".into()],
        no_orcid: false,
    }
}

pub(super) fn pages() -> Pages {
    Pages::new(settings()).unwrap()
}

pub(super) fn html(answer: &Response<Bytes>) -> String {
    String::from_utf8(answer.body().to_vec()).unwrap()
}

pub(super) fn drawn(pages: &Pages, name: &str) -> String {
    let sample = samples::all().into_iter().find(|sample| sample.name == name).unwrap_or_else(|| panic!("{name}"));
    html(&pages.answer(&sample.page, Language::En))
}

fn header<'a>(answer: &'a Response<Bytes>, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[test]
fn every_page_has_one_heading_a_language_and_landmarks() {
    let pages = pages();
    for sample in samples::all() {
        let (name, text) = (&sample.name, html(&pages.answer(&sample.page, Language::En)));
        for (part, times) in [
            ("<h1>", 1),
            ("<main ", 1),
            ("<header ", 1),
            ("<footer>", 1),
            ("<html lang=\"en\" dir=\"ltr\">", 1),
            ("<title>", 1),
            ("class=\"skip\" href=\"#content\"", 1),
            ("id=\"content\"", 1),
            ("name=\"viewport\"", 1),
        ] {
            assert_eq!(text.matches(part).count(), times, "{name}: {part}");
        }
        assert!(text.starts_with("<!doctype html>"), "{name}");
        let ids: Vec<&str> = text.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "{name}: an id occurs twice: {ids:?}");
        for element in
            ["html", "head", "title", "body", "main", "form", "div", "p", "ul", "li", "a", "button", "bdi", "dl"]
        {
            let opened = text.matches(&format!("<{element}>")).count() + text.matches(&format!("<{element} ")).count();
            assert_eq!(opened, text.matches(&format!("</{element}>")).count(), "{name}: <{element}> is not closed");
        }
        for picture in text.split("<img").skip(1) {
            assert!(picture.split('>').next().unwrap().contains(" alt="), "{name}: a picture without alt");
        }
    }
}

#[test]
fn every_input_is_labelled_or_hidden() {
    let pages = pages();
    for sample in samples::all() {
        let text = html(&pages.answer(&sample.page, Language::En));
        for input in text.split("<input").skip(1) {
            assert!(input.split('>').next().unwrap().contains("type=\"hidden\""), "{}", sample.name);
        }
        for button in text.split("<button").skip(1) {
            let words = button.split_once('>').unwrap().1.split("</button>").next().unwrap();
            assert!(words.len() > 5, "{}: a button without words", sample.name);
        }
    }
}

#[test]
fn t84_no_hostile_text_becomes_markup_and_none_is_unbounded() {
    let pages = pages();
    for sample in samples::hostile() {
        let (name, text) = (&sample.name, html(&pages.answer(&sample.page, Language::En)));
        assert!(!text.contains("<script>"), "{name}");
        assert!(!text.contains("javascript:"), "{name}");
        assert!(!text.contains("\"' onmouseover"), "{name}: a quote came through");
        assert!(!text.contains('\u{202e}') && !text.contains('\0'), "{name}: a direction or a NUL came through");
        assert!(!text.contains(" 49 "), "{name}: a text was taken for a template");
        assert!(text.len() < 60_000, "{name}: {} bytes", text.len());
    }
}

#[test]
fn t48_every_page_forbids_frames_scripts_and_foreign_content() {
    let pages = pages();
    for sample in samples::all() {
        let (name, answer) = (&sample.name, pages.answer(&sample.page, Language::En));
        let policy = header(&answer, CONTENT_SECURITY_POLICY.as_str());
        for part in [
            "default-src 'none'; ",
            "style-src 'self'; ",
            "img-src 'self'; ",
            "form-action 'self'",
            "frame-ancestors 'none'; ",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{name}: {policy} lacks {part}");
        }
        assert!(!policy.contains("unsafe"), "{name}");
        for (header_name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cache-control", "no-store"),
            ("cross-origin-opener-policy", "same-origin"),
            ("x-frame-options", "DENY"),
            ("content-type", "text/html; charset=utf-8"),
        ] {
            assert_eq!(header(&answer, header_name), value, "{name}: {header_name}");
        }
        assert!(header(&answer, "permissions-policy").contains("camera=()"), "{name}");
        assert_eq!(header(&answer, CONTENT_LENGTH.as_str()), answer.body().len().to_string(), "{name}");
        let text = html(&answer);
        for inline in ["<style", " style=", " onclick", " onload", "<iframe", "http-equiv"] {
            assert!(!text.contains(inline), "{name}: {inline}");
        }
    }
}

#[test]
fn scripts_run_on_the_incomplete_callback_and_beside_fragments_alone() {
    let pages = pages();
    for sample in samples::all() {
        let answer = pages.answer(&sample.page, Language::En);
        let wanted = matches!(sample.page, Page::Notice { notice: Notice::CallbackIncomplete, .. });
        let policy = header(&answer, CONTENT_SECURITY_POLICY.as_str());
        let onward = matches!(sample.page, Page::Onward(_));
        assert_eq!(policy.contains("script-src 'self'"), wanted || onward, "{}", sample.name);
        assert_eq!(html(&answer).contains("<script src=\"/.lychgate/assets/onward-"), onward, "{}", sample.name);
        assert_eq!(html(&answer).contains("<script src=\"/.lychgate/assets/callback-"), wanted, "{}", sample.name);
        assert_eq!(html(&answer).contains("data-callback=\"/.lychgate/callback/\""), wanted, "{}", sample.name);
    }
}

#[test]
fn forms_may_lead_on_to_the_provider_and_the_site_signed_out_of() {
    let pages = pages();
    let policy = |name: &str| {
        let sample = samples::fair().into_iter().find(|sample| sample.name == name).unwrap();
        header(&pages.answer(&sample.page, Language::En), "content-security-policy").to_owned()
    };
    for name in ["sign-in", "portal", "denied", "account", "refused", "sign-out-everywhere"] {
        assert!(policy(name).contains("form-action 'self' https://orcid.org; "), "{name}: {}", policy(name));
    }
    assert!(policy("sign-out-site").contains("form-action 'self' https://orcid.org https://library.example.edu; "));
    for name in ["connected", "signed-out-site", "notice-internal"] {
        assert!(policy(name).contains("form-action 'self'; "), "{name}: {}", policy(name));
    }
    let hostile = samples::hostile().into_iter().find(|sample| sample.name == "hostile-sign-out-site").unwrap();
    let answer = pages.answer(&hostile.page, Language::En);
    assert!(header(&answer, "content-security-policy").contains("https://x.example; frame-ancestors"));
}

#[test]
fn statuses() {
    let pages = pages();
    for sample in samples::fair() {
        let expected = match &sample.page {
            Page::Refused { .. } => StatusCode::FORBIDDEN,
            Page::Notice { notice, .. } => notice.status(),
            _ => StatusCode::OK,
        };
        assert_eq!(pages.answer(&sample.page, Language::En).status(), expected, "{}", sample.name);
    }
    for (notice, status) in [
        (Notice::UnknownHost, 421),
        (Notice::HeadTooLarge, 431),
        (Notice::BodyTooLarge, 413),
        (Notice::TargetTooLong, 414),
        (Notice::AttemptExpired, 400),
        (Notice::StoreUnavailable, 503),
        (Notice::AppTimeout, 504),
        (Notice::AppBroken, 502),
    ] {
        assert_eq!(notice.status().as_u16(), status, "{notice:?}");
    }
    // What a visitor's own doing brings about is never the server's error (J15, B12).
    for notice in Notice::ALL {
        let name = notice.code();
        if ["attempt", "callback", "cookies", "ticket", "form", "session"].iter().any(|word| name.starts_with(word)) {
            assert!(notice.status().is_client_error(), "{name}");
        }
    }
    let codes: BTreeSet<&str> = Notice::ALL.iter().map(|notice| notice.code()).collect();
    assert_eq!(codes.len(), Notice::ALL.len(), "two notices share a code");
}

#[test]
fn every_page_with_its_style_is_small() {
    let pages = pages();
    let style = pages.asset(&style_path(&pages)).unwrap().body().len();
    for sample in samples::fair() {
        let size = style + pages.answer(&sample.page, Language::En).body().len();
        assert!(size <= 30 * 1024, "{}: {size} bytes", sample.name);
    }
}

pub(super) fn style_path(pages: &Pages) -> String {
    let text = drawn(pages, "sign-in");
    text.split("rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[test]
fn no_notice_is_a_dead_end() {
    let pages = pages();
    for notice in Notice::ALL {
        let page = Page::Notice {
            notice: *notice,
            incident: None,
            next: Vec::new(),
            site: Some(SiteView {
                name: "wiki".into(),
                title: "Wiki".into(),
                url: Some("https://wiki.example.edu/".into()),
            }),
        };
        let text = html(&pages.answer(&page, Language::En));
        assert!(text.contains("href=\"https://wiki.example.edu/\""), "{notice:?}");
        assert_eq!(text.contains("href=\"\""), notice.may_pass(), "{notice:?}: try again");
    }
}

#[test]
fn the_sign_in_page_is_the_connection_portal_of_the_seed() {
    let text = drawn(&pages(), "sign-in-scopes");
    for part in [
        "What is ORCID?",
        "ORCID iD",
        "href=\"https://orcid.org\"",
        "Create or connect your ORCID iD",
        "Sign in to Library Catalogue",
        "so that your deposit appears on your ORCID record",
        "Read what your ORCID record shows to trusted parties only",
        "never sees your password",
        "We link your work to you",
    ] {
        assert!(text.contains(part), "{part}");
    }
    // What ORCID is and why comes before the button (orcid.md §9.3).
    assert!(text.find("What is ORCID?") < text.find("class=\"button\""));
    assert!(text.contains("<a class=\"button\" href=\"/.lychgate/sign-in?start=1\">"), "the button is a link");
    assert!(!text.contains("<form"), "form-action would stop a form on its way to ORCID");
    let again = drawn(&pages(), "sign-in-continue");
    assert!(again.contains("Continue as <bdi>Josiah Carberry</bdi>"));
    assert!(again.contains("href=\"https://orcid.org/0000-0002-1825-0097\">https://orcid.org/0000-0002-1825-0097</a>"));
    assert!(drawn(&pages(), "denied").contains("Please reconsider"));
    assert!(drawn(&pages(), "signed-out-site").contains("You may still be signed in at <bdi>ORCID</bdi>"));
    assert!(drawn(&pages(), "sign-in-sandbox").contains("SANDBOX"));
    assert!(!drawn(&pages(), "sign-in-other").contains("What is ORCID?"));
}

#[test]
fn openid_and_authenticate_are_one_line() {
    let page = Page::Denied {
        site: None,
        needs: scope_lines(&"openid /authenticate".parse().unwrap()),
        retry: "/".into(),
        leave: None,
        provider: ProviderView::new(crate::domain::Environment::Production, ""),
    };
    let text = html(&pages().answer(&page, Language::En));
    assert_eq!(text.split("</main>").next().unwrap().matches("<li>").count(), 1);
}

#[test]
fn simulated_stands_on_every_page() {
    let pages = Pages::new(PagesSettings { simulated: true, ..settings() }).unwrap();
    for sample in samples::all() {
        let text = html(&pages.answer(&sample.page, Language::En));
        assert!(text.contains("<strong>SIMULATED</strong>") && text.contains("<title>SIMULATED: "), "{}", sample.name);
    }
}

#[test]
fn a_refusal_says_who_why_and_whom_to_ask() {
    let text = drawn(&pages(), "refused");
    for part in [
        "Josiah Carberry",
        "administrators",
        "Only the library&#39;s own staff",
        "mailto:library@example.edu",
        "Use another",
    ] {
        assert!(text.contains(part), "{part}");
    }
    assert!(drawn(&pages(), "refused-guest").contains("mailto:orcid-help@example.edu"), "the organisation's contact");
}

#[test]
fn sign_out_is_a_form_with_a_token() {
    let text = drawn(&pages(), "sign-out-everywhere");
    for part in [
        "<form method=\"post\" action=\"/.lychgate/sign-out\">",
        "<input type=\"hidden\" name=\"token\" value=\"c2FtcGxlLXRva2Vu\">",
        "name=\"reach\" value=\"everywhere\"",
        "name=\"reach\" value=\"all-devices\"",
    ] {
        assert!(text.contains(part), "{part}");
    }
    for reach in Reach::ALL {
        assert_eq!(Reach::from_field(reach.as_str()), Some(reach));
    }
    assert_eq!(Reach::from_field("nowhere"), None);
}

#[test]
fn t47_redirects_are_303_without_body_store_or_referrer() {
    let answer = redirect("https://wiki.example.edu/a?b=c");
    assert_eq!(answer.status(), 303);
    assert_eq!(header(&answer, LOCATION.as_str()), "https://wiki.example.edu/a?b=c");
    assert_eq!(header(&answer, CACHE_CONTROL.as_str()), "no-store");
    assert_eq!(header(&answer, REFERRER_POLICY.as_str()), "no-referrer");
    assert!(answer.body().is_empty());
    let broken = redirect("/a\r\nset-cookie: x");
    assert_eq!(broken.status(), 500);
    assert!(!broken.headers().contains_key("set-cookie"));
}

#[test]
fn scripts_get_json_with_code_and_incident() {
    let incident = samples::fair().into_iter().find_map(|sample| match sample.page {
        Page::Notice { incident, .. } => incident,
        _ => None,
    });
    for notice in Notice::ALL {
        let answer = pages().answer_json(*notice, incident);
        let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(answer.status(), notice.status());
        assert_eq!(body["error"], notice.code());
        assert_eq!(body["incident"], incident.unwrap().to_string());
        assert!(body["message"].as_str().unwrap().len() > 20);
        assert_eq!(header(&answer, CONTENT_TYPE.as_str()), "application/json");
    }
    assert_eq!(header(&pages().answer_json(Notice::StoreUnavailable, None), RETRY_AFTER.as_str()), "10");
    let answer = unauthorized_json("https://signin.example.edu/.lychgate/sign-in?a=\"b");
    assert_eq!(answer.status(), 401);
    assert_eq!(header(&answer, WWW_AUTHENTICATE.as_str()), "Lychgate realm=\"sign-in\"");
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(body["sign_in"], "https://signin.example.edu/.lychgate/sign-in?a=\"b");
    let answer = insufficient_scope_json("https://s.example/", &"/person/update /read-limited".parse().unwrap());
    assert_eq!(answer.status(), 403);
    assert!(header(&answer, WWW_AUTHENTICATE.as_str()).ends_with("scope=\"/person/update /read-limited\""));
}

#[test]
fn assets_are_kept_for_long_and_can_run_nothing() {
    let pages = pages();
    let answer = pages.asset(&style_path(&pages)).unwrap();
    assert_eq!(header(&answer, CACHE_CONTROL.as_str()), "public, max-age=31536000, immutable");
    assert_eq!(header(&answer, CONTENT_TYPE.as_str()), "text/css; charset=utf-8");
    assert!(header(&answer, CONTENT_SECURITY_POLICY.as_str()).ends_with("sandbox"));
    for path in ["/.lychgate/assets/", "/.lychgate/assets/style.css", "/.lychgate/assets/../page.rs", ""] {
        assert!(pages.asset(path).is_none(), "{path}");
    }
    // What apps refer to cannot change its name, so it is asked for again.
    let open_pages = pages.asset("/.lychgate/assets/session.js").unwrap();
    assert_eq!(header(&open_pages, CACHE_CONTROL.as_str()), "public, max-age=3600");
    assert_eq!(header(&open_pages, CONTENT_TYPE.as_str()), "text/javascript; charset=utf-8");
    let text = drawn(&pages, "notice-callback_incomplete");
    let script = text.split("<script src=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(header(&pages.asset(script).unwrap(), CONTENT_TYPE.as_str()), "text/javascript; charset=utf-8");
}
