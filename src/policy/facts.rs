//! [`Facts`]: all that is known about one request when it is decided. Filled by `proxy::visit`, by
//! `explain` and by the cases of policy files; nothing else ever enters a decision.

use super::path::CanonicalPath;
use super::site::Site;
use crate::domain::{Identity, UnixTime};
use http::Method;
use std::net::IpAddr;
use std::sync::Arc;

/// One request, parsed once.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub site: &'a Arc<Site>,
    pub method: &'a Method,
    pub path: &'a CanonicalPath,
    /// The verified visitor, if there is one.
    pub visitor: Option<&'a Arc<Identity>>,
    /// The address of the peer; forwarded headers of peers nobody trusts play no part.
    pub peer: IpAddr,
    pub now: UnixTime,
}
