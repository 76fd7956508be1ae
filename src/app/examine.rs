//! What `check` and `serve` both do before anything runs: certificates, policies and their cases, and
//! whether they fit together. Touches no network and changes nothing.

use super::StartFault;
use crate::config::Settings;
use crate::domain::{ClientName, Host, Problem, Scope};
use crate::policy::{self, ClientFacts, PolicyContext, PolicySet};
use crate::tls::{CertificateFiles, CertificateStore};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Checked parts, ready to be built on.
pub struct Examined {
    pub certificates: Arc<CertificateStore>,
    pub policies: Arc<PolicySet>,
    pub warnings: Vec<Problem>,
}

/// Policies as they lie on disk now, if they could be put in force beside these certificates; everything that is wrong
/// or odd about them. The one reading of `check`, of a start and of a reload.
pub(super) fn policies(
    settings: &Settings,
    certificates: Option<&CertificateStore>,
) -> (Option<PolicySet>, Vec<Problem>) {
    let (policies, mut problems) = policy::load(&settings.policies.directory, &policy_context(settings));
    if let Some(policies) = &policies {
        problems.extend(policy::run_cases(policies));
        if let Some(certificates) = certificates {
            problems.extend(uncovered(settings, policies, certificates));
        }
    }
    let broken = problems.iter().any(Problem::is_error);
    (policies.filter(|_| !broken), problems)
}

/// Reads everything the settings point at; all complaints at once.
pub fn examine(settings: &Settings) -> Result<Examined, StartFault> {
    let mut problems = Vec::new();
    let certificates =
        CertificateStore::load(&certificate_files(settings)).map_err(|found| problems.extend(found)).ok();
    let (policies, found) = policies(settings, certificates.as_deref());
    problems.extend(found);
    match (certificates, policies) {
        (Some(certificates), Some(policies)) if !problems.iter().any(Problem::is_error) => {
            Ok(Examined { certificates, policies: Arc::new(policies), warnings: problems })
        }
        _ => Err(StartFault::Problems(problems)),
    }
}

/// The pairs as `tls` wants them.
pub(super) fn certificate_files(settings: &Settings) -> Vec<CertificateFiles> {
    settings
        .tls
        .certificates
        .iter()
        .map(|pair| CertificateFiles { cert: pair.cert.clone(), key: pair.key.clone() })
        .collect()
}

/// What policies may refer to.
pub fn policy_context(settings: &Settings) -> PolicyContext {
    let clients: BTreeMap<ClientName, ClientFacts> = settings
        .clients
        .iter()
        .map(|(name, client)| {
            let facts = ClientFacts {
                environment: client.environment,
                membership: client.membership,
                base_scope: Scope::clone(&client.base_scope),
                foreign_subjects: client.foreign_subjects,
            };
            (name.clone(), facts)
        })
        .collect();
    PolicyContext {
        sign_in_host: settings.gate.sign_in_host.clone(),
        clients,
        default_client: settings.default_client.clone(),
    }
}

/// Hosts that no certificate covers: their visitors would meet a browser's warning.
fn uncovered(settings: &Settings, policies: &PolicySet, certificates: &CertificateStore) -> Vec<Problem> {
    let set = certificates.current();
    let covered = |host: &Host| set.choose(Some(host.as_str())).is_some_and(|certificate| certificate.covers(host));
    let complaint = |host: &Host| {
        Problem::error(format!("no certificate covers the host `{host}`"))
            .key("tls.certificates")
            .expected("a certificate that lists every host of the gate, by name or by wildcard")
            .remedy("add the name to a certificate, or list another pair in tls.certificates")
    };
    let mut problems = Vec::new();
    if !covered(&settings.gate.sign_in_host) {
        problems.push(complaint(&settings.gate.sign_in_host).key("gate.sign_in_host"));
    }
    for site in policies.sites() {
        for host in site.hosts.iter().filter(|host| !covered(host)) {
            problems.push(complaint(host).file(&site.file).key("site.hosts"));
        }
    }
    problems
}
