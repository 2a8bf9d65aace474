//! What those who run the bridge rely on: metrics, logs, what systemd hears, and the files of `deploy/`, each looked
//! at by the tool that it is for.

#[path = "../support/mod.rs"]
mod support;

mod broker_access;
mod cluster_files;
mod logs;
mod metrics;
mod open_files;
mod package;
mod prometheus;
mod scene;
mod service;
mod state_directory;
mod trust;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A file of the project.
fn project(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs a tool to its end, in the project's directory.
fn tool(package: &str, program: &str, arguments: &[&str], input: &str) -> Output {
    let child = Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| {
        panic!(
            "this test needs {program} (Debian: apt-get install --no-install-recommends {package}): {error}"
        )
    });
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_owned();
    // Beside, since it may answer before it has read all.
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().expect("it was started");
    writer.join().expect("it does not panic");
    output
}

/// What a tool has written, both ways.
fn words(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}
