//! Why a gate does not start, in words for the sysadmin.

use crate::domain::Problem;
use crate::orcid::OrcidTrouble;
use crate::vault::VaultFault;
use std::io;
use thiserror::Error;

/// Everything that stops a start.
#[derive(Debug, Error)]
pub enum StartFault {
    /// What `check` reports; printed one by one.
    #[error("the configuration is not usable")]
    Problems(Vec<Problem>),
    #[error("{what} cannot be opened: {fault}{}", hint(.fault))]
    Listener { what: &'static str, fault: io::Error },
    #[error("{0}")]
    Vault(#[from] VaultFault),
    #[error("client `{client}` cannot be set up: {trouble}")]
    Client { client: String, trouble: OrcidTrouble },
    #[error("the process cannot be set up: {0}")]
    Process(String),
}

fn hint(fault: &io::Error) -> &'static str {
    match fault.kind() {
        io::ErrorKind::AddrInUse => " (another process listens there; `ss -ltnp` shows which one)",
        io::ErrorKind::PermissionDenied => {
            " (ports below 1024 need root or CAP_NET_BIND_SERVICE; a service manager can also hand the socket over)"
        }
        io::ErrorKind::AddrNotAvailable => " (this machine has no such address)",
        _ => "",
    }
}
