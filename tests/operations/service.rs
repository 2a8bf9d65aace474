//! The bridge as a service of systemd: what it reports, and what systemd says of its unit.

use std::time::Duration;

use tempfile::TempDir;
use tokio::net::UnixDatagram;
use tokio::time::timeout;

use crate::support::PATIENCE;
use crate::support::mosquitto::Mosquitto;
use crate::support::program::run;
use crate::support::site::{Entry, Site};
use crate::{tool, words};

const UNIT: &str = "deploy/systemd/lantime2mqtt.service";

/// systemd's end of the socket.
struct Manager {
    directory: TempDir,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Manager {
        let directory = TempDir::new().expect("a temporary directory");
        let socket = UnixDatagram::bind(directory.path().join("notify")).expect("a new socket");
        Manager { directory, socket }
    }

    fn address(&self) -> String {
        self.directory.path().join("notify").display().to_string()
    }

    /// The next message that is not only a sign of life.
    async fn next(&self) -> Vec<String> {
        loop {
            let lines = self.any().await;
            if lines != ["WATCHDOG=1"] {
                return lines;
            }
        }
    }

    async fn any(&self) -> Vec<String> {
        let mut buffer = [0; 4096];
        let received = timeout(PATIENCE, self.socket.recv(&mut buffer)).await;
        let length = received
            .expect("systemd hears of it in time")
            .expect("the socket works");
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        text.lines().map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn systemd_hears_of_start_reload_and_stop() {
    let broker = Mosquitto::start();
    let manager = Manager::new();
    let device = || Entry::new("unreachable", "http://127.0.0.1:1");
    let site = Site::new(broker.address(), &[device()]);
    let variables = [("NOTIFY_SOCKET", manager.address())];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let bridge = site.start_with(&[], &variables);
    assert_eq!(manager.next().await, ["READY=1", "STATUS=1 devices configured"]);

    let site = site.devices(&[device(), device().with("id", "unreachable-2")]);
    bridge.signal("HUP");
    let reloading = manager.next().await;
    assert_eq!(reloading[0], "RELOADING=1");
    let at = reloading[1]
        .strip_prefix("MONOTONIC_USEC=")
        .and_then(|at| at.parse::<u64>().ok());
    assert!(at.is_some_and(|at| at > 0), "{reloading:?}");
    assert_eq!(manager.next().await, ["READY=1", "STATUS=2 devices configured"]);

    // A reload that is refused ends too.
    site.overwrite("nonsense");
    bridge.signal("HUP");
    assert_eq!(manager.next().await[0], "RELOADING=1");
    assert_eq!(manager.next().await, ["READY=1", "STATUS=2 devices configured"]);

    bridge.signal("TERM");
    assert_eq!(manager.next().await, ["STOPPING=1"]);
    assert_eq!(bridge.end(PATIENCE).await.code, Some(0));
}

#[tokio::test]
async fn the_watchdog_hears_from_a_bridge_that_runs_and_not_from_one_that_hangs() {
    let broker = Mosquitto::start();
    let manager = Manager::new();
    let site = Site::new(broker.address(), &[]);
    let address = manager.address();
    let variables = [("NOTIFY_SOCKET", address.as_str()), ("WATCHDOG_USEC", "200000")];
    let bridge = site.start_with(&[], &variables);
    assert_eq!(manager.any().await[0], "READY=1");
    for _ in 0..3 {
        assert_eq!(manager.any().await, ["WATCHDOG=1"]);
    }
    bridge.signal("STOP");
    let silence = async {
        while timeout(Duration::from_secs(2), manager.socket.recv(&mut [0; 64]))
            .await
            .is_ok()
        {}
    };
    timeout(PATIENCE, silence).await.expect("nothing more comes");
    bridge.signal("CONT");
    assert_eq!(manager.any().await, ["WATCHDOG=1"]);
    bridge.signal("TERM");
    assert_eq!(manager.next().await, ["STOPPING=1"]);
    assert_eq!(bridge.end(PATIENCE).await.code, Some(0));

    // Without a limit, or with nonsense for one, nothing is sent, and nothing breaks.
    for limit in ["0", "soon"] {
        let bridge = site.start_with(
            &[],
            &[("NOTIFY_SOCKET", address.as_str()), ("WATCHDOG_USEC", limit)],
        );
        assert_eq!(manager.next().await[0], "READY=1");
        bridge.signal("TERM");
        assert_eq!(manager.any().await, ["STOPPING=1"]);
        assert_eq!(bridge.end(PATIENCE).await.code, Some(0));
    }
}

/// The values of a key of the unit, in order.
fn values_of(key: &str) -> Vec<String> {
    let text = std::fs::read_to_string(crate::project(UNIT)).expect("it is part of the project");
    let values = text
        .lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    values.map(str::to_owned).collect()
}

#[tokio::test]
async fn run_ends_by_itself_with_a_code_that_the_unit_does_not_restart() {
    // systemd looks at the exit code of ExecStart alone.
    assert_eq!(values_of("ExecStartPre"), [""; 0]);
    let prevented = values_of("RestartPreventExitStatus").join(" ");
    let prevented: Vec<_> = prevented.split(' ').collect();
    for limit in ["StartLimitIntervalSec", "StartLimitBurst", "LimitNOFILE"] {
        assert_eq!(values_of(limit).len(), 1, "{limit}");
    }

    let mut refused = 0;
    for case in std::fs::read_dir(crate::project("tests/config")).expect("it is part of the project") {
        let case = case.expect("it can be read").path();
        let expected = std::fs::read_to_string(case.join("expected.txt")).expect("each case has one");
        // Their problems are in the environment, which tests of the configuration read.
        if expected.starts_with("accepted") || case.join("env").exists() {
            continue;
        }
        let config = case.join("config.toml").display().to_string();
        let end = run(&["run", "--config", &config]).await;
        assert_eq!(end.code, Some(78), "{config}: {:?}", end.output);
        refused += 1;
    }
    assert!(refused > 20, "only {refused} cases");
    let config = Site::bare().config().display().to_string();
    let end = run(&["run", "--config", &config, "--log-level", "nonsense"]).await;
    for code in [Some(78), end.code] {
        let code = code.expect("it is no signal").to_string();
        assert!(prevented.contains(&code.as_str()), "{code}: {prevented:?}");
    }
}

#[test]
fn systemd_takes_the_unit_and_finds_little_exposed() {
    let directory = TempDir::new().expect("a temporary directory");
    // It looks for the programs of the unit; the package puts ours there.
    let text = std::fs::read_to_string(crate::project(UNIT)).expect("it is part of the project");
    let unit = directory.path().join("lantime2mqtt.service");
    let built = env!("CARGO_BIN_EXE_lantime2mqtt");
    std::fs::write(&unit, text.replace("/usr/bin/lantime2mqtt", built)).expect("the directory is ours");
    let unit = unit.display().to_string();
    let verified = tool("systemd", "systemd-analyze", &["verify", "--man=no", &unit], "");
    assert!(
        verified.status.success() && words(&verified).is_empty(),
        "{}",
        words(&verified)
    );

    // A threshold of 20 is an exposure of 2.0.
    let arguments = ["security", "--offline=yes", "--no-pager", "--threshold=20", UNIT];
    let checked = tool("systemd", "systemd-analyze", &arguments, "");
    assert!(checked.status.success(), "{}", words(&checked));
}
