//! Tests of the vault as a whole: each opens real vaults in directories of its own.

mod account;
mod bench;
mod broken;
mod connections;
mod damage;
mod kill;
mod lapsed;
mod opening;
mod provider_sessions;
mod secrecy;
mod sessions;
pub(super) mod store;
mod withdrawal;
