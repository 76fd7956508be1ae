//! The page that asks whether a form kept over a sign-in may be sent now.

use super::context::{House, Parts, person, site};
use super::page::{PersonView, SiteView};
use super::samples::{self, MARKUP, Stranger};
use super::words::{LONG, SHORT, clean, href, moment};
use crate::domain::UnixTime;
use minijinja::context;

/// A form that waits for its sender's word.
#[derive(Clone, Debug)]
pub struct KeptPage {
    pub person: PersonView,
    pub site: SiteView,
    /// The address it is for; the confirming form goes there.
    pub target: String,
    /// Which form, in the words of the confirming form's field.
    pub form: String,
    pub bytes: u64,
    /// When it was sent first.
    pub at: UnixTime,
    pub token: String,
    /// Where the other form goes, and its token.
    pub throw_away: String,
    pub throw_away_token: String,
}

impl KeptPage {
    pub(super) fn draw(&self, house: &House) -> Parts {
        let values = context! {
            person => person(&self.person), site => site(&self.site), action => href(&self.target),
            target => clean(&self.target, LONG), form => self.form.as_str(), size => size(self.bytes),
            at => moment(self.at), token => self.token.as_str(), throw_away => href(&self.throw_away),
            throw_away_token => self.throw_away_token.as_str(),
        };
        ("kept.html", house.text("kept.title", &[("site", &clean(&self.site.title, SHORT))]), values)
    }

    pub(super) fn samples() -> Vec<(&'static str, Self)> {
        let page = KeptPage {
            person: samples::josiah(),
            site: samples::library(),
            target: "https://library.example.edu/deposit?draft=7".to_owned(),
            form: "AAECAwQFBgcICQoLDA0O".to_owned(),
            bytes: 9 << 20,
            at: UnixTime(1_790_861_100),
            token: "token".to_owned(),
            throw_away: "/.lychgate/replay?form=AAECAwQFBgcICQoLDA0O".to_owned(),
            throw_away_token: "token".to_owned(),
        };
        vec![("kept", page)]
    }

    /// Puts a stranger's words wherever one could write.
    pub(super) fn made_hostile(&mut self, stranger: &Stranger) {
        (self.person, self.site) = (stranger.person.clone(), stranger.site.clone());
        self.target = format!("/x?{MARKUP}{}", stranger.text);
        (self.form, self.token) = (MARKUP.to_owned(), MARKUP.to_owned());
    }
}

/// A number of bytes as people read it.
fn size(bytes: u64) -> String {
    let tenths = |unit: u64| bytes.saturating_mul(10).div_ceil(unit);
    let (tenths, unit) = match bytes {
        0..1_024 => return format!("{bytes} B"),
        1_024..1_048_576 => (tenths(1 << 10), "KiB"),
        _ => (tenths(1 << 20), "MiB"),
    };
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, text) in
            [(0, "0 B"), (1_023, "1023 B"), (1_024, "1.0 KiB"), (1_500, "1.5 KiB"), (9 << 20, "9.0 MiB")]
        {
            assert_eq!(size(bytes), text);
        }
    }
}
