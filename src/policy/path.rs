//! [`CanonicalPath`]: the one form of a request path that rules are matched against and apps receive
//! (invariant 1). Called by `proxy` for every request, by `explain`, by the cases of policy files.

use super::fold;

/// How often a path can be decoded before it has to be plain. No app decodes more often, and each layer
/// costs a pass over the path: 32 KiB of `%2525…` would have thousands of them.
const MAX_DECODINGS: usize = 4;

/// What a site says about paths its app treats specially. Everything off is the strict reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathSwitches {
    /// `path_parameters = "ignore"`: `;…` in a segment is matched without, forwarded with.
    pub ignore_parameters: bool,
    /// `encoded_slash = "keep"`: `%2F` is an ordinary character of a segment.
    pub keep_encoded_slash: bool,
    /// `case_insensitive = true`: letters of either case match alike.
    pub case_insensitive: bool,
}

/// Why a path is refused with 400. Ambiguity is refused, never repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BadPath {
    #[error("the target does not begin with `/`")]
    NotAPath,
    #[error("the target holds a raw `#`, which belongs to browsers alone")]
    Fragment,
    #[error("the path holds a `?`; the query has to be split off first")]
    Query,
    #[error("the target holds a control character or NUL")]
    Control,
    #[error("the target holds a raw space")]
    Space,
    #[error("the target holds raw bytes outside ASCII")]
    NonAscii,
    #[error("the path holds a backslash, which some apps read as `/`")]
    Backslash,
    #[error("the path holds an encoded backslash, which some apps read as `/`")]
    EncodedBackslash,
    #[error("the path holds an encoded slash; a site whose app needs it says encoded_slash = \"keep\"")]
    EncodedSlash,
    #[error("the path holds the segment `.` or `..`")]
    DotSegment,
    #[error("the path holds the segment `.` or `..` in encoded form")]
    EncodedDotSegment,
    #[error("the path holds an empty segment (`//`)")]
    EmptySegment,
    #[error("the path holds a `;`; a site whose app needs it says path_parameters = \"ignore\"")]
    PathParameter,
    #[error("the path holds a `%` that is not followed by two hexadecimal digits")]
    PercentEncoding,
    #[error("the path holds an encoded control character or NUL")]
    EncodedControl,
    #[error("the path holds overlong UTF-8, a disguise for another character")]
    OverlongUtf8,
    #[error("the path is percent-encoded more than {MAX_DECODINGS} times over")]
    TooDeep,
}

impl BadPath {
    /// A short stable word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            BadPath::NotAPath => "not_a_path",
            BadPath::Fragment => "fragment",
            BadPath::Query => "query",
            BadPath::Control => "control",
            BadPath::Space => "space",
            BadPath::NonAscii => "non_ascii",
            BadPath::Backslash => "backslash",
            BadPath::EncodedBackslash => "encoded_backslash",
            BadPath::EncodedSlash => "encoded_slash",
            BadPath::DotSegment => "dot_segment",
            BadPath::EncodedDotSegment => "encoded_dot_segment",
            BadPath::EmptySegment => "empty_segment",
            BadPath::PathParameter => "path_parameter",
            BadPath::PercentEncoding => "percent_encoding",
            BadPath::EncodedControl => "encoded_control",
            BadPath::OverlongUtf8 => "overlong_utf8",
            BadPath::TooDeep => "too_deep",
        }
    }
}

/// A path that was read strictly. Encoded unreserved characters (RFC 3986 §2.3) are decoded once,
/// hexadecimal digits are upper-case; nothing else is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalPath {
    forward: Box<str>,
    /// Differs from `forward` when the path holds reserved characters, parameters or folded letters.
    matching: Option<Box<str>>,
}

impl CanonicalPath {
    /// Reads a path without its query.
    pub fn parse(raw_path: &str, switches: &PathSwitches) -> Result<Self, BadPath> {
        if is_plain(raw_path, switches) {
            return Ok(Self { forward: raw_path.into(), matching: None });
        }
        let (forward, matching) = canonical(raw_path, switches, false)?;
        let matching = (matching != forward).then(|| matching.into());
        Ok(Self { forward: forward.into(), matching })
    }

    /// Reads an origin-form request target (RFC 9112 §3.2.1): the path, and the query byte for byte.
    /// The query takes part in no decision (T23), but may not smuggle a fragment or a line break.
    pub fn from_target<'t>(target: &'t str, switches: &PathSwitches) -> Result<(Self, Option<&'t str>), BadPath> {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        for byte in query.unwrap_or_default().bytes() {
            match byte {
                b'#' => return Err(BadPath::Fragment),
                b' ' => return Err(BadPath::Space),
                0..0x20 | 0x7f => return Err(BadPath::Control),
                0x80.. => return Err(BadPath::NonAscii),
                _ => {}
            }
        }
        Ok((Self::parse(path, switches)?, query))
    }

    /// The bytes the app receives.
    pub fn forward(&self) -> &str {
        &self.forward
    }

    /// The bytes the rules see.
    pub(super) fn matching(&self) -> &str {
        self.matching.as_deref().unwrap_or(&self.forward)
    }
}

/// Nearly every request: nothing to decode, nothing to refuse, nothing to fold.
fn is_plain(path: &str, switches: &PathSwitches) -> bool {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') {
        return false;
    }
    let mut before = 0u8;
    for &byte in bytes {
        let fine = match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => true,
            b'A'..=b'Z' => !switches.case_insensitive,
            b'/' => before != b'/',
            // A dot that opens a segment may be a dot segment: the slow way knows.
            b'.' => before != b'/',
            _ => false,
        };
        if !fine {
            return false;
        }
        before = byte;
    }
    true
}

pub(super) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The forward form and the matching form of `raw`. In the matching form every reserved character
/// that cannot change the structure stands decoded, so that `%40` and `@`, which apps do not tell
/// apart, meet the same rule. `%2F`, `%25`, `%2A` and bytes outside ASCII stay encoded there.
/// With `wildcards` (for patterns) a raw `*` stays a `*`; otherwise it becomes `%2A`.
pub(super) fn canonical(raw: &str, switches: &PathSwitches, wildcards: bool) -> Result<(String, String), BadPath> {
    let bytes = raw.as_bytes();
    if bytes.first() != Some(&b'/') {
        return Err(BadPath::NotAPath);
    }
    let mut out = Forms::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        at += 1;
        match byte {
            b'/' => out.end_segment(false)?,
            b'%' => {
                let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
                let (Some(high), Some(low)) = (digit(at), digit(at + 1)) else { return Err(BadPath::PercentEncoding) };
                at += 2;
                let decoded = u8::try_from(high * 16 + low).expect("two hexadecimal digits are one byte");
                out.encoded(decoded, switches)?;
            }
            b';' if switches.ignore_parameters => out.parameter(),
            b'*' if !wildcards => out.push("*", "%2A"),
            other => {
                refuse_raw(other)?;
                out.raw(char::from(other));
            }
        }
    }
    out.end_segment(true)?;
    if out.look_deeper {
        look_deeper(out.forward.as_bytes(), switches, percent_decoded)?;
    }
    if switches.case_insensitive {
        out.matching = fold::ignore_case(&out.matching);
    }
    Ok((out.forward, out.matching))
}

/// What no raw byte of a path may be.
fn refuse_raw(byte: u8) -> Result<(), BadPath> {
    Err(match byte {
        b'#' => BadPath::Fragment,
        b'?' => BadPath::Query,
        b' ' => BadPath::Space,
        b'\\' => BadPath::Backslash,
        b';' => BadPath::PathParameter,
        0..0x20 | 0x7f => BadPath::Control,
        0x80.. => BadPath::NonAscii,
        _ => return Ok(()),
    })
}

/// The two forms under construction.
struct Forms {
    forward: String,
    matching: String,
    /// Where the segment under way begins, in each form.
    forward_start: usize,
    matching_start: usize,
    in_parameter: bool,
    /// The segment under way held something percent-encoded.
    segment_encoded: bool,
    /// The whole path needs the second look of [`look_deeper`].
    look_deeper: bool,
    begun: bool,
}

impl Forms {
    fn with_capacity(bytes: usize) -> Self {
        Self {
            forward: String::with_capacity(bytes),
            matching: String::with_capacity(bytes),
            forward_start: 0,
            matching_start: 0,
            in_parameter: false,
            segment_encoded: false,
            look_deeper: false,
            begun: false,
        }
    }

    fn push(&mut self, forward: &str, matching: &str) {
        self.forward.push_str(forward);
        if !self.in_parameter {
            self.matching.push_str(matching);
        }
    }

    fn raw(&mut self, character: char) {
        self.forward.push(character);
        if !self.in_parameter {
            self.matching.push(character);
        }
    }

    fn parameter(&mut self) {
        self.in_parameter = true;
        self.forward.push(';');
    }

    fn encoded(&mut self, byte: u8, switches: &PathSwitches) -> Result<(), BadPath> {
        self.segment_encoded = true;
        if is_unreserved(byte) {
            self.raw(char::from(byte));
            return Ok(());
        }
        let kept = format!("%{byte:02X}");
        match byte {
            0..0x20 | 0x7f => return Err(BadPath::EncodedControl),
            b'\\' => return Err(BadPath::EncodedBackslash),
            b'/' if !switches.keep_encoded_slash => return Err(BadPath::EncodedSlash),
            // Some apps decode before they look for parameters.
            b';' if !switches.ignore_parameters => return Err(BadPath::PathParameter),
            b'/' | b'%' | b';' | 0x80.. => {
                self.look_deeper = true;
                let matching = if byte == b';' { ";" } else { kept.as_str() };
                self.push(&kept, matching);
            }
            b'*' => self.push(&kept, &kept),
            other => {
                self.forward.push_str(&kept);
                if !self.in_parameter {
                    self.matching.push(char::from(other));
                }
            }
        }
        Ok(())
    }

    /// Closes the segment under way; `last` at the end of the path, where an empty one is allowed.
    fn end_segment(&mut self, last: bool) -> Result<(), BadPath> {
        if self.begun {
            let segment = &self.matching[self.matching_start..];
            match segment {
                "." | ".." if self.segment_encoded => return Err(BadPath::EncodedDotSegment),
                "." | ".." => return Err(BadPath::DotSegment),
                "" if !last => return Err(BadPath::EmptySegment),
                // `/;x` alone would be matched as an empty segment and forwarded as one with a name.
                "" if self.forward.len() > self.forward_start => return Err(BadPath::EmptySegment),
                _ => {}
            }
        }
        if !last {
            self.forward.push('/');
            self.matching.push('/');
        }
        self.forward_start = self.forward.len();
        self.matching_start = self.matching.len();
        self.in_parameter = false;
        self.segment_encoded = false;
        self.begun = true;
        Ok(())
    }
}

/// Looks at the path as an app would that decodes more often than once, or before it looks for
/// slashes and parameters (T22): dot segments, slashes, backslashes and control characters must not
/// come to light however often it is decoded. What is not plain after [`MAX_DECODINGS`] is refused unread,
/// so that the work is linear in the path. `decode` takes away one layer; tests count its calls.
fn look_deeper(
    forward: &[u8],
    switches: &PathSwitches,
    mut decode: impl FnMut(&[u8]) -> Vec<u8>,
) -> Result<(), BadPath> {
    let slashes = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'/').count();
    let mut text = forward.to_vec();
    for decodings in 0..=MAX_DECODINGS {
        if has_overlong(&text) {
            return Err(BadPath::OverlongUtf8);
        }
        let decoded = decode(&text);
        if decoded == text {
            return Ok(());
        }
        if decodings == MAX_DECODINGS {
            break;
        }
        if decoded.contains(&b'\\') {
            return Err(BadPath::EncodedBackslash);
        }
        if decoded.iter().any(|byte| byte.is_ascii_control()) {
            return Err(BadPath::EncodedControl);
        }
        if !switches.keep_encoded_slash && slashes(&decoded) != slashes(forward) {
            return Err(BadPath::EncodedSlash);
        }
        for segment in decoded.split(|byte| *byte == b'/') {
            let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
            if matches!(name, b"." | b"..") {
                return Err(BadPath::EncodedDotSegment);
            }
        }
        text = decoded;
    }
    Err(BadPath::TooDeep)
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    percent_encoding::percent_decode(text).collect()
}

/// Overlong UTF-8 (RFC 3629 §3): `C0 AF` was a `/` to old servers. Other bytes that are not UTF-8 pass,
/// because legacy apps have Latin-1 addresses.
fn has_overlong(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| matches!(pair, [0xc0 | 0xc1, 0x80..=0xbf] | [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f]))
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
