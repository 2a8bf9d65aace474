//! Why a device could not be probed, with remedies that name the options of `probe` where the bridge's name settings.

use std::io;

use anyhow::anyhow;

use crate::config::{Device, Proxy};
use crate::lantime::rest::RestError;
use crate::lantime::rest::client::ClientError;
use crate::model::{ErrorKind, ErrorReport, Operation};
use crate::tls::{Explanation, Fingerprint, Server};
use crate::wording::system_error;

/// What the bridge's remedies name, and what stands for it on the command line.
const AS_OPTIONS: [(&str, &str); 17] = [
    ("devices[0] (\"probe\").", ""),
    (
        "set ca (mqtt.ca, tls.ca) or tls.fingerprint",
        "give --ca or --fingerprint",
    ),
    ("set tls.ca to", "give --ca with"),
    ("set tls.fingerprint to sha256:", "give --fingerprint sha256:"),
    ("tls.ca", "--ca"),
    ("tls.fingerprint", "--fingerprint"),
    ("the device's url", "the URL"),
    ("set its url to", "probe"),
    ("use http in its url", "use an http URL"),
    (
        "username and password of the device in the configuration",
        "--username and the password",
    ),
    (
        "; the bridge tries again every 5 minutes only, since a LANTIME bans users who keep trying",
        "; a LANTIME bans users who keep trying",
    ),
    ("; the bridge tries again every 5 minutes only", ""),
    ("set on its System page", "set on the device's System page"),
    ("the configured one", "the given one"),
    ("set auth = \"basic\" for the device", "give --auth basic"),
    ("set a longer timeout", "give a longer --timeout"),
    (
        "a longer poll interval helps if this goes on",
        "try again in a minute",
    ),
];

/// The text with the options of `probe` in the place of settings.
pub(in crate::cli) fn as_options(text: &str) -> String {
    let replace = |text: String, (setting, option): &(&str, &str)| text.replace(setting, option);
    AS_OPTIONS.iter().fold(text.to_owned(), replace)
}

/// Why a device could not be asked.
#[derive(Debug)]
pub(in crate::cli) enum Unanswered {
    /// Its profile cannot be used.
    NoProfile(String),
    /// There can be no client for it.
    NoClient(ClientError),
    /// It does not answer, or otherwise than it should; with the certificate that it shows.
    Failed {
        error: Box<RestError>,
        certificate: Option<Fingerprint>,
    },
}

impl Unanswered {
    pub(super) fn failed(error: RestError, certificate: Option<Fingerprint>) -> Unanswered {
        Unanswered::Failed {
            error: Box::new(error),
            certificate,
        }
    }

    /// There is no TLS connection by which the certificate could be seen.
    pub(in crate::cli) fn of_handshake(error: &io::Error, device: &Device) -> Unanswered {
        let (kind, explanation) = match Explanation::of_io(error, Server::Device) {
            Some(explanation) => (ErrorKind::Tls, Some(explanation)),
            None if error.kind() == io::ErrorKind::TimedOut => (ErrorKind::Timeout, None),
            None => (ErrorKind::Connect, None),
        };
        let message = match &explanation {
            Some(explanation) => explanation.cause.clone(),
            None => system_error(error),
        };
        let mut error = RestError::new(Operation::Poll, kind, &device.url, message);
        if let Some(explanation) = explanation {
            error.report.remedy = explanation.remedy;
        }
        Unanswered::failed(error, None)
    }

    /// What failed and the remedy, which names settings of the configuration.
    pub(in crate::cli) fn as_settings(&self) -> (String, String) {
        match self {
            Unanswered::NoProfile(error) => (error.clone(), "name a profile that is there".to_owned()),
            Unanswered::NoClient(error) => (error.to_string(), "correct its settings".to_owned()),
            Unanswered::Failed { error, .. } => {
                let report = &error.report;
                (
                    format!("{} ({})", report.message, report.kind),
                    report.remedy.to_string(),
                )
            }
        }
    }

    /// What failed and the remedy, which names options of `probe`.
    pub(super) fn explain(self, device: &Device) -> anyhow::Error {
        match self {
            Unanswered::NoProfile(error) => anyhow!("{error}"),
            Unanswered::NoClient(error) => anyhow!("{}", as_options(&error.to_string())),
            Unanswered::Failed { error, certificate } => explain(*error, device, certificate),
        }
    }
}

/// Why the device could not be probed; `certificate` is the one that it shows.
fn explain(error: RestError, device: &Device, certificate: Option<Fingerprint>) -> anyhow::Error {
    let report = error.report;
    let mut remedy = as_options(&report.remedy);
    if report.kind == ErrorKind::Connect && device.proxy != Proxy::Bypass {
        remedy += "; check --proxy as well";
    }
    if let Some(seen) = certificate.filter(|_| report.kind == ErrorKind::Tls) {
        let pin = format!("--fingerprint {seen}");
        let names_it = remedy.contains(&pin);
        remedy += "\nnothing was sent there";
        if !names_it {
            remedy += &format!("; if this is the device's own certificate, run probe with {pin}");
        }
    }
    let ErrorReport {
        kind, message, body, ..
    } = report;
    let body = body.map_or(String::new(), |body| format!("\nanswer: {body:?}"));
    let message = as_options(&message);
    anyhow!("{}: {message} ({kind}){body}\nremedy: {remedy}", device.url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_names_nothing_that_only_a_configuration_has() {
        let url = "http://10.0.0.7/api/status";
        let statuses = [401, 403, 404, 418, 429, 500, 503];
        let operations = [Operation::Poll, Operation::Token];
        let answers = operations.into_iter().flat_map(|operation| {
            statuses.map(|status| RestError::status(operation, status, url, None, b"page"))
        });
        let places = [
            "https://10.0.0.7/api",
            "http://other.example/",
            "/login",
            "mailto:nobody",
        ];
        let redirects = places.map(|place| RestError::status(Operation::Poll, 302, url, Some(place), b""));
        let kinds = [
            ErrorKind::Timeout,
            ErrorKind::Connect,
            ErrorKind::Decode,
            ErrorKind::TooLarge,
        ];
        let others = kinds.map(|kind| RestError::new(Operation::Poll, kind, url, String::new()));
        for error in answers.chain(redirects).chain(others) {
            let remedy = as_options(&error.report.remedy);
            for setting in [
                "configuration",
                "the bridge",
                "set its",
                "auth =",
                "longer timeout",
                "interval",
            ] {
                assert!(!remedy.contains(setting), "{setting}: {remedy}");
            }
        }
    }
}
