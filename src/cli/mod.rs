//! The command line: one file per subcommand, exit codes, logging.

mod check_config;
mod dead_letters;
mod demo;
mod probe;
mod run;
mod simulate;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::config::{self, ConfigError, Loaded, Problem, ProfileChoice};
use crate::control::{self, ControlError};
use crate::lantime::rest::Profile;
use crate::wording::quoted;

/// Something failed.
const FAILURE: u8 = 1;
/// The command line makes no sense (as `sysexits.h` has it).
const USAGE: u8 = 64;
/// The configuration is wrong (as `sysexits.h` has it).
const CONFIGURATION: u8 = 78;

/// SNMP/MQTT protocol bridge for the error relay module (REL1000) of Meinberg LANTIME IMS time servers.
#[derive(Debug, Parser)]
#[command(name = "lantime2mqtt", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How log lines look; they go to stderr.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or a filter such as `info,lantime2mqtt::mqtt=debug`.
    #[arg(long, global = true, env = "LANTIME2MQTT_LOG", value_name = "LEVEL")]
    log_level: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the bridge.
    Run(ConfigFile),
    /// Shows the bridge at work: simulated devices, a broker and the bridge in one process, nothing to install.
    Demo(demo::Options),
    /// Checks a configuration and shows every problem.
    CheckConfig(ConfigFile),
    /// Asks a real device, and shows what the bridge would find there and a configuration to start from.
    Probe(probe::Options),
    /// Serves simulated devices, to try flows against.
    Simulate(simulate::Options),
    /// Shows the dead letters of a bridge, drops them, and runs their commands once more.
    DeadLetters(dead_letters::Options),
}

/// Where the configuration is.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "/etc/lantime2mqtt/lantime2mqtt.toml"
    )]
    config: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// Why a command ended without success.
#[derive(Debug)]
enum Failure {
    /// The configuration is wrong.
    Configuration(ConfigError),
    /// The command line asks for something that makes no sense.
    Usage(String),
    /// Anything else.
    Other(anyhow::Error),
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Failure::Configuration(error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::Other(error)
    }
}

/// Does what the command line says; the result is the process's exit code.
pub fn main() -> ExitCode {
    crate::tls::install_provider();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come as an "error" too, but are none.
            let code = if error.use_stderr() { USAGE } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    // The embedded broker tells of its own life at level info.
    let default_level = if matches!(cli.command, Command::Demo(_)) {
        "warn"
    } else {
        "info,mqtt5=warn,async_snmp=error"
    };
    let level = cli.log_level.as_deref().unwrap_or(default_level);
    let result = start_logging(level, cli.log_format).and_then(|()| match cli.command {
        Command::Run(file) => run::run(&file.config),
        Command::Demo(options) => demo::run(options),
        Command::CheckConfig(file) => check_config::run(&file.config),
        Command::Probe(options) => probe::run(options),
        Command::Simulate(options) => simulate::run(options),
        Command::DeadLetters(options) => dead_letters::run(options),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Configuration(error)) => {
            eprintln!("{error}");
            ExitCode::from(CONFIGURATION)
        }
        Err(Failure::Usage(message)) => {
            eprintln!("error: {message}");
            ExitCode::from(USAGE)
        }
        Err(Failure::Other(error)) => {
            eprintln!("error: {error:#}");
            ExitCode::from(FAILURE)
        }
    }
}

/// The SNMP library warns of each datagram that it cannot use, and anybody can send those. The bridge counts them
/// itself. Of each request that fails it makes an error of its own, and the bridge says what that means for whom. A
/// filter that names the library, or its client, still shows them.
const QUIET: &str = "async_snmp=error,async_snmp::client=off";

fn start_logging(level: &str, format: LogFormat) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(format!("{QUIET},{level}")).map_err(|error| {
        Failure::Usage(format!(
            "--log-level {level:?}: {error}; write for instance \"info\""
        ))
    })?;
    let lines = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(filter);
    match format {
        LogFormat::Text => lines
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .init(),
        LogFormat::Json => lines.json().init(),
    }
    Ok(())
}

/// One thread: what the bridge does is small and waits for the network, and moving it between threads costs
/// more than it gains.
fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let result = runtime.block_on(work);
    // A name that is being looked up cannot be given up, and must not hold the end up.
    runtime.shutdown_background();
    result.map_err(Failure::Other)
}

/// Reads the configuration, the API profiles that it names included, and sees that the control socket will have a
/// path that the system takes.
fn check_config(file: &Path) -> Result<Loaded, ConfigError> {
    let loaded = config::load(file, std::env::vars_os())?;
    let mut problems = Vec::new();
    problems.extend(unfit_for_socket(&loaded.config.state.directory));
    for (index, device) in loaded.config.devices.iter().enumerate() {
        if let ProfileChoice::File(path) = &device.profile
            && let Err(error) = Profile::from_file(path)
        {
            problems.push(Problem {
                key: format!("devices[{index}] ({:?}).profile", device.id.as_str()),
                value: Some(format!("{:?}", path.display().to_string())),
                variable: None,
                what: error.to_string(),
                remedy: "start from a copy of a profile that comes with the program".to_owned(),
            });
        }
    }
    let path = file.to_owned();
    if problems.is_empty() {
        Ok(loaded)
    } else {
        Err(ConfigError { path, problems })
    }
}

/// What is wrong with a state directory in which no socket can be made, since its path is too long.
fn unfit_for_socket(directory: &Path) -> Option<Problem> {
    let Err(ControlError::PathTooLong { length, .. }) = control::socket(directory) else {
        return None;
    };
    let room = control::MAX_PATH - control::FILE_NAME.len() - 1;
    Some(Problem {
        key: "state.directory".to_owned(),
        value: Some(quoted(&directory.display().to_string())),
        variable: None,
        what: format!(
            "the path of {} in it has {length} bytes, and the system takes at most {} for a socket",
            control::FILE_NAME,
            control::MAX_PATH
        ),
        remedy: format!("choose a directory whose whole path has at most {room} bytes"),
    })
}

/// Reads the configuration and logs its warnings.
fn load_config(file: &Path) -> Result<Loaded, ConfigError> {
    let loaded = check_config(file)?;
    for warning in &loaded.warnings {
        tracing::warn!("configuration: {warning}");
    }
    Ok(loaded)
}
