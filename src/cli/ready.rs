//! The ready line (`design.md` §4): exactly one line of JSON on stdout once every listener accepts,
//! and the notification for systemd.

use super::report;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What scripts and tests read. Absent parts are left out.
#[derive(Serialize)]
pub(super) struct Ready {
    pub event: &'static str,
    pub listeners: BTreeMap<&'static str, String>,
    pub urls: Urls,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Person>,
    /// Opens the simulator's control address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control_token: Option<String>,
    pub pid: u32,
}

#[derive(Default, Serialize)]
pub(super) struct Urls {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sites: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_api: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member_api: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Person {
    pub orcid: String,
    pub password: String,
    pub about: String,
}

impl Ready {
    pub(super) fn new(listeners: BTreeMap<&'static str, String>, urls: Urls) -> Self {
        let (ca_file, people, control_token) = (None, Vec::new(), None);
        Self { event: "ready", listeners, urls, ca_file, people, control_token, pid: std::process::id() }
    }

    /// Prints the line and tells systemd, if it asked.
    pub(super) fn announce(&self, as_json: bool) -> anyhow::Result<()> {
        if as_json {
            report::line(serde_json::to_string(self)?);
        }
        // An absent NOTIFY_SOCKET is the normal case outside systemd.
        let _ = sd_notify::notify(true, &[sd_notify::NotifyState::Ready]);
        Ok(())
    }
}

/// A file as a reader in another folder can use it.
pub(super) fn absolute(path: &Path) -> String {
    // It exists by now; should it not, as configured is the best there is.
    path.canonicalize().unwrap_or_else(|_| path.to_owned()).display().to_string()
}
