//! Every page in every language: whole, small, facing the right way; and what an operator's files change for one
//! language or one site.

use super::override_tests::{shown, with_files};
use super::tests::{html, pages, style_path};
use super::*;
use std::collections::BTreeSet;

fn drawn(pages: &Pages, name: &str, language: Language) -> String {
    let sample = samples::all().into_iter().find(|sample| sample.name == name).unwrap_or_else(|| panic!("{name}"));
    html(&pages.answer(&sample.page, language))
}

#[test]
fn every_page_speaks_every_language_and_faces_its_way() {
    let pages = pages();
    let style = pages.asset(&style_path(&pages)).unwrap().body().len();
    for language in Language::ALL {
        let texts = Texts::of(language);
        let opening = format!(
            "<html lang=\"{}\" dir=\"{}\">",
            texts.get("lang").unwrap(),
            if language.is_rtl() { "rtl" } else { "ltr" }
        );
        for sample in samples::all() {
            let (name, page) = (&sample.name, html(&pages.answer(&sample.page, language)));
            assert!(page.contains(&opening), "{language} {name}");
            assert!(page.contains(texts.get("layout.skip").unwrap()), "{language} {name} is in another language");
            assert_eq!(page.matches("aria-current=\"true\"").count(), 1, "{language} {name}");
            assert!(!page.contains("<script>"), "{language} {name}");
            if !sample.hostile {
                let size = style + page.len();
                assert!(size <= 30 * 1024, "{language} {name}: {size} bytes");
                let open: Vec<&str> =
                    page.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|it| it.0).collect();
                assert!(open.is_empty(), "{language} {name}: nothing filled {open:?}");
            }
        }
    }
}

#[test]
fn the_switch_names_every_language_in_its_own_words() {
    let page = drawn(&pages(), "sign-in", Language::De);
    let switch = page.split("class=\"languages\"").nth(1).unwrap().split("</nav>").next().unwrap();
    for language in Language::ALL {
        let tag = Texts::of(language).get("lang").unwrap();
        let link = format!("href=\"/.lychgate/{language}\" lang=\"{tag}\" hreflang=\"{tag}\"");
        assert!(switch.contains(&link) && switch.contains(language.own_name()), "{link}: {switch}");
    }
    assert!(switch.contains("hreflang=\"de\" aria-current=\"true\""), "{switch}");
}

#[test]
fn t84_hostile_texts_stay_texts_in_every_language() {
    let pages = pages();
    for language in Language::ALL {
        for sample in samples::hostile() {
            let page = html(&pages.answer(&sample.page, language));
            for bad in ["<script>", "javascript:", "\"' onmouseover", "\u{202e}"] {
                assert!(!page.contains(bad), "{language} {}: {bad:?}", sample.name);
            }
        }
    }
}

#[test]
fn an_operators_texts_change_their_own_language_alone() {
    let pages =
        with_files(&[("de.toml", "[sign-in]\nbutton = \"Los\"\n"), ("en.toml", "[sign-in]\nbutton = \"Go\"\n")])
            .unwrap_or_else(|problems| panic!("{}", shown(&problems)));
    for (language, words) in [
        (Language::De, "<span>Los</span>"),
        (Language::En, "<span>Go</span>"),
        (Language::Fr, "Créer ou connecter votre ORCID iD"),
    ] {
        assert!(drawn(&pages, "sign-in", language).contains(words), "{language}");
    }
    let problems = with_files(&[("fr.toml", "[sign-in]\nbutton = \"{nobody}\"\n")]).expect_err("it has a stranger");
    let text = shown(&problems);
    assert!(text.contains("fr.toml") && text.contains("{nobody}"), "{text}");
    assert!(
        shown(with_files(&[("it.toml", "x")]).unwrap().remarks()).contains("it.toml"),
        "a language we do not speak"
    );
}

#[test]
fn a_sites_files_go_before_the_organisations_and_show_on_its_pages_alone() {
    let files = [
        ("en.toml", "[sign-in]\nbutton = \"Ours\"\nnote = \"Our note\"\n"),
        ("custom.css", "main { color: red; }"),
        ("sites/library/en.toml", "[sign-in]\nbutton = \"The library's\"\n"),
        ("sites/library/custom.css", "main { color: blue; }"),
        ("sites/repository/denied.html", "{% extends \"layout.html\" %}{% block main %}No deposit{% endblock %}"),
    ];
    let pages = with_files(&files).unwrap_or_else(|problems| panic!("{}", shown(&problems)));
    let library = drawn(&pages, "sign-in", Language::En);
    assert!(library.contains("The library&#39;s") && library.contains("Our note"), "{library}");
    let plain = drawn(&pages, "sign-in-plain", Language::En);
    assert!(plain.contains("<span>Ours</span>"), "{plain}");
    assert_ne!(style_of(&library), style_of(&plain), "the site has a style of its own");
    let style = html(&pages.asset(&style_of(&library)).unwrap());
    assert!(style.ends_with("main { color: red; }main { color: blue; }"), "the site's last word counts");
    assert!(!drawn(&pages, "denied", Language::En).contains("No deposit"), "the library's own page");
    let denied = samples::fair().into_iter().find(|sample| sample.name == "denied").unwrap();
    let denied = html(&pages.answer(&denied.page.in_look_of("repository"), Language::Ar));
    assert!(denied.contains("No deposit") && denied.contains("dir=\"rtl\""), "{denied}");
}

fn style_of(page: &str) -> String {
    page.split("rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[test]
fn what_is_wrong_with_a_sites_files_is_said_once_with_file_and_line() {
    let broken = [("sites/library/denied.html", "<p>\n\n{{ nobody }}</p>"), ("sites/library/x.png", "")];
    let text = shown(&with_files(&broken).expect_err("nobody is undefined"));
    assert!(text.contains("sites/library/denied.html:3: "), "{text}");
    assert_eq!(text.matches("denied.html").count(), 1, "{text}");
    let house = [("denied.html", "\n{{ nobody }}"), ("sites/library/en.toml", ""), ("sites/wiki/en.toml", "")];
    let text = shown(&with_files(&house).expect_err("nobody is undefined"));
    let places: BTreeSet<&str> = text.matches("denied.html:2").collect();
    assert_eq!((places.len(), text.matches("denied.html:2").count()), (1, 1), "said once, not for every site: {text}");
}

#[test]
fn a_directory_of_a_site_that_no_policy_names_is_remarked_upon() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("sites/libary")).unwrap();
    let settings = PagesSettings {
        templates: Some(folder.path().to_owned()),
        sites: Some(vec!["library".into()]),
        ..super::tests::settings()
    };
    let text = shown(Pages::new(settings).unwrap().remarks());
    assert!(text.contains("libary") && text.contains("no policy"), "{text}");
}
