//! Sealing keys and client secrets replaced on disk are taken into use while the gate runs (J10). Nobody is asked to
//! sign in again for it; a file that cannot be used keeps what was in use.

use super::reload::Refused;
use crate::config::{ClientSettings, Settings};
use crate::domain::{ClientName, Problem};
use crate::tokens::Providers;
use crate::vault::{Sealing, Vault, VaultFault};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::Handle;

/// What seals, and what proves to providers who we are.
pub(super) struct Rotation {
    vault: Arc<Vault>,
    key_file: PathBuf,
    providers: Arc<Providers>,
    clients: BTreeMap<ClientName, ClientSettings>,
    background: Handle,
}

impl Rotation {
    pub(super) fn new(settings: &Settings, vault: Arc<Vault>, providers: Arc<Providers>, background: Handle) -> Self {
        let (key_file, clients) = (settings.vault.key_file.clone(), settings.clients.clone());
        Self { vault, key_file, providers, clients, background }
    }

    /// The files it reads.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.clients.values().filter_map(|client| client.secret_file.as_ref()).chain([&self.key_file])
    }

    /// Reads the key file again. Blocks.
    pub(super) fn sealing_keys(&self) -> Refused {
        match self.background.block_on(self.vault.reload_keys()) {
            Ok(None) => Vec::new(),
            Ok(Some(keys)) => {
                if let Some(active) = keys.iter().find(|key| key.active) {
                    tracing::info!(key = %active.id, keys = keys.len(), "the sealing keys have changed: this one seals now");
                }
                Vec::new()
            }
            Err(fault) => vec![self.key_problem(&fault)],
        }
    }

    fn key_problem(&self, fault: &VaultFault) -> Problem {
        Problem::error(fault.to_string()).file(&self.key_file).key("vault.key_file")
    }

    /// Reads the secrets again that came from files. Blocks.
    pub(super) fn client_secrets(&self) -> Refused {
        let mut refused = Vec::new();
        for (name, client) in &self.clients {
            match client.read_secret_again() {
                Ok(Some(secret)) => {
                    if self.providers.get(name).is_some_and(|provider| provider.replace_secret(secret)) {
                        tracing::info!(client = %name, "the client's secret has changed: the new one is used now");
                    }
                }
                Ok(None) => {}
                Err(problem) => refused.push(problem),
            }
        }
        refused
    }
}

/// The key that seals, and whether older ones have become needless for what lies on disk; as JSON, for the admin socket.
pub(super) fn told(vault: &Vault) -> Value {
    match vault.sealing() {
        Ok(Sealing { keys, resealed }) => {
            let active = keys.iter().find(|key| key.active);
            json!({ "id": active.map(|key| key.id), "keys": keys.len(), "resealed": resealed })
        }
        Err(fault) => json!({ "error": fault.to_string() }),
    }
}
