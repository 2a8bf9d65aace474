//! Who may change something.

use axum::http::{HeaderMap, StatusCode, header};
use ring::hmac;
use ring::rand::SystemRandom;

use super::answer::Refusal;
use crate::config::Secret;
use crate::model::ErrorKind;

/// Who may change something. It follows from where the server listens, and never from a header alone.
#[derive(Debug)]
pub(super) enum Access {
    /// Whoever connects: only the owner of the bridge can.
    Owner,
    /// Who has the token.
    Token(Box<Token>),
    /// Nobody.
    Nobody,
}

impl Access {
    /// Over HTTP, with the token of the configuration.
    pub(super) fn by_token(token: Option<&Secret>) -> Access {
        token.map_or(Access::Nobody, |token| Access::Token(Box::new(Token::new(token))))
    }

    pub(super) fn can_change(&self) -> bool {
        !matches!(self, Access::Nobody)
    }

    /// Lets pass who may change something.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        match self {
            Access::Owner => Ok(()),
            Access::Token(token) => token.check(headers),
            Access::Nobody => Err(Refusal::new(
                StatusCode::FORBIDDEN,
                ErrorKind::Forbidden,
                "nothing can be changed over HTTP: this bridge has no token",
                "set http.token_file in its configuration and restart it, or send the command over MQTT",
            )),
        }
    }
}

/// The token, by a keyed hash: comparing hashes takes as long for a wrong one as for the right one, whatever its length.
pub(super) struct Token {
    key: hmac::Key,
    tag: hmac::Tag,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[token]")
    }
}

impl Token {
    fn new(token: &Secret) -> Token {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .expect("the system has random numbers: TLS needs them too");
        let tag = hmac::sign(&key, token.expose().as_bytes());
        Token { key, tag }
    }

    fn is(&self, other: &[u8]) -> bool {
        hmac::verify(&self.key, other, self.tag.as_ref()).is_ok()
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let refuse = |message| {
            let remedy = "send the header \"Authorization: Bearer TOKEN\" with the token of http.token_file";
            let kind = ErrorKind::Unauthorized;
            Err(Refusal::new(StatusCode::UNAUTHORIZED, kind, message, remedy))
        };
        let mut given = headers.get_all(header::AUTHORIZATION).iter();
        match (given.next().map(|value| bearer(value.as_bytes())), given.next()) {
            (Some(Some(given)), None) if self.is(given) => Ok(()),
            (None, _) => refuse("changing something needs the token"),
            _ => refuse("this is not the token"),
        }
    }
}

/// What stands after `Bearer`, whose case does not matter.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(access: &Access, given: &[&str]) -> Option<StatusCode> {
        let mut headers = HeaderMap::new();
        for given in given {
            headers.append(header::AUTHORIZATION, given.parse().unwrap());
        }
        access.check(&headers).err().map(|refusal| refusal.status)
    }

    #[test]
    fn only_the_token_opens() {
        let access = Access::by_token(Some(&Secret::new("0123456789abcdef")));
        let open = |given: &[&str]| status(&access, given);
        assert_eq!(open(&["Bearer 0123456789abcdef"]), None);
        assert_eq!(open(&["bearer  0123456789abcdef "]), None);
        for wrong in [
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
            "Bearer ",
            "Bearer",
            "Basic 0123456789abcdef",
            "0123456789abcdef",
            "",
        ] {
            assert_eq!(open(&[wrong]), Some(StatusCode::UNAUTHORIZED), "{wrong}");
        }
        let right = "Bearer 0123456789abcdef";
        assert_eq!(open(&[]), Some(StatusCode::UNAUTHORIZED));
        assert_eq!(
            open(&[right, right]),
            Some(StatusCode::UNAUTHORIZED),
            "one of them may be a proxy's"
        );
        let nobody = Access::by_token(None);
        assert_eq!(status(&nobody, &[right]), Some(StatusCode::FORBIDDEN));
        assert_eq!(format!("{access:?}"), "Token([token])");
    }
}
