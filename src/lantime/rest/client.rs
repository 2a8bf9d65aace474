//! Asks one device: login, tokens, cookies, pauses. Which requests there are is in `requests`; what the answers mean is
//! not known here.

mod clients;
mod cookies;
mod exchange;
mod requests;
mod retry_after;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderValue};
use reqwest::{Method, Request};

pub use clients::{ClientError, HttpClients};
pub use exchange::MAX_BODY;
pub use requests::Paths;

use self::cookies::Cookies;
use self::exchange::{Exchange, Secrets};
use self::retry_after::Busy;
use self::token::{bearer, is_no_token, token};
use super::error::RestError;
use super::status::StatusError;
use crate::config::{Auth, Device, Secret};
use crate::model::{HttpSession, Operation};

/// Most sessions that wait to be taken: more than any conversation has requests.
const MAX_WAITING_SESSIONS: usize = 64;
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A device's answer.
#[derive(Debug)]
pub struct Answer {
    /// The body.
    pub body: Bytes,
    /// From the request to the last byte.
    pub round_trip: Duration,
    secrets: Secrets,
}

impl Answer {
    /// Why it is no status, for that reason.
    pub fn not_understood(&self, url: &str, reason: &StatusError) -> RestError {
        RestError::not_status(url, reason, &self.body, self.secrets.are_in(&self.body))
    }
}

/// The REST API of one device.
#[derive(Debug)]
pub struct RestClient {
    http: reqwest::Client,
    url: String,
    username: String,
    password: Secret,
    timeout: Duration,
    auth: Auth,
    login: Login,
    /// Whether it has ever taken a token: then a refusal is one, and not the lack of tokens.
    has_taken_token: bool,
    /// The request for the status as it was last sent, and its path: the next one is a copy.
    status_request: Option<(Arc<str>, Request)>,
    keeps_connection: bool,
    /// Whether the connection of the request before may be kept: then this one may go out on it.
    is_connected: bool,
    cookies: Cookies,
    busy: Busy,
    /// What has not been taken yet.
    sessions: Vec<HttpSession>,
}

/// What has been found out about how this device wants us to log in.
#[derive(Debug)]
enum Login {
    Basic,
    /// Ask for a token first.
    Token,
    Bearer(Secret),
}

/// A request, without the login.
#[derive(Debug)]
struct Ask<'a> {
    operation: Operation,
    method: Method,
    path: &'a str,
    body: Option<Bytes>,
    timeout: Duration,
}

impl RestClient {
    /// The API of that device, through that client.
    pub fn new(http: reqwest::Client, device: &Device) -> RestClient {
        RestClient {
            http,
            url: device.url.clone(),
            username: device.username.clone(),
            password: device.password.clone(),
            timeout: device.timeout,
            auth: device.auth,
            login: match device.auth {
                Auth::Bearer => Login::Token,
                Auth::Auto | Auth::Basic => Login::Basic,
            },
            has_taken_token: false,
            status_request: None,
            keeps_connection: clients::keeps_connection(device),
            is_connected: false,
            cookies: Cookies::default(),
            busy: Busy::default(),
            sessions: Vec::new(),
        }
    }

    /// The device's URL; also that of its web interface.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The requests since this was last asked, oldest first, 64 at most.
    pub fn take_sessions(&mut self) -> Vec<HttpSession> {
        std::mem::take(&mut self.sessions)
    }

    /// Whether the last request carried an API token.
    pub fn has_token(&self) -> bool {
        matches!(self.login, Login::Bearer(_))
    }

    /// The names of the cookies that the device has set.
    pub fn cookie_names(&self) -> impl Iterator<Item = &str> {
        self.cookies.names()
    }

    /// Until when the device has asked not to be asked anything: its `Retry-After`, at most 15 minutes.
    pub fn busy_until(&self) -> Option<tokio::time::Instant> {
        self.busy.until()
    }

    /// With `auth = "auto"`: from now on logs in with a token, since this firmware has them.
    pub fn use_tokens(&mut self) {
        if self.auth == Auth::Auto && matches!(self.login, Login::Basic) {
            self.set_login(Login::Token);
        }
    }

    fn request<'a>(&self, operation: Operation, method: Method, path: &'a str) -> Ask<'a> {
        Ask {
            operation,
            method,
            path,
            body: None,
            timeout: self.timeout,
        }
    }

    fn set_login(&mut self, login: Login) {
        self.login = login;
        self.status_request = None;
    }

    /// Logs in as the device wants it, and asks; a token that is refused is renewed once. Nothing is sent to a device
    /// that has asked to be left alone.
    async fn ask(&mut self, ask: &Ask<'_>, paths: Paths<'_>) -> Result<Answer, RestError> {
        if let Some(error) = self.busy.refusal(ask.operation) {
            return Err(error);
        }
        let was_fresh = matches!(self.login, Login::Token);
        if was_fresh {
            self.renew_token(paths, !self.has_taken_token).await?;
        }
        let mut result = self.send(ask).await;
        if matches!(&result, Err(error) if error.is_login_refused()) && self.cookies.clear() {
            // Perhaps it is only the session that has ended: the next request begins another. A change is sent once.
            self.status_request = None;
            if ask.method == Method::GET {
                result = self.send(ask).await;
            }
        }
        self.has_taken_token |= result.is_ok() && self.has_token();
        let refused = matches!(&result, Err(error) if error.is_login_refused());
        if !refused || !self.has_token() {
            return result;
        }
        if was_fresh {
            // The device issues tokens but does not take them.
            self.give_up_tokens();
        } else {
            self.renew_token(paths, false).await?;
        }
        if matches!(self.login, Login::Token) {
            return result;
        }
        let result = self.send(ask).await;
        if self.has_token() && matches!(&result, Err(error) if error.is_login_refused()) {
            // The next try, some minutes from now, begins with a new token.
            self.set_login(Login::Token);
        }
        result
    }

    /// Sends a request. One that only reads is sent again, on a new connection, if the device has closed the one
    /// of the request before just when this one was sent: it has no part in that.
    async fn send(&mut self, ask: &Ask<'_>) -> Result<Answer, RestError> {
        let (started, was_connected) = (Instant::now(), self.is_connected);
        let result = self.send_once(ask, ask.timeout).await;
        let is_closed = matches!(&result, Err(error) if error.is_closed);
        if !is_closed || !was_connected || ask.method != Method::GET {
            return result;
        }
        let left = ask.timeout.saturating_sub(started.elapsed());
        self.send_once(ask, left).await
    }

    async fn send_once(&mut self, ask: &Ask<'_>, timeout: Duration) -> Result<Answer, RestError> {
        let is_status = ask.operation == Operation::Poll;
        let prepared = self
            .status_request
            .take_if(|(path, _)| is_status && **path == *ask.path);
        let (path, mut request) = match prepared {
            Some(prepared) => prepared,
            None => (Arc::from(ask.path), self.build(ask)?),
        };
        if is_status {
            let next = request.try_clone();
            self.status_request = next.map(|request| (Arc::clone(&path), request));
        }
        *request.timeout_mut() = Some(timeout);
        self.exchange(path, request, ask.operation).await
    }

    /// Sends a request as it is, and notes it in the log.
    async fn exchange(
        &mut self,
        path: Arc<str>,
        request: Request,
        operation: Operation,
    ) -> Result<Answer, RestError> {
        let mut exchange = Exchange::new(request.method(), operation);
        let result = exchange.send(&self.http, request).await;
        let ended = Instant::now();
        self.is_connected = exchange.is_answered() && self.keeps_connection;
        if self.cookies.take(&exchange.cookies) {
            self.status_request = None;
        }
        if let Err(error) = &result {
            self.busy.note(error);
        }
        let error = result.as_ref().err().map(|error| error.report.kind);
        if self.sessions.len() < MAX_WAITING_SESSIONS {
            self.sessions.push(exchange.session(path, ended, error));
        }
        let round_trip = exchange.lasted(ended);
        let secrets = exchange.secrets;
        result.map(|body| Answer {
            body,
            round_trip,
            secrets,
        })
    }

    /// A request with the login that is in force.
    fn build(&self, ask: &Ask<'_>) -> Result<Request, RestError> {
        let url = format!("{}{}", self.url, ask.path);
        let request = self.http.request(ask.method.clone(), &url).timeout(ask.timeout);
        let request = match &self.login {
            Login::Bearer(token) if ask.operation != Operation::Token => {
                request.header(AUTHORIZATION, bearer(token))
            }
            _ => request.basic_auth(&self.username, Some(self.password.expose())),
        };
        let request = match self.cookies.header() {
            Some(cookies) => request.header(COOKIE, cookies),
            None => request,
        };
        let request = match &ask.body {
            Some(body) => request.header(CONTENT_TYPE, JSON).body(body.clone()),
            None => request,
        };
        request
            .build()
            .map_err(|error| RestError::request(ask.operation, &url, error))
    }

    /// Gets a token. With `auth = "auto"`, a device that knows no tokens is asked with Basic on; so is, on
    /// the `first` try, one that gives none for whatever reason, since Basic has just worked.
    async fn renew_token(&mut self, paths: Paths<'_>, first: bool) -> Result<(), RestError> {
        let request = self.build(&self.request(Operation::Token, Method::PUT, paths.token))?;
        let url = request.url().to_string();
        let result = self.exchange(paths.token.into(), request, Operation::Token).await;
        let result = result.and_then(|answer| token(&answer.body, &url, paths));
        match result {
            Ok(token) => {
                self.set_login(Login::Bearer(token));
                Ok(())
            }
            // One that has asked for a pause is to be asked nothing else now.
            Err(error)
                if self.auth == Auth::Auto
                    && error.retry_after_s.is_none()
                    && (first || is_no_token(error.report.kind)) =>
            {
                tracing::info!(url, kind = %error.report.kind, "device issues no API token: it is polled with user name and password (Basic)");
                self.give_up_tokens();
                Ok(())
            }
            Err(error) => {
                self.set_login(Login::Token);
                Err(error)
            }
        }
    }

    fn give_up_tokens(&mut self) {
        if self.auth == Auth::Auto {
            self.auth = Auth::Basic;
            self.set_login(Login::Basic);
        } else {
            self.set_login(Login::Token);
        }
    }
}
