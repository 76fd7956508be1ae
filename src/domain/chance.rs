//! Randomness as an argument (invariant 9): everything that draws a key, an id or a nonce is handed
//! a [`Chance`]; only `app`, `cli` and the tests choose which.

use ring::rand::SecureRandom;

/// A source of cryptographically secure random bytes.
pub trait Chance: Send + Sync + 'static {
    /// Fills `into` with fresh random bytes. Never fails: an operating system without randomness is
    /// not one a gate may run on, so the implementation ends the process instead of returning.
    fn fill(&self, into: &mut [u8]);
}

impl dyn Chance {
    /// `N` fresh random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0u8; N];
        self.fill(&mut out);
        out
    }
}

/// The operating system's generator, through `ring`.
#[derive(Debug)]
pub struct SystemChance {
    source: ring::rand::SystemRandom,
}

impl Default for SystemChance {
    fn default() -> Self {
        Self { source: ring::rand::SystemRandom::new() }
    }
}

impl Chance for SystemChance {
    fn fill(&self, into: &mut [u8]) {
        self.source.fill(into).expect("the operating system gives random bytes; without them nothing here is safe");
    }
}
