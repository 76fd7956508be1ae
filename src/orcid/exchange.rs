//! From an authorization code to a verified [`Grant`] (`orcid.md` §3, OpenID Connect Core §3.1.3).
//! Called once for each code by `signin`, through [`super::Provider::exchange`].

use super::claims::{Watch, is_subject, person_name};
use super::client::{Attempt, Courier, TokenResponse};
use super::directory::{BroughtBy, Kept};
use super::id_token::{self, Claims, Expected};
use super::jwks::KeySet;
use super::signed_token::{SignedToken, TokenKind};
use super::subject::{read_claimed_id, read_id, read_subject};
use super::trouble::{Check, Defect, Endpoint};
use super::userinfo::Userinfo;
use super::{OrcidTrouble, Provider};
use crate::domain::{
    AccessToken, AuthorizationCode, Grant, Mfa, ProviderSession, RefreshToken, Scope, ScopeSet, Subject, UnixTime,
};
use openidconnect::core::CoreTokenType;
use openidconnect::{OAuth2TokenResponse, PkceCodeVerifier};
use serde_json::Value;
use std::sync::Arc;

/// What the sign-in remembers and the answer must fit.
pub struct Proof<'a> {
    /// As given to `authorization_url`.
    pub nonce: &'a str,
    /// As given to `authorization_url`.
    pub pkce_verifier: &'a str,
    /// The callback's `iss` parameter, if it had one (RFC 9207).
    pub iss: Option<&'a str>,
    /// As given to `authorization_url`.
    pub asked: &'a ScopeSet,
    /// When the person was told to sign in anew (`prompt_login`), if they were.
    pub signed_in_since: Option<UnixTime>,
}

/// A token response whose form is in order; whom it belongs to is not known yet.
pub(super) struct Tokens {
    pub(super) access_token: AccessToken,
    pub(super) refresh_token: Option<RefreshToken>,
    pub(super) expires: Option<UnixTime>,
    /// `None` if the response does not say (RFC 6749 §5.1: then it is what was asked).
    pub(super) scopes: Option<ScopeSet>,
    pub(super) id_token: Option<String>,
    pub(super) orcid: Option<Value>,
    pub(super) name: Option<String>,
}

impl Provider {
    /// Exchanges a code, once, and proves whose it is. The order matters: what is local and cheap
    /// comes before the provider hears of the code, and nobody is believed before all agree.
    pub(super) async fn exchange_code(
        &self,
        code: &AuthorizationCode,
        proof: &Proof<'_>,
    ) -> Result<Grant, OrcidTrouble> {
        if !(43..=128).contains(&proof.pkce_verifier.len()) {
            return Err(OrcidTrouble::Misuse("a PKCE verifier has 43 to 128 URL-safe characters"));
        }
        let known = self.directory.endpoints().await?;
        let endpoints = &known.value;
        // A code that another provider's answer carries is not shown to this one (T41, T42).
        match proof.iss {
            Some(issuer) if issuer != self.settings.issuer => return Err(OrcidTrouble::Lied(Check::IssuerParameter)),
            None if endpoints.names_issuer => return Err(OrcidTrouble::Lied(Check::IssuerParameter)),
            _ => {}
        }
        let sent = self.settings.scopes_to_send(proof.asked);
        let client = self.oidc_client(endpoints)?;
        let mut question = client.exchange_code(openidconnect::AuthorizationCode::new(code.expose().to_owned()));
        if endpoints.pkce {
            question = question.set_pkce_verifier(PkceCodeVerifier::new(proof.pkce_verifier.to_owned()));
        }
        let courier = Courier::new(&self.http, Endpoint::Token);
        let known_keys = self.directory.known_keys();
        let response = question
            .request_async(&{
                let courier = courier.clone();
                move |request| courier.clone().carry(request)
            })
            .await
            .map_err(|error| courier.trouble(error, Attempt::Exchange, &self.settings))?;
        let tokens = Tokens::read(response, self.clock.now())?;
        let claims = match &tokens.id_token {
            Some(id_token) => {
                let access_token = tokens.access_token.expose();
                Some(self.believe(id_token, access_token, Some(proof), known_keys.as_ref()).await?)
            }
            None if sent.contains(&Scope::openid()) => return Err(OrcidTrouble::Lied(Check::IdTokenMissing)),
            None => None,
        };
        self.grant(tokens, claims, sent).await
    }

    /// Puts together what a verified answer grants, and to whom.
    async fn grant(&self, tokens: Tokens, claims: Option<Claims>, sent: ScopeSet) -> Result<Grant, OrcidTrouble> {
        let named = self.named(claims.as_ref(), tokens.orcid.as_ref()).map_err(OrcidTrouble::Lied)?;
        let subject = match named {
            // Without an ID token the name is unsigned, but comes over TLS from the token endpoint
            // itself: that is ORCID's `/authenticate` (`orcid.md` §11), and nobody else's.
            Some(subject) if claims.is_some() || self.settings.is_orcid() => subject,
            _ => return Err(OrcidTrouble::Lied(Check::NoIdentity)),
        };
        let known_as = claims.as_ref().map(|claims| claims.subject.clone());
        let userinfo = match self.settings.userinfo {
            true => self.userinfo(&tokens.access_token, &subject, known_as.as_deref()).await?,
            false => Userinfo::default(),
        };
        let mut scopes = tokens.scopes.unwrap_or(sent);
        let mfa = claims.as_ref().map_or(Mfa::Unknown, |claims| claims.mfa);
        let at_provider = claims.as_ref().filter(|_| !self.settings.is_orcid()).map(|claims| ProviderSession {
            subject: claims.subject.clone(),
            sid: claims.sid.clone(),
            issued: claims.issued,
        });
        let (name, given_name, family_name) = match claims {
            // An ID token is what `openid` grants, whether or not the list repeats it.
            Some(claims) => {
                scopes.insert(Scope::openid());
                (claims.name, claims.given_name, claims.family_name)
            }
            None => (None, None, None),
        };
        let (given_name, family_name) = (given_name.or(userinfo.given_name), family_name.or(userinfo.family_name));
        // ORCID's token response has the name as the record shows it; `name` elsewhere is the credit
        // name alone (`orcid.md` §1.4, §3.2).
        let name = tokens.name.or(name).or(userinfo.name);
        Ok(Grant {
            subject,
            name: name.or_else(|| self.composed(given_name.as_deref(), family_name.as_deref())),
            given_name,
            family_name,
            mfa,
            scopes,
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            expires: tokens.expires,
            at_provider,
        })
    }

    /// A name of its parts, at providers that send no whole one. At ORCID a person may keep the name
    /// private and the parts public, and knows why. Never `preferred_username`: people choose it, and an
    /// app might take it for an account.
    fn composed(&self, given: Option<&str>, family: Option<&str>) -> Option<String> {
        let parts: Vec<&str> = [given, family].into_iter().flatten().collect();
        (!self.settings.is_orcid() && !parts.is_empty()).then(|| parts.join(" "))
    }

    /// Verifies an ID token that came with `access_token`, in answer to a question asked when
    /// `known_keys` were known; at a renewal there is no sign-in to answer.
    pub(super) async fn believe(
        &self,
        id_token: &str,
        access_token: &str,
        sign_in: Option<&Proof<'_>>,
        known_keys: Option<&Arc<Kept<KeySet>>>,
    ) -> Result<Claims, OrcidTrouble> {
        let token =
            SignedToken::read(id_token, &self.settings.algorithms, TokenKind::Id).map_err(OrcidTrouble::Lied)?;
        self.directory.verify(&token, BroughtBy::Provider, known_keys).await?;
        let expected = Expected {
            issuer: &self.settings.issuer,
            client_id: &self.settings.client_id,
            nonce: sign_in.map(|proof| proof.nonce),
            signed_in_since: sign_in.and_then(|proof| proof.signed_in_since),
            access_token,
            watch: Watch { now: self.clock.now(), leeway: self.settings.leeway },
            subject_claim: self.settings.subject_claim.as_deref(),
        };
        id_token::claims(&token, &expected).map_err(OrcidTrouble::Lied)
    }

    /// Whom an ID token is about: by `sub`, or by the claim that the settings name. `sub` must then still
    /// be one, for the provider will use it when it speaks of this person again.
    fn signed_subject(&self, claims: &Claims) -> Result<Subject, Check> {
        match &claims.named_by_claim {
            Some(_) if !is_subject(&claims.subject) => Err(Check::Subject),
            Some(text) => read_claimed_id(text).map(Subject::Orcid),
            None => read_subject(&claims.subject, &self.settings),
        }
    }

    /// Who the ID token's `sub` and the response's `orcid` name; both must be right and the same (T55).
    /// `None` if neither is there.
    pub(super) fn named(&self, claims: Option<&Claims>, orcid: Option<&Value>) -> Result<Option<Subject>, Check> {
        let signed = claims.map(|claims| self.signed_subject(claims)).transpose()?;
        // Where `sub` is no iD, an `orcid` member has no agreed meaning; it is left alone.
        let means_nothing = self.settings.foreign_subjects || self.settings.subject_claim.is_some();
        let stated = match orcid.filter(|_| !means_nothing) {
            Some(stated) => {
                let text = stated.as_str().ok_or(Check::Subject)?;
                Some(Subject::Orcid(read_id(text, &self.settings)?))
            }
            None => None,
        };
        match (signed, stated) {
            (Some(signed), Some(stated)) if signed != stated => Err(Check::SubjectsDisagree),
            (signed, stated) => Ok(signed.or(stated)),
        }
    }
}

impl Tokens {
    /// Checks a token response's form (RFC 6749 §5.1). `now` is when it came.
    pub(super) fn read(response: TokenResponse, now: UnixTime) -> Result<Self, OrcidTrouble> {
        let unusable = |defect| OrcidTrouble::Unusable { endpoint: Endpoint::Token, defect };
        if *response.token_type() != CoreTokenType::Bearer {
            return Err(unusable(Defect::TokenType));
        }
        let access_token = response.access_token().secret();
        // It will stand in an `Authorization` field (RFC 6750 §2.1).
        if !is_token(access_token) {
            return Err(unusable(Defect::Malformed));
        }
        let refresh_token = response.refresh_token().map(|token| token.secret()).filter(|token| !token.is_empty());
        if refresh_token.is_some_and(|token| !is_token(token)) {
            return Err(unusable(Defect::Malformed));
        }
        let further = response.extra_fields().extra_fields();
        Ok(Self {
            access_token: AccessToken::new(access_token.as_str()),
            refresh_token: refresh_token.map(|token| RefreshToken::new(token.as_str())),
            expires: response.expires_in().map(|lifetime| now.plus(lifetime)),
            scopes: response.scopes().map(|scopes| granted(scopes)),
            id_token: further.raw_id_token.clone(),
            orcid: further.orcid.clone(),
            name: further.name.as_ref().and_then(person_name),
        })
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= 16 * 1024 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The granted scopes, by membership: any order, empty words and what is no scope left out.
fn granted(words: &[openidconnect::Scope]) -> ScopeSet {
    words.iter().filter_map(|word| word.parse::<Scope>().ok()).collect()
}
