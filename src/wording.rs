//! Words in messages for people: foreign ones in quotes, which known one was probably meant, how many there are.

use std::io;

use strsim::osa_distance;

/// Longest text that is repeated in a message.
const MAX_SHOWN: usize = 80;

/// In quotes, escaped, and cut where it is very long.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{:?}..", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Longest name of a person, a device or a place, in characters.
pub(crate) const MAX_NAME: usize = 100;

/// Whether that can be a name for people: not empty, in one line, and not too long.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.chars().count()) && !text.contains(char::is_control)
}

/// How many of them: `1 device`, `2 devices`. For nouns whose plural takes an s.
pub(crate) fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

/// What the system says of a call that failed, as part of a sentence: `connection refused`.
pub(crate) fn system_error(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" (os error ").map_or(&*text, |(text, _)| text);
    let text = text.strip_prefix(FAILED_LOOKUP).unwrap_or(text);
    let mut characters = text.chars();
    // `RTNETLINK answers` stays as it is.
    if text.chars().nth(1).is_some_and(char::is_uppercase) {
        return text.to_owned();
    }
    let first = characters.next().map(|character| character.to_ascii_lowercase());
    first.into_iter().chain(characters).collect()
}

/// Whether a host name was looked up in vain.
pub(crate) fn is_failed_lookup(error: &io::Error) -> bool {
    error.to_string().starts_with(FAILED_LOOKUP)
}

/// How such errors begin in the standard library, which has no kind for them.
const FAILED_LOOKUP: &str = "failed to lookup address information: ";

/// What kind of JSON value it is, with its article.
pub(crate) fn kind_of(value: &serde_json::Value) -> &'static str {
    use serde_json::Value;
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The known word that was probably meant.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    nearest_few(word, known, 1).first().copied()
}

/// The known words that were probably meant: the most likely first, at most `most` of them.
pub(crate) fn nearest_few<'a>(word: &str, known: &[&'a str], most: usize) -> Vec<&'a str> {
    let word: String = word.chars().take(40).flat_map(char::to_lowercase).collect();
    let measured = known.iter().map(|known| (osa_distance(&word, known), *known));
    let is_close =
        |(distance, known): &(usize, &str)| *distance <= 2 && *distance < known.len().min(word.len());
    let mut close: Vec<_> = measured.filter(is_close).collect();
    close.sort_unstable();
    let mut found: Vec<&str> = close.into_iter().map(|(_, known)| known).collect();
    let is_part = |known: &str| word.len() >= 3 && (known.starts_with(&word) || word.starts_with(known));
    for known in known.iter().filter(|known| is_part(known)) {
        if !found.contains(known) {
            found.push(known);
        }
    }
    found.truncate(most);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut() {
        assert_eq!(quoted("a\n"), r#""a\n""#);
        assert_eq!(quoted(&"ä".repeat(81)), format!("\"{}\"..", "ä".repeat(80)));
    }

    #[test]
    fn an_error_of_the_system_is_part_of_a_sentence() {
        let refused = io::Error::from_raw_os_error(111);
        assert_eq!(system_error(&refused), "connection refused");
        let lookup = io::Error::other("failed to lookup address information: Name or service not known");
        assert_eq!(system_error(&lookup), "name or service not known");
        assert!(is_failed_lookup(&lookup) && !is_failed_lookup(&refused));
        assert_eq!(system_error(&io::Error::other("")), "");
        let acronym = io::Error::other("RPC version wrong (os error 74)");
        assert_eq!(system_error(&acronym), "RPC version wrong");
    }

    #[test]
    fn a_failed_lookup_is_known_by_how_the_standard_library_puts_it() {
        use std::net::ToSocketAddrs;
        let error = ("no-such-host.invalid", 1).to_socket_addrs().unwrap_err();
        assert!(is_failed_lookup(&error), "{error}");
    }

    #[test]
    fn one_is_not_several() {
        let counts = [0, 1, 2].map(|number| count(number, "device"));
        assert_eq!(counts, ["0 devices", "1 device", "2 devices"]);
    }

    #[test]
    fn the_nearest_word_is_offered() {
        let known = ["url", "username", "password", "password_file", "poll"];
        assert_eq!(nearest("pol", &known), Some("poll"));
        assert_eq!(nearest("pasword", &known), Some("password"));
        assert_eq!(nearest("user", &known), Some("username"));
        assert_eq!(nearest("ulr", &["tls", "url"]), Some("url"));
        assert_eq!(nearest("URL", &known), Some("url"));
        assert_eq!(nearest("snmp", &known), None);
        assert_eq!(nearest("", &known), None);
    }

    #[test]
    fn several_words_may_have_been_meant() {
        let known = [
            "ntp-sync",
            "refclock-1-sync",
            "refclock-2-sync",
            "refclock-1-not-sync",
        ];
        assert_eq!(
            nearest_few("refclock-sync", &known, 3),
            ["refclock-1-sync", "refclock-2-sync"]
        );
        assert_eq!(
            nearest_few("refclock", &known, 2),
            ["refclock-1-sync", "refclock-2-sync"]
        );
        assert!(nearest_few("coffee-empty", &known, 3).is_empty());
    }
}
