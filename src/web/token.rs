//! The token of those who may change something.

use axum::http::{HeaderMap, StatusCode, header};
use ring::hmac;
use ring::rand::SystemRandom;

use super::answer::Refusal;
use crate::config::Secret;
use crate::model::ErrorKind;

/// The token, by a keyed hash: comparing hashes takes as long for a wrong one as for the right one, whatever its length.
#[derive(Clone)]
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
    pub(super) fn new(token: &Secret) -> Token {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .expect("the system has random numbers: TLS needs them too");
        let tag = hmac::sign(&key, token.expose().as_bytes());
        Token { key, tag }
    }

    fn is(&self, other: &[u8]) -> bool {
        hmac::verify(&self.key, other, self.tag.as_ref()).is_ok()
    }
}

/// Lets pass who shows the token.
pub(super) fn check(token: Option<&Token>, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(token) = token else {
        let message = "nothing can be changed over HTTP: this bridge has no token";
        let remedy = "set http.token_file in its configuration and restart it, or send the command over MQTT";
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            ErrorKind::Forbidden,
            message,
            remedy,
        ));
    };
    let refuse = |message| {
        let remedy = "send the header \"Authorization: Bearer TOKEN\" with the token of http.token_file";
        let kind = ErrorKind::Unauthorized;
        Err(Refusal::new(StatusCode::UNAUTHORIZED, kind, message, remedy))
    };
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    match (given.next().map(|value| bearer(value.as_bytes())), given.next()) {
        (Some(Some(given)), None) if token.is(given) => Ok(()),
        (None, _) => refuse("changing something needs the token"),
        _ => refuse("this is not the token"),
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

    fn status(token: Option<&Token>, given: &[&str]) -> Option<StatusCode> {
        let mut headers = HeaderMap::new();
        for given in given {
            headers.append(header::AUTHORIZATION, given.parse().unwrap());
        }
        check(token, &headers).err().map(|refusal| refusal.status)
    }

    #[test]
    fn only_the_token_opens() {
        let token = Token::new(&Secret::new("0123456789abcdef"));
        let open = |given: &[&str]| status(Some(&token), given);
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
        assert_eq!(status(None, &[right]), Some(StatusCode::FORBIDDEN));
        assert_eq!(format!("{token:?}"), "[token]");
    }
}
