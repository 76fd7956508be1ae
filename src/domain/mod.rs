//! The ground floor: the words of the house. Imports nothing of ours; no IO, no async, no framework.
//! Every other module speaks in these types.

pub mod chance;
pub mod client;
pub mod clock;
pub mod grant;
pub mod hint;
pub mod host;
pub mod identity;
pub mod incident;
pub mod language;
pub mod neighbourhood;
pub mod orcid_id;
pub mod problem;
pub mod quantity;
pub mod return_to;
pub mod scope;
pub mod site;
pub mod token;

pub use chance::{Chance, SystemChance};
pub use client::{ClientName, Environment, Membership};
pub use clock::{Clock, StoppedClock, SystemClock, UnixTime};
pub use grant::{Grant, ProviderSession};
pub use hint::PersonHint;
pub use host::Host;
pub use identity::{Broken, Identity, Mfa, Subject};
pub use incident::IncidentId;
pub use language::Language;
pub use neighbourhood::counted_as;
pub use orcid_id::OrcidId;
pub use problem::{Problem, Severity};
pub use return_to::ReturnTo;
pub use scope::{Scope, ScopeSet};
pub use site::SiteName;
pub use token::{AccessToken, AuthorizationCode, ClientSecret, RefreshToken};
