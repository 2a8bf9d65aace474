//! The command line: one file per subcommand, exit codes, logging.

mod check_config;
mod client;
mod cluster;
mod dead_letters;
mod demo;
mod doctor;
mod faults;
mod healthcheck;
mod history;
mod init;
mod output;
mod probe;
mod run;
mod shell;
mod simulate;
mod stopped;
mod systemd;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cluster::coordinator::Disagreement;
use crate::config::{self, ConfigError, Loaded, Log, Problem, ProfileChoice};
use crate::lantime::rest::Profile;
use crate::logging::{self, Logging};
use crate::open_files;
use crate::web::socket::{self, SocketError};

/// Something failed.
const FAILURE: u8 = 1;
/// The command line makes no sense (as `sysexits.h` has it).
const USAGE: u8 = 64;
/// The configuration is wrong (as `sysexits.h` has it).
const CONFIGURATION: u8 = 78;

/// The program's version; of a release also its commit, and when that was made.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), env!("BUILD_OF"));
/// What clap does not know of the command line.
const MORE_HELP: &str = "\
Exit status: 0 success, 1 failure, 64 the command line is wrong, 78 the configuration is wrong.

Files: /etc/lantime2mqtt/lantime2mqtt.toml is the configuration; /var/lib/lantime2mqtt has the state.";

/// SNMP/MQTT protocol bridge for the error relay module (REL1000) of Meinberg LANTIME IMS time servers.
#[derive(Debug, Parser)]
#[command(name = "lantime2mqtt", version = VERSION, after_long_help = MORE_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: LogOptions,
}

/// How the command line wants it, whatever the configuration says.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct LogOptions {
    /// Format of log lines, which go to stderr. By default text, or as log.format says.
    #[arg(long, global = true, value_enum)]
    log_format: Option<LogFormat>,
    /// What is logged: error, warn, info, debug, trace, or a filter such as `info,lantime2mqtt::mqtt=debug`. By
    /// default info, or as log.level says.
    #[arg(long, global = true, env = "LANTIME2MQTT_LOG", value_name = "LEVEL")]
    log_level: Option<String>,
}

impl LogOptions {
    /// Starts logging, as `settings` say where the command line says nothing.
    fn start(&self, settings: &Log) -> Result<Logging, Failure> {
        let format = self.log_format.map(|format| match format {
            LogFormat::Text => config::LogFormat::Text,
            LogFormat::Json => config::LogFormat::Json,
        });
        let settings = Log {
            format: format.unwrap_or(settings.format),
            ..settings.clone()
        };
        let level = self.log_level.as_deref();
        logging::start(level, &settings).map_err(|error| Failure::Usage(format!("--log-level {error}")))
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the bridge.
    Run(ConfigFile),
    /// Shows the bridge at work: simulated devices, a broker and the bridge in one process, nothing to install.
    Demo(demo::Options),
    /// Checks a configuration and shows every problem.
    CheckConfig {
        #[command(flatten)]
        file: ConfigFile,
        /// Shows what is in force, as TOML without its secrets, and where each value comes from.
        #[arg(long)]
        print: bool,
    },
    /// Asks the bridge that runs with this configuration whether it answers; for containers.
    Healthcheck(ConfigFile),
    /// Asks a real device, and shows what the bridge would find there and a configuration to start from.
    Probe(probe::Options),
    /// Asks for broker and devices, or takes them as options; probes them, and writes a configuration that runs.
    Init(Box<init::Options>),
    /// Checks an installation, running or not: configuration, broker, devices, this machine; and says what to do.
    Doctor(doctor::Options),
    /// Runs simulated devices, for trials and tests.
    Simulate(simulate::Options),
    /// Shows the dead letters of a bridge, drops them, and runs their commands again.
    DeadLetters(dead_letters::Options),
    /// Shows what has changed at the devices of a bridge: when, why and for how long.
    History(history::Options),
    /// Shows the faults at the devices of a bridge that runs: relays in NC, devices and slots offline, and for how long.
    Faults(faults::Options),
    /// Shows the cluster of a bridge, and drains the bridge.
    Cluster(cluster::Options),
    /// Prints the completions of a shell.
    Completions(shell::Completions),
    /// Writes the manual pages.
    Man(shell::Man),
}

/// Where the configuration is.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(
        short,
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
    open_files::raise_limit();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come as an "error" too, but are none.
            let code = if error.use_stderr() { USAGE } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let (log, usual) = (&cli.log, Log::default());
    let start = |settings: &Log| log.start(settings).map(drop);
    let result = match cli.command {
        // It logs as its configuration says.
        Command::Run(file) => run::run(&file.config, log),
        Command::Demo(options) => {
            let level = "warn".to_owned();
            start(&Log { level, ..usual }).and_then(|()| demo::run(options))
        }
        Command::CheckConfig { file, print } => {
            start(&usual).and_then(|()| check_config::run(&file.config, print))
        }
        Command::Healthcheck(file) => start(&usual).and_then(|()| healthcheck::run(&file.config)),
        Command::Probe(options) => start(&usual).and_then(|()| probe::run(options)),
        Command::Init(options) => start(&usual).and_then(|()| init::run(*options)),
        Command::Doctor(options) => {
            let level = "error".to_owned();
            start(&Log { level, ..usual }).and_then(|()| doctor::run(&options))
        }
        Command::Simulate(options) => start(&usual).and_then(|()| simulate::run(options)),
        Command::DeadLetters(options) => start(&usual).and_then(|()| dead_letters::run(options)),
        Command::History(options) => start(&usual).and_then(|()| history::run(options)),
        Command::Faults(options) => start(&usual).and_then(|()| faults::run(&options)),
        Command::Cluster(options) => start(&usual).and_then(|()| cluster::run(options)),
        Command::Completions(options) => shell::completions(&options),
        Command::Man(options) => shell::man(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Configuration(error)) => {
            logging::complain(&error.to_string());
            ExitCode::from(CONFIGURATION)
        }
        Err(Failure::Usage(message)) => {
            logging::complain(&format!("error: {message}"));
            ExitCode::from(USAGE)
        }
        Err(Failure::Other(error)) => {
            logging::complain(&format!("error: {error:#}"));
            // A restart does not help against settings that a cluster does not have.
            let is_disagreement = error.downcast_ref::<Disagreement>().is_some();
            ExitCode::from(if is_disagreement { CONFIGURATION } else { FAILURE })
        }
    }
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
    problems.extend(unfit_for_socket(&loaded));
    for (index, device) in loaded.config.devices.iter().enumerate() {
        if let ProfileChoice::File(path) = &device.profile
            && let Err(error) = Profile::from_file(path)
        {
            let remedy = "start from a copy of a profile that comes with the program";
            let key = format!("devices[{index}].profile");
            let label = format!("devices[{index}] ({:?}).profile", device.id.as_str());
            let problem = loaded
                .settings
                .problem(&key, &label, path, error.to_string(), remedy);
            // One wrong default is wrong for every device.
            if !problems.iter().any(|other: &Problem| other.is_alike(&problem)) {
                problems.push(problem);
            }
        }
    }
    if problems.is_empty() {
        Ok(loaded)
    } else {
        Err(ConfigError::new(file, problems))
    }
}

/// What is wrong with a state directory in which no socket can be made, since its path is too long.
fn unfit_for_socket(loaded: &Loaded) -> Option<Problem> {
    let directory = &loaded.config.state.directory;
    let Err(SocketError::PathTooLong { length, .. }) = socket::path_in(directory) else {
        return None;
    };
    let room = socket::MAX_PATH - socket::FILE_NAME.len() - 1;
    let what = format!(
        "the path of {} in it has {length} bytes, and the system takes at most {} for a socket",
        socket::FILE_NAME,
        socket::MAX_PATH
    );
    let remedy = format!("choose a directory whose whole path has at most {room} bytes");
    Some(
        loaded
            .settings
            .problem("state.directory", "state.directory", directory, what, &remedy),
    )
}

/// Logs what is doubtful about a configuration.
fn log_warnings(loaded: &Loaded) {
    for warning in config::grouped(&loaded.warnings) {
        tracing::warn!("configuration: {warning}");
    }
}
