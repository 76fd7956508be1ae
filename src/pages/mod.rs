//! The pages people see, as `http::Response<Bytes>` values: templates, texts, style and security
//! headers. Made by `signin` and `proxy`, which say *what* to show; no sockets here.

pub mod samples;
pub mod texts;

mod account;
mod agent;
mod assets;
mod badge;
mod broken;
mod choose;
mod confirm;
mod context;
mod disconnect;
mod folder;
mod headers;
mod kept;
mod notice;
mod onward;
#[cfg(test)]
mod override_tests;
mod page;
#[cfg(test)]
mod provider_tests;
mod templates;
#[cfg(test)]
mod tests;
mod words;

pub use account::{AccountPage, BrowserView, SiteLine};
pub use assets::PREFIX as ASSETS;
pub use badge::{Badge, BadgeStyle, Proof};
pub use broken::BrokenPage;
pub use choose::{Choice, ChoosePage};
pub use confirm::ConfirmPage;
pub use disconnect::{DisconnectPage, DisconnectedPage, Farewell};
pub use headers::{insufficient_scope_json, json, redirect, unauthorized_json};
pub use kept::KeptPage;
pub use notice::Notice;
pub use onward::OnwardPage;
pub use page::{
    Link, LinkLabel, Page, PersonView, ProviderView, Reach, ScopeLine, SiteView, There, scope_line, scope_lines,
};
pub use templates::{names as template_names, source as template_source};
pub use words::timestamp;

use crate::domain::{self, IncidentId, Language, Problem};
use assets::Assets;
use bytes::Bytes;
use context::{Drawn, House};
use folder::Folder;
use headers::Policies;
use http::{Response, StatusCode};
use minijinja::{Environment, context};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use texts::Texts;

/// Whose gate this is.
#[derive(Clone, Debug, Default)]
pub struct Organisation {
    pub name: String,
    /// Why it asks for ORCID iDs, in its own words.
    pub about: Option<String>,
    /// A mail address or an https address.
    pub contact: Option<String>,
    /// The address of a privacy notice.
    pub privacy: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct PagesSettings {
    pub organisation: Organisation,
    /// A directory whose files replace templates, texts and style by file name, and bring artwork.
    pub templates: Option<PathBuf>,
    /// Whether SIMULATED stands on every page.
    pub simulated: bool,
    /// Origins a form of ours may lead on to, such as `https://orcid.org`.
    pub provider_origins: Vec<String>,
    /// Nobody signs in at ORCID here: pages that know no provider do not speak of it either.
    pub no_orcid: bool,
}

/// Draws pages. Cheap to share; draws without locks.
#[derive(Debug)]
pub struct Pages {
    /// For people who sign in at ORCID.
    orcid: Tongue,
    /// For people who sign in elsewhere.
    other: Tongue,
    no_orcid: bool,
    assets: Assets,
    policies: Policies,
    remarks: Vec<Problem>,
}

/// The pages in the words for one kind of provider.
#[derive(Debug)]
struct Tongue {
    house: House,
    engine: Environment<'static>,
    /// The embedded templates alone: what stands in when an operator's template fails on a page that
    /// the trial at start did not foresee. `None` when there are no others.
    fallback: Option<Environment<'static>>,
}

impl Pages {
    /// Reads the operator's directory and tries every page with it. The complaints name file and line.
    pub fn new(settings: PagesSettings) -> Result<Pages, Vec<Problem>> {
        let (folder, mut problems) = match &settings.templates {
            Some(path) => Folder::read(path),
            None => (Folder::default(), Vec::new()),
        };
        let texts = match folder.texts() {
            Some(source) => {
                let (texts, complaints) = Texts::english().overlaid(source, &folder.path.join(texts::FILE));
                problems.extend(complaints);
                Arc::new(texts)
            }
            None => Arc::new(Texts::english().clone()),
        };
        let origins = settings.provider_origins.iter().filter(|origin| !is_origin(origin));
        problems.extend(origins.map(|found| {
            Problem::error("this is not an origin a form may lead to")
                .found(found)
                .expected("such as https://orcid.org")
        }));
        let mut assets = Assets::default();
        let (orcid, complaints) = tongue(&settings, texts.clone(), &folder, &mut assets);
        problems.extend(complaints);
        // The same templates again: whatever is wrong with them has been said.
        let (other, _) = tongue(&settings, Arc::new(texts.for_others()), &folder, &mut assets);
        let policies = Policies::new(&settings.provider_origins);
        let no_orcid = settings.no_orcid;
        let mut pages = Pages { orcid, other, no_orcid, assets, policies, remarks: Vec::new() };
        if !problems.iter().any(Problem::is_error) {
            problems.extend(pages.trial(&folder.path));
        }
        if problems.iter().any(Problem::is_error) {
            return Err(problems);
        }
        pages.remarks = problems;
        Ok(pages)
    }

    /// What is worth saying about the operator's directory, although it can be used.
    pub fn remarks(&self) -> &[Problem] {
        &self.remarks
    }

    /// The answer that shows a page.
    pub fn answer(&self, page: &Page, _language: Language) -> Response<Bytes> {
        let tongue = self.tongue(page);
        let drawn = tongue.house.draw(page);
        let html = tongue.render(&drawn);
        let policy = self.policies.of(drawn.allowance, drawn.leads_to.as_deref());
        headers::page(drawn.status, html, policy, drawn.retry_after)
    }

    /// In whose words a page speaks.
    fn tongue(&self, page: &Page) -> &Tongue {
        let elsewhere = match page.provider() {
            Some(provider) => provider.environment == domain::Environment::Other,
            None => self.no_orcid,
        };
        if elsewhere { &self.other } else { &self.orcid }
    }

    /// The same for callers that read no pages (J16): `error`, `message` and `incident`.
    pub fn answer_json(&self, notice: Notice, incident: Option<IncidentId>) -> Response<Bytes> {
        let mut body = serde_json::json!({ "error": notice.code(), "message": message(notice) });
        if let Some(incident) = incident {
            body["incident"] = incident.to_string().into();
        }
        let mut answer = headers::json(notice.status(), &body);
        if let Some(seconds) = notice.retry_after() {
            answer.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
        }
        answer
    }

    /// A file under `/.lychgate/assets/`, if the path names one.
    pub fn asset(&self, path: &str) -> Option<Response<Bytes>> {
        self.assets.answer(path)
    }

    /// Draws every sample page: plain ones, and ones full of hostile texts, none of which may reach
    /// the page as markup, whatever an operator's template does (T84).
    fn trial(&self, folder: &Path) -> Vec<Problem> {
        let mut problems = Vec::new();
        for sample in samples::all() {
            for tongue in [&self.orcid, &self.other] {
                let drawn = tongue.house.draw(&sample.page);
                let problem = match render(&tongue.engine, &drawn) {
                    Err(error) => Some(templates::complaint(&error, folder)),
                    Ok(html) => unsafe_markup(&html, sample.hostile).map(|p| p.file(folder.join(drawn.template))),
                };
                problems.extend(problem.filter(|problem| !problems.contains(problem)));
            }
        }
        problems
    }
}

impl Tongue {
    fn render(&self, drawn: &Drawn) -> String {
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
}

/// The engine and what all its pages have in common, in the words of `texts`.
fn tongue(settings: &PagesSettings, texts: Arc<Texts>, folder: &Folder, assets: &mut Assets) -> (Tongue, Vec<Problem>) {
    let name = words::clean(&settings.organisation.name, 200);
    let (engine, problems) = templates::engine(&texts, &name, &folder.templates, &folder.path);
    let fallback = match folder.templates.is_empty() && folder.texts().is_none() {
        true => None,
        false => Some(templates::engine(&texts, &name, &[], &folder.path).0),
    };
    let house = house(settings, texts, name, folder, assets);
    (Tongue { house, engine, fallback }, problems)
}

fn render(engine: &Environment<'_>, drawn: &Drawn) -> Result<String, minijinja::Error> {
    engine.get_template(drawn.template)?.render(drawn.values.clone())
}

/// Keeps the assets and builds what all templates see.
fn house(settings: &PagesSettings, texts: Arc<Texts>, name: String, folder: &Folder, assets: &mut Assets) -> House {
    let mut style = match folder.file("style.css") {
        Some(own) => own.to_vec(),
        None => include_bytes!("style.css").to_vec(),
    };
    style.extend_from_slice(folder.file("custom.css").unwrap_or_default());
    let style = assets.keep("style", "css", style);
    let script = assets.keep("callback", "js", &include_bytes!("callback.js")[..]);
    let onward_script = assets.keep("onward", "js", &include_bytes!("onward.js")[..]);
    let icon = folder.file("icon.svg").unwrap_or(include_bytes!("icon.svg")).to_vec();
    let icon = assets.keep("icon", "svg", icon);
    let mut artwork = |stem: &str| {
        ["svg", "png"].into_iter().find_map(|extension| {
            let body = folder.file(&format!("{stem}.{extension}"))?.to_vec();
            Some(assets.keep(stem, extension, body))
        })
    };
    let (logo, orcid_icon) = (artwork("logo"), artwork("orcid-icon"));
    let organisation = &settings.organisation;
    let base = context! {
        lang => texts.get("lang"), dir => texts.get("dir"), simulated => settings.simulated,
        style => style, icon => icon, logo => logo, artwork => orcid_icon,
        organisation => context! {
            name => name.as_str(),
            about => organisation.about.as_deref().map(|about| words::clean(about, 2_000)),
            contact => organisation.contact.as_deref().and_then(words::contact),
            privacy => organisation.privacy.as_deref().and_then(words::href),
        },
    };
    House { texts, organisation: name, contact: organisation.contact.clone(), base, script, onward_script }
}

/// Title and text of a notice in one sentence or two, for scripts.
pub(crate) fn message(notice: Notice) -> String {
    let texts = Texts::english();
    let part = |part: &str| texts.get(&format!("notice.{}.{part}", notice.code())).unwrap_or_default();
    format!("{}. {}", part("title"), part("text"))
}

/// The last resort when no template can be drawn. Its words cannot come from anywhere else.
fn bare(status: StatusCode) -> String {
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

fn is_origin(text: &str) -> bool {
    headers::origin_of(text).is_some_and(|origin| origin == text)
}
