//! The token by which etcd knows a user: asked for by name and password, and again once it is refused. Nodes forget tokens
//! after five minutes without a request, and when they restart.

use reqwest::header::HeaderValue;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout_at};

use super::attempts::left;
use super::{Call, Gateway, Node, read};
use crate::cluster::etcd::error::{Cause, Error};
use crate::cluster::etcd::settings::Login;
use crate::cluster::etcd::wire::{LoginAnswer, LoginRequest};

const AUTHENTICATE: Call = Call {
    path: "/v3/auth/authenticate",
    name: "login",
    is_write: false,
    is_secret: true,
    is_stream: false,
};
/// Largest answer that is read.
const MAX_ANSWER: usize = 64 * 1024;

/// What a request carries in `Authorization`.
#[derive(Debug)]
pub(super) struct Token {
    login: Option<Login>,
    /// Locked while it is asked for, so that it is asked for once.
    token: Mutex<Option<HeaderValue>>,
}

impl Token {
    pub(super) fn new(login: Option<Login>) -> Token {
        Token {
            login,
            token: Mutex::default(),
        }
    }

    /// The token, unless it is the refused one or there is none yet: then a new one. `None` without a login.
    pub(super) async fn other_than(
        &self,
        refused: Option<HeaderValue>,
        gateway: &Gateway,
        node: Node,
        deadline: Instant,
    ) -> Result<Option<HeaderValue>, Error> {
        let Some(login) = &self.login else {
            return Ok(None);
        };
        let mut token = self.lock(gateway, node, deadline).await?;
        if token.is_none() || *token == refused {
            *token = None;
            *token = Some(authenticate(gateway, node, login, deadline).await?);
        }
        Ok(token.clone())
    }

    async fn lock(
        &self,
        gateway: &Gateway,
        node: Node,
        deadline: Instant,
    ) -> Result<MutexGuard<'_, Option<HeaderValue>>, Error> {
        let time = left(deadline);
        let locked = timeout_at(deadline, self.token.lock()).await;
        let subject = gateway.subject(node, &AUTHENTICATE);
        locked.map_err(|_| subject.unsent(Cause::Timeout(time)))
    }
}

async fn authenticate(
    gateway: &Gateway,
    node: Node,
    login: &Login,
    deadline: Instant,
) -> Result<HeaderValue, Error> {
    let subject = gateway.subject(node, &AUTHENTICATE);
    let time = left(deadline);
    let body = subject.body(&LoginRequest {
        name: &login.username,
        password: login.password.expose(),
    })?;
    let response = gateway.post(node, &AUTHENTICATE, &body, None, Some(time)).await;
    let response = response.map_err(Error::before_request)?;
    let answer = read(response, &subject, MAX_ANSWER, time).await;
    let answer = answer.map_err(Error::before_request)?;
    // An error of the JSON reader may quote what it has read.
    let no_token = || {
        subject
            .bad_answer("the answer to the login has no token")
            .before_request()
    };
    let answer: LoginAnswer = serde_json::from_slice(&answer).map_err(|_| no_token())?;
    let mut token = HeaderValue::from_str(&answer.token).map_err(|_| no_token())?;
    token.set_sensitive(true);
    Ok(token)
}
