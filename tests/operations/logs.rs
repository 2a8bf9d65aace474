//! Log lines: as the configuration and the command line want them, changed by a reload, and in systemd's journal.

use std::io::{PipeReader, Read};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use crate::support::mosquitto::Mosquitto;
use crate::support::program::Program;
use crate::support::site::{Entry, Site};

/// A bridge whose one device is not there.
fn site(broker: &Mosquitto) -> Site {
    Site::new(
        broker.address(),
        &[Entry::new("unreachable", "http://127.0.0.1:1")],
    )
}

async fn reload(bridge: &mut Program, word: &str) {
    bridge.signal("HUP");
    bridge.until(word, |output| output.stderr.contains(word)).await;
}

#[tokio::test]
async fn a_reload_changes_the_level_unless_the_command_line_gives_it() {
    let broker = Mosquitto::start();
    let site = site(&broker).with("log.level", "warn");
    let mut bridge = site.start();
    bridge
        .until("a warning", |output| output.stderr.contains("poll failed"))
        .await;
    let mut fixed = site.start_with(
        &["--log-level", "error"],
        &[(
            "LANTIME2MQTT_STATE__DIRECTORY",
            &site.file("other", "x").replace("other", "state-2"),
        )],
    );
    fixed
        .until("an error", |output| output.stderr.contains("device is offline"))
        .await;

    let site = site.with("log.level", "debug");
    reload(&mut bridge, "log level changed").await;
    bridge
        .until("the end of the reload", |output| {
            output.stderr.contains("reloaded")
        })
        .await;
    let end = bridge.stop("TERM").await;
    let quiet = end
        .output
        .stderr
        .split("log level changed")
        .next()
        .unwrap_or_default();
    assert!(
        !quiet.contains("running") && !quiet.contains("connected to the broker"),
        "{quiet}"
    );
    assert!(end.output.stderr.contains("stopping"), "{:?}", end.output);

    fixed.signal("HUP");
    drop(site);
    let end = fixed.stop("TERM").await;
    assert!(
        !end.output.stderr.contains("WARN") && !end.output.stderr.contains("INFO"),
        "{:?}",
        end.output
    );
}

#[tokio::test]
async fn json_is_an_object_a_line_and_the_command_line_wins() {
    let broker = Mosquitto::start();
    let site = site(&broker).with("log.format", "json");
    let mut bridge = site.start();
    bridge
        .until("a warning", |output| output.stderr.contains("poll failed"))
        .await;
    let end = bridge.stop("TERM").await;
    for line in end.output.stderr.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert!(
            line["level"].is_string() && line["timestamp"].is_string(),
            "{line}"
        );
    }
    let mut bridge = site.start_with(&["--log-format", "text"], &[]);
    bridge
        .until("a warning", |output| output.stderr.contains("poll failed"))
        .await;
    let end = bridge.stop("TERM").await;
    assert!(end.output.stderr.contains(" WARN "), "{:?}", end.output);
}

/// Runs the program with its stderr as the journal; gives what it has written there.
fn in_the_journal(arguments: &[&str]) -> String {
    let (mut reader, writer): (PipeReader, _) = std::io::pipe().expect("a pipe");
    let writer = std::fs::File::from(std::os::fd::OwnedFd::from(writer));
    let metadata = writer.metadata().expect("it is open");
    let mut child = Command::new(env!("CARGO_BIN_EXE_lantime2mqtt"))
        .args(arguments)
        .env("JOURNAL_STREAM", format!("{}:{}", metadata.dev(), metadata.ino()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(writer)
        .spawn()
        .expect("the program was built with the tests");
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("it is text");
    child.wait().expect("it was started");
    text
}

#[test]
fn in_the_journal_each_line_has_its_priority_and_no_time() {
    // Nobody can resolve it, and the state directory cannot be made.
    let site = Site::bare()
        .with("mqtt.url", "mqtts://localhost")
        .with("mqtt.tls.insecure", true)
        .with("state.directory", "/proc/nowhere");
    let config = site.config().display().to_string();
    let text = in_the_journal(&["run", "--config", &config]);
    let lines: Vec<_> = text.lines().collect();
    for (line, key) in lines.iter().zip(["devices", "mqtt.tls.insecure"]) {
        let is_warning = line.starts_with("<4>lantime2mqtt::cli: configuration: ");
        assert!(is_warning && line.contains(&format!(": {key}")), "{text}");
    }
    assert!(
        lines.last().is_some_and(|line| line.starts_with("<3>error: ")),
        "{text}"
    );
    let is_plain =
        |line: &&str| line.as_bytes()[0] == b'<' && !line.contains("WARN") && !line.contains('\u{1b}');
    assert!(lines.iter().all(is_plain), "{text}");

    let json = in_the_journal(&["run", "--config", &config, "--log-format", "json"]);
    let first = json.lines().next().and_then(|line| line.strip_prefix("<4>"));
    assert!(
        first.is_some_and(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()),
        "{json}"
    );

    site.overwrite("[mqtt]\nurl = \"mqtt://localhost\"\nnonsense = 1\n");
    let refused = in_the_journal(&["run", "--config", &config]);
    assert!(
        refused.lines().count() >= 2 && refused.lines().all(|line| line.starts_with("<3>")),
        "{refused}"
    );
}
