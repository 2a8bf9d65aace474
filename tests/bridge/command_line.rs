//! The command line as a shell sees it: exit codes, what goes where, and the commands beside `run`.

use std::process::{Command, Stdio};

use lantime2mqtt::simulator::ApiGeneration;
use serde_json::Value;
use tokio::time::timeout;

use crate::is_healthy;
use crate::support::http::get;
use crate::support::mosquitto::Mosquitto;
use crate::support::program::{PROGRAM, Program, run};
use crate::support::scene::Setup;
use crate::support::site::{Entry, Site};
use crate::support::{PATIENCE, Watcher};

#[tokio::test]
async fn exit_codes_show_what_kind_of_failure_it_was() {
    let site = Site::bare();
    let good = site.config().display().to_string();
    let bad = site.file("bad.toml", "[mqtt]\nurl = \"nonsense\"\n");
    let missing = site.file("x", "") + ".toml";
    let no_directory = site.file("no-directory", "");
    let unusable = site.file(
        "unusable.toml",
        &format!(
            "[mqtt]\nurl = \"mqtt://127.0.0.1:1\"\n[http]\nlisten = \"off\"\n[state]\ndirectory = {no_directory:?}\n"
        ),
    );
    let cases = [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["demo", "--help"], 0),
        (&["check-config", "--config", &good], 0),
        (&[], 64),
        (&["nonsense"], 64),
        (&["run", "--nonsense"], 64),
        (&["demo", "--duration", "soon"], 64),
        (&["demo", "--devices", "2"], 64),
        (&["demo", "--devices", "1001"], 64),
        (&["demo", "--devices", "9", "--bridges", "2"], 64),
        (&["check-config", "--config", &good, "--log-level", "=,="], 64),
        (&["check-config", "--config", &bad], 78),
        (&["check-config", "--config", &missing], 78),
        (&["run", "--config", &bad], 78),
        (&["run", "--config", &unusable], 1),
        (&["check-config", "-c", &good], 0),
        (&["completions", "bash"], 0),
        (&["completions", "nonsense"], 64),
        (&["man", &no_directory], 1),
        (&["simulate", "--devices", "0"], 64),
        (&["simulate", "--devices", "2", "--port", "65535"], 1),
        (&["simulate", "--scenario", &bad], 1),
    ];
    for (arguments, code) in cases {
        let end = run(arguments).await;
        assert_eq!(end.code, Some(code), "{arguments:?}: {:?}", end.output);
        if code == 0 {
            assert_eq!(end.output.stderr, "", "{arguments:?}");
            assert_ne!(end.output.stdout, "", "{arguments:?}");
        } else {
            assert_eq!(end.output.stdout, "", "{arguments:?}");
            assert_ne!(end.output.stderr, "", "{arguments:?}");
        }
    }
}

#[tokio::test]
async fn global_options_have_a_group_of_their_own() {
    for arguments in [
        &["--help"][..],
        &["probe", "--help"],
        &["dead-letters", "list", "--help"],
    ] {
        let help = run(arguments).await.output.stdout;
        let (others, global) = help.split_once("\nGlobal options:\n").expect("a group");
        for option in ["--log-format", "--log-level"] {
            assert!(global.contains(option) && !others.contains(option), "{help}");
        }
    }
}

#[tokio::test]
async fn the_manual_pages_have_every_command_and_option() {
    let site = Site::bare();
    let directory = site.file("man", "") + "1";
    assert_eq!(run(&["man", &directory]).await.code, Some(0));
    let page = |name: &str| {
        let page = std::fs::read_to_string(format!("{directory}/lantime2mqtt{name}.1"));
        page.expect("a page for each command").replace("\\-", "-")
    };
    let help = run(&["--help"]).await.output.stdout;
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = commands.take_while(|line| !line.is_empty());
    let commands = commands.filter_map(|line| line.split_whitespace().next());
    let commands: Vec<_> = commands.filter(|command| *command != "help").collect();
    assert!(commands.len() >= 9, "{help}");
    for command in commands {
        assert!(page("").contains(&format!("lantime2mqtt-{command}(1)")));
        let help = run(&[command, "--help"]).await.output.stdout;
        let page = page(&format!("-{command}"));
        let words = help.split_whitespace().filter(|word| word.starts_with("--"));
        let options: Vec<_> = words.map(|word| word.trim_end_matches([',', ';', ')'])).collect();
        assert!(options.contains(&"--help"), "{help}");
        for option in options {
            assert!(page.contains(option), "{option} is not in the page of {command}");
        }
    }
    assert!(page("").contains("78 the configuration is wrong"));
}

#[tokio::test]
async fn a_signal_that_comes_twice_at_once_is_one() {
    let mut demo = Program::start(&["demo", "--mqtt-port", "0", "--http-port", "0"]);
    demo.until("its start", |output| output.stdout.contains("What happens"))
        .await;
    // As timeout(1) does, and a terminal with a wrapper in it.
    let pid = demo.pid().to_string();
    let script = "kill -INT \"$0\"; kill -TERM \"$0\"";
    let sent = Command::new("sh")
        .args(["-c", script, &pid])
        .stderr(Stdio::null())
        .status();
    sent.expect("a shell");
    // What is counted as a second signal ends it at once, and with 1.
    let end = demo.end(PATIENCE).await;
    assert_eq!(end.code, Some(0), "{}", end.output.stderr);
}

#[tokio::test]
async fn simulate_advises_what_works_with_one_device() {
    let alone = ["simulate", "--devices", "1", "--port", "0"];
    let served = |output: &crate::support::program::Output| output.stdout.contains("Ctrl-C");
    let mut simulator = Program::start(&alone);
    let shown = simulator.until("its advice", served).await.stdout;
    let (_, advised) = shown.split_once("such as ").expect("a scenario");
    let scenario = advised.split_whitespace().next().expect("its path");
    let scenario = format!("{}/{scenario}", env!("CARGO_MANIFEST_DIR"));
    assert_eq!(simulator.stop("TERM").await.code, Some(0));
    let mut simulator = Program::start(&[&alone[..], &["--scenario", &scenario]].concat());
    simulator.until("it to be served", served).await;
    assert_eq!(simulator.stop("TERM").await.code, Some(0));
}

#[tokio::test]
async fn check_config_reads_the_api_profiles_that_are_named() {
    let site = Site::bare();
    let own = include_str!("../../config/profiles/api-10.toml");
    site.file("good.toml", own);
    site.file(
        "bad.toml",
        &own.replace("\"/relays/relay-b/state\"", "\"relays\""),
    );
    let entry = |id: &str, profile: &str| Entry::new(id, "http://127.0.0.1").with("profile", profile);
    let site = site.devices(&[entry("a", "good.toml"), entry("b", "bad.toml")]);
    let config = site.config().display().to_string();
    for command in ["check-config", "run"] {
        let end = run(&[command, "--config", &config]).await;
        assert_eq!(end.code, Some(78), "{command}: {:?}", end.output);
        let shown = &end.output.stderr;
        assert!(shown.contains("devices[1] (\"b\").profile"), "{shown}");
        assert!(
            shown.contains("relay_module.relay_b") && shown.contains("1 problem"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn a_state_directory_too_long_for_the_control_socket_is_refused_before_the_start() {
    // The system takes 107 bytes: 94 for the directory, 13 for "/control.sock".
    for (length, code) in [(94, 0), (95, 78)] {
        let directory = format!("/{}", "d".repeat(length - 1));
        let site = Site::bare().with("state.directory", directory);
        let config = site.config().display().to_string();
        let end = run(&["check-config", "--config", &config]).await;
        assert_eq!(end.code, Some(code), "{:?}", end.output);
        if code == 78 {
            let again = run(&["run", "--config", &config]).await;
            assert_eq!((again.code, &again.output.stderr), (Some(78), &end.output.stderr));
            for part in [
                "state.directory = ",
                "has 108 bytes",
                "at most 107",
                "at most 94 bytes",
            ] {
                assert!(end.output.stderr.contains(part), "{part}: {:?}", end.output);
            }
        }
    }
}

#[tokio::test]
async fn check_config_shows_every_problem() {
    let site = Site::bare();
    site.overwrite(
        "[bridge]\nid = \"Not An Id\"\n[mqtt]\nurl = \"mqtt://broker\"\nlayuot = \"json\"\n\
         [[devices]]\nid = \"a\"\nurl = \"ftp://device\"\nusername = \"info\"\npassword = \"x\"\npoll = \"1\"\n\
         [[devices]]\nid = \"a\"\nurl = \"http://127.0.0.1\"\nusername = \"info\"\npassword = \"x\"\nauth = \"digest\"\n",
    );
    let config = site.config().display().to_string();
    let end = run(&["check-config", "--config", &config]).await;
    assert_eq!(end.code, Some(78));
    let shown = &end.output.stderr;
    for part in [
        "bridge.id",
        "mqtt.layuot",
        "layout",
        "devices[0]",
        "ftp://device",
        "poll",
        "devices[1]",
        "auth",
        "digest",
        "6 problems",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
}

#[tokio::test]
async fn simulate_writes_a_configuration_that_the_bridge_runs_with() {
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    for scheme in [&[][..], &["--https"]] {
        let site = Site::new(broker.address(), &[]);
        let file = site.file("devices.toml", "");
        let common = [
            "simulate",
            "--devices",
            "2",
            "--port",
            "0",
            "--chassis",
            "m500",
            "--write-config",
            &file,
        ];
        let mut simulator = Program::start(&[&common, scheme].concat());
        let printed = simulator
            .until("its devices", |output| output.stdout.contains("Ctrl-C"))
            .await
            .stdout;
        for part in [
            "sim-1   M500",
            "API 16.03.005",
            "://127.0.0.1:",
            "user bridge, password simulated",
            "--scenario FILE",
            &file,
        ] {
            assert!(printed.contains(part), "{part}: {printed}");
        }
        assert_eq!(
            printed.contains("certificate sha256:"),
            !scheme.is_empty(),
            "{printed}"
        );
        let devices = std::fs::read_to_string(&file).unwrap();
        let site = site.devices(&[]);
        let head = std::fs::read_to_string(site.config())
            .unwrap()
            .replace("devices = []\n", "");
        site.overwrite(&(head + "\n" + &devices));
        let config = site.config().display().to_string();
        let checked = run(&["check-config", "--config", &config]).await;
        assert_eq!(checked.code, Some(0), "{:?}", checked.output);
        let bridge = site.start();
        watcher
            .until("both devices", |seen| {
                seen.text("bridge/test/state") == "online"
                    && is_healthy(seen, "sim-1")
                    && is_healthy(seen, "sim-2")
            })
            .await;
        assert_eq!(bridge.stop("TERM").await.code, Some(0));
        assert_eq!(simulator.stop("TERM").await.code, Some(0));
    }
}

#[tokio::test]
async fn simulate_lists_some_of_many_devices_and_shows_no_password_of_somebody() {
    let arguments = ["simulate", "--devices", "23", "--port", "0"];
    let password = ("LANTIME2MQTT_SIMULATE_PASSWORD", "5ecret");
    let mut simulator = Program::start_with(&arguments, &[password]);
    let printed = simulator
        .until("its devices", |output| output.stdout.contains("Ctrl-C"))
        .await
        .stdout;
    assert!(printed.contains("23 simulated devices") && printed.contains("3 more, the last of them sim-23"));
    assert_eq!(printed.matches("API ").count(), 20, "{printed}");
    assert!(
        printed.contains("password (as given)") && !printed.contains("5ecret"),
        "{printed}"
    );
    assert_eq!(simulator.stop("TERM").await.code, Some(0));
}

/// What follows `before` in a line of its own.
fn after<'o>(output: &'o str, before: &str) -> Option<&'o str> {
    output.lines().find_map(|line| line.trim().strip_prefix(before))
}

#[tokio::test]
async fn the_demo_shows_the_bridge_at_work() {
    let mut demo = Program::start(&[
        "demo",
        "--duration",
        "20s",
        "--mqtt-port",
        "0",
        "--http-port",
        "0",
    ]);
    let intro = demo
        .until("where everything is", |output| {
            output.stdout.contains("What happens")
        })
        .await
        .stdout;
    let broker = after(&intro, "broker  mqtt://").expect("the broker's address");
    let mut watcher = Watcher::connect(broker.parse().expect("an address")).await;
    watcher
        .until("a relay", |seen| {
            seen.topics.keys().any(|topic| topic.contains("/relay/"))
        })
        .await;
    let health = after(&intro, "health  http://").expect("the health check's address");
    let http = health.trim_end_matches("/healthz").parse().expect("an address");
    let health = get(http, "/healthz").await.expect("it answers");
    assert!(
        health.status == 200 && health.body.contains("connected"),
        "{health}"
    );
    assert!(intro.contains("is made up"), "{intro}");
    let path = "/api/history?device=sim-1&slot=io3&relay=a&from=48h&limit=100";
    let history = get(http, path).await.expect("it answers").json();
    let cause = |entry: &&Value| entry["new"] == "NC" && entry["cause"] == "clock-not-sync";
    let entries = history["entries"].as_array().expect("a list");
    let falls = entries.iter().filter(cause).count();
    assert!(falls >= 3, "{history}");
    let path = "/api/history?device=sim-1&from=48h&limit=1000";
    let history = get(http, path).await.expect("it answers").json();
    let of_device = history["entries"].as_array().expect("a list").iter();
    let starts: Vec<_> = of_device.filter(|entry| entry["old"] == "unknown").collect();
    assert!(
        starts.is_empty(),
        "the bridge does not go on from there: {starts:?}"
    );
    let commands = intro.lines().filter(|line| line.contains("mosquitto_sub"));
    let commands: Vec<_> = commands.collect();
    assert_eq!(commands.len(), 4, "{intro}");
    let port = broker.rsplit_once(':').expect("a port").1;
    let at = format!(" -p {port} ");
    assert!(
        port == "1883" || commands.iter().all(|line| line.contains(&at)),
        "{intro}"
    );
    assert_eq!(
        intro
            .lines()
            .filter(|line| line.trim().starts_with("device"))
            .count(),
        3
    );

    let end = demo.end(PATIENCE).await;
    assert_eq!((end.code, end.output.stderr.as_str()), (Some(0), ""));
    let out = end.output.stdout;
    assert!(
        out.lines().any(|line| line.contains(" -> ")),
        "no relay has moved: {out}"
    );
    let (_, story) = out.split_once("What happens").expect("it was seen");
    let happened: Vec<_> = story.lines().filter(|line| line.contains("sim-")).collect();
    let is_time = |word: &str| {
        let time = word.strip_suffix('Z').map(str::parse::<jiff::civil::Time>);
        matches!(time, Some(Ok(_)))
    };
    let has_time = |line: &&str| line.split(' ').next().is_some_and(is_time);
    assert!(
        !happened.is_empty() && happened.iter().all(has_time),
        "{happened:#?}"
    );
    assert!(
        out.lines()
            .last()
            .is_some_and(|line| line.contains("3 devices online")),
        "{out}"
    );
}

#[tokio::test]
async fn health_is_answered_with_and_without_a_broker() {
    // Nothing listens at port 1.
    let unreachable = Entry::new("unreachable", "http://127.0.0.1:1");
    let site = Site::bare().devices(&[unreachable]).with_http();
    let bridge = site.start();
    site.ready().await;
    let health = get(site.http(), "/healthz").await.expect("it answers");
    assert!(
        health.status == 200 && health.body.contains("disconnected") && health.body.contains("waiting"),
        "{health}"
    );
    let elsewhere = get(site.http(), "/elsewhere").await.expect("it answers");
    assert_eq!(elsewhere.status, 404);
    assert_eq!(bridge.stop("TERM").await.code, Some(0));
}

#[tokio::test]
async fn an_address_in_use_is_reported_with_the_key_that_changes_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let site = |url: &str| Site::bare().with("mqtt.url", url);
    for (site, key) in [
        (
            site("mqtt://127.0.0.1:1").with("http.listen", address.clone()),
            "http.listen",
        ),
        (
            site("embedded").with("mqtt.embedded.listen", address.clone()),
            "mqtt.embedded.listen",
        ),
    ] {
        let end = site.start().end(PATIENCE).await;
        assert_eq!(end.code, Some(1), "{key}");
        let shown = end.output.stderr;
        assert!(shown.contains(key) && shown.contains(&address), "{shown}");
    }
}

/// A pipe that nobody reads.
fn unread() -> std::io::PipeWriter {
    std::io::pipe().expect("a pipe").1
}

/// How a program ends that nobody listens to, and what it has written where somebody does.
async fn end_unread(arguments: &[&str], stdout: Stdio, stderr: Stdio) -> (Option<i32>, String) {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).stdout(stdout).stderr(stderr);
    command.env("LANTIME2MQTT_PROBE_PASSWORD", "simulated");
    let ended = tokio::task::spawn_blocking(move || command.output().expect("it was built"));
    let output = timeout(PATIENCE, ended)
        .await
        .expect("it ends")
        .expect("no panic");
    let written = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&written).into_owned(),
    )
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_failure() {
    let fleet = Setup::redundant(&[ApiGeneration::V20]).fleet().await;
    let device = &fleet.devices()[0];
    let site = Site::bare().devices(&[Entry::of(device)]).with_http();
    let config = site.config().display().to_string();
    let bridge = site.start();
    site.ready().await;
    for arguments in [
        &["check-config", "--config", &config][..],
        &["healthcheck", "--config", &config],
        &["dead-letters", "list", "--config", &config],
        &["probe", device.url(), "--username", "bridge"],
        &["demo", "--mqtt-port", "0", "--http-port", "0"],
    ] {
        let end = end_unread(arguments, unread().into(), Stdio::piped()).await;
        assert_eq!(end, (Some(0), String::new()), "{arguments:?}");
    }
    assert_eq!(bridge.stop("TERM").await.code, Some(0));

    // Nor is one of the log, whatever the program has to say there.
    let bad = site.file("bad.toml", "[mqtt]\nurl = \"nonsense\"\n");
    let end = end_unread(&["run", "--config", &bad], Stdio::piped(), unread().into()).await;
    assert_eq!(end, (Some(78), String::new()));
    fleet.stop().await;
}

#[tokio::test]
async fn the_demo_names_its_own_options() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let same = free.local_addr().unwrap().port().to_string();
    drop(free);
    for (arguments, option) in [
        (["--mqtt-port", &port, "--http-port", "0"], "--mqtt-port"),
        (["--mqtt-port", "0", "--http-port", &port], "--http-port"),
        (["--mqtt-port", &same, "--http-port", &same], "--http-port"),
    ] {
        let end = run(&[&["demo"], &arguments[..]].concat()).await;
        let shown = end.output.stderr;
        assert_eq!(end.code, Some(1), "{shown}");
        assert!(shown.contains(option) && !shown.contains(".listen"), "{shown}");
    }
    let end = run(&["demo", "--duration", "0s"]).await;
    assert_eq!(end.code, Some(64));
    assert!(end.output.stderr.contains("--duration"), "{:?}", end.output);
}

#[tokio::test]
async fn a_demo_of_several_bridges_names_what_is_not_installed() {
    let arguments = ["demo", "--bridges", "2", "--mqtt-port", "0", "--http-port", "0"];
    let end = Program::start_with(&arguments, &[("PATH", "/nowhere")])
        .end(PATIENCE)
        .await;
    let shown = end.output.stderr;
    assert_eq!(end.code, Some(1), "{shown}");
    for part in [
        "not found in PATH: etcd",
        "etcd-server mosquitto",
        "leave out --bridges",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    for wrong in [
        &["--bridges", "1"][..],
        &["--bridges", "6"],
        &["--kill-every", "1m"],
    ] {
        assert_eq!(
            run(&[&["demo"], wrong].concat()).await.code,
            Some(64),
            "{wrong:?}"
        );
    }
}

#[tokio::test]
async fn many_equal_warnings_are_one_line() {
    let entries: Vec<_> = (0..200)
        .map(|n| Entry::new(&format!("d{n}"), &format!("http://192.0.2.{n}")))
        .collect();
    let site = Site::bare().devices(&entries);
    let config = site.config().display().to_string();
    let end = run(&["check-config", "--config", &config]).await;
    assert_eq!(end.code, Some(0));
    let shown = end.output.stdout;
    assert_eq!(shown.lines().count(), 2, "{shown}");
    for part in [
        "devices[0] (\"d0\").url, ",
        " and 197 more: ",
        "200 warnings, 200 devices",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let end = run(&["check-config", "--print", "--config", &config]).await;
    let (shown, printed) = (end.output.stdout, end.output.stderr);
    assert!(toml::from_str::<toml::Table>(&shown).is_ok(), "{shown}");
    assert!(
        printed.contains("warning: ") && printed.contains(" and 197 more: "),
        "{printed}"
    );
}

#[tokio::test]
async fn a_wrong_default_profile_is_one_problem() {
    let site = Site::bare();
    let profile = site.file("profile.toml", "nonsense = 1\n");
    let devices = (1..=40).map(|n| format!("[[devices]]\nid = \"d{n}\"\nurl = \"https://192.0.2.{n}\"\n"));
    let text = format!(
        "[mqtt]\nurl = \"mqtt://127.0.0.1:1\"\n\
         [device_defaults]\nusername = \"info\"\npassword = \"simulated\"\nprofile = {profile:?}\n{}",
        devices.collect::<String>()
    );
    let config = site.file("defaults.toml", &text);
    let end = run(&["check-config", "--config", &config]).await;
    let shown = end.output.stderr;
    assert_eq!(end.code, Some(78), "{shown}");
    assert!(shown.contains(": 1 problem\n"), "{shown}");
    let place = r#"defaults.toml:6:1: device_defaults.profile (of devices[0] ("d1"))"#;
    assert!(shown.contains(place), "{shown}");
}
