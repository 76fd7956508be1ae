//! [`OrcidTrouble`]: everything that can go wrong with a provider, as values that hold nothing a
//! provider wrote. Every call of [`super::Provider`] returns it; `signin` and `tokens` choose the page.

use std::fmt;

/// Which of the provider's addresses was spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    Discovery,
    Keys,
    Token,
    Userinfo,
    Revocation,
    /// The API's, of one person.
    Record,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Endpoint::Discovery => "discovery document",
            Endpoint::Keys => "key set",
            Endpoint::Token => "token endpoint",
            Endpoint::Userinfo => "userinfo endpoint",
            Endpoint::Revocation => "revocation endpoint",
            Endpoint::Record => "record API",
        })
    }
}

/// Why an answer could not be used, before anybody looked at what it claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Defect {
    #[error("it is longer than this gate reads")]
    TooLarge,
    #[error("it is not declared as JSON")]
    ContentType,
    #[error("it does not parse as what it should be")]
    Malformed,
    #[error("it has more keys than this gate keeps")]
    TooManyKeys,
    #[error("it has no key this gate can use")]
    NoUsableKey,
    #[error("its token type is not Bearer")]
    TokenType,
}

/// A discovery document that must not be believed (T62, OpenID Connect Discovery §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BadMetadata {
    #[error("its issuer is not the one that was asked")]
    Issuer,
    #[error("an endpoint is neither https nor, for an issuer on loopback, loopback http")]
    Insecure,
    #[error("an endpoint carries user information or a fragment")]
    Address,
    #[error("an endpoint is on another host than the issuer")]
    OtherHost,
    #[error("it names no token endpoint")]
    NoTokenEndpoint,
    #[error("it names no userinfo endpoint, and the configuration asks for it")]
    NoUserinfoEndpoint,
    #[error("it does not offer the authorization code flow")]
    NoCodeFlow,
    #[error("it takes a client secret neither by HTTP Basic nor in the form")]
    NoClientSecret,
}

/// A check of a signed or cross-read statement that failed: the provider, or somebody in its place,
/// said something untrue (OpenID Connect Core §3.1.3.7, Back-Channel Logout §2.6; `attacks.md` T41, T45,
/// T49-T56, T59, T61, T95).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Check {
    #[error("the answer names another issuer, or none although it promised to (RFC 9207)")]
    IssuerParameter,
    #[error("openid was asked and no ID token came")]
    IdTokenMissing,
    #[error("the token is not a signed JWT of bearable size")]
    Shape,
    #[error("the token's header asks for something this gate does not do, or says that it is another kind of token")]
    Header,
    #[error("the token is signed with an algorithm that is not allowed here")]
    Algorithm,
    #[error("the token is signed with a key the provider does not publish")]
    UnknownKey,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the token's claims do not parse")]
    Claims,
    #[error("the token comes from another issuer")]
    Issuer,
    #[error("the token is meant for another client, or for others too")]
    Audience,
    #[error("the ID token was issued to another party")]
    AuthorizedParty,
    #[error("the token has expired or does not expire")]
    Expiry,
    #[error("the token's time of issue is missing, in the future or long past")]
    IssuedAt,
    #[error("the token is not valid yet")]
    NotBefore,
    #[error("the ID token does not say that the person has signed in anew, as was demanded")]
    SignedInAnew,
    #[error("the ID token does not answer this sign-in")]
    Nonce,
    #[error("the ID token belongs to another access token")]
    AccessTokenHash,
    #[error("the subject is not an ORCID iD, or not one this provider may name")]
    Subject,
    #[error("the claim that should hold the ORCID iD is missing, or holds more than one")]
    SubjectClaim,
    #[error("the token says that it is another kind of token than it is used as")]
    OtherKind,
    #[error("the token does not say that somebody signed out")]
    Events,
    #[error("the token has no id of its own")]
    TokenId,
    #[error("the token names neither a person nor a session")]
    NobodyNamed,
    #[error("the provider contradicts itself about who signed in")]
    SubjectsDisagree,
    #[error("the answer says nobody signed in")]
    NoIdentity,
    #[error("the renewed tokens belong to somebody else")]
    OtherHolder,
}

/// Whose move it is. Decides page, status and log level above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// Not reachable, too slow, overloaded: it passes by itself.
    Outage,
    /// Reachable, but its answers cannot be used or believed.
    Provider,
    /// The provider refuses our registration: id, secret or redirect URI need a look.
    Registration,
    /// The code or token was stale or used: start the sign-in again.
    Grant,
    /// Our own configuration or code.
    Ourselves,
}

/// What went wrong. `Debug` and `Display` hold only words of ours, numbers, and what the operator
/// wrote: no body, no `error_description`, no token (`orcid.md` §3.5, `stack.md` §3.3).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrcidTrouble {
    #[error("these client settings cannot work: {0}")]
    Setup(String),
    #[error("the {0} of the provider could not be reached")]
    Unreachable(Endpoint),
    /// TLS ended the attempt: nearly always a certificate for another name or of an unknown authority.
    #[error("no secure connection to the {0} of the provider: its certificate was not accepted")]
    Certificate(Endpoint),
    #[error("the {0} of the provider did not answer in time")]
    TimedOut(Endpoint),
    #[error("the {endpoint} of the provider is not available (status {status})")]
    Unavailable { endpoint: Endpoint, status: u16 },
    #[error("the {endpoint} of the provider redirects (status {status}), which is never followed")]
    Redirected { endpoint: Endpoint, status: u16 },
    #[error("the answer of the {endpoint} is unusable: {defect}")]
    Unusable { endpoint: Endpoint, defect: Defect },
    #[error("the provider's discovery document is refused: {0}")]
    Metadata(BadMetadata),
    /// `error` is one of the registered words (RFC 6749 §5.2), or `other`.
    #[error("the provider refuses this client at its {endpoint} (status {status}, {error})")]
    ClientRefused { endpoint: Endpoint, status: u16, error: &'static str },
    #[error("the provider refuses the code or token at its {endpoint} (status {status}, {error})")]
    GrantRefused { endpoint: Endpoint, status: u16, error: &'static str },
    #[error("the {endpoint} of the provider refuses (status {status}, {error})")]
    Refused { endpoint: Endpoint, status: u16, error: &'static str },
    #[error("the provider's answer is not believed: {0}")]
    Lied(Check),
    /// Of tokens that strangers bring.
    #[error("the token is signed with a key that was not found when the key set was last fetched, a moment ago")]
    LookedJustNow,
    #[error("the provider offers no way to revoke a token")]
    CannotRevoke,
    /// A caller broke the contract of this module.
    #[error("misuse: {0}")]
    Misuse(&'static str),
}

impl OrcidTrouble {
    /// A stable word for logs and metrics; never changes with the provider's text.
    pub fn code(&self) -> &'static str {
        match self {
            OrcidTrouble::Setup(_) => "setup",
            OrcidTrouble::Unreachable(_) => "unreachable",
            OrcidTrouble::Certificate(_) => "certificate",
            OrcidTrouble::TimedOut(_) => "timed_out",
            OrcidTrouble::Unavailable { .. } => "unavailable",
            OrcidTrouble::Redirected { .. } => "redirected",
            OrcidTrouble::Unusable { defect, .. } => defect.code(),
            OrcidTrouble::Metadata(defect) => defect.code(),
            OrcidTrouble::ClientRefused { .. } => "client_refused",
            OrcidTrouble::GrantRefused { .. } => "grant_refused",
            OrcidTrouble::Refused { .. } => "refused",
            OrcidTrouble::Lied(check) => check.code(),
            OrcidTrouble::LookedJustNow => "looked_just_now",
            OrcidTrouble::CannotRevoke => "cannot_revoke",
            OrcidTrouble::Misuse(_) => "misuse",
        }
    }

    /// Whether waiting mends it: unreachable, no secure connection, too slow, 5xx, 429.
    pub fn is_outage(&self) -> bool {
        self.blame() == Blame::Outage
    }

    /// Whether nobody was there: not reachable, too slow, 5xx. Narrower than [`Self::is_outage`]: 429 is said by
    /// somebody who is there, and behind a certificate that does not fit may be anybody.
    pub fn is_absence(&self) -> bool {
        match self {
            OrcidTrouble::Unreachable(_) | OrcidTrouble::TimedOut(_) => true,
            OrcidTrouble::Unavailable { status, .. } => *status >= 500,
            _ => false,
        }
    }

    /// Whether the provider rejected our registration (`invalid_client` and its kin).
    pub fn is_client_refused(&self) -> bool {
        self.blame() == Blame::Registration
    }

    /// Whether the code or refresh token was bad (`invalid_grant`): a new sign-in mends it.
    pub fn is_grant_refused(&self) -> bool {
        self.blame() == Blame::Grant
    }

    /// The check that caught the provider, if it was caught in an untruth.
    pub fn lie(&self) -> Option<Check> {
        match self {
            OrcidTrouble::Lied(check) => Some(*check),
            _ => None,
        }
    }

    /// Whose move it is.
    pub fn blame(&self) -> Blame {
        match self {
            OrcidTrouble::Unreachable(_)
            | OrcidTrouble::Certificate(_)
            | OrcidTrouble::TimedOut(_)
            | OrcidTrouble::LookedJustNow
            | OrcidTrouble::Unavailable { .. } => Blame::Outage,
            OrcidTrouble::Redirected { .. }
            | OrcidTrouble::Unusable { .. }
            | OrcidTrouble::Metadata(_)
            | OrcidTrouble::Refused { .. }
            | OrcidTrouble::Lied(_)
            | OrcidTrouble::CannotRevoke => Blame::Provider,
            OrcidTrouble::ClientRefused { .. } => Blame::Registration,
            OrcidTrouble::GrantRefused { .. } => Blame::Grant,
            OrcidTrouble::Setup(_) | OrcidTrouble::Misuse(_) => Blame::Ourselves,
        }
    }
}

impl Defect {
    fn code(self) -> &'static str {
        match self {
            Defect::TooLarge => "answer_too_large",
            Defect::ContentType => "answer_not_json",
            Defect::Malformed => "answer_malformed",
            Defect::TooManyKeys => "keys_too_many",
            Defect::NoUsableKey => "keys_unusable",
            Defect::TokenType => "token_type",
        }
    }
}

impl BadMetadata {
    fn code(self) -> &'static str {
        match self {
            BadMetadata::Issuer => "metadata_issuer",
            BadMetadata::Insecure => "metadata_insecure",
            BadMetadata::Address => "metadata_address",
            BadMetadata::OtherHost => "metadata_other_host",
            BadMetadata::NoTokenEndpoint => "metadata_no_token_endpoint",
            BadMetadata::NoUserinfoEndpoint => "metadata_no_userinfo_endpoint",
            BadMetadata::NoCodeFlow => "metadata_no_code_flow",
            BadMetadata::NoClientSecret => "metadata_no_client_secret",
        }
    }
}

impl Check {
    /// The check's stable word.
    pub fn code(self) -> &'static str {
        match self {
            Check::IssuerParameter => "issuer_parameter",
            Check::IdTokenMissing => "id_token_missing",
            Check::Shape => "token_shape",
            Check::Header => "token_header",
            Check::Algorithm => "token_algorithm",
            Check::UnknownKey => "token_unknown_key",
            Check::Signature => "token_signature",
            Check::Claims => "token_claims",
            Check::Issuer => "token_issuer",
            Check::Audience => "token_audience",
            Check::AuthorizedParty => "token_azp",
            Check::Expiry => "token_expiry",
            Check::IssuedAt => "token_issued_at",
            Check::NotBefore => "token_not_before",
            Check::SignedInAnew => "id_token_auth_time",
            Check::Nonce => "id_token_nonce",
            Check::AccessTokenHash => "id_token_at_hash",
            Check::Subject => "subject",
            Check::SubjectClaim => "subject_claim",
            Check::OtherKind => "token_kind",
            Check::Events => "token_events",
            Check::TokenId => "token_jti",
            Check::NobodyNamed => "token_names_nobody",
            Check::SubjectsDisagree => "subjects_disagree",
            Check::NoIdentity => "no_identity",
            Check::OtherHolder => "other_holder",
        }
    }
}
