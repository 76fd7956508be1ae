//! The demo's private certificate authority: constrained to `localhost`, its key never on disk, and a
//! leaf that lists every host by name and lives days. Made by `demo`, used by the tests too.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use std::time::Duration;

/// How long the leaf is valid.
pub const LEAF_DAYS: i64 = 7;

/// PEM texts: the authority's certificate (to be trusted), the leaf's certificate and key.
pub struct DemoCertificates {
    pub authority: String,
    pub certificate: String,
    pub key: String,
}

/// Makes an authority for names under `localhost` and one leaf for `hosts`. `now` is seconds since 1970.
pub fn make(hosts: &[String], now: i64) -> Result<DemoCertificates, rcgen::Error> {
    let epoch = date_time_ymd(1970, 1, 1);
    let at = |seconds: i64| epoch + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "lychgate demo authority (this machine only)");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // Whoever steals this authority can still vouch only for names that never leave the machine.
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("localhost".into())],
        excluded_subtrees: Vec::new(),
    });
    params.not_before = at(now - 3600);
    params.not_after = at(now + (LEAF_DAYS + 1) * 86_400);
    let authority = params.self_signed(&key)?;
    let issuer = Issuer::new(params, key);

    let leaf_key = KeyPair::generate()?;
    let mut leaf = CertificateParams::new(hosts.to_vec())?;
    leaf.distinguished_name.push(DnType::CommonName, "lychgate demo");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.use_authority_key_identifier_extension = true;
    leaf.not_before = at(now - 3600);
    leaf.not_after = at(now + LEAF_DAYS * 86_400);
    let certificate = leaf.signed_by(&leaf_key, &issuer)?;
    Ok(DemoCertificates { authority: authority.pem(), certificate: certificate.pem(), key: leaf_key.serialize_pem() })
}
