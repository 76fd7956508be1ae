//! Policies: files are read into sites with rules, requests are decided by them. Pure but for the reading
//! of files in `load`; imports `domain` alone, and is asked by `proxy`, `signin`, `app` and the verbs.

mod app_cookies;
mod authority;
mod cases;
mod compile;
mod compile_handoff;
mod compile_rules;
mod decide;
mod encoding;
mod facts;
mod fold;
mod handoff;
mod hint_key;
mod keys;
mod load;
mod path;
mod pattern;
mod read;
mod researchers;
mod reserved;
mod rules;
mod scopes;
mod site;
mod trace;
mod upstream;

pub use app_cookies::{AppCookies, LONGEST_APP_COOKIE, MOST_APP_COOKIES, can_be_bound};
pub use authority::AppAuthority;
pub use cases::{Case, run_cases};
pub use decide::{Admission, Ask, Decision, Refusal, RefusalReason, decide, explain};
pub use encoding::Encoding;
pub use facts::Facts;
pub use handoff::{AssertionSpec, BadTemplate, HandOff, HeaderTemplate, MAX_VALUE, Placeholder, Template};
pub use hint_key::HintKey;
pub use keys::KEYS;
pub use load::{ClientFacts, PolicyContext, PolicySet, load, load_files};
pub use path::{BadPath, CanonicalPath, PathSwitches};
pub use reserved::ReservedNames;
pub use rules::{Access, Rule, is_let_through};
pub use scopes::objection as scope_objection;
pub use site::{AuthorizationHeader, BadgeReach, HostHeader, SignInStyle, Site, SiteKind, SiteLimits, Upstream};
pub use trace::{Outcome, Step, Trace, Verdict};

#[cfg(test)]
mod tests;
