//! `[http]`: where the page and the API are, by which names, and who may change something there.

use std::net::SocketAddr;

use super::problem::Problem;
use super::section::Section;
use super::{Secret, access, parse};
use crate::wording::quoted;

/// Shortest token: nobody guesses as many, however fast the answers come.
const MIN_TOKEN: usize = 16;

/// Longest name in the DNS.
const MAX_NAME: usize = 253;

/// `[http]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Where the bridge's own HTTP server listens; `None` for nowhere.
    pub listen: Option<SocketAddr>,
    /// Who has it may change something; `None`: nobody may.
    pub token: Option<Secret>,
    /// Host names by which the server may be asked, in lower case, beside addresses, `localhost` and the machine's own.
    pub hosts: Vec<String>,
}

/// `[http]`
pub(super) fn read(section: &Section<'_>) -> Http {
    let listen = section.read("listen", parse::listen_or_off).flatten();
    let token = read_token(section);
    let hosts = read_hosts(section);
    if let (Some(listen), Some(_)) = (listen, &token)
        && !listen.ip().is_loopback()
    {
        let what = "anybody in between can read the token: this server speaks plain HTTP";
        let remedy =
            "listen at 127.0.0.1 and put a proxy with TLS before it, or keep to a network of your own";
        section.warn("listen", Problem::new(what, remedy));
    }
    Http { listen, token, hosts }
}

fn read_token(section: &Section<'_>) -> Option<Secret> {
    let token = access::secret(section, "token")?;
    let refuse = |what: String, remedy: &str| {
        section.refuse(&access::given(section, "token"), Problem::new(what, remedy));
        None
    };
    let text = token.expose();
    if text.chars().count() < MIN_TOKEN {
        let what = format!("a token of less than {MIN_TOKEN} characters");
        return refuse(what, "take a longer one, such as openssl rand -hex 24 prints");
    }
    // It goes into a header, and by hand into a form.
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let what = "a token with other characters than letters, digits and signs of ASCII".to_owned();
        return refuse(what, "take another one, such as openssl rand -hex 24 prints");
    }
    Some(token)
}

fn read_hosts(section: &Section<'_>) -> Vec<String> {
    let mut hosts = Vec::new();
    for name in section.texts("hosts") {
        match host_name(&name) {
            Ok(name) => hosts.push(name),
            Err(problem) => section.refuse("hosts", problem),
        }
    }
    hosts
}

fn host_name(name: &str) -> Result<String, Problem> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_plain) && !name.ends_with('.') {
        return Ok(name.to_ascii_lowercase());
    }
    let remedy = r#"write names alone, such as "bridge.example", without a scheme and a port"#;
    Err(Problem::new(
        format!("{} is not a host name", quoted(name)),
        remedy,
    ))
}
