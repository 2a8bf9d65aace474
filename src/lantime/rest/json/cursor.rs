//! A place in a JSON text, from which one value after the other is read as what it is wanted as. Pure.
//!
//! Most of a status document is wanted by nobody. Of an object or a list that is not read only the end is looked for, by
//! its quotes and brackets: what is malformed in there costs nothing. All else is checked as a parser would; what a text
//! says (UTF-8, characters behind escape sequences) and whether a number fits, where it is read.

use std::borrow::Cow;

use super::scan;

/// How deep objects and lists may be within each other: what is read is so in `serde_json`, too.
const MAX_DEPTH: u8 = 127;

/// What stands there is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

type Result<T> = std::result::Result<T, Malformed>;

/// What can be read from a JSON text, and may borrow from it.
pub trait FromJson<'b>: Sized {
    /// Reads the value at the cursor.
    ///
    /// # Errors
    /// The value is malformed.
    fn read(cursor: &mut Cursor<'b>) -> Result<Self>;
}

/// Reads a text that is one value.
///
/// # Errors
/// It is malformed.
pub fn read<'b, T: FromJson<'b>>(text: &'b [u8]) -> Result<T> {
    let mut cursor = Cursor {
        text,
        at: 0,
        depth: 0,
    };
    let value = T::read(&mut cursor)?;
    match after_blanks(text, cursor.at) == text.len() {
        true => Ok(value),
        false => Err(Malformed),
    }
}

/// A place in a JSON text.
#[derive(Debug)]
pub struct Cursor<'b> {
    text: &'b [u8],
    at: usize,
    depth: u8,
}

impl<'b> Cursor<'b> {
    /// The first byte of the value.
    ///
    /// # Errors
    /// No value is here.
    #[inline]
    pub fn first(&mut self) -> Result<u8> {
        self.at = after_blanks(self.text, self.at);
        byte(self.text, self.at)
    }

    /// Reads an object: `member` gets the key of each member, and reads or skips the value.
    ///
    /// # Errors
    /// No object is here, or it is malformed.
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, Text<'b>) -> Result<()>) -> Result<()> {
        self.items(b'{', b'}', |cursor| {
            let key = cursor.text()?;
            cursor.expect(b':')?;
            member(cursor, key)
        })
    }

    /// Reads a list: `element` reads or skips each element.
    ///
    /// # Errors
    /// No list is here, or it is malformed.
    pub fn list(&mut self, element: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.items(b'[', b']', element)
    }

    fn items(&mut self, open: u8, close: u8, mut item: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.expect(open)?;
        if self.depth == MAX_DEPTH {
            return Err(Malformed);
        }
        self.depth += 1;
        if self.first()? != close {
            loop {
                item(self)?;
                match self.first()? {
                    b',' => self.at += 1,
                    next if next == close => break,
                    _ => return Err(Malformed),
                }
            }
        }
        self.at += 1;
        self.depth -= 1;
        Ok(())
    }

    /// Reads a text.
    ///
    /// # Errors
    /// No text is here, or it is malformed.
    #[inline]
    pub fn text(&mut self) -> Result<Text<'b>> {
        self.expect(b'"')?;
        let begin = self.at;
        let (after, is_escaped) = after_text(self.text, begin)?;
        self.at = after;
        let text = &self.text[begin..after - 1];
        Ok(Text { text, is_escaped })
    }

    /// Skips any value.
    ///
    /// # Errors
    /// As [`Self::raw`].
    pub fn skip(&mut self) -> Result<()> {
        self.raw().map(drop)
    }

    /// Any value as it is written. What is in an object or a list is not checked.
    ///
    /// # Errors
    /// It has no end, or is a malformed text, number or word.
    pub fn raw(&mut self) -> Result<&'b [u8]> {
        let begin = after_blanks(self.text, self.at);
        self.at = after_value(self.text, begin)?;
        Ok(&self.text[begin..self.at])
    }

    #[inline]
    fn expect(&mut self, expected: u8) -> Result<()> {
        self.at = after(self.text, after_blanks(self.text, self.at), expected)?;
        Ok(())
    }
}

/// A text as it is written.
#[derive(Debug, Clone, Copy)]
pub struct Text<'b> {
    text: &'b [u8],
    is_escaped: bool,
}

impl<'b> Text<'b> {
    /// What it says. It may be no UTF-8.
    ///
    /// # Errors
    /// An escape sequence does not stand for a character.
    #[inline]
    pub fn bytes(self) -> Result<Cow<'b, [u8]>> {
        match self.is_escaped {
            true => unescaped(self.text).map(|text| Cow::Owned(text.into_bytes())),
            false => Ok(Cow::Borrowed(self.text)),
        }
    }

    /// What it says.
    ///
    /// # Errors
    /// It is no UTF-8, or an escape sequence does not stand for a character.
    #[inline]
    pub fn decoded(self) -> Result<Cow<'b, str>> {
        match self.is_escaped {
            true => unescaped(self.text).map(Cow::Owned),
            false => std::str::from_utf8(self.text)
                .map(Cow::Borrowed)
                .map_err(|_| Malformed),
        }
    }
}

#[cold]
fn unescaped(text: &[u8]) -> Result<String> {
    let quoted = [b"\"", text, b"\""].concat();
    serde_json::from_slice(&quoted).map_err(|_| Malformed)
}

// From here on each function gives the place after what it is named for, which begins at the place that it gets. Places
// are passed as numbers, not in a cursor: a number stays in a register.

#[inline]
fn byte(text: &[u8], at: usize) -> Result<u8> {
    text.get(at).copied().ok_or(Malformed)
}

#[inline]
fn after(text: &[u8], at: usize, expected: u8) -> Result<usize> {
    match byte(text, at)? == expected {
        true => Ok(at + 1),
        false => Err(Malformed),
    }
}

fn after_value(text: &[u8], at: usize) -> Result<usize> {
    match byte(text, at)? {
        b'"' => after_text(text, at + 1).map(|(after, _)| after),
        b'{' | b'[' => scan::after_brackets(text, at + 1).ok_or(Malformed),
        _ => after_word(text, at),
    }
}

fn after_word(text: &[u8], at: usize) -> Result<usize> {
    match text.get(at..).ok_or(Malformed)? {
        [b't', b'r', b'u', b'e', ..] | [b'n', b'u', b'l', b'l', ..] => Ok(at + 4),
        [b'f', b'a', b'l', b's', b'e', ..] => Ok(at + 5),
        _ => after_number(text, at),
    }
}

fn after_number(text: &[u8], at: usize) -> Result<usize> {
    let is = |at: usize, bytes: &[u8]| text.get(at).is_some_and(|byte| bytes.contains(byte));
    let at = at + usize::from(is(at, b"-"));
    let mut at = if is(at, b"0") {
        at + 1
    } else {
        after_digits(text, at)?
    };
    if is(at, b".") {
        at = after_digits(text, at + 1)?;
    }
    if is(at, b"eE") {
        let sign = usize::from(is(at + 1, b"+-"));
        at = after_digits(text, at + 1 + sign)?;
    }
    Ok(at)
}

fn after_digits(text: &[u8], at: usize) -> Result<usize> {
    let rest = text.get(at..).ok_or(Malformed)?;
    match rest.iter().take_while(|byte| byte.is_ascii_digit()).count() {
        0 => Err(Malformed),
        digits => Ok(at + digits),
    }
}

/// After a text that is open, and its closing quote; and whether it has escape sequences.
#[inline]
fn after_text(text: &[u8], at: usize) -> Result<(usize, bool)> {
    let at = at + scan::plain(text, at);
    match byte(text, at)? {
        b'"' => Ok((at + 1, false)),
        _ => after_escaped_text(text, at).map(|after| (after, true)),
    }
}

#[cold]
fn after_escaped_text(text: &[u8], mut at: usize) -> Result<usize> {
    loop {
        at += scan::plain(text, at);
        at += match &text[at..] {
            [b'"', ..] => return Ok(at + 1),
            [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            [b'\\', b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) => 6,
            _ => return Err(Malformed),
        };
    }
}

#[inline]
fn after_blanks(text: &[u8], mut at: usize) -> usize {
    loop {
        match text.get(at) {
            Some(byte) if *byte > b' ' => return at,
            Some(b'\n') => at += 1 + indentation(&text[at + 1..]),
            Some(b' ' | b'\r' | b'\t') => at += 1,
            _ => return at,
        }
    }
}

/// How many of the first bytes are spaces, at most sixteen: real devices indent what they send.
#[inline]
fn indentation(text: &[u8]) -> usize {
    const SPACES: u128 = u128::from_le_bytes([b' '; 16]);
    let others = |chunk: &[u8; 16]| u128::from_le_bytes(*chunk) ^ SPACES;
    let chunk = text.first_chunk();
    chunk.map_or(0, |chunk| others(chunk).trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;
    use serde::de::IgnoredAny;

    use super::*;

    /// A value that is read down to its texts and numbers.
    struct Whole;

    impl<'b> FromJson<'b> for Whole {
        fn read(cursor: &mut Cursor<'b>) -> Result<Self> {
            match cursor.first()? {
                b'{' => cursor.object(|cursor, _| Whole::read(cursor).map(drop))?,
                b'[' => cursor.list(|cursor| Whole::read(cursor).map(drop))?,
                _ => cursor.skip()?,
            }
            Ok(Whole)
        }
    }

    /// A value that is not read.
    struct Skipped;

    impl<'b> FromJson<'b> for Skipped {
        fn read(cursor: &mut Cursor<'b>) -> Result<Self> {
            cursor.skip().map(|()| Skipped)
        }
    }

    impl<'b> FromJson<'b> for Cow<'b, str> {
        fn read(cursor: &mut Cursor<'b>) -> Result<Self> {
            cursor.text()?.decoded()
        }
    }

    /// An object or a list, with texts that hold brackets, quotes and backslashes.
    fn json() -> impl Strategy<Value = String> {
        let text = r#""([\[\]{}:, a-zü]|\\"|\\\\|\\n){0,20}""#;
        let scalar = prop_oneof!["-?[1-9][0-9]{0,3}", Just("null".to_owned()), text];
        let any = scalar.prop_recursive(4, 64, 6, move |inner| {
            let list = vec(inner.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(", ")));
            let member = (text, inner).prop_map(|(key, value)| format!("{key}:\n   {value}"));
            let object = vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(",")));
            prop_oneof![list, object]
        });
        vec(any, 0..6).prop_map(|items| format!("[{}]", items.join(",\n")))
    }

    fn is_json(text: &[u8]) -> bool {
        read::<Whole>(text).is_ok()
    }

    #[test]
    fn what_is_json_is_read_and_nothing_else() {
        for text in [
            r#" {"a" : [1 , -2.5e3,0, -0, 1E+9, true,false , null] ,"":{} , "{[\",":[ ]}"#,
            r#""\"\\\/\b\f\n\r\t\u00e4\ud800""#,
            "\r\n\t 123456789012345678901234567890",
            "1e999",
            "\"ü\u{7f}, longer than eight\"",
        ] {
            assert!(is_json(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            " ",
            "{",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1}",
            "{]",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1"#,
            r#"{"a":1,}"#,
            r#"{"a":1 "b":2}"#,
            r#"{"a" 1}"#,
            "{1:2}",
            r#""a"#,
            r#""\"#,
            r#""\x""#,
            r#""\u00""#,
            r#""\u00g0""#,
            "\"a\tb\"",
            "\"twelve bytes\n\"",
            r#""a""b""#,
            "1 2",
            "01",
            "-",
            "+1",
            "1.",
            ".5",
            "1e",
            "nan",
            "tru",
            "truee",
            "{}}",
            "1\"a\"",
        ] {
            assert!(!is_json(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(is_json(&nested(usize::from(MAX_DEPTH))));
        for depth in [usize::from(MAX_DEPTH) + 1, 1 << 20] {
            assert!(!is_json(&nested(depth)));
            assert!(
                read::<Skipped>(&nested(depth)).is_ok(),
                "what is not read may be deeper"
            );
        }
    }

    #[test]
    fn of_what_is_not_read_only_the_end_matters() {
        let ends = |text: &str| read::<Skipped>(text.as_bytes()).is_ok();
        for text in ["[nan, 1.#QNAN, {inf}]", "{\"a\":\"b\tc\"}", "[\"C:\\dev\"]", "{]"] {
            assert!(ends(text) && !is_json(text.as_bytes()), "{text}");
        }
        for text in ["[", "[\"]\"", "{\"a\":\"\\\"}\"", "[[]", "[]]", "nan"] {
            assert!(!ends(text), "{text}");
        }
    }

    #[test]
    fn a_text_says_what_it_stands_for() {
        let text = |json: &'static [u8]| read::<Cow<'_, str>>(json).ok();
        assert!(matches!(text(b"\"\""), Some(Cow::Borrowed(""))));
        assert!(matches!(
            text("\"M\u{fc}nchen\"".as_bytes()),
            Some(Cow::Borrowed("M\u{fc}nchen"))
        ));
        assert_eq!(
            text(br#""a\"\u00e4\ud83d\ude00""#).as_deref(),
            Some("a\"\u{e4}\u{1f600}")
        );
        for none in [&b"\"M\xfcnchen\""[..], br#""\ud800""#, b"7"] {
            assert_eq!(text(none), None);
        }
    }

    proptest! {
        #[test]
        fn a_value_that_is_not_read_is_passed_over_as_a_whole(
            blanks in "[ \n]{0,40}",
            value in json(),
            behind in "[,\\]} \na-z\"]{0,40}",
        ) {
            let text = [blanks.as_bytes(), value.as_bytes(), behind.as_bytes()].concat();
            let mut cursor = Cursor { text: &text, at: 0, depth: 0 };
            prop_assert_eq!(cursor.raw(), Ok(value.as_bytes()));
        }

        #[test]
        fn it_takes_for_json_what_any_parser_does(
            text in r#"([\[\]{}:,\\ ntfu01-]|true|null|"a"|"\\u00e4"|"\\"){0,12}"#,
            value in r#"\{"a":\[(1|-1\.5|"[ -~ü]{0,20}"), ?\{\}\],"longer key":(true|null|\{"b":""\})\}"#,
            damage in vec((any::<Index>(), any::<u8>()), 0..3),
        ) {
            let mut value = value.into_bytes();
            for (place, byte) in damage {
                let place = place.index(value.len());
                value[place] = byte;
            }
            for text in [text.as_bytes(), &value] {
                let parsed = serde_json::from_slice::<IgnoredAny>(text);
                prop_assert_eq!(is_json(text), parsed.is_ok(), "{}", String::from_utf8_lossy(text));
            }
        }
    }
}
