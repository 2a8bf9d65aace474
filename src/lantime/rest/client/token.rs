//! API tokens as they come in an answer and go out in a header.

use reqwest::header::HeaderValue;

use super::Paths;
use crate::config::Secret;
use crate::lantime::rest::error::RestError;
use crate::lantime::rest::json::JsonBody;
use crate::model::{ErrorKind, Operation};

/// Longest API token that is taken; seen are some 64 hexadecimal digits.
const MAX_TOKEN: usize = 4096;

/// The header that carries a token.
pub(super) fn bearer(token: &Secret) -> HeaderValue {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
        .expect("a token is checked for what a header may hold when it is read");
    value.set_sensitive(true);
    value
}

/// Reads the answer to the question for a token.
pub(super) fn token(body: &[u8], url: &str, paths: Paths<'_>) -> Result<Secret, RestError> {
    let fail = |reason: &str| {
        // The answer itself is not shown: it may hold a token.
        RestError::new(
            Operation::Token,
            ErrorKind::Decode,
            url,
            format!("no token in the answer: {reason}"),
        )
    };
    let answer: serde_json::Value = JsonBody::new(body).parse().map_err(|_| fail("it is not JSON"))?;
    let token = answer
        .pointer(paths.token_pointer)
        .and_then(serde_json::Value::as_str);
    let token = token.ok_or_else(|| fail(&format!("nothing at {}", paths.token_pointer)))?;
    if token.is_empty() || token.len() > MAX_TOKEN || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(fail("it holds characters that no token has"));
    }
    Ok(Secret::new(token))
}

/// Answers to the question for a token that say: there are none.
pub(super) fn is_no_token(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound | ErrorKind::HttpStatus | ErrorKind::Decode
    )
}
