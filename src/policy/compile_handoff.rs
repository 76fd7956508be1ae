//! Makes the [`HandOff`] of a site from `[hand-off]`: preset, own headers, encoding, assertion. Called by
//! `compile`.

use super::app_cookies;
use super::encoding::Encoding;
use super::handoff::{AssertionSpec, BadTemplate, HandOff, HeaderTemplate, Placeholder, Template};
use super::keys;
use super::read::{Found, Table};
use super::reserved::{MAX_NAME, fold, is_untouchable};
use crate::domain::SiteName;
use crate::domain::quantity;
use http::HeaderName;

/// A preset: header names and their templates.
type Preset = &'static [(&'static str, &'static str)];

const ORCID: Preset = &[
    ("x-orcid-id", "{id}"),
    ("x-orcid-uri", "{uri}"),
    ("x-orcid-name", "{name}"),
    ("x-orcid-scopes", "{scopes}"),
    ("remote-user", "{id}"),
];
const REMOTE_USER: Preset = &[("remote-user", "{id}"), ("x-remote-user", "{id}")];

const PRESETS: &[(&str, Preset)] = &[("orcid", ORCID), ("remote-user", REMOTE_USER), ("none", &[])];

/// The header of an assertion that names none.
const ASSERTION_HEADER: &str = "x-lychgate-assertion";

const MARKER: &str = "-encoding";

/// `portal` sites have nobody to hand anything to.
pub(super) fn compile_hand_off(root: &Table<'_>, site: Option<&SiteName>, portal: bool) -> HandOff {
    let table = root.table("hand-off", keys::HAND_OFF);
    if portal {
        if let Some(table) = &table {
            let problem = table.complain("a portal has no app to hand an identity to");
            table.source.add(problem.remedy("remove [hand-off], or give the site an upstream"));
        }
        return HandOff::nothing();
    }
    let Some(table) = table else {
        return HandOff { headers: preset(ORCID), ..HandOff::nothing() };
    };
    let mut headers = preset(table.choice("preset", PRESETS).map_or(ORCID, |found| found.value));
    own_headers(&table, &mut headers);
    let encoding = table.choice("encoding", Encoding::WORDS).map_or(Encoding::Percent, |found| found.value);
    let assertion = assertion(&table, site);
    if let Some(spec) = &assertion {
        let clash = headers.iter().any(|header| fold(header.name.as_str()) == fold(spec.header.as_str()));
        if clash {
            let line = table.line_of("assertion");
            let message = format!("the assertion and another header are both called `{}`", spec.header);
            table.source.add(table.source.error(line, &table.path("assertion.header"), message));
        }
    }
    HandOff { headers, encoding, assertion, app_cookies: app_cookies::compile(&table) }
}

fn preset(preset: Preset) -> Vec<HeaderTemplate> {
    let header = |(name, template): &(&'static str, &str)| HeaderTemplate {
        name: HeaderName::from_static(name),
        marker: marker(&HeaderName::from_static(name)),
        value: Template::parse(template).expect("the templates of the presets are tested"),
    };
    preset.iter().map(header).collect()
}

fn marker(name: &HeaderName) -> HeaderName {
    let marker = format!("{name}{MARKER}");
    HeaderName::from_bytes(marker.as_bytes()).expect("a header name with a suffix of letters is a header name")
}

/// The `headers` map. A header of the preset with the same folded name is replaced (T10).
fn own_headers(table: &Table<'_>, headers: &mut Vec<HeaderTemplate>) {
    let Some(map) = table.table("headers", &[]) else { return };
    let mut seen: Vec<String> = Vec::new();
    for key in map.keys() {
        let (name, template) = (header_name(&map, key, key), map.text(key));
        let (Some(name), Some(template)) = (name, template) else { continue };
        let folded = fold(name.as_str());
        if seen.contains(&folded) {
            let message = format!("`{key}` and another header here are one and the same to some servers");
            let problem = map.source.error(template.line, &map.path(key), message);
            map.source.add(problem.remedy("letter case, `_`, `.` and `-` make no difference; keep one of them"));
            continue;
        }
        seen.push(folded.clone());
        match Template::parse(&template.value) {
            Ok(value) => {
                headers.retain(|header| fold(header.name.as_str()) != folded);
                headers.push(HeaderTemplate { marker: marker(&name), name, value });
            }
            Err(error) => complain_of_template(&map, &template, &error),
        }
    }
}

fn complain_of_template(map: &Table<'_>, template: &Found<String>, error: &BadTemplate) {
    let words = || Placeholder::WORDS.iter().map(|(word, _)| *word);
    let problem = map
        .source
        .error(template.line, &template.key, error.to_string())
        .found(format!("\"{}\"", template.value.chars().take(80).collect::<String>()))
        .expected(words().map(|word| format!("{{{word}}}")).collect::<Vec<_>>().join(" "));
    let near = match error {
        BadTemplate::Unknown(word) => quantity::nearest(word, words()),
        _ => None,
    };
    map.source.add(match near {
        Some(near) => problem.remedy(format!("did you mean {{{near}}}?")),
        None => problem,
    });
}

/// `text` as the name of an identity header; `key` says where it stands.
fn header_name(table: &Table<'_>, key: &str, text: &str) -> Option<HeaderName> {
    let line = table.line_of(key);
    let name = HeaderName::from_bytes(text.as_bytes()).ok().filter(|_| text.len() + MARKER.len() <= MAX_NAME);
    let Some(name) = name else {
        let shown: String = text.chars().take(60).collect();
        let problem = table.source.error(line, &table.path(key), format!("`{shown}` is not a usable header name"));
        table.source.add(problem.expected(format!("at most {} letters, digits and hyphens", MAX_NAME - MARKER.len())));
        return None;
    };
    if is_untouchable(text) {
        let message = format!("`{text}` belongs to the protocol and cannot carry an identity");
        let problem = table.source.error(line, &table.path(key), message);
        table
            .source
            .add(problem.remedy("choose a name of your own, such as X-Reader; the gate drops it from requests"));
        return None;
    }
    Some(name)
}

fn assertion(table: &Table<'_>, site: Option<&SiteName>) -> Option<AssertionSpec> {
    let spec = table.table("assertion", keys::ASSERTION)?;
    let header = match spec.text("header") {
        Some(found) => header_name(&spec, "header", &found.value),
        None if spec.has("header") => None,
        None => Some(HeaderName::from_static(ASSERTION_HEADER)),
    };
    let audience = match spec.text("audience") {
        Some(found) if found.value.is_empty() || found.value.len() > 255 || !found.value.is_ascii() => {
            let problem = spec.source.error(found.line, &found.key, "this cannot be an audience");
            spec.source.add(problem.expected("1 to 255 characters of plain ASCII, such as \"library\""));
            return None;
        }
        Some(found) => found.value,
        None => site?.to_string(),
    };
    Some(AssertionSpec { header: header?, audience })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_made_of_good_names_and_templates() {
        for (word, headers) in PRESETS {
            for header in preset(headers) {
                assert!(!is_untouchable(header.name.as_str()), "{word}");
                assert!(super::super::reserved::ReservedNames::new(&[]).is_reserved(header.name.as_str()), "{word}");
                assert!(super::super::reserved::ReservedNames::new(&[]).is_reserved(header.marker.as_str()), "{word}");
            }
        }
    }
}
