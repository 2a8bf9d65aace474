//! Replaces what is malformed in a device's JSON, each piece by itself. Pure.
//!
//! Firmware that writes JSON with C's `printf` sends `nan` and `-inf` for floating point numbers, and texts as they
//! are: with control characters, with backslashes, in Latin-1. Buffers leave NUL behind, editors a byte order mark.
//! What the structure is made of (brackets, commas, colons, quotes) is taken as it stands; where that is broken, the
//! result is no JSON either.

use std::borrow::Cow;

use crate::wording::quoted;

/// Most notes of one body: more would only repeat themselves.
const MAX_NOTES: usize = 16;
/// What stands for a character that is not known.
const UNKNOWN: char = char::REPLACEMENT_CHARACTER;

/// JSON, as far as it could be made so.
#[derive(Debug)]
pub(super) struct Repaired {
    /// At most six times as long as the body.
    pub(super) text: String,
    /// What was replaced, without repetition.
    pub(super) notes: Vec<String>,
}

/// Replaces what is not UTF-8 and words that are no JSON values, takes what is neither as blanks, and escapes what a
/// text may not hold. Takes time in proportion to the length.
pub(super) fn repair(body: &[u8]) -> Repaired {
    let text = String::from_utf8_lossy(body);
    let mut repair = Repair {
        rest: &text,
        written: String::with_capacity(text.len() + 64),
        last_text: "",
        key: "",
        is_inside: false,
        notes: Vec::new(),
    };
    if matches!(text, Cow::Owned(_)) {
        repair.note("the document is not UTF-8; what is not was replaced".to_owned());
    }
    while let Some(next) = repair.next() {
        match next {
            '"' => repair.text(),
            '{' | '[' => {
                repair.is_inside = true;
                repair.written.push(next);
            }
            '}' | ']' | ',' | ' ' | '\n' | '\r' | '\t' => repair.written.push(next),
            ':' => {
                repair.key = repair.last_text;
                repair.written.push(next);
            }
            _ if is_blank(next) => repair.blank(),
            _ => repair.word(next),
        }
    }
    Repaired {
        text: repair.written,
        notes: repair.notes,
    }
}

/// What stands between values and is none: white space of any kind, control characters, a byte order mark.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control() || c == '\u{feff}'
}

struct Repair<'t> {
    rest: &'t str,
    written: String,
    last_text: &'t str,
    /// The last text before a colon: shows a reader of notes where to look.
    key: &'t str,
    /// Whether an object or a list has begun. What stands before it, as in a page of HTML, is no value of one.
    is_inside: bool,
    notes: Vec<String>,
}

impl<'t> Repair<'t> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn note(&mut self, note: String) {
        if self.notes.len() < MAX_NOTES && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn blank(&mut self) {
        self.written.push(' ');
        self.note("between values stand characters that JSON does not allow there (such as NUL or a byte order mark); they were passed over".to_owned());
    }

    /// A number, `true`, `false` or `null`; anything else is read as `null`.
    fn word(&mut self, first: char) {
        let ends = |c: char| matches!(c, '"' | '{' | '}' | '[' | ']' | ',' | ':') || is_blank(c);
        let (tail, rest) = self
            .rest
            .split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        self.rest = rest;
        let word = format!("{first}{tail}");
        if !self.is_inside || serde_json::from_str::<serde_json::Value>(&word).is_ok() {
            self.written.push_str(&word);
            return;
        }
        self.written.push_str("null");
        // A number may be another one in each answer, and would make each note a new one.
        let shown = match word.contains(|c: char| c.is_ascii_digit()) {
            true => "a malformed number".to_owned(),
            false => quoted(&word),
        };
        let key = quoted(self.key);
        self.note(format!("{shown} at {key} is no JSON value; it was read as null"));
    }

    /// A text, after its opening quote.
    fn text(&mut self) {
        let begin = self.rest;
        self.written.push('"');
        while let Some(next) = self.next() {
            match next {
                '"' => {
                    self.last_text = &begin[..begin.len() - self.rest.len() - 1];
                    self.written.push('"');
                    return;
                }
                '\\' => self.escape(),
                '\0'..'\u{20}' => {
                    self.written.push_str(&format!("\\u{:04x}", u32::from(next)));
                    self.note_text("control characters that are not escaped; they were kept");
                }
                _ => self.written.push(next),
            }
        }
    }

    /// An escape sequence, after its backslash.
    fn escape(&mut self) {
        let length = match self.rest.as_bytes().first() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 1,
            Some(b'u') => match unicode_escape(self.rest) {
                Some(0xd800..0xdc00) if self.rest[5..].starts_with('\\') => {
                    match unicode_escape(&self.rest[6..]) {
                        Some(0xdc00..0xe000) => 11,
                        _ => 0,
                    }
                }
                Some(0xd800..0xe000) | None => 0,
                Some(_) => 5,
            },
            _ => 0,
        };
        if length == 0 {
            self.written.push(UNKNOWN);
            self.note_text("escape sequences that JSON does not have; they were replaced");
            return;
        }
        let (sequence, rest) = self.rest.split_at(length);
        self.written.push('\\');
        self.written.push_str(sequence);
        self.rest = rest;
    }

    fn note_text(&mut self, what: &str) {
        let key = quoted(self.key);
        self.note(format!("the text at {key} has {what}"));
    }
}

/// The code unit of `u00e4` at the beginning.
fn unicode_escape(text: &str) -> Option<u16> {
    let digits = text.strip_prefix('u')?.get(..4)?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn repaired(body: impl AsRef<[u8]>) -> (Value, Vec<String>) {
        let Repaired { text, notes } = repair(body.as_ref());
        (serde_json::from_str(&text).expect(&text), notes)
    }

    #[test]
    fn what_is_json_stays_as_it_is() {
        let body = r#" {"a":[1,-2.5e3,true,false,null,"nan, inf: \"\\\ud83d\ude00\u00e4\/"],"{nan":{}} "#;
        let Repaired { text, notes } = repair(body.as_bytes());
        assert_eq!((text.as_str(), notes), (body, Vec::new()));
    }

    #[test]
    fn words_that_are_no_values_are_null() {
        for word in [
            "nan",
            "-nan",
            "NaN",
            "NAN",
            "inf",
            "-inf",
            "+inf",
            "INF",
            "infinity",
            "-Infinity",
            "nan(0x8000)",
            "-nan(ind)",
            "1.#QNAN",
            "1e999",
            "007",
            "+5",
            ".5",
            "0x1F",
            "undefined",
            "True",
            "nanü",
        ] {
            let (value, notes) = repaired(format!(r#"{{"a":{word},"b":[{word}, 2],"c":"{word}"}}"#));
            assert_eq!(value, json!({"a": null, "b": [null, 2], "c": word}), "{word}");
            assert_eq!(notes.len(), 2, "{notes:?}");
            assert!(
                notes[0].contains("\"a\"") && notes[1].contains("\"b\""),
                "{notes:?}"
            );
        }
    }

    #[test]
    fn what_stands_between_values_is_blank() {
        let (value, notes) = repaired("\u{feff}\0{\0\"a\"\u{b}:\u{a0}1\u{1a}}\0\0\r\n\0");
        assert_eq!((value, notes.len()), (json!({"a": 1}), 1));
    }

    #[test]
    fn a_text_keeps_what_is_known_of_it() {
        for (text, read) in [
            (&b"a\x01\tb\n\x00"[..], "a\u{1}\tb\n\0"),
            (b"M\xfcnchen", "M\u{fffd}nchen"),
            (br"C:\dev\x41\n", "C:\u{fffd}dev\u{fffd}x41\n"),
            (br"\ud800", "\u{fffd}ud800"),
            (br"\ud800\u0041", "\u{fffd}ud800A"),
            (br"\udc00\u12", "\u{fffd}udc00\u{fffd}u12"),
            (b"\\u00\xc3\xbc", "\u{fffd}u00ü"),
        ] {
            let body = [br#"{"a":""#, text, br#"","b":1}"#].concat();
            let (value, notes) = repaired(&body);
            assert_eq!(value, json!({"a": read, "b": 1}));
            assert_eq!(notes.len(), 1, "{notes:?}");
        }
    }

    #[test]
    fn it_is_bounded() {
        let body = format!(
            "[{}]",
            (0..1000).map(|n| format!("{{\"{n}\":nan}},")).collect::<String>()
        );
        assert_eq!(repair(body.as_bytes()).notes.len(), MAX_NOTES);
        for body in [
            vec![0; 4096],
            vec![0xff; 4096],
            vec![b'"'; 4096],
            vec![b'\\'; 4096],
            [b"\"", &[1; 4096][..]].concat(),
        ] {
            assert!(repair(&body).text.len() <= 6 * body.len());
        }
        let long = repair(format!("{{\"{}\":nan}}", "k".repeat(4096)).as_bytes());
        assert!(long.notes[0].len() < 200, "{:?}", long.notes);
    }

    #[test]
    fn what_is_broken_stays_broken() {
        for body in [
            "",
            "<html>",
            "nan",
            "<style>a {b: nan}</style>",
            "{\"a\":1",
            "{\"a\":\"b",
            "{nan:1}",
            "[1 2]",
            "\"\\",
        ] {
            let Repaired { text, .. } = repair(body.as_bytes());
            assert!(serde_json::from_str::<Value>(&text).is_err(), "{body}");
        }
    }
}
