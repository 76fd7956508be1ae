//! From the configuration to what `pages` needs to know.

use crate::config::Settings;
use crate::domain::{Environment, Problem};
use crate::pages::{Organisation, Pages, PagesSettings};
use crate::policy::PolicySet;

/// Whose pages these are. `policies` name the sites that may have files of their own, where they are known.
pub fn pages_settings(settings: &Settings, policies: Option<&PolicySet>) -> PagesSettings {
    let organisation = &settings.organisation;
    let clients = || settings.clients.values();
    PagesSettings {
        organisation: Organisation {
            name: organisation.name.clone(),
            about: organisation.about.clone(),
            contact: organisation.contact.clone(),
            privacy: organisation.privacy.clone(),
        },
        templates: settings.pages.templates.clone(),
        sites: policies.map(|policies| policies.sites().iter().map(|site| site.name.to_string()).collect()),
        simulated: settings.simulated(),
        no_orcid: clients().all(|client| client.environment == Environment::Other),
        provider_origins: clients().filter_map(|client| origin_of(&client.issuer)).collect(),
    }
}

/// What is wrong with the operator's templates and texts, as a start would find it.
pub fn examine_pages(settings: &Settings, policies: &PolicySet) -> Vec<Problem> {
    match Pages::new(pages_settings(settings, Some(policies))) {
        Ok(pages) => pages.remarks().to_vec(),
        Err(problems) => problems,
    }
}

fn origin_of(issuer: &str) -> Option<String> {
    url::Url::parse(issuer).ok().map(|url| url.origin().ascii_serialization())
}
