//! Keeps a grant: connection, sealed tokens and the browser's new root session, in one durable step. Called
//! once for each completed sign-in.

use crate::domain::{ClientName, Environment, Grant};
use crate::vault::{Completed, ConnectionKey, HashedSessionKey, RevocationId, SignInCompletion, Vault, VaultFault};

/// A verified grant and the session it gives.
pub struct Deposit<'a> {
    pub grant: &'a Grant,
    pub environment: Environment,
    pub client: ClientName,
    /// The hash of the key the browser will hold.
    pub root: HashedSessionKey,
    /// The browser's own name for itself, at most 120 characters.
    pub agent: String,
    /// The network it comes from.
    pub place: Option<String>,
    /// The root session that the browser shows, whoever's it is or was.
    pub previous: Option<HashedSessionKey>,
    /// The provider was told to make the person sign in anew.
    pub proven: bool,
    /// Since the person had to confirm it, its revocation is queued under this name.
    pub held: Option<RevocationId>,
}

/// Acknowledged only when durable (invariant 7). The new session has a new key (T64); what the browser
/// held before is ended in the same step, and if it was somebody else's, before it (T65).
/// `None` if the provider has said meanwhile that the person signed out there, or a held grant waited too long.
pub async fn deposit(vault: &Vault, deposit: Deposit<'_>) -> Result<Option<Completed>, VaultFault> {
    let Deposit { grant, environment, client, root, agent, place, previous, proven, held } = deposit;
    if let Some(previous) = &previous {
        let key = ConnectionKey { environment, client: client.clone(), subject: grant.subject.clone() };
        vault.end_session_unless_of(&key, previous).await?;
    }
    let done = SignInCompletion { grant, environment, client, root, agent, place, replaces: previous, proven, held };
    vault.complete_sign_in(done).await
}
