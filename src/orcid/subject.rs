//! Who a provider may name: turns the texts `sub` and `orcid` into a [`Subject`] (T54, T55).
//! Called by `exchange`, `refresh` and `userinfo`.

use super::claims::is_subject;
use super::settings::ProviderSettings;
use super::trouble::Check;
use crate::domain::{OrcidId, Subject};

/// Reads a subject: an iD with a right check character, bare or as the https address of a record of
/// this environment (ORCID has sent both, `stack.md` §3.2); at a provider with foreign subjects, 1 to
/// 255 printable ASCII characters (OpenID Connect Core §2).
pub(super) fn read_subject(text: &str, settings: &ProviderSettings) -> Result<Subject, Check> {
    if settings.foreign_subjects {
        if !is_subject(text) || looks_like_an_id(text) {
            return Err(Check::Subject);
        }
        return Ok(Subject::Foreign(text.to_owned()));
    }
    read_id(text, settings).map(Subject::Orcid)
}

/// Whether an app could take this name for an iD. A provider where people choose their own name must not be
/// able to mint one: its header would look like that researcher's. So neither an iD in any spelling or as the
/// end of any address, nor a hyphenated one anywhere within.
fn looks_like_an_id(text: &str) -> bool {
    let last = text.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let within = |window: &[u8]| std::str::from_utf8(window).is_ok_and(|part| part.parse::<OrcidId>().is_ok());
    text.parse::<OrcidId>().is_ok()
        || last.parse::<OrcidId>().is_ok()
        || text.as_bytes().windows(HYPHENATED).any(within)
}

/// Characters of an iD with its hyphens.
const HYPHENATED: usize = 19;

/// Reads an iD; stricter about its spelling than [`OrcidId`]'s own parser, which also serves people.
pub(super) fn read_id(text: &str, settings: &ProviderSettings) -> Result<OrcidId, Check> {
    let bases = [settings.environment.record_base(), settings.issuer.trim_end_matches('/')];
    let bare = bases.iter().find_map(|base| text.strip_prefix(base)?.strip_prefix('/')).unwrap_or(text);
    match bare.parse::<OrcidId>() {
        Ok(id) if id.as_str() == bare => Ok(id),
        _ => Err(Check::Subject),
    }
}

/// Reads the iD in a claim that the settings name, such as `eduPersonOrcid`, whose values are addresses, in
/// old directories with http. Only ORCID's own host will do: the sandbox has other people.
pub(super) fn read_claimed_id(text: &str) -> Result<OrcidId, Check> {
    let bare = ["https://orcid.org/", "http://orcid.org/"].iter().find_map(|base| text.strip_prefix(base));
    let bare = bare.unwrap_or(text);
    match bare.parse::<OrcidId>() {
        Ok(id) if id.as_str() == bare => Ok(id),
        _ => Err(Check::Subject),
    }
}
