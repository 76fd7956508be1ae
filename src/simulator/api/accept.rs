//! Which format an answer has (`orcid.md` §8.2), by the rules of ORCID's servers: `Accept` filter first, then the
//! choice of their framework. Pure; called by `mod` and `landing`.

/// What an answer can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Format {
    Xml,
    Json,
    /// The two JSON types of ORCID's own.
    PrettyJson,
    LinkedData,
    Citation,
    Csv,
    Page,
}

/// A type the server can produce and how gladly it does, in thousandths.
pub(in crate::simulator) struct Offer {
    kind: &'static str,
    weight: u16,
    format: Format,
}

const fn offer(kind: &'static str, weight: u16, format: Format) -> Offer {
    Offer { kind, weight, format }
}

/// What nearly every address offers.
pub(in crate::simulator) const RECORD: &[Offer] = &[
    offer("application/vnd.orcid+xml", 500, Format::Xml),
    offer("application/orcid+xml", 300, Format::Xml),
    offer("application/xml", 1_000, Format::Xml),
    offer("application/vnd.orcid+json", 400, Format::PrettyJson),
    offer("application/orcid+json", 200, Format::PrettyJson),
    offer("application/json", 1_000, Format::Json),
];

/// Status: JSON alone.
pub(in crate::simulator) const JSON_ONLY: &[Offer] = &[
    offer("application/json", 1_000, Format::Json),
    offer("application/vnd.orcid+json", 400, Format::PrettyJson),
    offer("application/orcid+json", 200, Format::PrettyJson),
];

pub(in crate::simulator) const CSV: &[Offer] = &[offer("text/csv", 1_000, Format::Csv)];
pub(in crate::simulator) const LINKED_DATA: &[Offer] = &[offer("application/ld+json", 200, Format::LinkedData)];
pub(in crate::simulator) const CITATION: &[Offer] =
    &[offer("application/vnd.citationstyles.csl+json", 1_000, Format::Citation)];
pub(in crate::simulator) const PAGE: &[Offer] = &[offer("text/html", 1_000, Format::Page)];

/// The chosen format and the `Content-Type` to send with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::simulator) struct Style {
    pub(in crate::simulator) format: Format,
    pub(in crate::simulator) content_type: String,
}

/// Why there is no format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Unfit {
    /// The server produces nothing of what is asked for.
    NotAcceptable,
    /// The header cannot be read, which ORCID's web server answers itself.
    Malformed,
}

/// Most ranges read from one header.
const MOST_RANGES: usize = 64;

/// Chooses among `offers`, of which the first is for whoever does not mind.
///
/// Without `Accept`, or with nothing but `*/*` in it, a `Content-Type` that is one of the offers decides: clients
/// such as python-social-auth and pyorcid send their wish there, on a GET, and ORCID's servers grant it.
pub(in crate::simulator) fn negotiate(
    accept: Option<&str>,
    content_type: Option<&str>,
    offers: &[&[Offer]],
) -> Result<Style, Unfit> {
    let offers: Vec<&Offer> = offers.iter().copied().flatten().collect();
    let accept = accept.map(str::trim).filter(|accept| !matches!(*accept, "" | "*/*"));
    let Some(accept) = accept else {
        let wished = content_type.map(str::trim).unwrap_or("");
        let chosen = offers.iter().find(|offer| offer.kind.eq_ignore_ascii_case(wished)).or_else(|| offers.first());
        return chosen.map(|offer| style(offer, offer.kind.to_owned(), &[])).ok_or(Unfit::NotAcceptable);
    };
    let ranges = ranges(accept).ok_or(Unfit::Malformed)?;
    let mut options: Vec<(&Range, &Offer)> = Vec::new();
    for range in &ranges {
        options.extend(offers.iter().filter(|offer| range.takes(offer.kind)).map(|&offer| (range, offer)));
    }
    // The client's quality, then the more exact range, then what the server likes better; else as it is written.
    options.sort_by_key(|(range, offer)| std::cmp::Reverse((range.quality, range.exactness(), offer.weight)));
    let (range, offer) = options.first().ok_or(Unfit::NotAcceptable)?;
    let written = if range.exactness() == 2 { format!("{}/{}", range.main, range.sub) } else { offer.kind.to_owned() };
    Ok(style(offer, written, &range.parameters))
}

/// The type as the client wrote it, its parameters, and the character set unless it named one.
fn style(offer: &Offer, mut written: String, parameters: &[(String, String)]) -> Style {
    for (name, value) in parameters {
        let bare = value.bytes().all(is_token);
        written.push_str(&if bare { format!(";{name}={value}") } else { format!(";{name}=\"{value}\"") });
    }
    if !parameters.iter().any(|(name, _)| name == "charset") {
        written.push_str(";charset=UTF-8");
    }
    Style { format: offer.format, content_type: written }
}

struct Range {
    main: String,
    sub: String,
    /// In thousandths. Zero is still acceptable to ORCID's servers, as the last choice.
    quality: u16,
    /// Without `q` and `qs`; names in lower case, the last of a name counts.
    parameters: Vec<(String, String)>,
}

impl Range {
    fn takes(&self, kind: &str) -> bool {
        let (main, sub) = kind.split_once('/').unwrap_or((kind, ""));
        let fits = |pattern: &str, text: &str| pattern == "*" || pattern.eq_ignore_ascii_case(text);
        fits(&self.main, main) && fits(&self.sub, sub)
    }

    fn exactness(&self) -> u8 {
        u8::from(self.main != "*") + u8::from(self.sub != "*")
    }
}

/// Reads the header; `None` if a part of it has no meaning.
fn ranges(accept: &str) -> Option<Vec<Range>> {
    let mut elements = split(accept, ',');
    if elements.len() > 1 && elements.last().is_some_and(|last| last.trim().is_empty()) {
        elements.pop();
    }
    elements.into_iter().take(MOST_RANGES).map(range).collect()
}

fn range(element: &str) -> Option<Range> {
    let mut parts = split(element, ';').into_iter();
    let kind = parts.next()?.trim();
    // A bare word is a type with any subtype.
    let (main, sub) = kind.split_once('/').unwrap_or((kind, "*"));
    if main.is_empty() || sub.is_empty() || !main.bytes().all(is_token) || !sub.bytes().all(is_token) {
        return None;
    }
    let mut range = Range { main: main.to_owned(), sub: sub.to_owned(), quality: 1_000, parameters: Vec::new() };
    for part in parts.map(str::trim).filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=')?;
        let quoted = value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
        let value = if quoted { &value[1..value.len() - 1] } else { value };
        if name.is_empty() || !name.bytes().all(is_token) || !quoted && !value.bytes().all(is_token) {
            return None;
        }
        match name.to_ascii_lowercase().as_str() {
            "q" => range.quality = quality(value)?,
            "qs" => {}
            name => {
                range.parameters.retain(|(known, _)| known != name);
                range.parameters.push((name.to_owned(), value.to_owned()));
            }
        }
    }
    Some(range)
}

/// Zero to one with at most three decimals.
fn quality(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if text.is_empty()
        || !matches!(whole, "" | "0" | "1")
        || decimals.len() > 3
        || (whole.is_empty() && decimals.is_empty())
    {
        return None;
    }
    let thousandths: u16 = if decimals.is_empty() { 0 } else { format!("{decimals:0<3}").parse().ok()? };
    let quality = if whole == "1" { 1_000 + thousandths } else { thousandths };
    (quality <= 1_000 && decimals.bytes().all(|b| b.is_ascii_digit())).then_some(quality)
}

/// Splits outside of double quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
    .collect()
}

/// RFC 9110 §5.6.2.
fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: Option<&str>, content_type: Option<&str>) -> Result<String, Unfit> {
        negotiate(accept, content_type, &[RECORD]).map(|style| style.content_type)
    }

    #[test]
    fn whoever_does_not_mind_gets_xml_or_what_content_type_says() {
        let xml = "application/vnd.orcid+xml;charset=UTF-8";
        let table = [
            (None, None, xml),
            (Some("*/*"), None, xml),
            (Some(""), None, xml),
            (Some("*/*"), Some("application/json"), "application/json;charset=UTF-8"),
            (None, Some("application/orcid+json"), "application/orcid+json;charset=UTF-8"),
            (None, Some("application/xml"), "application/xml;charset=UTF-8"),
            (Some("*/*"), Some("text/plain"), xml),
            (Some("*/*"), Some("application/x-www-form-urlencoded"), xml),
            (Some("application/xml"), Some("application/json"), "application/xml;charset=UTF-8"),
        ];
        for (accept, content_type, expected) in table {
            assert_eq!(chosen(accept, content_type).as_deref(), Ok(expected), "{accept:?} {content_type:?}");
        }
    }

    /// The rows are observations of pub.orcid.org of October 2026 (`orcid.md` §0, MOCK).
    #[test]
    fn the_chosen_range_comes_back_as_it_was_written() {
        for (accept, expected) in [
            ("application/json", "application/json;charset=UTF-8"),
            ("APPLICATION/vnd.ORCID+json", "APPLICATION/vnd.ORCID+json;charset=UTF-8"),
            ("application/json; charset=utf-8", "application/json;charset=utf-8"),
            ("application/json;charset=\"utf-8\"", "application/json;charset=utf-8"),
            ("application/json;q=0.5;foo=bar", "application/json;foo=bar;charset=UTF-8"),
            ("application/json;x=\"a;b\"", "application/json;x=\"a;b\";charset=UTF-8"),
            ("application/json;x=\"\"", "application/json;x=;charset=UTF-8"),
            ("application/json;charset=a;charset=b", "application/json;charset=b"),
            ("*/orcid+json", "application/orcid+json;charset=UTF-8"),
            ("application/json, text/plain, */*", "application/json;charset=UTF-8"),
            ("*/*, application/json", "application/json;charset=UTF-8"),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/xml;charset=UTF-8"),
            ("text/plain, */*", "application/xml;charset=UTF-8"),
            ("application/json, application/xml", "application/json;charset=UTF-8"),
            ("application/xml, application/json", "application/xml;charset=UTF-8"),
            ("application/vnd.orcid+xml, application/json", "application/json;charset=UTF-8"),
            ("application/orcid+json, application/vnd.orcid+json", "application/vnd.orcid+json;charset=UTF-8"),
            ("application/orcid+json, application/orcid+xml", "application/orcid+xml;charset=UTF-8"),
            ("application/json;q=0", "application/json;charset=UTF-8"),
            ("application/json;q=0.5, application/orcid+json;q=0.9", "application/orcid+json;charset=UTF-8"),
            ("garbage, application/json,", "application/json;charset=UTF-8"),
        ] {
            assert_eq!(chosen(Some(accept), None).as_deref(), Ok(expected), "{accept}");
        }
    }

    #[test]
    fn what_cannot_be_had_and_what_cannot_be_read() {
        for accept in ["text/csv", "text/html", "text/*", "application/ld+json", "json", "image/png"] {
            assert_eq!(chosen(Some(accept), None), Err(Unfit::NotAcceptable), "{accept}");
        }
        for accept in [
            "application/json;q=abc",
            "application/json;q=1.5",
            "application/json;q=-1",
            "application/json;q=",
            "application/json;q=.",
            "application/json;q=0.12345",
            "application/json;foo",
            "application/json;q = 0.5",
            "application/json;x=a b",
            "application/",
            "/json",
            "application/json/x",
            "appl ication/json",
            ",application/json",
            "application/json,,application/xml",
        ] {
            assert_eq!(chosen(Some(accept), None), Err(Unfit::Malformed), "{accept}");
        }
        for text in [".5", "1.", "1.000", "0."] {
            assert!(quality(text).is_some(), "{text}");
        }
    }
}
