//! `lantime2mqtt dead-letters` as a shell sees it, beside a bridge that runs and without one.

// Helpers beside the tests, too.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::net::UnixListener;

use bytes::Bytes;
use jiff::Timestamp;
use lantime2mqtt::model::{DeadLetter, DeviceId, ErrorKind, ErrorReport, Operation, Origin};
use lantime2mqtt::records::dead_letter;
use lantime2mqtt::records::store::{self, Options, Store};
use lantime2mqtt::simulator::{Fleet, FleetOptions};
use lantime2mqtt::web::socket;
use serde_json::{Value, json};
use support::program::{End, Program, run};
use support::site::{Entry, Site};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use uuid::Uuid;

/// The id of the dead letter that carries a command.
const COMMAND: Uuid = Uuid::from_u128(0x0198_c5f2_7d7c_7b43_9f0e_3a1d_0c2b_4a02);
/// The id of the dead letter that carries none.
const POLL: Uuid = Uuid::from_u128(0x0198_c5f2_7d7c_7b43_9f0e_3a1d_0c2b_4a01);
/// An id that no dead letter has.
const NONE: &str = "0198c5f2-7d7c-7b43-9f0e-3a1d0c2b4a09";

/// A bridge's place, with a state directory whose path the control socket fits into.
struct Place {
    site: Site,
    state: TempDir,
}

impl Place {
    fn new() -> Place {
        let state = TempDir::new().unwrap();
        let site = Site::bare();
        let site = site.with("state.directory", state.path().display().to_string());
        Place { site, state }
    }

    /// Its store, with two dead letters.
    async fn store(&self) -> Store {
        let store = self.open();
        let bridge = DeviceId::new("test").unwrap();
        let dead_letters = [dead_letter(POLL, None), dead_letter(COMMAND, Some(origin()))];
        let records = dead_letters
            .iter()
            .map(|dead_letter| dead_letter::record(dead_letter, &bridge));
        store.append(records.collect()).await;
        store
    }

    fn open(&self) -> Store {
        let options = Options {
            keep: 5000,
            ..Options::new(DeviceId::new("test").unwrap())
        };
        Store::open(self.state.path(), options).unwrap()
    }

    /// A bridge that runs there.
    async fn start(&self) -> Program {
        let bridge = self.site.start();
        self.site.ready().await;
        bridge
    }

    async fn ask(&self, arguments: &[&str]) -> End {
        let config = self.site.config().display().to_string();
        run(&[&["dead-letters"], arguments, &["--config", &config]].concat()).await
    }

    /// What it prints when it succeeds.
    async fn printed(&self, arguments: &[&str]) -> String {
        let end = self.ask(arguments).await;
        assert_eq!(
            (end.code, end.output.stderr.as_str()),
            (Some(0), ""),
            "{arguments:?}: {}",
            end.output.stdout
        );
        end.output.stdout
    }

    /// What it complains of when it fails.
    async fn refused(&self, arguments: &[&str]) -> String {
        let end = self.ask(arguments).await;
        assert_eq!(end.code, Some(1), "{arguments:?}: {:?}", end.output);
        end.output.stderr
    }
}

fn dead_letter(id: Uuid, origin: Option<Origin>) -> DeadLetter {
    let at = "2026-11-22T10:15:30.120Z".parse().unwrap();
    let operation = match origin {
        Some(_) => Operation::RelayEvents,
        None => Operation::Poll,
    };
    DeadLetter {
        id,
        at,
        device: DeviceId::new("m3000-a"),
        slot: None,
        operation,
        error: ErrorReport::new(ErrorKind::Timeout, "no answer within 5 s", "look at the cable"),
        attempts: 1,
        first_at: at,
        repeats: None,
        recovered: false,
        origin,
    }
}

fn origin() -> Origin {
    Origin {
        topic: "lantime/sim-1/refresh".to_owned(),
        payload: Bytes::from_static(b"{\"replace\":[]}"),
        payload_length: None,
        correlation: None,
        response_topic: None,
    }
}

#[tokio::test]
async fn what_was_dropped_before_a_failure_is_reported() {
    let place = Place::new();
    let listener = tokio::net::UnixListener::bind(socket::path_in(place.state.path()).unwrap()).unwrap();
    let half_a_bridge = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        // Its end is that of the ids.
        while !request.ends_with(b"]}") {
            assert!(stream.read_buf(&mut request).await.unwrap() > 0);
        }
        let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 15\r\n\r\n{\"dropped\":999}";
        stream.write_all(answer).await.unwrap();
    });
    let ids: Vec<_> = (0..1001).map(|id| Uuid::from_u128(id).to_string()).collect();
    let arguments: Vec<_> = ["drop"]
        .into_iter()
        .chain(ids.iter().map(String::as_str))
        .collect();
    let end = place.ask(&arguments).await;
    half_a_bridge.await.unwrap();
    assert_eq!((end.code, end.output.stdout.as_str()), (Some(1), "999 dropped\n"));
    assert!(end.output.stderr.contains("no bridge runs"), "{:?}", end.output);
}

/// What holds with a bridge and without one.
async fn list_and_show(place: &Place) {
    let table = place.printed(&["list"]).await;
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(
        lines[0].starts_with("ID ") && lines[0].ends_with("MESSAGE"),
        "{table}"
    );
    assert!(
        lines[1].starts_with(&POLL.to_string()),
        "the oldest is first: {table}"
    );
    for part in [
        "2026-11-22T10:15:30.120Z",
        "m3000-a",
        "relay-events",
        "timeout",
        "no answer within 5 s",
    ] {
        assert!(lines[2].contains(part), "{table}");
    }
    let newest = place.printed(&["list", "--limit", "1", "--json"]).await;
    let newest: Value = serde_json::from_str(newest.trim_end()).unwrap();
    assert_eq!(
        (&newest["id"], &newest["kind"]),
        (&json!(COMMAND), &json!("timeout"))
    );
    assert_eq!(place.printed(&["list", "--json"]).await.lines().count(), 2);

    let id = COMMAND.to_string();
    let shown = place.printed(&["show", &id]).await;
    assert!(
        shown.contains("\n  \"operation\": \"relay-events\",\n"),
        "{shown}"
    );
    let (pretty, plain): (Value, Value) = (
        serde_json::from_str(&shown).unwrap(),
        serde_json::from_str(&place.printed(&["show", &id, "--json"]).await).unwrap(),
    );
    assert_eq!(pretty, plain);
    assert_eq!(plain["origin"]["payload"], json!("{\"replace\":[]}"));

    let error = place.refused(&["show", NONE]).await;
    assert!(
        error.contains(NONE) && error.contains("dead-letters list"),
        "{error}"
    );
}

/// A part of an id is enough, what is handled is marked, and lists can be narrowed.
async fn short_ids_and_marks(place: &Place) {
    let shown = |text: &str| serde_json::from_str::<Value>(text).unwrap()["id"].clone();
    assert_eq!(
        shown(&place.printed(&["show", "4a02", "--json"]).await),
        json!(COMMAND)
    );
    let error = place.refused(&["show", "0198c5f2"]).await;
    for part in ["0198c5f2", "2 ids", &COMMAND.to_string(), &POLL.to_string()] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let error = place.refused(&["drop", "ffff"]).await;
    assert!(error.contains("ffff"), "{error}");
    assert_eq!(place.ask(&["show", "4a0"]).await.code, Some(64), "too short");

    let marked = place.printed(&["handled", "4a02", "--by", "anna"]).await;
    assert_eq!(marked, "1 marked as handled\n");
    let listed = async || -> Vec<Value> {
        let lines = place.printed(&["list", "--json"]).await;
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let dead_letters = listed().await;
    assert_eq!(dead_letters[0]["handled"], Value::Null);
    assert_eq!(dead_letters[1]["handled"]["by"], "anna");
    let table = place.printed(&["list"]).await;
    assert!(table.contains("handled by anna: no answer"), "{table}");
    let end = place.ask(&["handled", NONE, "4a02", "--undo"]).await;
    assert_eq!(
        (end.code, end.output.stdout.as_str()),
        (Some(1), "1 marked as not handled\n")
    );
    assert!(
        end.output.stderr.contains(&format!("not in the archive: {NONE}")),
        "{:?}",
        end.output
    );
    assert_eq!(listed().await[1]["handled"], Value::Null);
    assert_eq!(place.ask(&["handled", "4a02", "--by", ""]).await.code, Some(64));

    let count = async |arguments: &[&str]| place.printed(arguments).await.lines().count();
    assert_eq!(count(&["list", "--json", "--device", "m3000-a"]).await, 2);
    assert_eq!(
        count(&["list", "--json", "--device", "m3000-a", "--limit", "1"]).await,
        1
    );
    assert_eq!(count(&["list", "--json", "--device", "bridge"]).await, 0);
    let age = Timestamp::now()
        .duration_since("2026-11-22T10:15:30.120Z".parse().unwrap())
        .as_secs();
    assert_eq!(
        count(&["list", "--json", "--since", &format!("{}s", age + 3600)]).await,
        2
    );
    assert_eq!(
        count(&["list", "--json", "--since", &format!("{}s", age - 3600)]).await,
        0
    );
}

/// `left` dead letters are there beside the one that is dropped by its id.
async fn drops(place: &Place, left: usize) {
    let poll = POLL.to_string();
    let end = place.ask(&["drop", &poll, NONE, &poll]).await;
    assert_eq!((end.code, end.output.stdout.as_str()), (Some(1), "1 dropped\n"));
    let error = end.output.stderr;
    assert!(error.contains(&format!("not in the archive: {NONE};")), "{error}");
    let json = place.printed(&["drop", "--all", "--json"]).await;
    assert_eq!(json, format!("{{\"dropped\":{left}}}\n"));
    assert_eq!(place.printed(&["list"]).await, "no dead letters\n");
    assert_eq!(place.printed(&["list", "--json"]).await, "");
}

#[tokio::test]
async fn a_running_bridge_is_asked() {
    let fleet = Fleet::start(FleetOptions::default()).await.unwrap();
    let place = Place::new();
    let site = place.site.devices(&[Entry::of(&fleet.devices()[0])]);
    let place = Place { site, ..place };
    drop(place.store().await);
    let bridge = place.start().await;
    list_and_show(&place).await;
    short_ids_and_marks(&place).await;
    let id = COMMAND.to_string();
    let printed = place.printed(&["replay", &id]).await;
    let begin = format!("carried out:\n{{\n  \"dead_letter\": \"{id}\",\n  \"topic\": ");
    assert!(printed.starts_with(&begin), "{printed}");
    let reply: Value = serde_json::from_str(&place.printed(&["replay", &id, "--json"]).await).unwrap();
    assert_eq!((&reply["ok"], &reply["id"]), (&json!(true), &json!(id)));
    let table = place.printed(&["list"]).await;
    assert!(table.contains("replayed: no answer"), "{table}");
    let end = place.ask(&["replay", &POLL.to_string(), "--json"]).await;
    assert_eq!(end.code, Some(1));
    assert!(end.output.stdout.contains("\"ok\":false"), "{:?}", end.output);
    let error = &end.output.stderr;
    assert!(
        error.contains(&format!(
            "dead letter {POLL}: the command was not carried out: the dead letter is about no command"
        )),
        "{error}"
    );
    // The refused replay is a dead letter, too.
    drops(&place, 2).await;
    assert_eq!(bridge.stop("TERM").await.code, Some(0));
}

#[tokio::test]
async fn more_than_one_request_takes_are_listed_and_dropped() {
    let place = Place::new();
    let store = place.store().await;
    let bridge = DeviceId::new("test").unwrap();
    let ids: Vec<_> = (1..=1500).map(Uuid::from_u128).collect();
    let records = ids
        .iter()
        .map(|id| dead_letter::record(&dead_letter(*id, None), &bridge));
    let site = place.site.with("dead_letter.keep", 5000);
    let place = Place { site, ..place };
    store.append(records.collect()).await;
    drop(store);
    let bridge = place.start().await;
    assert_eq!(place.printed(&["list", "--json"]).await.lines().count(), 1502);
    assert_eq!(
        place
            .printed(&["list", "--limit", "1200", "--json"])
            .await
            .lines()
            .count(),
        1200
    );
    let ids: Vec<_> = ids.iter().map(Uuid::to_string).collect();
    let arguments: Vec<_> = ["drop", NONE]
        .into_iter()
        .chain(ids.iter().map(String::as_str))
        .collect();
    let end = place.ask(&arguments).await;
    assert_eq!(
        (end.code, end.output.stdout.as_str()),
        (Some(1), "1500 dropped\n")
    );
    assert!(end.output.stderr.contains(NONE), "{:?}", end.output);
    assert_eq!(place.printed(&["list", "--json"]).await.lines().count(), 2);
    assert_eq!(bridge.stop("TERM").await.code, Some(0));
}

#[tokio::test]
async fn without_a_bridge_the_store_is_opened() {
    let place = Place::new();
    drop(place.store().await);
    list_and_show(&place).await;
    short_ids_and_marks(&place).await;

    let id = COMMAND.to_string();
    let printed = place.printed(&["replay", &id]).await;
    assert!(
        printed.contains("no bridge runs") && printed.contains("next start"),
        "{printed}"
    );
    let error = place.refused(&["replay", &POLL.to_string()]).await;
    assert!(error.contains("about no command"), "{error}");
    let error = place.refused(&["replay", NONE]).await;
    assert!(error.contains(NONE), "{error}");
    let before = Timestamp::now();
    let store = place.open();
    let waiting = store.inbox().await.unwrap();
    assert_eq!(waiting.len(), 1, "only what can be replayed waits: {waiting:?}");
    let command = &waiting[0].command;
    assert_eq!(command.topic, "lantime/bridge/test/dead-letters/replay");
    assert_eq!(&command.payload[..], json!({ "id": id }).to_string().as_bytes());
    assert!(command.local && !command.retained && command.received_at <= before);
    let number = waiting[0].number;
    drop(store);

    // The replay finds its command in the dead letter.
    let error = place.refused(&["drop", &id, NONE]).await;
    let missing = format!("not in the archive: {NONE}");
    for part in ["not dropped", &id, "start the bridge", &missing] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let end = place.ask(&["drop", "--all"]).await;
    assert_eq!((end.code, end.output.stdout.as_str()), (Some(1), "1 dropped\n"));
    assert!(end.output.stderr.contains(&id), "{:?}", end.output);
    let store = place.open();
    assert!(store.dead_letter(COMMAND).await.unwrap().is_some());
    store.finish(number, store::End::default()).await;
    drop(store);
    drop(place.store().await);

    // A bridge that was killed leaves its socket behind.
    drop(UnixListener::bind(socket::path_in(place.state.path()).unwrap()).unwrap());
    drops(&place, 1).await;
}

#[tokio::test]
async fn what_is_in_the_way_is_reported() {
    let place = Place::new();
    let error = place.refused(&["list"]).await;
    assert!(
        error.contains("no store in") && error.contains("--config"),
        "{error}"
    );
    assert_eq!(
        fs::read_dir(place.state.path()).unwrap().count(),
        0,
        "nothing is made"
    );

    let store = place.store().await;
    let error = place.refused(&["list"]).await;
    assert!(error.contains("in use") && error.contains("try again"), "{error}");
    drop(store);

    let long = place.state.path().join("d".repeat(80)).display().to_string();
    let site = Site::bare().with("state.directory", long.clone());
    let place = Place { site, ..place };
    fs::create_dir(&long).unwrap();
    let options = Options::new(DeviceId::new("test").unwrap());
    let store = Store::open(long.as_ref(), options).unwrap();
    let error = place.refused(&["list"]).await;
    assert!(
        error.contains("at most 107") && error.contains("shorter state.directory"),
        "{error}"
    );
    drop(store);
    assert_eq!(place.printed(&["list"]).await, "no dead letters\n");
}

#[tokio::test]
async fn exit_codes_show_what_kind_of_failure_it_was() {
    let place = Place::new();
    for arguments in [
        &[][..],
        &["show"],
        &["show", "last"],
        &["drop"],
        &["drop", "--all", NONE],
        &["list", "--limit", "few"],
        &["list", "--limit", "0"],
    ] {
        let end = place.ask(arguments).await;
        assert_eq!(end.code, Some(64), "{arguments:?}: {:?}", end.output);
    }
    place.site.overwrite("[state]\ndirectory = 5\n");
    assert_eq!(place.ask(&["list"]).await.code, Some(78));
}

#[tokio::test]
async fn what_only_the_bridge_can_read_does_not_matter() {
    let place = Place::new();
    drop(place.store().await);
    let entry = Entry::new("m3000-a", "http://127.0.0.1")
        .without("password")
        .with("password_file", "/run/credentials/nobody-can-read-this");
    let site = place.site.devices(&[entry]).with("mqtt.url", "nonsense");
    let place = Place { site, ..place };
    assert_ne!(place.printed(&["list"]).await, "");
    let error = place.site.config().display().to_string();
    let end = run(&["check-config", "--config", &error]).await;
    assert_eq!(end.code, Some(78), "the bridge itself cannot run with it");
}

/// Somebody at a terminal, who answers so.
async fn at_a_terminal(place: &Place, answer: &str) -> (Option<i32>, String) {
    let program = env!("CARGO_BIN_EXE_lantime2mqtt");
    let config = place.site.config().display().to_string();
    let command = format!("{program} dead-letters drop --all --config {config}");
    let mut child = tokio::process::Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("these tests need script (Debian: bsdutils)");
    let mut terminal = child.stdin.take().unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut shown = Vec::new();
    while !shown.ends_with(b"[y/N] ") {
        assert!(
            output.read_buf(&mut shown).await.unwrap() > 0,
            "{:?}",
            String::from_utf8_lossy(&shown)
        );
    }
    terminal.write_all(answer.as_bytes()).await.unwrap();
    output.read_to_end(&mut shown).await.unwrap();
    let status = child.wait().await.unwrap();
    (status.code(), String::from_utf8_lossy(&shown).into_owned())
}

#[tokio::test]
async fn whoever_sits_at_a_terminal_is_asked_before_all_are_dropped() {
    let place = Place::new();
    drop(place.store().await);
    let (code, shown) = at_a_terminal(&place, "n\n").await;
    assert_eq!(code, Some(1), "{shown}");
    assert!(
        shown.contains("Drop all 2 dead letters?") && shown.contains("nothing was dropped"),
        "{shown}"
    );
    assert_eq!(place.printed(&["list", "--json"]).await.lines().count(), 2);
    let (code, shown) = at_a_terminal(&place, "y\n").await;
    assert_eq!(code, Some(0), "{shown}");
    assert_eq!(place.printed(&["list"]).await, "no dead letters\n");
    drop(place.store().await);
    assert_eq!(place.printed(&["drop", "--all", "--yes"]).await, "2 dropped\n");
}
