//! The URLs of the configuration: a device's, and what those of a broker and a proxy share. User info is in none of
//! them but a proxy's.

use std::net::IpAddr;

use reqwest::Url;

use super::problem::Problem;

const DEVICE_REMEDY: &str = r#"write "https://HOST" or "http://HOST", with :PORT if it is not the usual one"#;

/// A device's `url`, as scheme, host and port.
pub(super) fn device(text: &str) -> Result<Url, Problem> {
    let url = parse_plain(text, DEVICE_REMEDY)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Problem::new("not a scheme for a device", DEVICE_REMEDY));
    }
    host(&url, DEVICE_REMEDY)?;
    if url.path() != "/" {
        return Err(Problem::new(
            "a path",
            "leave it out; the profile knows the device's paths",
        ));
    }
    Ok(url)
}

/// Whether what is sent to that host stays on this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

pub(super) fn parse(text: &str, remedy: &str) -> Result<Url, Problem> {
    let url = Url::parse(text).map_err(|error| match text.contains("://") {
        true => Problem::new(format!("not a URL: {error}"), remedy),
        false => Problem::new("not a URL", remedy),
    })?;
    match url.port() {
        Some(0) => Err(Problem::new("port 0", "write the port at which it listens")),
        _ => Ok(url),
    }
}

/// An IPv6 address comes without its brackets.
pub(super) fn host(url: &Url, remedy: &str) -> Result<String, Problem> {
    let host = url.host_str().unwrap_or("");
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host {
        "" => Err(Problem::new("no host", remedy)),
        _ => Ok(host.to_owned()),
    }
}

/// A URL without user info, query and fragment.
pub(super) fn parse_plain(text: &str, remedy: &str) -> Result<Url, Problem> {
    let parsed = parse(text, remedy);
    let has_user = match &parsed {
        Ok(url) => !url.username().is_empty() || url.password().is_some(),
        // A password with a slash in it ends the host too early, and the rest is no port.
        Err(_) => text.contains('@'),
    };
    if has_user {
        let remedy = "take them out of the URL and write username and password_file";
        return Err(Problem::new("a user name or password in a URL", remedy));
    }
    let url = parsed?;
    match (url.query(), url.fragment()) {
        (None, None) => Ok(url),
        _ => Err(Problem::new(
            "a query or fragment",
            "leave out what begins with ? or #",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_url_is_host_and_port() {
        for good in ["https://h", "http://10.0.0.7:8080/", "https://[fd00::1]"] {
            assert!(device(good).is_ok(), "{good}");
        }
        for bad in [
            "ftp://h",
            "https://",
            "https://h/api",
            "https://h?x",
            "https://u:p@h",
            "10.0.0.7",
            "h:80",
        ] {
            assert!(device(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn loopback_is_distinguished_from_the_network() {
        for host in ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["10.0.0.7", "localhost.example", "0.0.0.0", "::"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
