//! Text as words, as Solr's standard tokenizer cuts it (Unicode's UAX #29): letters and digits with what may stand
//! inside of them, each ideograph by itself, all in lower case. Pure; called by `document` and `matching`.

/// The words of a text.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let joins =
            word.chars().last().is_some_and(|before| chars.peek().is_some_and(|after| joins(before, c, *after)));
        if is_ideograph(c) {
            end(&mut word, &mut words);
            words.push(c.to_string());
        } else if is_letter(c) || joins {
            word.extend(c.to_lowercase());
        } else {
            end(&mut word, &mut words);
        }
    }
    end(&mut word, &mut words);
    words
}

fn end(word: &mut String, words: &mut Vec<String>) {
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
}

/// Whether a sign keeps two letters, or two digits, in one word.
fn joins(before: char, sign: char, after: char) -> bool {
    let letters = before.is_alphabetic() && after.is_alphabetic();
    let digits = before.is_numeric() && after.is_numeric();
    match sign {
        '.' | '\'' | '\u{2019}' => letters || digits,
        ':' | '\u{b7}' => letters,
        ',' | ';' => digits,
        _ => false,
    }
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || matches!(c, '\u{300}'..='\u{36f}')
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{309f}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{3fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_into_words() {
        for (text, expected) in [
            ("Meanders that never were", &["meanders", "that", "never", "were"] as &[&str]),
            ("Nguyễn-Åström", &["nguyễn", "åström"]),
            ("Zoe\u{308}", &["zoe\u{308}"]),
            ("10.5555/rivers.2023.1", &["10.5555", "rivers", "2023.1"]),
            ("E. T. O'Tables, 1,5", &["e", "t", "o'tables", "1,5"]),
            ("欧阳 晓明x", &["欧", "阳", "晓", "明", "x"]),
            ("rowan@practice.example", &["rowan", "practice.example"]),
            ("ليلى", &["ليلى"]),
            ("a:b snake_case --", &["a:b", "snake_case"]),
            ("", &[]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }
}
