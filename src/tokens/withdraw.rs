//! Takes tokens back at ORCID: what the vault has queued for revocation is revoked there, however long ORCID
//! is away (`design.md` §6). One background task, started by `app`.

use super::Providers;
use crate::domain::Clock;
use crate::orcid::{Blame, OrcidTrouble};
use crate::vault::{Revocation, Vault, VaultFault};
use std::sync::Arc;
use std::time::Duration;

/// How many are taken at a time.
const BATCH: usize = 16;
/// How often the queue is looked at when it was empty.
const IDLE: Duration = Duration::from_secs(15);
/// How long to leave a store alone that failed.
const STORE_PAUSE: Duration = Duration::from_secs(60);

/// Runs until aborted. The queue is durable and knows when each entry is due; a token leaves it only
/// when the provider has confirmed, or can never be asked.
pub async fn drain_revocations(vault: Arc<Vault>, providers: Arc<Providers>, clock: Arc<dyn Clock>) {
    loop {
        let pause = match drain_some(&vault, &providers, &*clock).await {
            Ok(0) => IDLE,
            Ok(_) => continue,
            Err(fault) => {
                tracing::error!(cause = %fault, "the queue of revocations could not be read or written");
                STORE_PAUSE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = vault.given_back() => {}
        }
    }
}

/// Handles what is due now; says how many that were.
pub(super) async fn drain_some(vault: &Vault, providers: &Providers, clock: &dyn Clock) -> Result<usize, VaultFault> {
    let due = vault.due_revocations(clock.now(), BATCH).await?;
    let count = due.len();
    for revocation in due {
        if withdraw(providers, &revocation).await {
            vault.revocation_done(&revocation.id).await?;
        } else {
            vault.revocation_failed(&revocation.id, clock.now()).await?;
        }
    }
    Ok(count)
}

/// Whether the entry is settled.
async fn withdraw(providers: &Providers, revocation: &Revocation) -> bool {
    let client = &revocation.key.client;
    let provider =
        providers.get(client).filter(|provider| provider.settings().environment == revocation.key.environment);
    let Some(provider) = provider else {
        tracing::warn!(%client, "a token waits to be revoked, but its client is no longer configured");
        return false;
    };
    match provider.revoke(revocation.token.expose()).await {
        Ok(()) => {
            tracing::info!(%client, "a superseded or withdrawn token was revoked");
            true
        }
        Err(OrcidTrouble::CannotRevoke) => {
            tracing::warn!(%client, "the provider offers no revocation; the token was forgotten here only");
            true
        }
        Err(trouble) => {
            if trouble.blame() == Blame::Outage {
                tracing::info!(%client, cause = %trouble, "a revocation has to wait");
            } else {
                tracing::warn!(%client, cause = %trouble, "a revocation was refused; it is tried again later");
            }
            false
        }
    }
}
