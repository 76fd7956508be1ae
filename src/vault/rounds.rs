//! How far the look at all connections of a client has come ([`Round`]). `tokens` keeps it here, so that after a
//! restart those are asked about first whose turn was longest ago.

use super::trees::{self, Address, Tree};
use super::{Page, Vault, VaultFault};
use crate::domain::{ClientName, UnixTime};
use serde::{Deserialize, Serialize};

/// One look at all connections, in the order of [`Vault::connections`].
#[derive(Clone, Debug)]
pub struct Round {
    /// When the next one begins.
    pub next: UnixTime,
    /// Where this one goes on.
    pub at: Stage,
}

/// How far a round is.
#[derive(Clone, Debug)]
pub enum Stage {
    Beginning,
    Behind(Page),
    Over,
}

#[derive(Serialize, Deserialize)]
struct RoundRecord {
    next: UnixTime,
    at: StageRecord,
}

#[derive(Serialize, Deserialize)]
enum StageRecord {
    Beginning,
    Behind(Vec<u8>),
    Over,
}

impl Vault {
    /// The round of a client; `None` if there was none yet, or if nobody can read what it had come to: then
    /// the next one begins anew, which costs some questions and nothing else.
    pub async fn round(&self, client: &ClientName) -> Result<Option<Round>, VaultFault> {
        let Some(bytes) = self.core.store.get(&trees::round(client)).await? else { return Ok(None) };
        let Ok(RoundRecord { next, at }) = postcard::from_bytes(&bytes) else { return Ok(None) };
        let at = match at {
            StageRecord::Beginning => Stage::Beginning,
            StageRecord::Over => Stage::Over,
            StageRecord::Behind(address) => {
                match Address::from_bytes(&address).filter(|address| address.tree() == Tree::Connections) {
                    Some(address) => Stage::Behind(Page(address)),
                    None => Stage::Beginning,
                }
            }
        };
        Ok(Some(Round { next, at }))
    }

    /// Keeps how far the round of a client is. Durable.
    pub async fn keep_round(&self, client: &ClientName, round: &Round) -> Result<(), VaultFault> {
        let at = match &round.at {
            Stage::Beginning => StageRecord::Beginning,
            Stage::Behind(page) => StageRecord::Behind(page.0.bytes().to_vec()),
            Stage::Over => StageRecord::Over,
        };
        let record = RoundRecord { next: round.next, at };
        // Addresses are keyed hashes, and nothing else in here is anybody's: it needs no seal.
        self.core.store.put(trees::round(client), super::seal::encode(&record).to_vec()).await
    }
}
