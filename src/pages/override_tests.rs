//! What an operator's files change: templates, texts, style, artwork; and what is said about broken ones.

use super::tests::{drawn, html, settings, style_path};
use super::*;
use crate::domain::Severity;
use std::fs;

pub(super) fn with_files(files: &[(&str, &str)]) -> Result<Pages, Vec<Problem>> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    Pages::new(PagesSettings { templates: Some(folder.path().to_owned()), ..settings() })
}

pub(super) fn shown(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn an_operator_replaces_a_template_a_text_and_the_style() {
    let own = "{% extends \"layout.html\" %}\n{% block main %}<p>Ours: {{ person.name }}</p>{% endblock %}\n";
    let pages = with_files(&[
        ("connected.html", own),
        ("en.toml", "lang = \"en-GB\"\n[denied]\nreconsider = \"Think again at {organisation}\"\n"),
        ("custom.css", "body { color: rebeccapurple; }"),
        ("orcid-icon.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>"),
        ("logo.png", "png"),
    ])
    .unwrap_or_else(|problems| panic!("{}", shown(&problems)));
    assert!(pages.remarks().is_empty(), "{}", shown(pages.remarks()));
    assert!(drawn(&pages, "connected").contains("Ours: Josiah Carberry"));
    assert!(drawn(&pages, "hostile-connected").contains("Ours: &lt;script&gt;"));
    assert!(drawn(&pages, "denied").contains("Think again at <bdi>University of Somewhere</bdi>"));
    assert!(drawn(&pages, "denied").contains("<html lang=\"en-GB\""));
    assert!(html(&pages.asset(&style_path(&pages)).unwrap()).ends_with("rebeccapurple; }"));
    let text = drawn(&pages, "sign-in");
    assert!(text.contains("<img src=\"/.lychgate/assets/orcid-icon-"), "the official artwork on the button");
    assert!(text.contains("<img class=\"logo\" src=\"/.lychgate/assets/logo-"));
    assert_ne!(style_path(&pages), style_path(&super::tests::pages()), "a changed style has another name");
}

#[test]
fn a_broken_template_is_reported_with_file_and_line() {
    for (name, source, line, words) in [
        ("denied.html", "<p>\n{% if %}\n</p>", 2, "syntax error"),
        ("denied.html", "<p>\n\n{{ nobody }}</p>", 3, "undefined"),
        ("notice.html", "{{ t(\"notice.nothing\") }}", 1, "there is no text `notice.nothing`"),
        ("sign-in.html", "\n{{ t(\"sign-in.continue-as\") }}", 2, "needs a value for {name}"),
        ("sign-in.html", "{% extends \"base.html\" %}", 1, "base.html"),
        ("parts.html", "x\n{% macro person(who, artwork) %}{{ who.nmae }}{% endmacro %}", 2, "undefined"),
    ] {
        let problems = with_files(&[(name, source)]).expect_err(source);
        let text = shown(&problems);
        assert!(text.contains(&format!("{name}:{line}: ")), "{source}: {text}");
        assert!(text.contains(words), "{source}: {text}");
    }
}

#[test]
fn t84_a_template_that_switches_escaping_off_is_refused() {
    for source in ["{{ site.title|safe }}", "{% autoescape false %}{{ site.title }}{% endautoescape %}"] {
        let own = format!(
            "{{% extends \"layout.html\" %}}{{% block main %}}{{% if site %}}{source}{{% endif %}}{{% endblock %}}"
        );
        let text = shown(&with_files(&[("denied.html", &own)]).expect_err(source));
        assert!(text.contains("denied.html") && text.contains("without escaping"), "{text}");
    }
}

#[test]
fn files_that_change_nothing_are_remarked_upon() {
    let pages =
        with_files(&[("orcid-icon.gif", "x"), ("signin.txt", "x"), (".hidden", "x"), ("en.toml~", "x")]).unwrap();
    let text = shown(pages.remarks());
    assert!(pages.remarks().iter().all(|problem| problem.severity == Severity::Warning));
    assert!(text.contains("orcid-icon.gif") && text.contains("did you mean `orcid-icon."), "{text}");
    assert!(text.contains("signin.txt") && !text.contains("hidden") && !text.contains('~'), "{text}");
    let pages = with_files(&[("custom.html", "{{ fine }}"), ("notice.html", "<p style=\"x\">{{ text }}</p>")]).unwrap();
    assert!(shown(pages.remarks()).contains("inline script or style"), "{}", shown(pages.remarks()));
    assert_eq!(pages.remarks().len(), 1, "the same remark once: {}", shown(pages.remarks()));
}

#[test]
fn a_missing_directory_and_a_bad_origin_are_problems() {
    let missing = PagesSettings { templates: Some("/nowhere/at/all".into()), ..settings() };
    assert!(shown(&Pages::new(missing).unwrap_err()).contains("cannot be read"));
    for origin in ["https://orcid.org/", "orcid.org", "https://orcid.org; script-src *", "javascript:x"] {
        let bad = PagesSettings { provider_origins: vec![origin.into()], ..settings() };
        assert!(shown(&Pages::new(bad).unwrap_err()).contains("not an origin"), "{origin}");
    }
}

#[test]
fn a_template_that_fails_on_a_real_page_falls_back_to_ours() {
    // Passes the trial, fails where a visitor has no name and the site is called so.
    let own = "{% if site and site.title == \"Odd\" %}{{ nobody }}{% endif %}fine";
    let pages = with_files(&[("denied.html", own)]).unwrap();
    let page = |title: &str| Page::Denied {
        site: Some(SiteView { name: "wiki".into(), title: title.into(), url: None }),
        needs: Vec::new(),
        retry: "/".into(),
        leave: None,
        provider: ProviderView::new(crate::domain::Environment::Production, ""),
    };
    assert_eq!(html(&pages.answer(&page("Even"), Language::En)), "fine");
    assert!(html(&pages.answer(&page("Odd"), Language::En)).contains("Please reconsider"));
}

#[test]
fn every_text_is_used_and_every_template_says_what_it_sees() {
    let mut sources: String = template_names().map(|name| template_source(name).unwrap()).collect();
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/pages")).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_string_lossy();
        if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            sources += &fs::read_to_string(&file).unwrap();
        }
    }
    for key in Texts::english().keys() {
        let by_code = ["notice.", "scope.", "link.", "other."].iter().any(|start| key.starts_with(start));
        let stem = key.trim_end_matches("-plain");
        assert!(
            by_code
                || sources.contains(&format!("\"{key}\""))
                || sources.contains(&format!("\"{stem}\""))
                || ["lang", "dir"].contains(&key),
            "nothing uses {key}"
        );
    }
    for name in template_names() {
        assert!(template_source(name).unwrap().starts_with("{#\n"), "{name} has no comment on top");
    }
}
