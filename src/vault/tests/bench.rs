//! [`Bench`]: a directory, a clock, and people who sign in. Used by all tests of the vault.

use crate::domain::{
    AccessToken, Chance, Environment, Grant, Mfa, OrcidId, RefreshToken, ScopeSet, StoppedClock, Subject, SystemChance,
};
use crate::vault::{
    Completed, ConnectionKey, HashedSessionKey, LiveSession, SignInCompletion, Vault, VaultFault, VaultSettings,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(super) const NOW: i64 = 1_795_500_000;
pub(super) const HOUR: i64 = 3600;
pub(super) const JOSIAH: &str = "0000-0002-1825-0097";
pub(super) const MALLORY: &str = "0000-0002-1694-233X";

pub(super) struct Bench {
    place: tempfile::TempDir,
    pub(super) clock: Arc<StoppedClock>,
    pub(super) chance: Arc<SystemChance>,
    tokens: AtomicU64,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self {
            place: tempfile::tempdir().unwrap(),
            clock: Arc::new(StoppedClock::at(NOW)),
            chance: Arc::new(SystemChance::default()),
            tokens: AtomicU64::new(0),
        }
    }

    pub(super) fn directory(&self) -> PathBuf {
        self.place.path().join("vault")
    }

    pub(super) fn key_file(&self) -> PathBuf {
        self.place.path().join("keys")
    }

    pub(super) fn settings(&self) -> VaultSettings {
        settings(&self.directory(), &self.key_file())
    }

    pub(super) fn try_open(&self) -> Result<Arc<Vault>, VaultFault> {
        Vault::open(self.settings(), self.clock.clone(), self.chance.clone())
    }

    pub(super) fn open(&self) -> Arc<Vault> {
        self.try_open().unwrap()
    }

    pub(super) fn key(&self) -> HashedSessionKey {
        let chance: &dyn Chance = &*self.chance;
        HashedSessionKey(chance.bytes())
    }

    /// A grant with tokens nobody has seen before.
    pub(super) fn grant(&self, who: &str, scopes: &str) -> Grant {
        grant(who, scopes, self.tokens.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) async fn sign_in(&self, vault: &Vault, who: &str, scopes: &str) -> (HashedSessionKey, Completed) {
        let root = self.key();
        let completed = sign_in(vault, &self.grant(who, scopes), root, None).await;
        (root, completed)
    }

    pub(super) async fn begin_at(
        &self,
        vault: &Vault,
        root: &HashedSessionKey,
        host: &str,
    ) -> Option<(HashedSessionKey, Arc<LiveSession>)> {
        let child = self.key();
        let begun = vault
            .begin_site_session(root, child, "wiki".parse().unwrap(), host.parse().unwrap(), "Browser".into(), None)
            .await
            .unwrap();
        begun.map(|live| (child, live))
    }
}

pub(super) fn settings(directory: &Path, key_file: &Path) -> VaultSettings {
    VaultSettings {
        directory: directory.to_owned(),
        key_file: key_file.to_owned(),
        simulated: false,
        idle: Duration::from_secs(8 * 3600),
        absolute: Duration::from_secs(24 * 3600),
        outage_grace: std::time::Duration::ZERO,
        warm_sessions: 1000,
    }
}

pub(super) fn scopes(text: &str) -> ScopeSet {
    text.parse().unwrap()
}

/// An iD, or whoever else.
pub(super) fn subject(who: &str) -> Subject {
    who.parse::<OrcidId>().map_or_else(|_| Subject::Foreign(who.to_owned()), Subject::Orcid)
}

pub(super) fn connection_key(who: &str) -> ConnectionKey {
    ConnectionKey { environment: Environment::Production, client: "main".parse().unwrap(), subject: subject(who) }
}

pub(super) fn grant(who: &str, wanted: &str, number: u64) -> Grant {
    Grant {
        subject: subject(who),
        name: Some("Josiah Stinkney Carberry".into()),
        given_name: Some("Josiah".into()),
        family_name: Some("Carberry".into()),
        mfa: Mfa::Enabled,
        scopes: scopes(wanted),
        access_token: AccessToken::new(format!("access-token-{who}-{number}")),
        refresh_token: Some(RefreshToken::new(format!("refresh-token-{who}-{number}"))),
        expires: Some(crate::domain::UnixTime(NOW + 631_138_518)),
        at_provider: None,
    }
}

pub(super) async fn sign_in(
    vault: &Vault,
    grant: &Grant,
    root: HashedSessionKey,
    replaces: Option<HashedSessionKey>,
) -> Completed {
    try_sign_in(vault, grant, root, replaces).await.unwrap().expect("nobody has said that it is over")
}

pub(super) async fn try_sign_in(
    vault: &Vault,
    grant: &Grant,
    root: HashedSessionKey,
    replaces: Option<HashedSessionKey>,
) -> Result<Option<Completed>, VaultFault> {
    vault.complete_sign_in(SignInCompletion { replaces, ..completion(grant, root) }).await
}

/// A sign-in by the client `main` that replaces nothing.
pub(super) fn completion(grant: &Grant, root: HashedSessionKey) -> SignInCompletion<'_> {
    SignInCompletion {
        grant,
        environment: Environment::Production,
        client: "main".parse().unwrap(),
        root,
        agent: "Mozilla/5.0 (a browser)".into(),
        replaces: None,
        place: Some("192.0.2.0/24".into()),
        proven: false,
        held: None,
    }
}
