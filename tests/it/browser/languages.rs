//! Every page of the gate as `lychgate pages preview` writes it, looked at in Chromium: by axe, in seven languages, on a
//! small screen, enlarged, in the dark, with strong or forced colours, without motion, on paper. And whole journeys in
//! Arabic and Chinese.

use super::scene::{Scene, assert_well_made};
use crate::campus::chromium::Chromium;
use crate::campus::temp::{self, Authority};
use crate::campus::{installed, people};
use crate::cli::child::run;
use lychgate::domain::Language;
use lychgate::pages::samples;
use lychgate::pages::texts::Texts;
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

/// Faces with everything that pages are made of.
const FACES: [&str; 11] = [
    "broken",
    "choose",
    "sign-in-scopes",
    "sign-in-continue",
    "step-up",
    "connected-missing",
    "denied",
    "account",
    "sign-out-everywhere",
    "refused",
    "notice-cookies_missing",
];

/// The preview and a browser to look at it.
struct Gallery {
    folder: TempDir,
    chromium: Chromium,
}

impl Gallery {
    async fn open() -> Option<Self> {
        let chromium = Chromium::start(Authority::new().pem()).await?;
        let folder = temp::directory();
        run(folder.path(), ["pages", "preview", "preview"]).assert_code(0).assert_says(&["index.html"]);
        Some(Self { folder, chromium })
    }

    async fn look(&self, language: Language, page: &str) -> &Chromium {
        let file = self.folder.path().join("preview").join(language.tag()).join(format!("{page}.html"));
        self.chromium.open(&format!("file://{}", file.display())).await
    }

    async fn emulate(&self, media: &str, features: &[(&str, &str)]) {
        let features: Vec<Value> =
            features.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        self.chromium.devtools("Emulation.setEmulatedMedia", json!({ "media": media, "features": features })).await;
    }

    async fn style(&self, selector: &str, property: &str) -> String {
        let script = format!("return getComputedStyle(document.querySelector('{selector}')).{property}");
        self.chromium.script(&script).await.as_str().unwrap_or_default().to_owned()
    }
}

/// What axe complains about: rule, place and why.
async fn complaints(chromium: &Chromium, axe: &str) -> Vec<String> {
    let run = "return axe.run().then((found) => found.violations.map((rule) =>
        `${rule.id}: ${rule.nodes.map((node) => `${node.target} ${node.failureSummary}`).join('; ')}`))";
    let found = chromium.script(&format!("{axe};\n{run}")).await;
    found.as_array().expect("axe gives a list").iter().map(|it| it.as_str().unwrap_or_default().to_owned()).collect()
}

fn axe(place: &Path) -> String {
    std::fs::read_to_string(place.join("node_modules/axe-core/axe.min.js")).expect("it was installed")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn axe_finds_nothing_to_complain_about_on_any_page() {
    if installed::left_out() {
        return;
    }
    let Some(gallery) = Gallery::open().await else { return };
    let axe = axe(&installed::axe());
    let mut all = Vec::new();
    for scheme in ["light", "dark"] {
        gallery.emulate("screen", &[("prefers-color-scheme", scheme)]).await;
        for sample in samples::fair() {
            let chromium = gallery.look(Language::En, &sample.name).await;
            all.extend(
                complaints(chromium, &axe).await.into_iter().map(|it| format!("{scheme} {}: {it}", sample.name)),
            );
        }
        for language in Language::ALL {
            for page in FACES {
                let chromium = gallery.look(language, page).await;
                all.extend(
                    complaints(chromium, &axe).await.into_iter().map(|it| format!("{scheme} {language} {page}: {it}")),
                );
            }
        }
    }
    assert!(all.is_empty(), "{} complaints:\n{}", all.len(), all.join("\n"));
    gallery.chromium.quit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_every_language_a_small_screen_and_letters_twice_as_large_lose_nothing() {
    let Some(gallery) = Gallery::open().await else { return };
    let chromium = &gallery.chromium;
    let larger = "document.documentElement.style.fontSize = '200%'; return 1";
    for language in Language::ALL {
        for page in FACES {
            chromium.width(320).await;
            gallery.look(language, page).await;
            assert_well_made(chromium).await;
            chromium.screenshot(&format!("languages-{language}-{page}-320")).await;
            // WCAG 1.4.4 and 1.4.10: everything twice as large leaves half the window; and the letters alone.
            let metrics = json!({ "width": 640, "height": 800, "deviceScaleFactor": 2, "mobile": false });
            chromium.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
            gallery.look(language, page).await;
            assert_well_made(chromium).await;
            chromium.script(larger).await;
            assert!(!chromium.scrolls_sideways().await, "{language} {page} with large letters scrolls sideways");
        }
        chromium.width(1280).await;
        for page in ["sign-in-scopes", "refused"] {
            gallery.look(language, page).await;
            chromium.screenshot(&format!("languages-{language}-{page}")).await;
        }
    }
    gallery.chromium.quit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arabic_faces_from_right_to_left() {
    let Some(gallery) = Gallery::open().await else { return };
    gallery.chromium.width(1000).await;
    let places = "const box = (selector) => document.querySelector(selector).getBoundingClientRect();
        const [main, heading, button, why] = ['main', 'h1', '.button', '.why'].map(box);
        const range = document.createRange(); range.selectNodeContents(document.querySelector('h1'));
        const text = range.getBoundingClientRect();
        return [main.right - text.right, text.left - main.left, main.right - button.right, main.right - why.right]";
    for (language, begins) in [(Language::Ar, 0), (Language::En, 1)] {
        let chromium = gallery.look(language, "sign-in-scopes").await;
        let found = chromium.script(places).await;
        let (right, left) = (found[0].as_f64().unwrap(), found[1].as_f64().unwrap());
        assert_eq!(i32::from(right > left), begins, "{language}: {found}");
        let border = if language.is_rtl() { "borderRightWidth" } else { "borderLeftWidth" };
        assert_eq!(gallery.style(".why", border).await, "4px", "{language}");
        gallery.look(language, "account").await;
        assert_eq!(gallery.style("time", "direction").await, "ltr", "a moment reads the same way everywhere");
    }
    gallery.chromium.quit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strong_and_forced_colours_stillness_and_paper_are_respected() {
    let Some(gallery) = Gallery::open().await else { return };
    let chromium = &gallery.chromium;
    gallery.emulate("screen", &[]).await;
    gallery.look(Language::En, "sign-in-scopes").await;
    let ink = gallery.style("h1", "color").await;
    assert_ne!(gallery.style(".note", "color").await, ink, "small print is soft");
    assert_ne!(gallery.style(".button", "transitionDuration").await, "0s");

    gallery.emulate("screen", &[("prefers-contrast", "more")]).await;
    assert_eq!(gallery.style(".note", "color").await, ink);
    chromium.screenshot("languages-contrast").await;

    gallery.emulate("screen", &[("prefers-reduced-motion", "reduce")]).await;
    assert_eq!(gallery.style(".button", "transitionDuration").await, "0s");

    gallery.emulate("screen", &[("forced-colors", "active")]).await;
    for page in FACES {
        gallery.look(Language::En, page).await;
        let faint = "return [...document.querySelectorAll('.button, .person, .why')].filter((element) =>
            getComputedStyle(element).borderStyle === 'none' || parseFloat(getComputedStyle(element).borderTopWidth) < 1)
            .map((element) => element.className)";
        assert_eq!(chromium.script(faint).await, json!([]), "{page}: only a colour says what this is");
    }
    chromium.screenshot("languages-forced-colors").await;

    gallery.emulate("print", &[]).await;
    for language in [Language::En, Language::Ar] {
        gallery.look(language, "account").await;
        assert_eq!(gallery.style("body", "color").await, "rgb(0, 0, 0)");
        assert_eq!(gallery.style(".actions", "display").await, "none");
        assert_eq!(gallery.style(".languages", "display").await, "none");
        let words = chromium.text().await;
        for shown in ["0000-0002-1825-0097", "2026-10-01", "https://library.example.edu/"] {
            let on_paper = "return [...document.querySelectorAll('main a')].map((link) => link.textContent +
                getComputedStyle(link, '::after').content).join(' ')";
            let links = chromium.script(on_paper).await;
            assert!(
                words.contains(shown) || links.as_str().is_some_and(|text| text.contains(shown)),
                "{shown}: {links}"
            );
        }
        chromium.screenshot(&format!("languages-print-{language}")).await;
    }
    gallery.chromium.quit().await;
}

/// From a deep link through ORCID and back, then out again, all of ours in `language` and without scripts.
async fn journey(language: Language, name: &'static str) {
    let Some(scene) = Scene::open(name).await else { return };
    let chromium = &scene.chromium;
    let texts = Texts::of(language);
    let says = |key: &str| {
        let whole = texts.get(key).unwrap_or_else(|| panic!("{key}"));
        whole.split('{').next().unwrap().trim().to_owned()
    };
    let deep = scene.wiki("pages/start?from=front&q=a%20b&&x=%C3%A9");
    chromium.without_javascript().await;
    chromium.open(&deep).await;
    let before = chromium.url().await;
    chromium.click(language.own_name()).await;
    scene.says(&[&says("sign-in.needs-title"), &says("orcid.what-title")]).await.shot("1-sign-in").await;
    Scene::assert_same(&chromium.url().await, &before);
    chromium.click(&says("sign-in.button")).await;
    scene.sign_in_at_orcid(&people::ordinary()).await;
    chromium.click("Deny access").await;
    scene.says(&[&says("denied.reconsider")]).await.shot("2-denied").await;
    chromium.click(&says("denied.retry")).await;
    chromium.wait_for_url(&scene.demo.simulator()).await;
    chromium.click("Authorize access").await;
    chromium.wait_for_url(&scene.own("connected")).await;
    scene.says(&[&says("connected.title"), people::ordinary().orcid.as_str()]).await.shot("3-connected").await;
    chromium.click(&says("connected.continue")).await;
    chromium.wait_for_url(&deep).await;
    chromium.open(&scene.repository("deposit")).await;
    scene.says(&[&says("step-up.lead")]).await.shot("4-step-up").await;
    chromium.open(&scene.own("account")).await;
    scene.says(&[&says("account.title"), &says("account.since")]).await.shot("5-account").await;
    chromium.open(&scene.wiki(".lychgate/sign-out")).await;
    scene.says(&[&says("sign-out.unsaved")]).await.shot("6-sign-out").await;
    chromium.click(&says("sign-out.site")).await;
    scene.says(&[&says("signed-out.title")]).await.shot("7-signed-out").await;
    scene.assert_console_empty().await;
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_researcher_goes_the_whole_way_in_arabic() {
    journey(Language::Ar, "arabic").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_researcher_goes_the_whole_way_in_chinese() {
    journey(Language::Zh, "chinese").await;
}

/// What the help desk's guide shows. `LYCHGATE_PICTURES=docs/pictures cargo test --test it the_help_desks` takes them anew.
const PICTURES: [&str; 7] = ["sign-in", "step-up", "connected", "kept", "account", "refused", "broken"];

async fn take_pictures(folder: &Path) {
    let Some(gallery) = Gallery::open().await else { return };
    for name in PICTURES {
        let chromium = gallery.look(Language::En, name).await;
        chromium.width(640).await;
        let height = chromium.script("return document.documentElement.scrollHeight").await;
        let metrics = json!({ "width": 640, "height": height, "deviceScaleFactor": 1, "mobile": false });
        chromium.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let taken = chromium.screenshot(&format!("guide-{name}")).await;
        std::fs::copy(taken, folder.join(format!("{name}.png"))).unwrap();
    }
    gallery.chromium.quit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_help_desks_guide_has_a_picture_of_each_page_it_explains() {
    if let Some(folder) = std::env::var_os("LYCHGATE_PICTURES") {
        take_pictures(Path::new(&folder)).await;
    }
    let guide = std::fs::read_to_string("docs/RESEARCHERS.md").unwrap();
    for name in PICTURES {
        assert!(guide.contains(&format!("](pictures/{name}.png)")), "docs/RESEARCHERS.md does not show {name}");
        let kept = std::fs::read(format!("docs/pictures/{name}.png")).unwrap_or_default();
        assert!(kept.starts_with(b"\x89PNG"), "docs/pictures/{name}.png is no picture");
    }
}
