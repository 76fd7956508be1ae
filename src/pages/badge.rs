//! [`Badge`]: an ORCID iD as an app may show it, as a fragment of HTML or a picture, by ORCID's rules for display
//! (`orcid.md` §9.2). The iD icon is the operator's artwork and stands beside authenticated iDs alone; an iD that
//! nobody proved here says so in words. Every value is somebody's own text: all of it is escaped (T84).

use super::words::{SHORT, clean};
use super::{Pages, headers};
use crate::domain::{Language, OrcidId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Response;
use std::fmt::Write as _;

/// What to show.
#[derive(Clone, Debug)]
pub struct Badge {
    pub id: OrcidId,
    /// The record's address.
    pub uri: String,
    /// The public name of the person, of an authenticated iD only.
    pub name: Option<String>,
    pub proof: Proof,
    pub style: BadgeStyle,
}

/// How much is known about an iD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Its owner signed in at ORCID.
    Authenticated,
    /// Its owner signed in at a simulator: anybody can.
    Simulated,
    /// Somebody has written it down.
    None,
}

/// How long it may be (ORCID's "full", "compact" and "inline").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BadgeStyle {
    /// The record's address.
    #[default]
    Full,
    /// The sixteen digits.
    Compact,
    /// The icon alone, behind the name.
    Inline,
}

/// What stands in a badge, escaped, in order.
struct Parts {
    name: Option<String>,
    /// A data address or the path of the operator's icon.
    icon: Option<String>,
    /// Behind the icon, within the link.
    text: Option<String>,
    /// Behind the link.
    remark: Option<String>,
    label: String,
    href: String,
}

/// Width of a letter of the picture's type size, in pixels: a little too wide leaves room, too narrow would cut.
const NARROW: usize = 9;
const WIDE: usize = 16;
/// Side of the icon, and height of the picture.
const ICON: usize = 16;
const HEIGHT: usize = 20;

impl Pages {
    /// A fragment for a page of the app to take in: a link, with what belongs before and behind it.
    pub fn badge_html(&self, badge: &Badge, language: Language) -> Response<Bytes> {
        let icon = self.assets.find("orcid-icon").map(|(path, ..)| path.to_owned());
        let Parts { name, icon, text, remark, label, href } = self.parts(badge, icon, language);
        let mut html = String::from("<span class=\"lychgate-orcid\">");
        // Writing into a text cannot fail.
        if let Some(name) = name {
            let _ = write!(html, "<bdi>{name}</bdi> ");
        }
        let _ = write!(html, "<a href=\"{href}\" aria-label=\"{label}\">");
        if let Some(icon) = icon {
            let _ = write!(html, "<img src=\"{icon}\" alt=\"\" width=\"{ICON}\" height=\"{ICON}\">");
            html.push_str(if text.is_some() { " " } else { "" });
        }
        let _ = write!(html, "{}</a>", text.unwrap_or_default());
        if let Some(remark) = remark {
            let _ = write!(html, " ({remark})");
        }
        html.push_str("</span>\n");
        headers::fragment(html)
    }

    /// The same as a picture. Within `<img>` its link leads nowhere: the app puts one around it.
    pub fn badge_svg(&self, badge: &Badge, language: Language) -> Response<Bytes> {
        let icon = self.assets.find("orcid-icon").map(|(_, kind, body)| {
            // A picture in a page may fetch nothing, so that it brings its icon along.
            format!("data:{kind};base64,{}", STANDARD.encode(body))
        });
        let Parts { name, icon, text, remark, label, href } = self.parts(badge, icon, language);
        let (mut at, mut inner) = (0, String::new());
        let say = |inner: &mut String, at: &mut usize, text: &str| {
            let _ = write!(inner, "<text x=\"{at}\" y=\"15\" unicode-bidi=\"isolate\">{text}</text>");
            *at += width(text) + 4;
        };
        if let Some(name) = name {
            say(&mut inner, &mut at, &name);
        }
        let _ = write!(inner, "<a href=\"{href}\" target=\"_top\">");
        if let Some(icon) = icon {
            let _ = write!(inner, "<image x=\"{at}\" y=\"2\" width=\"{ICON}\" height=\"{ICON}\" href=\"{icon}\"/>");
            at += ICON + 4;
        }
        if let Some(text) = text {
            say(&mut inner, &mut at, &text);
        }
        inner.push_str("</a>");
        if let Some(remark) = remark {
            say(&mut inner, &mut at, &format!("({remark})"));
        }
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"{label}\" width=\"{at}\" \
             height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"14\"><title>{label}</title>{inner}</svg>\n"
        );
        headers::picture(svg)
    }

    fn parts(&self, badge: &Badge, icon: Option<String>, language: Language) -> Parts {
        let house = self.house.house(language);
        let say = |key: &str, values: &[(&str, &str)]| house.map(|house| house.text(key, values)).unwrap_or_default();
        let word = |key: &str| escape(&say(key, &[]));
        let proven = badge.proof != Proof::None;
        let name = badge.name.as_deref().map(|name| clean(name, SHORT)).filter(|name| proven && !name.is_empty());
        let icon = icon.filter(|_| proven);
        let remark = match badge.proof {
            Proof::Authenticated => None,
            Proof::Simulated => Some("badge.simulated"),
            Proof::None => Some("badge.unauthenticated"),
        };
        let style = match (badge.style, &name) {
            (BadgeStyle::Inline, None) => BadgeStyle::Compact,
            (style, _) => style,
        };
        let text = match style {
            BadgeStyle::Full => Some(badge.uri.clone()),
            BadgeStyle::Compact => Some(badge.id.to_string()),
            // Until there is an icon, its place is taken by what it stands for.
            BadgeStyle::Inline if icon.is_none() => Some(say("badge.id", &[])),
            BadgeStyle::Inline => None,
        };
        let mut label = match &name {
            Some(name) => say("badge.of", &[("name", name), ("uri", &badge.uri)]),
            None => say("badge.alone", &[("uri", &badge.uri)]),
        };
        if let Some(remark) = remark {
            let _ = write!(label, " ({})", say(remark, &[]));
        }
        Parts {
            name: name.map(|name| escape(&name)),
            icon: icon.map(|icon| escape(&icon)),
            text: text.map(|text| escape(&text)),
            remark: remark.map(word),
            label: escape(&label),
            href: escape(&badge.uri),
        }
    }
}

/// For text and attributes of both languages. What XML cannot hold at all (XML 1.0 §2.2) has been blanked by [`clean`],
/// but for the two that are no characters.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}

fn width(escaped: &str) -> usize {
    escaped.chars().map(|letter| if letter.is_ascii() { NARROW } else { WIDE }).sum()
}

#[cfg(test)]
mod tests {
    use super::super::PagesSettings;
    use super::*;

    fn badge(name: Option<&str>, proof: Proof, style: BadgeStyle) -> Badge {
        let id: OrcidId = "0000-0002-1825-0097".parse().unwrap();
        Badge { id, uri: id.uri("https://orcid.org"), name: name.map(str::to_owned), proof, style }
    }

    fn pages(artwork: bool) -> (Pages, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        if artwork {
            std::fs::write(folder.path().join("orcid-icon.svg"), "<svg xmlns='http://www.w3.org/2000/svg'/>").unwrap();
        }
        let settings = PagesSettings { templates: Some(folder.path().to_owned()), ..PagesSettings::default() };
        (Pages::new(settings).unwrap(), folder)
    }

    fn html(pages: &Pages, badge: &Badge) -> String {
        String::from_utf8(pages.badge_html(badge, Language::En).into_body().to_vec()).unwrap()
    }

    fn svg(pages: &Pages, badge: &Badge) -> String {
        String::from_utf8(pages.badge_svg(badge, Language::En).into_body().to_vec()).unwrap()
    }

    #[test]
    fn an_authenticated_id_is_one_link_with_the_icon_before_it() {
        let (pages, _folder) = pages(true);
        let full = html(&pages, &badge(None, Proof::Authenticated, BadgeStyle::Full));
        let (before, after) = full.split_once("<img src=\"/.lychgate/assets/orcid-icon-").unwrap();
        assert_eq!(
            before,
            "<span class=\"lychgate-orcid\"><a href=\"https://orcid.org/0000-0002-1825-0097\" \
             aria-label=\"ORCID iD: https://orcid.org/0000-0002-1825-0097\">"
        );
        let after = after.split_once("\" alt=\"\" width=\"16\" height=\"16\">").unwrap().1;
        assert_eq!(after, " https://orcid.org/0000-0002-1825-0097</a></span>\n");
        let compact = html(&pages, &badge(Some("Josiah Carberry"), Proof::Authenticated, BadgeStyle::Compact));
        assert!(compact.starts_with("<span class=\"lychgate-orcid\"><bdi>Josiah Carberry</bdi> <a href="));
        assert!(compact.ends_with("> 0000-0002-1825-0097</a></span>\n"), "{compact}");
        assert!(compact.contains("aria-label=\"ORCID iD of Josiah Carberry: https://orcid.org/0000-0002-1825-0097\""));
        let inline = html(&pages, &badge(Some("Josiah Carberry"), Proof::Authenticated, BadgeStyle::Inline));
        assert!(inline.ends_with("height=\"16\"></a></span>\n"), "{inline}");
        let picture = svg(&pages, &badge(Some("J"), Proof::Authenticated, BadgeStyle::Full));
        assert!(picture.contains("href=\"data:image/svg+xml;base64,PHN2Zy"), "{picture}");
        assert_eq!(picture.matches("<a ").count(), 1);
    }

    #[test]
    fn an_id_that_nobody_proved_has_no_icon_and_no_name_and_says_so() {
        for artwork in [true, false] {
            let (pages, _folder) = pages(artwork);
            for style in [BadgeStyle::Full, BadgeStyle::Compact, BadgeStyle::Inline] {
                let shown = badge(Some("Josiah Carberry"), Proof::None, style);
                for text in [html(&pages, &shown), svg(&pages, &shown)] {
                    assert!(text.contains("(unauthenticated)"), "{text}");
                    assert!(
                        !text.contains("<im") && !text.contains("Josiah") && !text.contains("orcid-icon"),
                        "{text}"
                    );
                }
                let shown = badge(None, Proof::Simulated, style);
                for text in [html(&pages, &shown), svg(&pages, &shown)] {
                    assert!(text.contains("(simulated)") && !text.contains("unauthenticated"), "{text}");
                }
            }
        }
    }

    #[test]
    fn without_artwork_words_take_its_place() {
        let (pages, _folder) = pages(false);
        let inline = html(&pages, &badge(Some("Josiah"), Proof::Authenticated, BadgeStyle::Inline));
        assert!(inline.contains(">ORCID iD</a>") && !inline.contains("<img"), "{inline}");
        let nameless = html(&pages, &badge(None, Proof::Authenticated, BadgeStyle::Inline));
        assert!(nameless.contains(">0000-0002-1825-0097</a>"), "{nameless}");
    }

    #[test]
    fn t84_a_name_is_text_whatever_stands_in_it() {
        let (pages, _folder) = pages(true);
        for name in [
            "</text><script>alert(1)</script>",
            "\" onload=\"alert(1)",
            "' onmouseover='x",
            "]]><!ENTITY x \"y\">&x;",
            "a\u{0}\u{1b}\u{fffe}\u{ffff}\u{202e}b",
            &"<".repeat(5_000),
        ] {
            let shown = badge(Some(name), Proof::Authenticated, BadgeStyle::Full);
            for text in [html(&pages, &shown), svg(&pages, &shown)] {
                for bad in [
                    "<script",
                    "onload=\"",
                    "onmouseover='",
                    "<!ENTITY",
                    "&x;",
                    "\u{0}",
                    "\u{1b}",
                    "\u{fffe}",
                    "\u{202e}",
                ] {
                    assert!(!text.contains(bad), "{name:?}: {bad:?} in {text}");
                }
                assert!(text.len() < 8_000, "{}", text.len());
                assert_eq!(text.matches("<a ").count(), 1);
            }
        }
        let answer = pages.badge_svg(&badge(None, Proof::Authenticated, BadgeStyle::Full), Language::En);
        assert_eq!(answer.headers()["content-type"], "image/svg+xml");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert!(answer.headers()["content-security-policy"].to_str().unwrap().contains("sandbox"));
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
}
