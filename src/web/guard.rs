//! Who may ask at all: by a name that is ours, and not in the name of another site. Also the headers that every
//! answer has.
//!
//! A browser sends requests for any page that it shows. Such a page may not read our answers, unless its own name leads to
//! this address (DNS rebinding): so the name is looked at.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::answer::Refusal;
use crate::model::ErrorKind;
use crate::wording::quoted;

/// Scripts and styles from own files only, requests to this server only, in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

/// The names of this server, in lower case.
#[derive(Debug, Clone)]
pub(super) struct Guard(Arc<HashSet<String>>);

impl Guard {
    /// `hosts`, `localhost` and the machine's own name.
    pub(super) fn new(hosts: &[String]) -> Guard {
        let own = gethostname::gethostname().to_string_lossy().to_lowercase();
        let names = hosts.iter().cloned().chain([own, "localhost".to_owned()]);
        Guard(Arc::new(names.collect()))
    }

    /// Whether `authority` (a host, perhaps with a port) is one of ours, or an address.
    fn knows(&self, authority: &str) -> bool {
        let Some(host) = host_of(authority) else {
            return false;
        };
        host.parse::<IpAddr>().is_ok() || self.0.contains(&host.to_ascii_lowercase())
    }

    fn check(&self, request: &Request) -> Result<(), Refusal> {
        // It shows nothing that needs protection, and probes often send no name.
        if request.uri().path() == "/healthz" {
            return Ok(());
        }
        let mut hosts = request.headers().get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) else {
            let remedy = "send one header Host, with the name or address of this server";
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                ErrorKind::Rejected,
                "not one host",
                remedy,
            ));
        };
        // A request with a whole URL says a second time for whom it is.
        let names = [Some(host), request.uri().authority().map(|name| name.as_str())];
        if let Some(name) = names.into_iter().flatten().find(|name| !self.knows(name)) {
            let message = format!("this server is not known as {}", quoted(name));
            let remedy = "ask it by its IP address, or add that name to http.hosts and restart the bridge";
            return Err(Refusal::new(
                StatusCode::MISDIRECTED_REQUEST,
                ErrorKind::Rejected,
                message,
                remedy,
            ));
        }
        // Anybody may link to the page; the API is for the page alone, and for programs.
        if request.uri().path().starts_with("/api/") && is_foreign(request.headers(), host) {
            let remedy = "open the bridge's own page; behind a proxy, let it pass the header Host on";
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                ErrorKind::Forbidden,
                "this request comes from another site",
                remedy,
            ));
        }
        Ok(())
    }
}

/// Refuses who may not ask, and marks every answer.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut response = match guard.check(&request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What devices say is kept nowhere, unless the answer says otherwise.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The host without its port and brackets.
fn host_of(authority: &str) -> Option<&str> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_number);
        return host.parse::<Ipv6Addr>().ok().filter(|_| is_port).map(|_| host);
    }
    match authority.split_once(':') {
        Some((host, port)) => is_number(port).then_some(host),
        None => Some(authority),
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a browser says that another site is behind it. What is no browser says nothing.
fn is_foreign(headers: &HeaderMap, host: &str) -> bool {
    let sites = headers.get_all("sec-fetch-site").iter();
    let is_own_site = |site: &HeaderValue| site == "same-origin" || site == "none";
    let origins = headers.get_all(header::ORIGIN).iter();
    let is_own_origin = |origin: &HeaderValue| {
        let text = origin.to_str().unwrap_or_default();
        let schemes = ["http://", "https://"].iter();
        let mut authority = schemes.filter_map(|scheme| text.strip_prefix(scheme));
        authority.any(|authority| authority.eq_ignore_ascii_case(host))
    };
    !sites.into_iter().all(is_own_site) || !origins.into_iter().all(is_own_origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ours_and_addresses_are_anybodys() {
        let guard = Guard::new(&["bridge.example".to_owned()]);
        for ours in [
            "localhost",
            "LocalHost:8080",
            "bridge.example:443",
            "127.0.0.1",
            "10.0.0.5:8080",
            "[::1]",
            "[fd00::1]:8080",
        ] {
            assert!(guard.knows(ours), "{ours}");
        }
        for foreign in [
            "",
            "evil.example",
            "localhost.evil.example",
            "evil-localhost",
            "bridge.example.",
            "bridge.example:80:80",
            "bridge.example:x",
            "me@bridge.example",
            "[::1",
            "[::1]x",
            "[localhost]",
            "localhost/",
        ] {
            assert!(!guard.knows(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_browser_names_other_sites() {
        let foreign = |headers: &[(&'static str, &'static str)]| {
            let pairs = headers.iter();
            let headers =
                pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            is_foreign(&headers.collect(), "localhost:8080")
        };
        assert!(!foreign(&[]));
        assert!(!foreign(&[("origin", "http://localhost:8080")]));
        assert!(!foreign(&[("origin", "https://LOCALHOST:8080")]));
        assert!(!foreign(&[("sec-fetch-site", "same-origin")]));
        assert!(!foreign(&[("sec-fetch-site", "none")]));
        for (name, value) in [
            ("origin", "null"),
            ("origin", ""),
            ("origin", "http://localhost"),
            ("origin", "http://localhost:8081"),
            ("origin", "http://evil.example"),
            ("origin", "http://localhost:8080.evil.example"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", ""),
        ] {
            assert!(foreign(&[(name, value)]), "{name}: {value}");
            let beside = [("sec-fetch-site", "none"), ("origin", "http://localhost:8080")];
            assert!(
                foreign(&[beside[0], beside[1], (name, value)]),
                "a second {name}: {value}"
            );
        }
    }
}
