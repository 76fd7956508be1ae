//! [`Face`]: which of ORCID's hosts the simulator is for a request (`orcid.md` §1.1). orcid.org has three; here one
//! address may stand for all, and further listeners or host names for one each. Told by `server`, asked by `route`.

/// The host a request is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Face {
    /// `orcid.org`, and both APIs below `/v3.0/` for whoever has one address only: the member API for a member
    /// client's token, the public API otherwise.
    #[default]
    Root,
    /// `pub.orcid.org` and nothing else.
    Public,
    /// `api.orcid.org` and nothing else.
    Member,
}

impl Face {
    /// What a host name makes of a listener that would be the root: names in front of the first dot, as ORCID's.
    pub(super) fn named(self, host: &str) -> Self {
        let begins = |label: &str| host.get(..label.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(label));
        match self {
            Face::Root if begins("pub.") => Face::Public,
            Face::Root if begins("api.") => Face::Member,
            face => face,
        }
    }
}

/// Whether a path is below a version of the API.
pub(super) fn is_versioned(path: &str) -> bool {
    path.strip_prefix("/v").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_paths() {
        for (host, face) in [
            ("127.0.0.1:9400", Face::Root),
            ("orcid.localhost", Face::Root),
            ("pub.orcid.localhost:9400", Face::Public),
            ("PUB.sandbox.orcid.localhost", Face::Public),
            ("api.orcid.localhost", Face::Member),
            ("public.orcid.localhost", Face::Root),
            ("é.localhost", Face::Root),
            ("", Face::Root),
        ] {
            assert_eq!(Face::Root.named(host), face, "{host}");
        }
        assert_eq!(Face::Member.named("pub.orcid.localhost"), Face::Member, "a listener of its own knows better");
        assert!(is_versioned("/v3.0/x") && is_versioned("/v9"));
        assert!(!is_versioned("/version") && !is_versioned("/") && !is_versioned("/v"));
    }
}
