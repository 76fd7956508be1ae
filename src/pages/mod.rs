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
#[cfg(test)]
mod language_tests;
mod notice;
mod onward;
#[cfg(test)]
mod override_tests;
mod page;
#[cfg(test)]
mod provider_tests;
mod session;
mod templates;
#[cfg(test)]
mod tests;
mod voice;
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

use crate::domain::{IncidentId, Language, Problem};
use assets::Assets;
use bytes::Bytes;
use folder::{Folder, Layers};
use headers::{Allowance, Policies};
use http::{Response, StatusCode};
use std::collections::BTreeMap;
use std::path::PathBuf;
use texts::Texts;
use voice::Voice;

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
    /// The sites there are, to tell which directories in `templates/sites` are misspelled; `None` if unknown.
    pub sites: Option<Vec<String>>,
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
    house: Voice,
    /// Sites with files of their own, by name.
    sites: BTreeMap<String, Voice>,
    assets: Assets,
    policies: Policies,
    remarks: Vec<Problem>,
}

impl Pages {
    /// Reads the operator's directory and tries every page with it. The complaints name file and line.
    pub fn new(settings: PagesSettings) -> Result<Pages, Vec<Problem>> {
        let mut problems = Vec::new();
        let (folder, sites) = match &settings.templates {
            Some(path) => {
                let (folder, found) = Folder::read(path);
                problems.extend(found);
                let (sites, found) = Folder::of_sites(path);
                problems.extend(found);
                (Some(folder), sites)
            }
            None => (None, Vec::new()),
        };
        let origins = settings.provider_origins.iter().filter(|origin| !is_origin(origin));
        problems.extend(origins.map(|found| {
            Problem::error("this is not an origin a form may lead to")
                .found(found)
                .expected("such as https://orcid.org")
        }));
        let mut assets = Assets::default();
        let mut voices = BTreeMap::new();
        let mut speak = |layers: &[&Folder]| {
            let layers = Layers(layers);
            let (voice, found) = Voice::new(&settings, layers, &mut assets);
            let broken = found.iter().any(Problem::is_error);
            problems.extend(found);
            if !broken {
                // What the organisation's files are blamed for is not said again for every site.
                problems.extend(
                    voice.trial(layers).into_iter().filter(|found| !problems.contains(found)).collect::<Vec<_>>(),
                );
            }
            voice
        };
        let below: Vec<&Folder> = folder.iter().collect();
        let house = speak(&below);
        for (name, own) in &sites {
            let layers: Vec<&Folder> = below.iter().copied().chain([own]).collect();
            voices.insert(name.clone(), speak(&layers));
        }
        let spoken = Language::ALL.into_iter().filter_map(|language| house.house(language));
        assets.keep_as(session::NAME, "js", session::script(spoken.map(|house| &*house.texts)));
        problems.extend(settings.unknown_sites(voices.keys()));
        if problems.iter().any(Problem::is_error) {
            return Err(problems);
        }
        let policies = Policies::new(&settings.provider_origins);
        Ok(Pages { house, sites: voices, assets, policies, remarks: problems })
    }

    /// What is worth saying about the operator's directory, although it can be used.
    pub fn remarks(&self) -> &[Problem] {
        &self.remarks
    }

    /// The answer that shows a page.
    pub fn answer(&self, page: &Page, language: Language) -> Response<Bytes> {
        let voice = page.site().and_then(|site| self.sites.get(&site.name)).unwrap_or(&self.house);
        let Some(tongue) = voice.tongue(page, language).or_else(|| voice.tongue(page, Language::default())) else {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            return headers::page(status, voice::bare(status), self.policies.of(Allowance::Nothing, None), None);
        };
        let drawn = tongue.house.draw(page);
        let html = tongue.render(&drawn);
        let policy = self.policies.of(drawn.allowance, drawn.leads_to.as_deref());
        headers::page(drawn.status, html, policy, drawn.retry_after)
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

    /// Every file that pages refer to: its address and its content, for a preview on disk.
    pub fn assets(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.assets.all()
    }
}

impl PagesSettings {
    /// Directories of sites that no policy names: likely misspelled.
    fn unknown_sites<'a>(&self, found: impl Iterator<Item = &'a String>) -> Vec<Problem> {
        let (Some(known), Some(templates)) = (&self.sites, &self.templates) else { return Vec::new() };
        let unknown = found.filter(|name| !known.contains(name));
        let complaint = |name: &String| {
            let problem = Problem::warning("this directory changes nothing: no policy is for a site of this name");
            problem.file(templates.join("sites").join(name))
        };
        unknown.map(complaint).collect()
    }
}

/// Title and text of a notice in one sentence or two, for scripts.
pub(crate) fn message(notice: Notice) -> String {
    let texts = Texts::english();
    let part = |part: &str| texts.get(&format!("notice.{}.{part}", notice.code())).unwrap_or_default();
    format!("{}. {}", part("title"), part("text"))
}

fn is_origin(text: &str) -> bool {
    headers::origin_of(text).is_some_and(|origin| origin == text)
}
