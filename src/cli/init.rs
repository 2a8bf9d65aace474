//! `init`: asks for broker and devices, or takes options; probes them, and writes a configuration that runs.

mod broker;
mod devices;
mod files;
mod neighbours;
mod prompt;
mod text;
mod unanswered;

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;

use self::files::Layout;
use self::prompt::Prompt;
use super::{Failure, output};
use crate::config::{self, Broker, Mqtt, Secret};
use crate::model::id::to_id;
use crate::mqtt::neighbours::Neighbours;
use crate::tls::Fingerprint;
use crate::wording::count;

/// Of the page's token, which is written in hexadecimal digits.
const TOKEN_BYTES: usize = 24;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    broker: broker::BrokerOptions,
    #[command(flatten)]
    devices: devices::DeviceOptions,
    /// The id of this bridge, which no other one at the broker has; by default the name of this machine.
    #[arg(long, value_name = "ID")]
    bridge_id: Option<String>,
    /// Give devices other ids, with a number, where the broker has devices of the same ids and another bridge.
    #[arg(long)]
    new_ids: bool,
    /// Where the page and the API are to listen.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    http_listen: String,
    /// Where to write; by default /etc/lantime2mqtt as root, and here for anybody else.
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// Accept the certificates that broker and devices show, without asking. They are shown; nobody has compared them.
    #[arg(long)]
    accept_fingerprints: bool,
    /// Ask nothing that can be answered with yes: accept the certificates shown, and write the files.
    #[arg(long, short)]
    yes: bool,
    /// Overwrite a configuration that is there.
    #[arg(long)]
    force: bool,
    /// Probe neither broker nor devices.
    #[arg(long)]
    offline: bool,
}

pub(super) fn run(options: Options) -> Result<(), Failure> {
    let (stdin, mut stderr) = (io::stdin(), io::stderr());
    let is_interactive = stdin.is_terminal() && stderr.is_terminal();
    let mut stdin = stdin.lock();
    let mut prompt = Prompt::new(&mut stdin, &mut stderr, is_interactive);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let result = runtime.block_on(init(&options, &mut prompt));
    runtime.shutdown_background();
    result
}

async fn init(options: &Options, prompt: &mut Prompt<'_>) -> Result<(), Failure> {
    let bridge = options.bridge_id.clone().unwrap_or_else(host_id);
    text::check(&options.http_listen, &bridge)?;
    let layout = Layout::new(options.directory.as_deref());
    if !options.force {
        layout.refuse_existing(&[text::TOKEN_FILE, text::BROKER_FILE, text::DEVICES_FILE])?;
    }
    if prompt.is_interactive {
        prompt.say("This writes a configuration of the bridge. Ctrl-C ends it; nothing is written before the last question.\n");
    }
    let broker = settle_broker(options, &bridge, prompt).await?;
    // What runs with the configuration that is overwritten is no other bridge.
    let neighbours = match options.offline || (options.force && layout.config().exists()) {
        true => Neighbours::default(),
        false => neighbours::look(&broker, &bridge, prompt).await,
    };
    let bridge = neighbours::settle_bridge(bridge, &neighbours, prompt)?;
    let mut devices = unanswered::settle(options, prompt).await?;
    neighbours::settle_devices(&mut devices, &neighbours, options.new_ids, prompt)?;
    let mut secrets = vec![(text::TOKEN_FILE.to_owned(), token()?)];
    secrets.extend(
        broker
            .password()
            .map(|password| (text::BROKER_FILE.to_owned(), password.clone())),
    );
    secrets.push((text::DEVICES_FILE.to_owned(), devices.password.clone()));
    let text = text::text(&bridge, &broker, &devices, &options.http_listen, layout.state());
    let names = secrets.iter().map(|(name, _)| layout.directory.join(name));
    let names = names
        .chain([layout.config()])
        .map(|path| format!("  {}", path.display()));
    let question = format!("Write these files?\n{}\n", Vec::from_iter(names).join("\n"));
    if !options.yes && !prompt.confirm(&question, true, "--yes")? {
        return Err(anyhow!("nothing is written").into());
    }
    layout.write(&secrets, &text)?;
    finish(&layout, &broker, &devices.left_out, &options.http_listen)
}

/// The broker, once it takes us, or somebody wants to write it all the same.
async fn settle_broker(
    options: &Options,
    bridge: &str,
    prompt: &mut Prompt<'_>,
) -> Result<broker::Answers, Failure> {
    let again = broker::BrokerOptions::default();
    let mut given = &options.broker;
    loop {
        let mut answers = broker::ask(given, bridge, prompt)?;
        if options.offline || matches!(answers.settings.broker, Broker::Embedded { .. }) {
            return Ok(answers);
        }
        let failed = match broker::certificate(&mut answers).await {
            Err(error) => format!("{error:#}"),
            Ok(shown) => {
                let shown: Vec<_> = shown
                    .into_iter()
                    .map(|shown| (answers.url.clone(), shown))
                    .collect();
                accept(&shown, options, prompt)?;
                match broker::probe(&mut answers).await {
                    Ok(()) => return Ok(answers),
                    Err(error) => broker::reason(&error),
                }
            }
        };
        if !prompt.is_interactive {
            return Err(anyhow!(
                "{failed}\nnothing is written; correct that, or write the configuration without probing: --offline"
            )
            .into());
        }
        prompt.say(&failed);
        if prompt.confirm("Enter the broker again?", true, "--offline")? {
            given = &again;
        } else if prompt.confirm("Write the configuration all the same?", false, "--offline")? {
            return Ok(answers);
        } else {
            return Err(anyhow!("nothing is written").into());
        }
    }
}

/// Shows the certificates, and has them accepted.
fn accept(
    shown: &[(String, Fingerprint)],
    options: &Options,
    prompt: &mut Prompt<'_>,
) -> Result<(), Failure> {
    if shown.is_empty() {
        return Ok(());
    }
    let mut text = format!(
        "{} that no CA of this machine vouches for:\n",
        count(shown.len(), "certificate")
    );
    for (url, fingerprint) in shown {
        let _ = writeln!(text, "  {url}  {fingerprint}");
    }
    output::print(&text)?;
    if options.yes || options.accept_fingerprints {
        let option = if options.yes {
            "--yes"
        } else {
            "--accept-fingerprints"
        };
        output::print(&format!(
            "Accepted by {option}, and pinned: compare them with what each web interface shows.\n"
        ))?;
        return Ok(());
    }
    if !prompt.is_interactive {
        return Err(anyhow!(
            "no certificate was accepted, and no password was sent: compare the fingerprints above with what each web \
             interface shows, and accept them with --accept-fingerprints"
        )
        .into());
    }
    let question = "Are these the fingerprints that the web interfaces show? They are pinned, and passwords are sent there.";
    match prompt.confirm(question, false, "--accept-fingerprints")? {
        true => Ok(()),
        false => Err(anyhow!(
            "the certificates are not accepted: nothing is written, and no password was sent"
        )
        .into()),
    }
}

/// From the file, the environment, or who is asked.
fn password(
    file: Option<&Path>,
    variable: &str,
    question: &str,
    option: &str,
    prompt: &mut Prompt<'_>,
) -> Result<Secret, Failure> {
    let password = match (file, std::env::var(variable)) {
        (Some(file), _) => {
            let text = std::fs::read_to_string(file);
            let text = text.with_context(|| format!("{option}: cannot read {}", file.display()))?;
            text.trim_end_matches(['\n', '\r']).to_owned()
        }
        (None, Ok(password)) => password,
        (None, Err(_)) => prompt.ask_secret(question, &format!("{option}, or set {variable}"))?,
    };
    match password.is_empty() {
        true => Err(Failure::Usage(format!(
            "the password is empty: give another {option}"
        ))),
        false => Ok(Secret::new(password)),
    }
}

/// An id for this bridge: the name of this machine, which may change later.
fn host_id() -> String {
    let host = gethostname::gethostname();
    to_id(&host.to_string_lossy()).unwrap_or_else(|| "bridge-1".to_owned())
}

fn token() -> anyhow::Result<Secret> {
    let random = ring::rand::generate::<[u8; TOKEN_BYTES]>(&ring::rand::SystemRandom::new());
    let random = random.map_err(|_| anyhow!("the system gives no random bytes"))?;
    let digits = random.expose().into_iter().map(|byte| format!("{byte:02x}"));
    Ok(Secret::new(String::from_iter(digits)))
}

/// Checks what is written as `check-config` does, and shows how to go on.
fn finish(
    layout: &Layout,
    broker: &broker::Answers,
    left_out: &[String],
    http_listen: &str,
) -> Result<(), Failure> {
    let config = layout.config();
    let loaded = super::check_config(&config)?;
    let mut text = String::new();
    for warning in config::grouped(&loaded.warnings) {
        let _ = writeln!(text, "warning: {warning}");
    }
    let config = config.display();
    let _ = writeln!(text, "\n{config} is written and checked.\n");
    let start = match layout.has_unit() {
        true => "sudo systemctl enable --now lantime2mqtt".to_owned(),
        false => format!("lantime2mqtt run --config {config}"),
    };
    let token = layout.directory.join(text::TOKEN_FILE);
    let _ = writeln!(text, "start   {start}");
    if http_listen != "off" {
        let _ = writeln!(
            text,
            "page    http://{http_listen}/  its token is in {}",
            token.display()
        );
    }
    let _ = writeln!(
        text,
        "topics  mosquitto_sub {}-t 'lantime/#' -v",
        subscriber(&broker.settings)
    );
    let _ = writeln!(text, "check   lantime2mqtt doctor --config {config}");
    if !left_out.is_empty() {
        let left_out = left_out.join(", ");
        let _ = writeln!(
            text,
            "later   {left_out}: left out; add each with lantime2mqtt probe URL --append {config}"
        );
    }
    output::print(&text)?;
    Ok(())
}

/// How Debian's subscriber finds that broker, and logs in.
fn subscriber(settings: &Mqtt) -> String {
    let at = match &settings.broker {
        Broker::Remote { host, port, .. } => format!("-h {host} -p {port} "),
        Broker::Embedded { listen, .. } => format!("-h {} -p {} ", listen.ip(), listen.port()),
    };
    match &settings.credentials {
        Some(login) => format!("{at}-u {} -P '...' ", login.username),
        None => at,
    }
}
