//! [`Pattern`]: one entry of a rule's `paths`, compiled. Matching needs no memory and, per pattern, tens of
//! nanoseconds; [`Pattern::covers`] finds rules that can never be reached. Used by `rules` and `compile_rules`.
//!
//! The language is `globset`'s with `literal_separator`, cut down to `*` and `**`, and the tests hold it to
//! that crate. Matching by its regular expressions took 1.5 µs a pattern over a thousand sites.

use super::path::{BadPath, CanonicalPath, PathSwitches, canonical};

/// Longest pattern in bytes and most `*` in one, so that checking covers stays cheap.
const MAX_BYTES: usize = 1024;
const MAX_STARS: usize = 8;

/// A compiled pattern. One short text, because among a thousand sites what counts is how little memory a
/// decision touches.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// In the matching form of paths, where a `*` that is meant literally stands as `%2A`.
    text: Box<[u8]>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// No wildcard: this path alone.
    Exact,
    /// `/docs/**`, kept as `/docs`: that path, `/docs/` and everything below. `/**` is kept as nothing.
    Below,
    /// Anything else.
    Glob,
}

/// Why a text is not a pattern, and what to do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadPattern {
    #[error("a pattern begins with `/`")]
    NoSlash,
    #[error("`{0}` has no meaning in a pattern")]
    Symbol(char),
    #[error("`**` stands alone between two slashes")]
    DoubleStar,
    #[error("no request path can ever match this: {0}")]
    NeverMatches(#[from] BadPath),
    #[error("a pattern has at most {MAX_BYTES} bytes and {MAX_STARS} `*`")]
    TooLong,
}

impl BadPattern {
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            BadPattern::NoSlash => "write the whole path, as in \"/docs/**\"",
            BadPattern::Symbol('?') => "the query takes no part in any decision; list the path alone",
            BadPattern::Symbol(_) => "list the paths one by one; a literal one is written percent-encoded",
            BadPattern::DoubleStar => "write \"/docs/**\" for everything below, \"/docs/*.pdf\" within one segment",
            BadPattern::NeverMatches(_) => {
                "write the path as a browser would send it, or set the switch the site needs"
            }
            BadPattern::TooLong => "shorten the pattern or split it",
        }
    }
}

impl Pattern {
    /// Everything.
    pub(super) fn all() -> Self {
        Self { text: Box::default(), kind: Kind::Below }
    }

    /// Compiles a pattern; it is canonicalised like a request path, characters outside ASCII and
    /// spaces included.
    pub(super) fn parse(text: &str, switches: &PathSwitches) -> Result<Self, BadPattern> {
        if text.len() > MAX_BYTES || text.matches('*').count() > MAX_STARS {
            return Err(BadPattern::TooLong);
        }
        if !text.starts_with('/') {
            return Err(BadPattern::NoSlash);
        }
        if let Some(symbol) = text.chars().find(|c| matches!(c, '?' | '[' | ']' | '{' | '}')) {
            return Err(BadPattern::Symbol(symbol));
        }
        if text.split('/').any(|segment| segment.contains("**") && segment != "**") {
            return Err(BadPattern::DoubleStar);
        }
        let (_, mut matching) = canonical(&encode_foreign(text), switches, true)?;
        while matching.contains("/**/**") {
            matching = matching.replace("/**/**", "/**");
        }
        let (text, kind) = match matching.strip_suffix("/**") {
            _ if !matching.contains('*') => (matching.as_str(), Kind::Exact),
            Some(stem) if !stem.contains('*') => (stem, Kind::Below),
            _ => (matching.as_str(), Kind::Glob),
        };
        Ok(Self { text: text.as_bytes().into(), kind })
    }

    pub(super) fn matches(&self, path: &CanonicalPath) -> bool {
        let path = path.matching().as_bytes();
        match self.kind {
            Kind::Exact => *self.text == *path,
            Kind::Below => path.strip_prefix(&*self.text).is_some_and(|rest| matches!(rest, [] | [b'/', ..])),
            Kind::Glob => matches(&self.text[1..], &path[1..]),
        }
    }

    /// Whether every path that matches `other` matches this pattern too. Never says yes wrongly; may
    /// say no for two wildcards that only meet by a longer argument.
    pub(super) fn covers(&self, other: &Pattern) -> bool {
        covers(&self.segments(), &other.segments())
    }

    fn segments(&self) -> Vec<&[u8]> {
        let mut segments: Vec<&[u8]> = self.text.split(|byte| *byte == b'/').skip(1).collect();
        if self.kind == Kind::Below {
            segments.push(ANY);
        }
        segments
    }
}

/// Any number of segments, also none.
const ANY: &[u8] = b"**";

/// Percent-encodes what may not stand raw in a request path, as a browser does.
fn encode_foreign(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, character| {
        if character == ' ' || !character.is_ascii() {
            let mut buffer = [0; 4];
            for byte in character.encode_utf8(&mut buffer).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        } else {
            out.push(character);
        }
        out
    })
}

/// Both without their first slash. Going back to the last `**` alone is enough: whatever an earlier one could
/// swallow more, the last one can swallow instead. So the work is at most pattern times path.
fn matches(pattern: &[u8], path: &[u8]) -> bool {
    let (mut pattern, mut path) = (Some(pattern), Some(path));
    let mut retry: Option<(&[u8], Option<&[u8]>)> = None;
    loop {
        match (pattern, path) {
            (None, None) => return true,
            (Some(ANY), _) => return true,
            (Some([b'*', b'*', b'/', after @ ..]), _) => {
                retry = Some((after, path));
                pattern = Some(after);
                continue;
            }
            (Some(parts), Some(names)) => {
                let ((part, parts), (name, names)) = (first_segment(parts), first_segment(names));
                if part_matches(part, name) {
                    (pattern, path) = (parts, names);
                    continue;
                }
            }
            _ => {}
        }
        let Some((after, Some(names))) = retry else { return false };
        (pattern, path) = (Some(after), first_segment(names).1);
        retry = Some((after, path));
    }
}

fn first_segment(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|byte| *byte == b'/') {
        Some(slash) => (&text[..slash], Some(&text[slash + 1..])),
        None => (text, None),
    }
}

/// One segment. Again only the last `*` has to be gone back to.
fn part_matches(mut part: &[u8], mut name: &[u8]) -> bool {
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (part, name) {
            ([], []) | ([b'*'], _) => return true,
            ([b'*', after @ ..], _) => {
                retry = Some((after, name));
                part = after;
                continue;
            }
            ([one, after @ ..], [other, below @ ..]) if one == other => {
                (part, name) = (after, below);
                continue;
            }
            _ => {}
        }
        let Some((after, [_, below @ ..])) = retry else { return false };
        (part, name) = (after, below);
        retry = Some((after, below));
    }
}

fn covers(wide: &[&[u8]], narrow: &[&[u8]]) -> bool {
    match (wide, narrow) {
        ([], []) => true,
        ([ANY, rest @ ..], _) => {
            covers(rest, narrow) || narrow.split_first().is_some_and(|(_, below)| covers(wide, below))
        }
        (_, [ANY, ..]) => false,
        ([wide_part, wide_rest @ ..], [narrow_part, narrow_rest @ ..]) => {
            part_covers(wide_part, narrow_part) && covers(wide_rest, narrow_rest)
        }
        _ => false,
    }
}

fn part_covers(wide: &[u8], narrow: &[u8]) -> bool {
    match (wide, narrow) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            part_covers(rest, narrow) || narrow.split_first().is_some_and(|(_, below)| part_covers(wide, below))
        }
        ([one, wide_rest @ ..], [other, narrow_rest @ ..]) => one == other && part_covers(wide_rest, narrow_rest),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STRICT: PathSwitches =
        PathSwitches { ignore_parameters: false, keep_encoded_slash: false, case_insensitive: false };

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text, &STRICT).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    fn path(text: &str) -> CanonicalPath {
        CanonicalPath::parse(text, &STRICT).unwrap()
    }

    #[test]
    fn what_patterns_match() {
        for (text, yes, no) in [
            ("/", &["/"][..], &["/a", "/a/"][..]),
            ("/**", &["/", "/a", "/a/b/"], &[]),
            ("/docs/**", &["/docs", "/docs/", "/docs/a", "/docs/a/b"], &["/doc", "/docsx", "/docs2/a", "/a/docs"]),
            ("/docs/*", &["/docs/", "/docs/a"], &["/docs", "/docs/a/b", "/docs/a/"]),
            ("/*.css", &["/a.css", "/.css"], &["/a/b.css", "/a.cssx", "/acss"]),
            ("/a/*/c", &["/a/b/c"], &["/a/c", "/a/b/b/c"]),
            ("/a/**/**", &["/a", "/a/", "/a/b/c"], &["/ab"]),
            ("/a/**/c", &["/a/c", "/a/b/c", "/a/b/b/c"], &["/a/b", "/a/cc"]),
            ("/u/*/files/**", &["/u/x/files", "/u/x/files/", "/u/x/files/y/z"], &["/u/files/x", "/u/x/filesy"]),
            ("/bücher/**", &["/b%C3%BCcher", "/b%c3%bccher/x"], &["/b%FCcher", "/bucher"]),
            ("/my files/*", &["/my%20files/x"], &["/my+files/x", "/myfiles/x"]),
            ("/~user", &["/~user", "/%7Euser", "/%7euser"], &["/user"]),
            ("/a@b", &["/a@b", "/a%40b"], &["/a%2540b"]),
            ("/a%40b", &["/a@b", "/a%40b"], &[]),
            ("/a%2Ab", &["/a*b", "/a%2Ab"], &["/axb", "/ab"]),
            ("/a!b|c", &["/a!b|c", "/a%21b%7Cc"], &[]),
        ] {
            for candidate in yes {
                assert!(pattern(text).matches(&path(candidate)), "{text} should match {candidate}");
            }
            for candidate in no {
                assert!(!pattern(text).matches(&path(candidate)), "{text} should not match {candidate}");
            }
        }
    }

    #[test]
    fn what_is_not_a_pattern() {
        for (text, want) in [
            ("docs/**", BadPattern::NoSlash),
            ("**", BadPattern::NoSlash),
            ("/docs**", BadPattern::DoubleStar),
            ("/***/a", BadPattern::DoubleStar),
            ("/a?b", BadPattern::Symbol('?')),
            ("/{a,b}", BadPattern::Symbol('{')),
            ("/[ab]", BadPattern::Symbol('[')),
            ("/a//b", BadPattern::NeverMatches(BadPath::EmptySegment)),
            ("/a/../b", BadPattern::NeverMatches(BadPath::DotSegment)),
            ("/a%2Fb", BadPattern::NeverMatches(BadPath::EncodedSlash)),
            ("/a;b", BadPattern::NeverMatches(BadPath::PathParameter)),
            ("/a#b", BadPattern::NeverMatches(BadPath::Fragment)),
            ("/a\\b", BadPattern::NeverMatches(BadPath::Backslash)),
            ("/100%", BadPattern::NeverMatches(BadPath::PercentEncoding)),
            ("/*/*/*/*/*/*/*/*/*", BadPattern::TooLong),
        ] {
            assert_eq!(Pattern::parse(text, &STRICT).unwrap_err(), want, "{text}");
        }
    }

    #[test]
    fn covering() {
        for (wide, narrow, want) in [
            ("/**", "/anything/*/x", true),
            ("/docs/**", "/docs", true),
            ("/docs/**", "/docs/", true),
            ("/docs/**", "/docs/a/**", true),
            ("/docs/a/**", "/docs/**", false),
            ("/docs/*", "/docs/**", false),
            ("/docs/*", "/docs/*.pdf", true),
            ("/*.pdf", "/*", false),
            ("/a/**/c", "/a/*/c", true),
            ("/a", "/a", true),
            ("/a", "/a/", false),
            ("/a*c", "/a*b*c", true),
        ] {
            assert_eq!(pattern(wide).covers(&pattern(narrow)), want, "{wide} over {narrow}");
        }
    }

    #[test]
    fn t22_letter_case_never_changes_which_pattern_matches() {
        let folding = PathSwitches { case_insensitive: true, ..STRICT };
        let admin = Pattern::parse("/Admin/Bücher/**", &folding).unwrap();
        for raw in ["/ADMIN/b%C3%9Ccher", "/admin/B%C3%BCCHER/x", "/%61dmin/b%c3%bccher"] {
            assert!(admin.matches(&CanonicalPath::parse(raw, &folding).unwrap()), "{raw}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4000, ..ProptestConfig::default() })]

        /// Matching agrees with globset, and with what `covers` says of a pattern that is one path.
        #[test]
        fn matching_agrees_with_globset(
            text in "(/(\\*\\*|[ab*.]{0,3})){1,4}/?", candidate in "(/[abc.]{1,3}){0,4}/?",
        ) {
            let candidate = if candidate.is_empty() { "/".to_owned() } else { candidate };
            prop_assume!(text.split('/').all(|s| s == "**" || !s.contains("**")));
            if let (Ok(one), Ok(at)) = (Pattern::parse(&text, &STRICT), CanonicalPath::parse(&candidate, &STRICT)) {
                let literal = Pattern::parse(&candidate, &STRICT).unwrap();
                prop_assert_eq!(one.matches(&at), one.covers(&literal));
                prop_assert_eq!(one.matches(&at), globset_matches(&text, &candidate));
            }
        }

        /// What is covered matches nothing beyond what covers it.
        #[test]
        fn covering_is_never_claimed_wrongly(
            wide in "(/(\\*\\*|[ab*]{1,2})){1,3}", narrow in "(/(\\*\\*|[ab*]{1,2})){1,3}", path in "(/[ab]{1,2}){1,4}",
        ) {
            if let (Ok(wide), Ok(narrow)) = (Pattern::parse(&wide, &STRICT), Pattern::parse(&narrow, &STRICT)) {
                let path = CanonicalPath::parse(&path, &STRICT).unwrap();
                prop_assert!(!(wide.covers(&narrow) && narrow.matches(&path) && !wide.matches(&path)));
            }
        }
    }

    /// With our two additions: a trailing `/**` takes its own parent too, and `**` may repeat.
    fn globset_matches(pattern: &str, path: &str) -> bool {
        let mut pattern = pattern.to_owned();
        while pattern.contains("/**/**") {
            pattern = pattern.replace("/**/**", "/**");
        }
        let one = |text: &str| {
            let glob = globset::GlobBuilder::new(text).literal_separator(true).backslash_escape(false).build();
            glob.unwrap().compile_matcher().is_match(path)
        };
        one(&pattern) || pattern.strip_suffix("/**").is_some_and(one)
    }
}
