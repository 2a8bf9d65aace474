//! The broker: which one, who we are there, and whether it takes us.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::devices::whole;
use super::prompt::Prompt;
use super::{Failure, password};
use crate::cli::output;
use crate::config::{self, Broker, Credentials, Mqtt, MqttVersion, Secret, Transport};
use crate::mqtt::connection::{Cause, ConnectionError, Limits, address};
use crate::mqtt::probe;
use crate::tls::{self, Trust};

/// Where the password may be, instead of a file.
pub(super) const PASSWORD_VARIABLE: &str = "LANTIME2MQTT_INIT_BROKER_PASSWORD";
/// How long a broker on this machine may take to answer that it is there.
const IS_THERE_WITHIN: Duration = Duration::from_millis(300);
/// How long a TLS handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, Default, Args)]
pub(super) struct BrokerOptions {
    /// The broker: mqtt://HOST, mqtts://HOST, ws://, wss://, or embedded for a broker in the bridge.
    #[arg(long, value_name = "URL")]
    broker: Option<String>,
    /// User name at the broker; none where it takes anybody.
    #[arg(long, value_name = "NAME")]
    broker_username: Option<String>,
    /// File with the password at the broker; without it, the variable LANTIME2MQTT_INIT_BROKER_PASSWORD is taken, or it is
    /// asked for.
    #[arg(long, value_name = "FILE")]
    broker_password_file: Option<PathBuf>,
    /// Accept a certificate of the broker that a CA in this PEM file has signed.
    #[arg(long, value_name = "FILE")]
    broker_ca: Option<PathBuf>,
}

/// What was asked.
pub(super) struct Answers {
    pub(super) url: String,
    pub(super) settings: Mqtt,
}

impl Answers {
    /// The password, where there is one.
    pub(super) fn password(&self) -> Option<&Secret> {
        let login = self.settings.credentials.as_ref();
        login.and_then(|login| login.password.as_ref())
    }

    fn is_tls(&self) -> bool {
        use Transport::{Tls, WebSocketTls};
        matches!(&self.settings.broker, Broker::Remote { transport, .. } if matches!(transport, Tls | WebSocketTls))
    }
}

/// Asks for what the options leave open.
pub(super) fn ask(
    options: &BrokerOptions,
    bridge: &str,
    prompt: &mut Prompt<'_>,
) -> Result<Answers, Failure> {
    loop {
        let url = match &options.broker {
            Some(url) => url.clone(),
            None => prompt.ask(
                "Broker: mqtt://HOST, mqtts://HOST, or embedded for one in the bridge",
                usual(),
                "--broker",
            )?,
        };
        match read(&url, options, bridge) {
            Ok(mut settings) => {
                if let Broker::Remote { .. } = settings.broker {
                    settings.credentials = ask_login(options, prompt)?;
                }
                return Ok(Answers { url, settings });
            }
            Err(problem) if options.broker.is_none() => prompt.say(&problem),
            Err(problem) => return Err(Failure::Usage(problem)),
        }
    }
}

/// A broker on this machine, if there is one.
fn usual() -> &'static str {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1883));
    match TcpStream::connect_timeout(&address, IS_THERE_WITHIN) {
        Ok(_) => "mqtt://localhost:1883",
        Err(_) => "embedded",
    }
}

/// The settings with that URL, without a login; whose certificate is accepted is not known yet.
fn read(url: &str, options: &BrokerOptions, bridge: &str) -> Result<Mqtt, String> {
    let mut mqtt = toml::Table::new();
    mqtt.insert("url".to_owned(), url.into());
    let is_tls = url.starts_with("mqtts:") || url.starts_with("wss:");
    match &options.broker_ca {
        Some(ca) => drop(mqtt.insert("ca".to_owned(), whole(ca).into())),
        None if is_tls => {
            let tls = toml::Table::from_iter([("insecure".to_owned(), true.into())]);
            mqtt.insert("tls".to_owned(), tls.into());
        }
        None => {}
    }
    let bridge = toml::Table::from_iter([("id".to_owned(), bridge.into())]);
    let values = [("mqtt", mqtt), ("bridge", bridge)];
    let values = values.map(|(section, keys)| (section.to_owned(), keys.into()));
    match config::from_table("the answers", toml::Table::from_iter(values)) {
        Ok(loaded) => Ok(loaded.config.mqtt),
        Err(error) => {
            let problems = error.problems.iter();
            let problems: Vec<_> = problems.map(|problem| as_options(&problem.to_string())).collect();
            Err(problems.join("\n"))
        }
    }
}

fn ask_login(options: &BrokerOptions, prompt: &mut Prompt<'_>) -> Result<Option<Credentials>, Failure> {
    let username = match &options.broker_username {
        Some(name) => name.clone(),
        // Who gives the broker as an option and no user has none.
        None if options.broker.is_some() || !prompt.is_interactive => String::new(),
        None => prompt.ask(
            "User name at the broker, if it wants one",
            "",
            "--broker-username",
        )?,
    };
    if username.is_empty() {
        return Ok(None);
    }
    let file = options.broker_password_file.as_deref();
    let question = format!("Password of {username} at the broker");
    let password = password(
        file,
        PASSWORD_VARIABLE,
        &question,
        "--broker-password-file",
        prompt,
    )?;
    let password = Some(password);
    Ok(Some(Credentials { username, password }))
}

/// Why the broker cannot be used, as the command line puts it.
pub(super) fn reason(error: &ConnectionError) -> String {
    as_options(&error.to_string())
}

fn as_options(text: &str) -> String {
    let options = [
        (
            "mqtt.username, mqtt.password",
            "--broker-username, --broker-password-file",
        ),
        ("mqtt.url", "--broker"),
        ("mqtt.ca", "--broker-ca"),
    ];
    let replace = |text: String, (key, option): (&str, &str)| text.replace(key, option);
    options.into_iter().fold(text.to_owned(), replace)
}

/// Decides whose certificate is accepted; `None` where the broker shows one that somebody has to accept.
pub(super) async fn certificate(answers: &mut Answers) -> anyhow::Result<Option<tls::Fingerprint>> {
    if !answers.is_tls() || answers.settings.tls.trust != Trust::Insecure {
        return Ok(None);
    }
    let (_, host) = answers.url.split_once("://").unwrap_or_default();
    let port = match &answers.settings.broker {
        Broker::Remote { port, .. } => *port,
        Broker::Embedded { .. } => 0,
    };
    // Only TLS matters; the port of https is another one.
    let host = host.split('/').next().unwrap_or_default();
    let host = host.strip_suffix(&format!(":{port}")).unwrap_or(host);
    let url = format!("https://{host}:{port}");
    let shown = tls::peer_fingerprint(&url, HANDSHAKE_WITHIN).await;
    let shown = shown.map_err(|error| {
        anyhow::anyhow!(
            "{}: no TLS connection: {error}; check host and port, and that the broker speaks TLS there",
            answers.url
        )
    })?;
    if tls::is_trusted_by_system(&url, HANDSHAKE_WITHIN).await {
        answers.settings.tls.trust = Trust::System;
        return Ok(None);
    }
    answers.settings.tls.trust = Trust::Fingerprint(shown);
    Ok(Some(shown))
}

/// Connects once; where the broker has only the older version of MQTT, that is taken.
pub(super) async fn probe(answers: &mut Answers) -> Result<(), ConnectionError> {
    let settings = &mut answers.settings;
    let limits = match probe::limits(settings).await {
        Err(error) if may_be_version(error.cause()) => {
            settings.version = MqttVersion::V311;
            match probe::limits(settings).await {
                Ok(limits) => limits,
                Err(_) => {
                    settings.version = MqttVersion::V5;
                    return Err(error);
                }
            }
        }
        limits => limits?,
    };
    let login = settings.credentials.as_ref();
    let user = login.map_or("anybody".to_owned(), |login| format!("user {}", login.username));
    let _ = output::print(&format!(
        "broker   {}  takes {user}, MQTT {}{}\n",
        address(&settings.broker),
        settings.version.as_str(),
        packets(&limits)
    ));
    Ok(())
}

fn may_be_version(cause: &Cause) -> bool {
    matches!(
        cause,
        Cause::NoMqtt(_) | Cause::NoAnswer(_) | Cause::Refused { .. }
    )
}

fn packets(limits: &Limits) -> String {
    match limits.maximum_packet_size {
        Some(bytes) => format!(", packets of up to {bytes} bytes"),
        None => String::new(),
    }
}
