//! Asks one device: login, limits, time-outs. Knows nothing of what the answer means.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use reqwest::header::{AUTHORIZATION, HeaderValue, LOCATION};
use reqwest::{Method, Request, Response};

use super::error::RestError;
use crate::config::{Auth, Device, Proxy, Secret};
use crate::model::{ErrorKind, Operation};
use crate::tls::{ClientTls, TlsError, Trust};

/// Largest answer that is read; real ones have 20 to 31 KB.
pub const MAX_BODY: usize = 8 * 1024 * 1024;
/// Longest API token that is taken; seen are some 64 hexadecimal digits.
const MAX_TOKEN: usize = 4096;

/// Why there can be no HTTP client with these settings.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The TLS settings do not work.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The proxy's URL, or the machine, does not allow a client.
    #[error("cannot make an HTTP client: {0}")]
    Build(String),
}

/// One HTTP client per way of connecting, shared by all devices that are reached in the same way: a client
/// of its own for each of 1,000 devices would take 110 MB.
#[derive(Debug, Default)]
pub struct HttpClients {
    clients: HashMap<(ClientTls, Proxy, Duration), reqwest::Client>,
}

impl HttpClients {
    /// The client for this device.
    ///
    /// # Errors
    /// When a CA file cannot be read, or the proxy's URL is not one.
    pub fn for_device(&mut self, device: &Device) -> Result<reqwest::Client, ClientError> {
        // A machine without any CA file must still reach devices by http.
        let https = device.url.starts_with("https:");
        let tls = if https {
            device.tls.clone()
        } else {
            ClientTls {
                trust: Trust::None,
                identity: None,
            }
        };
        let key = (tls, device.proxy.clone(), device.connect_timeout);
        if let Some(client) = self.clients.get(&key) {
            return Ok(client.clone());
        }
        let client = build(&key.0, &key.1, key.2)?;
        self.clients.insert(key, client.clone());
        Ok(client)
    }
}

fn build(tls: &ClientTls, proxy: &Proxy, connect_timeout: Duration) -> Result<reqwest::Client, ClientError> {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls.client_config()?)
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect_timeout)
        .pool_max_idle_per_host(1)
        .user_agent(concat!("lantime2mqtt/", env!("CARGO_PKG_VERSION")));
    let builder = match proxy {
        Proxy::Bypass => builder.no_proxy(),
        Proxy::System => builder,
        Proxy::Url(url) => {
            builder.proxy(reqwest::Proxy::all(url).map_err(|error| build_error(error.without_url()))?)
        }
    };
    builder.build().map_err(build_error)
}

fn build_error(error: reqwest::Error) -> ClientError {
    ClientError::Build(error.to_string())
}

/// A device's answer.
#[derive(Debug)]
pub struct Answer {
    /// The body.
    pub body: Bytes,
    /// From the request to the last byte.
    pub round_trip: Duration,
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
    /// The request for the status as it was last sent: the next one is a copy.
    status_request: Option<Request>,
}

/// What has been found out about how this device wants us to log in.
#[derive(Debug)]
enum Login {
    Basic,
    /// Ask for a token first.
    Token,
    Bearer(Secret),
}

/// Where the API is, as the profile says.
#[derive(Debug, Clone, Copy)]
pub struct Paths<'a> {
    /// Of the status document.
    pub status: &'a str,
    /// Of API tokens.
    pub token: &'a str,
    /// The token in the answer, as a JSON pointer.
    pub token_pointer: &'a str,
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
            login: if device.auth == Auth::Bearer {
                Login::Token
            } else {
                Login::Basic
            },
            has_taken_token: false,
            status_request: None,
        }
    }

    /// The device's URL; also that of its web interface.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether the last request carried an API token.
    pub fn has_token(&self) -> bool {
        matches!(self.login, Login::Bearer(_))
    }

    /// With `auth = "auto"`: from now on logs in with a token, since this firmware has them.
    pub fn use_tokens(&mut self) {
        if self.auth == Auth::Auto && matches!(self.login, Login::Basic) {
            self.set_login(Login::Token);
        }
    }

    fn set_login(&mut self, login: Login) {
        self.login = login;
        self.status_request = None;
    }

    /// Asks for the status document. A token that is refused is renewed once.
    ///
    /// # Errors
    /// When there is no answer in time, or none with status 200.
    pub async fn status(&mut self, paths: Paths<'_>) -> Result<Answer, RestError> {
        let was_fresh = matches!(self.login, Login::Token);
        if was_fresh {
            self.renew_token(paths, !self.has_taken_token).await?;
        }
        let result = self.get_status(paths).await;
        self.has_taken_token |= result.is_ok() && self.has_token();
        let refused = matches!(&result, Err(error) if error.report.kind.is_refusal());
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
        let result = self.get_status(paths).await;
        if self.has_token() && matches!(&result, Err(error) if error.report.kind.is_refusal()) {
            // The next try, some minutes from now, begins with a new token.
            self.set_login(Login::Token);
        }
        result
    }

    async fn get_status(&mut self, paths: Paths<'_>) -> Result<Answer, RestError> {
        let started = Instant::now();
        let prepared = self
            .status_request
            .take()
            .filter(|request| request.url().path() == paths.status);
        let request = match prepared {
            Some(request) => request,
            None => self.build(Method::GET, paths.status, Operation::Poll)?,
        };
        self.status_request = request.try_clone();
        let body = send(&self.http, request, Operation::Poll).await?;
        Ok(Answer {
            body,
            round_trip: started.elapsed(),
        })
    }

    /// A request with the login that is in force.
    fn build(&self, method: Method, path: &str, operation: Operation) -> Result<Request, RestError> {
        let url = format!("{}{path}", self.url);
        let request = self.http.request(method, &url).timeout(self.timeout);
        let request = match &self.login {
            Login::Bearer(token) if operation == Operation::Poll => {
                request.header(AUTHORIZATION, bearer(token))
            }
            _ => request.basic_auth(&self.username, Some(self.password.expose())),
        };
        request
            .build()
            .map_err(|error| RestError::request(operation, &url, error))
    }

    /// Gets a token. With `auth = "auto"`, a device that knows no tokens is asked with Basic on; so is, on
    /// the `first` try, one that gives none for whatever reason, since Basic has just worked.
    async fn renew_token(&mut self, paths: Paths<'_>, first: bool) -> Result<(), RestError> {
        let request = self.build(Method::PUT, paths.token, Operation::Token)?;
        let url = request.url().to_string();
        let result = send(&self.http, request, Operation::Token).await;
        let result = result.and_then(|body| token(&body, &url, paths));
        match result {
            Ok(token) => {
                self.set_login(Login::Bearer(token));
                Ok(())
            }
            Err(error) if self.auth == Auth::Auto && (first || is_no_token(error.report.kind)) => {
                tracing::info!(url, kind = %error.report.kind, "no API token to be had, staying with Basic");
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

/// Answers to the question for a token that say: there are none.
fn is_no_token(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound | ErrorKind::HttpStatus | ErrorKind::Decode
    )
}

fn bearer(token: &Secret) -> HeaderValue {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
        .expect("a token is checked for what a header may hold when it is read");
    value.set_sensitive(true);
    value
}

fn token(body: &[u8], url: &str, paths: Paths<'_>) -> Result<Secret, RestError> {
    let fail = |reason: &str| {
        // The answer itself is not shown: it may hold a token.
        RestError::new(
            Operation::Token,
            ErrorKind::Decode,
            url,
            format!("no token in the answer: {reason}"),
        )
    };
    let answer: serde_json::Value = serde_json::from_slice(body).map_err(|_| fail("it is not JSON"))?;
    let token = answer
        .pointer(paths.token_pointer)
        .and_then(serde_json::Value::as_str);
    let token = token.ok_or_else(|| fail(&format!("nothing at {}", paths.token_pointer)))?;
    if token.is_empty() || token.len() > MAX_TOKEN || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(fail("it holds characters that no token has"));
    }
    Ok(Secret::new(token))
}

async fn send(http: &reqwest::Client, request: Request, operation: Operation) -> Result<Bytes, RestError> {
    let url = request.url().clone();
    let url = url.as_str();
    let login = request.headers().get(AUTHORIZATION).cloned();
    let response = http
        .execute(request)
        .await
        .map_err(|error| RestError::request(operation, url, error))?;
    let status = response.status();
    if status.is_success() {
        return read(response, operation, url).await;
    }
    let location = response
        .headers()
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    // Whatever cannot be read of an error's body does not matter.
    let body = read(response, operation, url).await.unwrap_or_default();
    // Some error pages repeat the request: nothing of such a one is shown.
    let login = login
        .as_ref()
        .map(|value| value.as_bytes().rsplit(|b| *b == b' ').next().unwrap_or_default());
    let repeats =
        login.is_some_and(|login| !login.is_empty() && body.windows(login.len()).any(|w| w == login));
    let body = if repeats {
        &b"(left out: it repeats our login)"[..]
    } else {
        &body
    };
    Err(RestError::status(
        operation,
        status.as_u16(),
        url,
        location.as_deref(),
        body,
    ))
}

/// Reads a body and refuses it, while it streams, beyond [`MAX_BODY`].
async fn read(mut response: Response, operation: Operation, url: &str) -> Result<Bytes, RestError> {
    let too_large = || {
        let message = format!("the answer is larger than {MAX_BODY} bytes");
        RestError::new(operation, ErrorKind::TooLarge, url, message)
    };
    let announced = response.content_length().unwrap_or(0);
    if announced > MAX_BODY as u64 {
        return Err(too_large());
    }
    let mut next = async || {
        response
            .chunk()
            .await
            .map_err(|error| RestError::request(operation, url, error))
    };
    let Some(first) = next().await? else {
        return Ok(Bytes::new());
    };
    if first.len() as u64 == announced {
        return Ok(first);
    }
    let mut body = BytesMut::with_capacity((announced as usize).max(2 * first.len()));
    body.extend_from_slice(&first);
    while let Some(chunk) = next().await? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
