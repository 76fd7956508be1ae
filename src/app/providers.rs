//! From client registrations as configured to providers at work.

use super::StartFault;
use crate::config::{self, Settings};
use crate::domain::{ClientName, Clock, Environment};
use crate::orcid::{ClientAuthentication, Provider, ProviderSettings, SigningAlgorithm, Timeouts};
use crate::signin::{back_channel_url, callback_url, sign_out_return_url};
use crate::tokens::Providers;
use std::sync::Arc;
use std::time::Duration;

/// How far our clock and a provider's may disagree (`pains.md` B13).
const LEEWAY: Duration = Duration::from_secs(60);

/// One provider per registration. Talks to nobody: a gate starts while its provider is down (J14).
pub(super) fn build(settings: &Settings, public_port: u16, clock: &Arc<dyn Clock>) -> Result<Providers, StartFault> {
    let mut providers = Providers::new();
    for (name, client) in &settings.clients {
        let provider = Provider::new(provider_settings(settings, name, client, public_port), clock.clone())
            .map_err(|trouble| StartFault::Client { client: name.to_string(), trouble })?;
        tracing::info!(
            client = %name,
            environment = %client.environment,
            redirect_uri = %provider.settings().redirect_uri,
            "register this redirect URI for the client"
        );
        if client.environment == Environment::Other {
            tracing::info!(
                client = %name,
                post_logout_redirect_uri = %sign_out_return_url(&settings.gate.sign_in_host, public_port),
                backchannel_logout_uri = %back_channel_url(&settings.gate.sign_in_host, public_port, name),
                "and these, if the provider has such things"
            );
        }
        providers.insert(name.clone(), provider);
    }
    Ok(providers)
}

fn provider_settings(
    settings: &Settings,
    name: &ClientName,
    client: &config::ClientSettings,
    public_port: u16,
) -> ProviderSettings {
    ProviderSettings {
        name: name.clone(),
        title: client.title.clone(),
        environment: client.environment,
        membership: client.membership,
        client_id: client.id.clone(),
        client_secret: client.secret.clone(),
        issuer: client.issuer.clone(),
        authentication: match client.authentication {
            config::ClientAuthentication::Auto => ClientAuthentication::Auto,
            config::ClientAuthentication::Post => ClientAuthentication::Post,
            config::ClientAuthentication::Basic => ClientAuthentication::Basic,
        },
        algorithms: client
            .algorithms
            .iter()
            .map(|algorithm| match algorithm {
                config::SigningAlgorithm::Rs256 => SigningAlgorithm::Rs256,
                config::SigningAlgorithm::Es256 => SigningAlgorithm::Es256,
            })
            .collect(),
        redirect_uri: callback_url(&settings.gate.sign_in_host, public_port, name),
        base_scope: client.base_scope.clone(),
        foreign_subjects: client.foreign_subjects,
        subject_claim: client.subject_claim.clone(),
        extra_scopes: client.extra_scopes.clone(),
        offer_sign_out: client.offer_sign_out,
        show_login: client.show_login,
        renew: client.renew,
        userinfo: client.userinfo,
        cache_file: Some(settings.state.directory.join(format!("discovery-{name}.json"))),
        ca_file: client.ca_file.clone(),
        leeway: LEEWAY,
        timeouts: Timeouts { connect: client.connect_timeout, total: client.timeout },
    }
}
