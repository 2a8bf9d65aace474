//! Who may read and write: HTTP Basic with the fleet's one user, and tokens. What a refusal looks like is the
//! responder's.

use hyper::header::{AUTHORIZATION, HeaderMap};
use ring::rand::{SecureRandom, SystemRandom};
use std::collections::VecDeque;

/// Tokens that are valid at a time; the oldest goes when there are more.
const MAX_TOKENS: usize = 64;
const TOKEN_BYTES: usize = 24;

/// What a request shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Presented<'a> {
    /// No credentials, or a scheme that no device knows.
    Nothing,
    /// User and password; whether they are right.
    Basic(bool),
    /// A token.
    Bearer(&'a str),
}

/// The one user's credentials, ready for comparison, and rights.
pub(super) struct User {
    basic: String,
    /// Whether the user may change the configuration.
    pub(super) may_write: bool,
}

impl User {
    pub(super) fn new(username: &str, password: &str, may_write: bool) -> Self {
        Self {
            basic: base64(format!("{username}:{password}").as_bytes()),
            may_write,
        }
    }

    /// Reads the Authorization header.
    pub(super) fn check<'a>(&self, headers: &'a HeaderMap) -> Presented<'a> {
        let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((scheme, rest)) = value.and_then(|value| value.split_once(' ')) else {
            return Presented::Nothing;
        };
        if scheme.eq_ignore_ascii_case("basic") {
            Presented::Basic(rest.trim() == self.basic)
        } else if scheme.eq_ignore_ascii_case("bearer") {
            Presented::Bearer(rest.trim())
        } else {
            Presented::Nothing
        }
    }
}

/// The tokens that a device accepts.
#[derive(Default)]
pub(super) struct Tokens(VecDeque<String>);

impl Tokens {
    /// Makes a new one.
    pub(super) fn issue(&mut self) -> String {
        let mut random = [0_u8; TOKEN_BYTES];
        SystemRandom::new()
            .fill(&mut random)
            .expect("the system has a source of random numbers");
        let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        if self.0.len() == MAX_TOKENS {
            self.0.pop_front();
        }
        self.0.push_back(token.clone());
        token
    }

    pub(super) fn accepts(&self, token: &str) -> bool {
        self.0.iter().any(|known| known == token)
    }

    /// Refuses all of them from now on.
    pub(super) fn expire(&mut self) {
        self.0.clear();
    }
}

/// Standard Base64 with padding. Only ever encoded, so no crate for it.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let sextet = (bits >> (18 - 6 * i) & 63) as usize;
            text.push(if i <= chunk.len() {
                char::from(ALPHABET[sextet])
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_rfc_4648() {
        let pairs = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
        ];
        for (plain, encoded) in pairs {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn credentials_are_distinguished() {
        let user = User::new("info", "geheim", false);
        let cases = [
            ("Basic aW5mbzpnZWhlaW0=", Presented::Basic(true)),
            ("basic aW5mbzpnZWhlaW0=", Presented::Basic(true)),
            ("Basic aW5mbzpmYWxzY2g=", Presented::Basic(false)),
            ("Bearer 00ff", Presented::Bearer("00ff")),
            ("Digest x", Presented::Nothing),
            ("Basic", Presented::Nothing),
        ];
        for (value, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            assert_eq!(user.check(&headers), expected, "{value}");
        }
        assert_eq!(user.check(&HeaderMap::new()), Presented::Nothing);
    }

    #[test]
    fn tokens_expire_and_are_bounded() {
        let mut tokens = Tokens::default();
        let first = tokens.issue();
        assert!(tokens.accepts(&first) && !tokens.accepts(""));
        for _ in 0..MAX_TOKENS {
            tokens.issue();
        }
        assert!(!tokens.accepts(&first));
        let last = tokens.issue();
        tokens.expire();
        assert!(!tokens.accepts(&last));
    }
}
