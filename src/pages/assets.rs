//! [`Assets`]: style sheet, small picture, callback helper and the operator's artwork, each under a
//! name that changes with its content. Called by [`super::Pages`].

use super::headers;
use bytes::Bytes;
use http::Response;
use ring::digest::{SHA256, digest};
use std::collections::BTreeMap;

/// Where assets live; the sign-in host and every site host answer there.
pub const PREFIX: &str = "/.lychgate/assets/";

/// The files themselves, by path.
#[derive(Debug, Default)]
pub(super) struct Assets {
    by_path: BTreeMap<String, (&'static str, Bytes)>,
}

impl Assets {
    /// Keeps `body` under `stem-HASH.extension`; returns its path.
    pub(super) fn keep(&mut self, stem: &str, extension: &'static str, body: impl Into<Bytes>) -> String {
        let body = body.into();
        let hash: String = digest(&SHA256, &body).as_ref()[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        let path = format!("{PREFIX}{stem}-{hash}.{extension}");
        self.by_path.insert(path.clone(), (content_type(extension), body));
        path
    }

    /// Path, kind and content of the file kept as `stem`.
    pub(super) fn find(&self, stem: &str) -> Option<(&str, &'static str, &Bytes)> {
        let begins = format!("{PREFIX}{stem}-");
        let (path, (kind, body)) = self.by_path.iter().find(|(path, _)| path.starts_with(&begins))?;
        Some((path, kind, body))
    }

    /// The answer for a path, if it is one of ours.
    pub(super) fn answer(&self, path: &str) -> Option<Response<Bytes>> {
        let (content_type, body) = self.by_path.get(path)?;
        Some(headers::asset(content_type, body.clone()))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.by_path.iter().map(|(path, (_, body))| (path.as_str(), body))
    }
}

fn content_type(extension: &str) -> &'static str {
    match extension {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        _ => "application/octet-stream",
    }
}
