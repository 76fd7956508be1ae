//! `/.lychgate/badge` on a site host: an ORCID iD as ORCID wants one shown, for the site's own pages to take in. Whose
//! iD was proved here is known here; what an app, or an address, merely says is shown as said.

use super::{OwnRequest, SignIn, StepFault};
use crate::domain::{Environment, Identity, OrcidId, Subject};
use crate::pages::{self, Badge, BadgeStyle, Notice, Proof};
use crate::policy::{BadgeReach, Site};
use crate::vault::ConnectionKey;
use bytes::Bytes;
use http::Response;
use std::sync::Arc;

/// What the address asks for.
struct Asked {
    picture: bool,
    style: BadgeStyle,
    name: bool,
    /// Somebody in particular; else who is signed in.
    id: Option<OrcidId>,
}

impl Asked {
    /// `None` for anything that is not exactly one of the known words: a typo is better seen than guessed at.
    fn read(request: &OwnRequest) -> Option<Self> {
        let parameters = request.parameters().ok()?;
        let picture = match parameters.get("form").unwrap_or("html") {
            "html" => false,
            "svg" => true,
            _ => return None,
        };
        let style = match parameters.get("style").unwrap_or("full") {
            "full" => BadgeStyle::Full,
            "compact" => BadgeStyle::Compact,
            "inline" => BadgeStyle::Inline,
            _ => return None,
        };
        let name = match parameters.get("name").unwrap_or("no") {
            "no" => style == BadgeStyle::Inline,
            "yes" => true,
            _ => return None,
        };
        let id = match parameters.get("id") {
            Some(text) => Some(text.parse().ok()?),
            None => None,
        };
        Some(Self { picture, style, name, id })
    }
}

/// Whom the badge shows, and through which kind of provider their iD is known.
struct Shown {
    id: OrcidId,
    name: Option<String>,
    environment: Environment,
    proof: Proof,
}

impl SignIn {
    pub(super) async fn badge(&self, site: &Arc<Site>, request: &OwnRequest) -> Result<Response<Bytes>, StepFault> {
        // Elsewhere a picture's mere size would tell who is signed in here.
        if !request.is_asked_by_own_page() {
            return Ok(self.pages.answer_json(Notice::CrossSiteRefused, None));
        }
        let Some(asked) = Asked::read(request) else { return Ok(self.pages.answer_json(Notice::BadRequest, None)) };
        let visitor = self.present(site, request).await?;
        let own = visitor.as_ref().and_then(|live| own(&live.identity));
        let shown = match (asked.id, own) {
            (None, Some(own)) => own,
            (None, None) if visitor.is_some() => return Ok(self.pages.answer_json(Notice::NotFound, None)),
            (None, None) => return Ok(pages::unauthorized_json(&format!("{}/", self.origin(&request.host)))),
            (Some(id), Some(own)) if id == own.id => own,
            (Some(id), _) => self.known(site, id).await?,
        };
        let uri = shown.id.uri(shown.environment.record_base());
        let name = shown.name.filter(|_| asked.name);
        let badge = Badge { id: shown.id, uri, name, proof: shown.proof, style: asked.style };
        Ok(match asked.picture {
            true => self.pages.badge_svg(&badge, request.language),
            false => self.pages.badge_html(&badge, request.language),
        })
    }

    /// Somebody other than the visitor: authenticated only if they are connected through a registration of this site,
    /// and said so only where the site lets its readers know.
    async fn known(&self, site: &Site, id: OrcidId) -> Result<Shown, StepFault> {
        let asked = if site.badge == BadgeReach::Connected { &site.clients[..] } else { &[] };
        for client in asked {
            let Some(provider) = self.providers.get(client) else { continue };
            let environment = provider.settings().environment;
            let proof = proof_of(environment);
            let key = ConnectionKey { environment, client: client.clone(), subject: Subject::Orcid(id) };
            if proof != Proof::None
                && let Some(connection) = self.vault.connection(&key).await?
                // Whoever took everything back, or for whom ORCID no longer vouches, is connected no more.
                && connection.broken.is_none()
                && !connection.scopes.is_empty()
            {
                return Ok(Shown { id, name: connection.name.clone(), environment, proof });
            }
        }
        Ok(Shown { id, name: None, environment: site.environment, proof: Proof::None })
    }
}

/// The visitor's own iD, if they have one.
fn own(identity: &Identity) -> Option<Shown> {
    let (environment, name) = (identity.environment, identity.name.clone());
    Some(Shown { id: identity.subject.orcid()?, name, environment, proof: proof_of(environment) })
}

/// What a sign-in in this environment proves. Another provider's word is not ORCID's.
fn proof_of(environment: Environment) -> Proof {
    match environment {
        Environment::Production | Environment::Sandbox => Proof::Authenticated,
        Environment::Simulator => Proof::Simulated,
        Environment::Other => Proof::None,
    }
}
