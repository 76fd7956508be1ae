//! The keys that sign assertions: read from the vault, made when there are none, rotated with overlap.

use super::StartFault;
use crate::assertion::{AssertionKeys, Assertions, KeyMaterial, generate_key, plan_rotation};
use crate::domain::Clock;
use crate::vault::{StoredSigningKey, Vault, VaultFault};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often the plan is looked at; the next key is published an hour before it signs.
const EVERY: Duration = Duration::from_secs(15 * 60);

/// Carries out what is due and returns the keys in force.
pub(super) async fn keys(vault: &Vault, clock: &dyn Clock, signs_for: Duration) -> Result<AssertionKeys, StartFault> {
    let mut material: Vec<KeyMaterial> = vault.signing_keys().await?.into_iter().map(in_hand).collect();
    let now = clock.now();
    let plan = plan_rotation(&material, now, signs_for);
    for (kid, end) in plan.retire {
        if let Some(key) = material.iter_mut().find(|key| key.kid == kid) {
            key.retire_at = Some(end);
            vault.put_signing_key(&at_rest(key)).await?;
        }
    }
    for kid in plan.drop {
        vault.drop_signing_key(&kid).await?;
        material.retain(|key| key.kid != kid);
    }
    if plan.make {
        let key = generate_key(now).map_err(|fault| StartFault::Process(fault.to_string()))?;
        vault.put_signing_key(&at_rest(&key)).await?;
        material.push(key);
    }
    AssertionKeys::new(&material).map_err(|fault| StartFault::Process(fault.to_string()))
}

/// Rotates until `stop` turns true.
pub(super) async fn rotate(
    vault: Arc<Vault>,
    assertions: Arc<Assertions>,
    clock: Arc<dyn Clock>,
    signs_for: Duration,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        match keys(&vault, &*clock, signs_for).await {
            Ok(keys) => assertions.replace_keys(keys),
            Err(fault) => tracing::error!(%fault, "the keys for assertions could not be rotated; the old ones stay"),
        }
    }
}

fn in_hand(stored: StoredSigningKey) -> KeyMaterial {
    KeyMaterial { kid: stored.kid, pkcs8: stored.pkcs8, created: stored.created, retire_at: stored.retire_at }
}

fn at_rest(key: &KeyMaterial) -> StoredSigningKey {
    StoredSigningKey { kid: key.kid.clone(), pkcs8: key.pkcs8.clone(), created: key.created, retire_at: key.retire_at }
}

/// Reports a fault of the vault once when it comes and once when it goes.
pub(super) async fn watch_health(vault: Arc<Vault>, metric: prometheus::IntGauge, mut stop: watch::Receiver<bool>) {
    let mut healthy = true;
    loop {
        let now: Result<(), VaultFault> = vault.healthy().await;
        metric.set(i64::from(now.is_ok()));
        match now {
            Err(fault) if healthy => {
                tracing::error!(%fault, "the vault cannot be used; sign-ins and cold sessions get 503")
            }
            Ok(()) if !healthy => tracing::info!("the vault can be used again"),
            _ => {}
        }
        healthy = metric.get() == 1;
        tokio::select! {
            _ = stop.changed() => return,
            () = tokio::time::sleep(Duration::from_secs(10)) => {}
        }
    }
}
