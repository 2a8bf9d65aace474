//! Where etcd is, whom to trust there, and who we are.

use std::time::Duration;

use reqwest::Url;

use crate::config::{self, Secret};
use crate::tls::{ClientTls, TlsError};

/// Scheme, host and port of an endpoint, and nothing else.
const ENDPOINT_REMEDY: &str = r#"write "https://HOST:2379" or "http://HOST:2379""#;

/// Longest time for a request: who waits tries again, perhaps at another node.
const MAX_TIMEOUT: Duration = Duration::from_secs(5);

/// What a client needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The nodes' URLs for clients, `http` or `https`.
    pub endpoints: Vec<String>,
    /// Whom to trust, and our certificate; used by endpoints with `https` only.
    pub tls: ClientTls,
    /// A user of etcd, where its access control is on.
    pub login: Option<Login>,
    /// How long a request may take in all, with tries at other endpoints.
    pub timeout: Duration,
    /// After how much silence a watch asks whether its node still lives.
    pub watch_idle: Duration,
}

/// A user of etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Its name.
    pub username: String,
    /// Its password.
    pub password: Secret,
}

/// Why there can be no client with these settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The list of endpoints is empty.
    #[error("etcd has no endpoint; set cluster.endpoints")]
    NoEndpoint,
    /// One of the endpoints cannot be used. Its text is not shown: it may hold a password.
    #[error("endpoint {number} of etcd is {reason}; {ENDPOINT_REMEDY}")]
    Endpoint {
        /// Its place in the list, from 1.
        number: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A certificate or key cannot be used.
    #[error("etcd: {0}")]
    Tls(#[from] TlsError),
    /// The machine does not allow a client.
    #[error("cannot make an HTTP client for etcd: {0}")]
    Build(String),
}

impl From<&config::Cluster> for Settings {
    /// A watch whose node has died with an owner is noticed before the lease of that owner has ended.
    fn from(cluster: &config::Cluster) -> Settings {
        let login = cluster
            .user
            .clone()
            .map(|config::EtcdUser { name, password }| Login {
                username: name,
                password,
            });
        Settings {
            endpoints: cluster.endpoints.clone(),
            tls: cluster.tls.clone(),
            login,
            timeout: MAX_TIMEOUT.min(cluster.ttl / 2),
            watch_idle: MAX_TIMEOUT.min(cluster.ttl / 4),
        }
    }
}

impl Settings {
    /// The endpoints, without a slash at the end.
    pub(super) fn urls(&self) -> Result<Vec<String>, SettingsError> {
        if self.endpoints.is_empty() {
            return Err(SettingsError::NoEndpoint);
        }
        let numbered = self.endpoints.iter().zip(1..);
        numbered
            .map(|(text, number)| {
                let url = endpoint(text);
                url.map_err(|reason| SettingsError::Endpoint { number, reason })
            })
            .collect()
    }
}

fn endpoint(text: &str) -> Result<String, &'static str> {
    let url = Url::parse(text).map_err(|_| "no URL")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("neither http nor https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL with a user in it, which belongs into cluster.username and cluster.password");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("a URL with a path");
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DeviceId;

    fn settings(endpoints: &[&str]) -> Settings {
        Settings {
            endpoints: endpoints.iter().map(|&text| text.to_owned()).collect(),
            tls: ClientTls::default(),
            login: None,
            timeout: Duration::from_secs(3),
            watch_idle: Duration::from_secs(5),
        }
    }

    #[test]
    fn a_watch_that_is_silent_ends_before_a_lease_does() {
        for seconds in 3..=60 {
            let cluster = config::Cluster {
                endpoints: vec!["http://h:2379".to_owned()],
                name: DeviceId::new("plant-a").unwrap(),
                shards: 1,
                ttl: Duration::from_secs(seconds),
                tls: ClientTls::default(),
                user: None,
                url: None,
            };
            let settings = Settings::from(&cluster);
            assert!(
                settings.watch_idle + settings.timeout < cluster.ttl,
                "{seconds} s"
            );
        }
    }

    #[test]
    fn endpoints_are_scheme_host_and_port() {
        let urls = settings(&["http://10.0.0.1:2379/", "https://[::1]:2379"]).urls();
        assert_eq!(urls.unwrap(), ["http://10.0.0.1:2379", "https://[::1]:2379"]);
    }

    #[test]
    fn an_error_names_the_endpoint_and_shows_no_password() {
        assert!(matches!(settings(&[]).urls(), Err(SettingsError::NoEndpoint)));
        for wrong in [
            "etcd-1:2379",
            "unix://etcd",
            "http://root:hunter2@h:2379",
            "http://h:2379/v3",
        ] {
            let error = settings(&["http://h:2379", wrong])
                .urls()
                .unwrap_err()
                .to_string();
            assert!(error.starts_with("endpoint 2 of etcd is "), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
