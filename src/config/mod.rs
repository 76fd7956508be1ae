//! Configuration: one file, the environment and the command line become [`Settings`], or complaints about
//! everything at once. Called by `app` and the verbs; nothing above takes a `File`.

mod build;
mod build_clients;
mod file;
mod keys;
mod load;
mod secrets;
mod settings;
mod take;

pub use keys::{CERTIFICATE, KEYS, Key, Kind};
pub use load::{load, load_broken};
pub use settings::{
    AdminSettings, AssertionSettings, CertificateFiles, ClientAuthentication, ClientSettings, Effective, FormSettings,
    GateSettings, LogFormat, LogLevel, LogSettings, OpsSettings, OrganisationSettings, PageSettings, PolicySettings,
    SessionSettings, Settings, SigningAlgorithm, StateSettings, TlsSettings, TlsVersion, VaultKeySettings,
};

#[cfg(test)]
mod tests;
