//! What the sample repository's form sends: a title, and perhaps a file. Forgiving, as old apps are.

/// The largest form it takes.
pub(super) const LIMIT: usize = 16 << 20;

/// The entry a form makes: the title, and name and length of the file, if one came. `None` without a title.
pub(super) fn entry(content_type: &str, body: &[u8]) -> Option<String> {
    let Some((_, boundary)) = content_type.split_once("boundary=") else {
        let mut fields = url::form_urlencoded::parse(body);
        return fields.find(|(name, _)| name == "title").map(|(_, value)| value.into_owned());
    };
    let (mut title, mut file) = (None, String::new());
    for part in parts(body, boundary.trim_matches('"')) {
        let Some(end) = memchr::memmem::find(part, b"\r\n\r\n") else { continue };
        let (head, content) = (String::from_utf8_lossy(&part[..end]), &part[end + 4..]);
        if head.contains(" name=\"title\"") {
            title = Some(String::from_utf8_lossy(content).into_owned());
        }
        if let Some((_, rest)) = head.split_once(" filename=\"")
            && let Some((name, _)) = rest.split_once('"').filter(|(name, _)| !name.is_empty())
        {
            file = format!(" ({name}, {} bytes)", content.len());
        }
    }
    title.map(|title| title + &file)
}

/// What stands between the delimiters (RFC 2046 §5.1.1).
fn parts<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let delimiter = format!("--{boundary}");
    let starts: Vec<usize> = memchr::memmem::find_iter(body, delimiter.as_bytes()).collect();
    let between = starts.windows(2).filter_map(|pair| body.get(pair[0] + delimiter.len() + 2..pair[1].checked_sub(2)?));
    between.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_with_and_without_a_file() {
        assert_eq!(entry("application/x-www-form-urlencoded", b"title=On+gates").as_deref(), Some("On gates"));
        let form = b"--x\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nOn gates\r\n--x\r\n\
            Content-Disposition: form-data; name=\"file\"; filename=\"gates.pdf\"\r\n\r\n\r\n12--\r\n--x--\r\n";
        let read = |body: &[u8]| entry("multipart/form-data; boundary=x", body);
        assert_eq!(read(form).as_deref(), Some("On gates (gates.pdf, 6 bytes)"));
        for broken in [&b""[..], b"--x", b"--x--", b"--x--x", b"--x\r\n\r\n\r\n--x", &form[..40]] {
            assert_eq!(read(broken), None);
        }
    }
}
