//! net-snmp's own tools, without any configuration of the machine that they run on.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use tokio::process::Command;

/// Time for one of them.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a tool, which keeps what it has to in `directory`.
pub(crate) async fn run(directory: &Path, tool: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(tool);
    command
        .args(arguments)
        .env("MIBS", "")
        .env("SNMPCONFPATH", directory)
        .env("SNMP_PERSISTENT_DIR", directory)
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{tool} {arguments:?} does not end"));
    output.unwrap_or_else(|error| panic!("cannot run {tool}: {error}; install Debian's package snmp"))
}

/// Runs a tool that has to succeed; what it prints.
pub(crate) async fn succeeds(directory: &Path, tool: &str, arguments: &[&str]) -> String {
    let output = run(directory, tool, arguments).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{tool} {arguments:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}
