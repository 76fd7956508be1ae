//! [`Voice`]: the pages in the look of one site or of the whole house, in every language, for people who sign in at
//! ORCID and for those who sign in elsewhere. Built once by [`super::Pages`].

use super::assets::Assets;
use super::context::{Drawn, House};
use super::folder::Layers;
use super::samples::{self, Sample};
use super::templates;
use super::texts::Texts;
use super::words;
use super::{Page, PagesSettings};
use crate::domain::{Environment as Provider, Language, Problem};
use http::StatusCode;
use minijinja::value::Value;
use minijinja::{Environment, context};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Voice {
    orcid: BTreeMap<Language, Tongue>,
    other: BTreeMap<Language, Tongue>,
    no_orcid: bool,
}

/// The pages in the words of one catalogue.
#[derive(Debug)]
pub(super) struct Tongue {
    pub(super) house: House,
    engine: Environment<'static>,
    /// The embedded templates alone: what stands in when an operator's template fails on a page that
    /// the trial at start did not foresee. `None` when there are no others.
    fallback: Option<Environment<'static>>,
}

impl Voice {
    /// Everything drawn from `layers` over what is embedded, and what is wrong with it.
    pub(super) fn new(settings: &PagesSettings, layers: Layers<'_>, assets: &mut Assets) -> (Voice, Vec<Problem>) {
        let (engine, mut problems) = templates::engine(layers);
        let embedded = (!layers.0.is_empty()).then(|| templates::engine(Layers(&[])).0);
        let look = Look::keep(layers, assets);
        let name = words::clean(&settings.organisation.name, 200);
        let mut voice = Voice { orcid: BTreeMap::new(), other: BTreeMap::new(), no_orcid: settings.no_orcid };
        for language in Language::ALL {
            let mut texts = Texts::of(language).clone();
            for (file, source) in layers.texts(language) {
                let (changed, complaints) = texts.overlaid(source, &file);
                problems.extend(complaints);
                texts = changed;
            }
            let tongue = |texts: Texts| {
                let texts = Arc::new(texts);
                let fallback = embedded.as_ref().filter(|_| layers.change(language));
                Tongue {
                    engine: templates::speaking(&engine, &texts, &name),
                    fallback: fallback.map(|embedded| templates::speaking(embedded, &texts, &name)),
                    house: house(settings, texts, language, &name, &look),
                }
            };
            voice.other.insert(language, tongue(texts.for_others()));
            voice.orcid.insert(language, tongue(texts));
        }
        (voice, problems)
    }

    /// In whose words a page speaks. Every language is there from [`Voice::new`]; `None` cannot happen.
    pub(super) fn tongue(&self, page: &Page, language: Language) -> Option<&Tongue> {
        let elsewhere = match page.provider() {
            Some(provider) => provider.environment == Provider::Other,
            None => self.no_orcid,
        };
        if elsewhere { &self.other } else { &self.orcid }.get(&language)
    }

    /// What all pages for people of ORCID have in common, in a language.
    pub(super) fn house(&self, language: Language) -> Option<&House> {
        self.orcid.get(&language).map(|tongue| &tongue.house)
    }

    /// Draws every sample page in each language that an operator's files change: plain ones, and ones full of
    /// hostile texts, none of which may reach the page as markup, whatever a template does (T84). What is embedded is
    /// tried by the tests.
    pub(super) fn trial(&self, layers: Layers<'_>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let samples = samples::all();
        for language in Language::ALL.into_iter().filter(|language| layers.change(*language)) {
            let both = [&self.orcid, &self.other].map(|tongues| tongues.get(&language));
            for tongue in both.into_iter().flatten() {
                for problem in samples.iter().filter_map(|sample| tongue.complaint(sample, layers)) {
                    if !problems.contains(&problem) {
                        problems.push(problem);
                    }
                }
            }
        }
        problems
    }
}

impl Tongue {
    pub(super) fn render(&self, drawn: &Drawn) -> String {
        let first = render(&self.engine, drawn);
        let html = match (&first, &self.fallback) {
            (Err(error), Some(fallback)) => {
                tracing::error!(template = drawn.template, %error, "an operator's template failed; showing the embedded one");
                render(fallback, drawn)
            }
            _ => first,
        };
        html.unwrap_or_else(|error| {
            tracing::error!(template = drawn.template, %error, "a page could not be drawn");
            bare(drawn.status)
        })
    }

    fn complaint(&self, sample: &Sample, layers: Layers<'_>) -> Option<Problem> {
        let drawn = self.house.draw(&sample.page);
        match render(&self.engine, &drawn) {
            Err(error) => Some(templates::complaint(&error, layers)),
            Ok(html) => unsafe_markup(&html, sample.hostile).map(|it| it.file(layers.place_of(drawn.template))),
        }
    }
}

fn render(engine: &Environment<'_>, drawn: &Drawn) -> Result<String, minijinja::Error> {
    engine.get_template(drawn.template)?.render(drawn.values.clone())
}

/// The files a page refers to, kept under their addresses.
struct Look {
    style: String,
    script: String,
    onward_script: String,
    icon: String,
    logo: Option<String>,
    /// ORCID's iD icon, which we may not ship.
    orcid_icon: Option<String>,
}

impl Look {
    fn keep(layers: Layers<'_>, assets: &mut Assets) -> Self {
        let mut style = layers.file("style.css").unwrap_or(include_bytes!("style.css")).to_vec();
        for custom in layers.each("custom.css") {
            style.extend_from_slice(custom);
        }
        let icon = layers.file("icon.svg").unwrap_or(include_bytes!("icon.svg")).to_vec();
        let mut artwork = |stem: &str| {
            ["svg", "png"].into_iter().find_map(|extension| {
                let body = layers.file(&format!("{stem}.{extension}"))?.to_vec();
                Some(assets.keep(stem, extension, body))
            })
        };
        let (logo, orcid_icon) = (artwork("logo"), artwork("orcid-icon"));
        Self {
            style: assets.keep("style", "css", style),
            script: assets.keep("callback", "js", &include_bytes!("callback.js")[..]),
            onward_script: assets.keep("onward", "js", &include_bytes!("onward.js")[..]),
            icon: assets.keep("icon", "svg", icon),
            logo,
            orcid_icon,
        }
    }
}

/// What all templates see.
fn house(settings: &PagesSettings, texts: Arc<Texts>, language: Language, name: &str, look: &Look) -> House {
    let organisation = &settings.organisation;
    let base = context! {
        lang => texts.get("lang"), dir => texts.get("dir"), simulated => settings.simulated,
        languages => languages(language),
        style => &look.style, icon => &look.icon, logo => &look.logo, artwork => &look.orcid_icon,
        organisation => context! {
            name => name,
            about => organisation.about.as_deref().map(|about| words::clean(about, 2_000)),
            contact => organisation.contact.as_deref().and_then(words::contact),
            privacy => organisation.privacy.as_deref().and_then(words::href),
        },
    };
    let contact = organisation.contact.clone();
    let (script, onward_script) = (look.script.clone(), look.onward_script.clone());
    House { texts, organisation: name.to_owned(), contact, base, script, onward_script }
}

/// The switch at the foot of a page. Its addresses are short and know nothing of the page: the gate learns from
/// `Referer` which page to show again.
fn languages(current: Language) -> Value {
    let entry = |language: Language| {
        context! {
            tag => Texts::of(language).get("lang"), name => language.own_name(), current => language == current,
            href => format!("/.lychgate/{language}"),
        }
    };
    Language::ALL.into_iter().map(entry).collect()
}

/// The last resort when no template can be drawn. Its words cannot come from anywhere else.
pub(super) fn bare(status: StatusCode) -> String {
    let reason = status.canonical_reason().unwrap_or("Error");
    format!("<!doctype html><html lang=\"en\"><title>{reason}</title><h1>{reason}</h1></html>")
}

/// What a drawn page must not hold. The pages' policy forbids inline scripts and styles, so they would
/// only look broken; raw sample markup means that a template switched escaping off.
fn unsafe_markup(html: &str, hostile: bool) -> Option<Problem> {
    if hostile && html.contains(samples::MARKUP) {
        let remedy = "take out `|safe` and `{% autoescape false %}`";
        return Some(Problem::error("this template prints what visitors send without escaping it").remedy(remedy));
    }
    let inline = ["<script>", "<style", " style=\"", " onclick="].into_iter().find(|text| html.contains(text))?;
    let problem = Problem::warning("this template holds an inline script or style, which browsers will not run here");
    Some(problem.found(inline).remedy("put styles into custom.css"))
}
