//! Asks a provider that is no ORCID whether it still vouches for somebody, by renewing their tokens (T61, B23). One
//! watch asks, one question at a time, so that no refresh token is ever used twice (B4).

use super::watch::Outcome;
use crate::domain::{Broken, ClientName};
use crate::orcid::{OrcidTrouble, Provider};
use crate::vault::{ConnectionKey, Renewal, TokenPair, Vault, VaultFault};

/// Renews the newest pair of somebody who is signed in. A refusal, or an answer that is not to be believed, ends
/// their sessions; an outage changes nothing.
pub(super) async fn renew(vault: &Vault, provider: &Provider, key: &ConnectionKey) -> Result<Outcome, VaultFault> {
    if vault.sessions_of(key).await?.is_empty() {
        return Ok(Outcome::NoToken);
    }
    let pairs = vault.token_pairs(key).await?;
    let renewable = pairs.iter().rev().find_map(|pair| pair.refresh_token.as_ref().map(|token| (pair, token)));
    let Some((pair, token)) = renewable else { return Ok(Outcome::NoToken) };
    let TokenPair { access_token: used, .. } = pair;
    match provider.refresh(token, None, &key.subject).await {
        Ok(new) => {
            let renewal = Renewal {
                access_token: new.access_token,
                refresh_token: new.refresh_token,
                scopes: new.scopes,
                obtained: new.obtained,
                expires: new.expires,
            };
            let kept = vault.renew_pair(key, used, &renewal).await?;
            Ok(if kept { Outcome::Sound } else { Outcome::Superseded })
        }
        Err(trouble) if trouble.is_grant_refused() || trouble.lie().is_some() => {
            tell(&key.client, &trouble);
            let marked = vault.mark_broken(key, used, Broken::NotRenewed).await?;
            Ok(if marked { Outcome::Broken(Broken::NotRenewed) } else { Outcome::Superseded })
        }
        Err(trouble) if trouble.is_outage() => Ok(Outcome::Later(trouble)),
        Err(trouble) => Ok(Outcome::Unclear(trouble)),
    }
}

fn tell(client: &ClientName, trouble: &OrcidTrouble) {
    if trouble.lie().is_some() {
        tracing::warn!(%client, cause = %trouble, "a renewal was not believed; the sessions end");
    }
}
