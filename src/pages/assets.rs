//! [`Assets`]: style sheet, small picture, scripts and the operator's artwork, each under a name that changes with
//! its content, but for what pages of apps refer to. Called by [`super::Pages`].

use super::headers;
use bytes::Bytes;
use http::Response;
use ring::digest::{SHA256, digest};
use std::collections::BTreeMap;

/// Where assets live; the sign-in host and every site host answer there.
pub const PREFIX: &str = "/.lychgate/assets/";

#[derive(Debug)]
struct Asset {
    kind: &'static str,
    body: Bytes,
    /// Whether other content would stand elsewhere.
    lasts: bool,
}

/// The files themselves, by path.
#[derive(Debug, Default)]
pub(super) struct Assets {
    by_path: BTreeMap<String, Asset>,
}

impl Assets {
    /// Keeps `body` under `stem-HASH.extension`; returns its path.
    pub(super) fn keep(&mut self, stem: &str, extension: &'static str, body: impl Into<Bytes>) -> String {
        let body = body.into();
        let hash: String = digest(&SHA256, &body).as_ref()[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        let path = format!("{PREFIX}{stem}-{hash}.{extension}");
        self.by_path.insert(path.clone(), Asset { kind: content_type(extension), body, lasts: true });
        path
    }

    /// Keeps `body` under `name` for pages that are not ours, which cannot know a name that changes.
    pub(super) fn keep_as(&mut self, name: &str, extension: &'static str, body: impl Into<Bytes>) {
        let path = format!("{PREFIX}{name}.{extension}");
        self.by_path.insert(path, Asset { kind: content_type(extension), body: body.into(), lasts: false });
    }

    /// Path, kind and content of the file kept as `stem`.
    pub(super) fn find(&self, stem: &str) -> Option<(&str, &'static str, &Bytes)> {
        let begins = format!("{PREFIX}{stem}-");
        let (path, asset) = self.by_path.iter().find(|(path, _)| path.starts_with(&begins))?;
        Some((path, asset.kind, &asset.body))
    }

    /// The answer for a path, if it is one of ours.
    pub(super) fn answer(&self, path: &str) -> Option<Response<Bytes>> {
        let asset = self.by_path.get(path)?;
        Some(headers::asset(asset.kind, asset.body.clone(), asset.lasts))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.by_path.iter().map(|(path, asset)| (path.as_str(), &asset.body))
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
