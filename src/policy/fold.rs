//! Folding of letters: case for sites that say `case_insensitive`, and names into plain ASCII for the
//! `ascii-fold` encoding of the hand-off. Pure; called by `path`, `pattern` and `encoding`.

/// Lower-cases the matching form of a path: ASCII directly, percent-encoded UTF-8 by its characters.
/// Percent-encodings themselves keep upper-case digits. The same text comes out for every case variant.
pub(super) fn ignore_case(matching: &str) -> String {
    let mut out = String::with_capacity(matching.len());
    let mut rest = matching;
    while let Some(at) = rest.find('%') {
        out.extend(rest[..at].chars().map(|c| c.to_ascii_lowercase()));
        rest = &rest[at..];
        let mut run = Vec::new();
        while let Some(byte) = rest.strip_prefix('%').and_then(|r| r.get(..2)).and_then(high_byte) {
            run.push(byte);
            rest = &rest[3..];
        }
        if run.is_empty() {
            let kept = rest.len().min(3);
            out.push_str(&rest[..kept]);
            rest = &rest[kept..];
        } else {
            push_folded(&mut out, &run);
        }
    }
    out.extend(rest.chars().map(|c| c.to_ascii_lowercase()));
    out
}

fn high_byte(digits: &str) -> Option<u8> {
    u8::from_str_radix(digits, 16).ok().filter(|byte| *byte >= 0x80)
}

fn push_folded(out: &mut String, run: &[u8]) {
    // Not UTF-8 (a Latin-1 address): letter case is unknowable, the bytes stand for themselves.
    let Ok(text) = std::str::from_utf8(run) else { return push_encoded(out, run) };
    for folded in text.chars().map(fold_character) {
        if folded.is_ascii() {
            out.push(folded);
        } else {
            push_encoded(out, folded.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

fn push_encoded(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        out.push('%');
        out.extend([byte >> 4, byte & 15].map(|half| char::from(b"0123456789ABCDEF"[usize::from(half)])));
    }
}

/// Upper, then lower case, as long as one character stays one character.
fn fold_character(character: char) -> char {
    fn single(mut all: impl Iterator<Item = char>, or: char) -> char {
        match (all.next(), all.next()) {
            (Some(only), None) => only,
            _ => or,
        }
    }
    let upper = single(character.to_uppercase(), character);
    single(upper.to_lowercase(), upper)
}

/// U+00C0 to U+017F, each character's plain likeness, `|` between them.
const LATIN: &str = "A|A|A|A|A|A|AE|C|E|E|E|E|I|I|I|I|D|N|O|O|O|O|O|x|O|U|U|U|U|Y|Th|ss|\
a|a|a|a|a|a|ae|c|e|e|e|e|i|i|i|i|d|n|o|o|o|o|o|/|o|u|u|u|u|y|th|y|\
A|a|A|a|A|a|C|c|C|c|C|c|C|c|D|d|D|d|E|e|E|e|E|e|E|e|E|e|G|g|G|g|G|g|G|g|H|h|H|h|I|i|I|i|I|i|I|i|I|i|IJ|ij|J|j|K|k|k|\
L|l|L|l|L|l|L|l|L|l|N|n|N|n|N|n|'n|N|n|O|o|O|o|O|o|OE|oe|R|r|R|r|R|r|S|s|S|s|S|s|S|s|T|t|T|t|T|t|\
U|u|U|u|U|u|U|u|U|u|U|u|W|w|Y|y|Y|Z|z|Z|z|Z|z|s";

/// U+1E00 to U+1EFF: one letter each (sharp s and the two Welsh ligatures lose their second).
const LATIN_ADDITIONAL: &str = "AaBbBbBbCcDdDdDdDdDdEeEeEeEeEeFfGgHhHhHhHhHhIiIiKkKkKkLlLlLlLlMmMmMmNnNnNnNnOoOoOoOoPpPp\
RrRrRrRrSsSsSsSsSsTtTtTtTtUuUuUuUuUuVvVvWwWwWwWwWwXxXxYyZzZzZzhtwyasssSd\
AaAaAaAaAaAaAaAaAaAaAaAaEeEeEeEeEeEeEeEeIiIiOoOoOoOoOoOoOoOoOoOoOoOoUuUuUuUuUuUuUuYyYyYyYyLlVvYy";

/// A plain ASCII likeness: accents go, combining marks vanish, what has no likeness becomes `?`.
/// `None` when no letter or digit survives, as with Chinese or Arabic names.
pub(super) fn to_ascii(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        let code = u32::from(character);
        match code {
            0x20..=0x7e => out.push(character),
            0xa0 | 0x2000..=0x200a | 0x202f | 0x3000 => out.push(' '),
            0xc0..=0x17f => out.push_str(LATIN.split('|').nth(index(code - 0xc0)).unwrap_or("?")),
            0x218 | 0x21a => out.push(if code == 0x218 { 'S' } else { 'T' }),
            0x219 | 0x21b => out.push(if code == 0x219 { 's' } else { 't' }),
            0x1a0 | 0x1a1 => out.push(if code == 0x1a0 { 'O' } else { 'o' }),
            0x1af | 0x1b0 => out.push(if code == 0x1af { 'U' } else { 'u' }),
            0x1e00..=0x1eff => {
                out.push_str(LATIN_ADDITIONAL.get(index(code - 0x1e00)..=index(code - 0x1e00)).unwrap_or("?"))
            }
            0x2010..=0x2015 | 0x2212 => out.push('-'),
            0x2018 | 0x2019 | 0x2bc => out.push('\''),
            0x201c | 0x201d => out.push('"'),
            0x300..=0x36f | 0x200b..=0x200f | 0xfeff => {}
            _ => out.push('?'),
        }
    }
    out.bytes().any(|byte| byte.is_ascii_alphanumeric()).then_some(out)
}

fn index(offset: u32) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_have_one_entry_for_each_character() {
        assert_eq!(LATIN.split('|').count(), 0x180 - 0xc0);
        assert_eq!(LATIN_ADDITIONAL.len(), 0x100);
    }

    #[test]
    fn names_lose_their_accents() {
        for (name, plain) in [
            ("José García", Some("Jose Garcia")),
            ("Łukasz Żółć", Some("Lukasz Zolc")),
            ("Nguyễn Văn Ứng", Some("Nguyen Van Ung")),
            ("Straße Øster Ægir", Some("Strasse Oster AEgir")),
            ("Jose\u{301} Ștefan", Some("Jose Stefan")),
            ("Dvořák–Ödön", Some("Dvorak-Odon")),
            ("王小明", None),
            ("محمد", None),
            ("王 Ming", Some("? Ming")),
        ] {
            assert_eq!(to_ascii(name).as_deref(), plain, "{name}");
        }
    }

    #[test]
    fn every_case_variant_folds_to_the_same_text() {
        for (one, other) in [("/ADMIN/%C3%89t%C3%A9", "/admin/%C3%A9T%C3%89"), ("/%CE%A3%CF%83", "/%CF%83%CF%82")] {
            assert_eq!(ignore_case(one), ignore_case(other));
        }
        assert_eq!(ignore_case("/A%2FB%25%E9"), "/a%2Fb%25%E9");
    }
}
