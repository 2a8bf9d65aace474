//! Cookies that a device has set: kept for that device alone, so that its polls go on in one session there.
//!
//! All requests go to one origin and to its API, so attributes such as Domain, Path and Secure say nothing here.

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::HeaderValue;

use crate::config::Secret;

/// Most cookies that are kept of a device; a web server has one for its session.
const MAX_COOKIES: usize = 8;
/// Longest cookie that is kept, name and value.
const MAX_COOKIE: usize = 1024;
/// Shortest value that is looked for where it must not appear: "1" or "en" is no secret, and stands anywhere.
const SHORTEST_SECRET: usize = 8;

/// The cookies of one device, by name.
#[derive(Debug, Default)]
pub(super) struct Cookies(Vec<(String, Secret)>);

impl Cookies {
    /// Takes what an answer has set; says whether anything has changed.
    pub(super) fn take(&mut self, set: &[HeaderValue]) -> bool {
        let set = set.iter().filter_map(|value| value.to_str().ok());
        set.filter_map(|text| self.set(text)).count() > 0
    }

    /// Takes one `Set-Cookie`; `None` where that changes nothing: it is as before, is not one, or more than is kept.
    fn set(&mut self, text: &str) -> Option<()> {
        let (pair, attributes) = text.split_once(';').unwrap_or((text, ""));
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let is_sound = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
        if name.is_empty() || name.len() + value.len() > MAX_COOKIE || !is_sound(name) || !is_sound(value) {
            return None;
        }
        let known = self.0.iter().position(|(known, _)| known == name);
        match (known, is_removal(attributes, Timestamp::now())) {
            (None, true) => return None,
            (None, false) if self.0.len() >= MAX_COOKIES => return None,
            (None, false) => self.0.push((name.to_owned(), Secret::new(value))),
            (Some(at), true) => drop(self.0.remove(at)),
            (Some(at), false) if self.0[at].1.expose() == value => return None,
            (Some(at), false) => self.0[at].1 = Secret::new(value),
        }
        Some(())
    }

    /// Forgets all; says whether there were any.
    pub(super) fn clear(&mut self) -> bool {
        !std::mem::take(&mut self.0).is_empty()
    }

    /// The names, which are no secrets.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The header that gives them back, if there are any.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let pairs: Vec<_> = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}={}", value.expose()))
            .collect();
        let mut value = HeaderValue::from_str(&pairs.join("; "))
            .ok()
            .filter(|_| !pairs.is_empty())?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// The values in such a header that nobody may see.
pub(super) fn secrets(header: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let pairs = header.as_bytes().split(|b| *b == b';');
    let values = pairs.filter_map(|pair| pair.splitn(2, |b| *b == b'=').nth(1));
    values.filter(|value| value.len() >= SHORTEST_SECRET)
}

/// Whether a cookie is set only to be forgotten. When else it ends is not kept: the device sets a new one then.
fn is_removal(attributes: &str, now: Timestamp) -> bool {
    let attribute = |name: &str| {
        let mut pairs = attributes.split(';').filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(key, value)| key.trim().eq_ignore_ascii_case(name).then_some(value.trim()))
    };
    if let Some(seconds) = attribute("max-age") {
        return seconds.parse().is_ok_and(|seconds: i64| seconds <= 0);
    }
    // Old servers write "Thu, 01-Jan-1970 00:00:00 GMT".
    let date = attribute("expires").map(|date| date.replace('-', " "));
    date.and_then(|date| DateTimeParser::new().parse_timestamp(&date).ok())
        .is_some_and(|end| end <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(cookies: &mut Cookies, set: &[&str]) -> bool {
        let set: Vec<_> = set
            .iter()
            .map(|text| HeaderValue::from_str(text).unwrap())
            .collect();
        cookies.take(&set)
    }

    fn sent(cookies: &Cookies) -> Option<String> {
        let header = cookies.header()?;
        assert!(header.is_sensitive());
        Some(header.to_str().unwrap().to_owned())
    }

    #[test]
    fn what_is_set_is_given_back_and_what_is_taken_back_is_not() {
        let mut cookies = Cookies::default();
        assert_eq!(sent(&cookies), None);
        assert!(take(&mut cookies, &["sid=abc=1; Path=/; HttpOnly", "lang=en"]));
        assert_eq!(sent(&cookies).as_deref(), Some("sid=abc=1; lang=en"));
        assert!(!take(
            &mut cookies,
            &[
                "sid=abc=1; Max-Age=600",
                "lang=en; Expires=Sun, 22 Nov 2099 10:00:00 GMT"
            ]
        ));
        assert!(take(&mut cookies, &["sid=def"]));
        assert_eq!(sent(&cookies).as_deref(), Some("sid=def; lang=en"));
        assert!(take(
            &mut cookies,
            &["sid=x; max-age=0", "lang=; expires=Thu, 01-Jan-1970 00:00:00 GMT"]
        ));
        assert_eq!(sent(&cookies), None);
        assert!(!take(&mut cookies, &["lang=; Max-Age=0"]));
    }

    #[test]
    fn there_is_a_bound_and_nothing_odd_is_given_back() {
        let mut cookies = Cookies::default();
        let long = format!("long={}", "x".repeat(MAX_COOKIE));
        let odd = ["", ";", "=x", "no-value", "a b=c", "a=b c", "a=b\tc", &long];
        assert!(!take(&mut cookies, &odd));
        for index in 0..20 {
            take(&mut cookies, &[&format!("c{index}=1")]);
        }
        assert_eq!(cookies.names().count(), MAX_COOKIES);
        assert!(cookies.clear() && !cookies.clear());
    }

    #[test]
    fn a_value_is_never_printed() {
        let mut cookies = Cookies::default();
        take(&mut cookies, &["sid=sentinel-0815; Path=/", "n=1"]);
        assert!(!format!("{cookies:?}").contains("sentinel"));
        let header = cookies.header().unwrap();
        assert_eq!(secrets(&header).collect::<Vec<_>>(), [b"sentinel-0815"]);
    }
}
