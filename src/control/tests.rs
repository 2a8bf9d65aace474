//! The socket between a command line and a bridge, and the bad habits of either.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::server::Server;
use super::*;
use crate::contract::topics::Topics;
use crate::model::{CommandTopic, DeadLetter, DeviceId, Operation};
use crate::records::store::{End, Options, Store};
use crate::records::{Received, dead_letter};

/// How long anything may take that is not measured.
const LONG: Duration = Duration::from_secs(10);

fn bridge() -> DeviceId {
    DeviceId::new("site-1").unwrap()
}

fn topics() -> Topics {
    Topics::new("lantime".to_owned(), bridge())
}

/// A store with these dead letters, the oldest first.
async fn store(ids: &[u128]) -> Store {
    let store = Store::in_memory(Options::new(bridge()));
    let at = "2026-11-22T10:15:30Z".parse().unwrap();
    let letters = ids.iter().map(|id| DeadLetter {
        id: Uuid::from_u128(*id),
        at,
        device: DeviceId::new("m3000-a"),
        slot: None,
        operation: Operation::Refresh,
        error: ErrorReport::new(ErrorKind::Busy, "eight wait", "wait"),
        attempts: 1,
        first_at: at,
        repeats: None,
        recovered: false,
        origin: None,
    });
    let records = letters.map(|letter| dead_letter::record(&letter, &bridge()));
    store.append(records.collect()).await;
    store
}

/// A bridge's end, at work.
struct Bridge {
    directory: TempDir,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Bridge {
    /// Its replays are answered with the letter's id; one of the id 0 never is.
    async fn start(letters: &[u128]) -> Bridge {
        Bridge::with(store(letters).await).await
    }

    async fn with(store: Store) -> Bridge {
        let directory = TempDir::new().unwrap();
        let server = Server::bind(&socket(directory.path()).unwrap()).unwrap();
        let replay = |id: Uuid| async move {
            if id.is_nil() {
                std::future::pending::<()>().await;
            }
            Bytes::from(json!({ "id": id, "ok": true }).to_string())
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(server.run(store, topics(), replay, stop.clone()));
        Bridge {
            directory,
            stop,
            task,
        }
    }

    fn socket(&self) -> PathBuf {
        socket(self.directory.path()).unwrap()
    }

    async fn ask(&self, request: Request) -> Result<Value, Fault> {
        let answer = timeout(LONG, client::ask(&self.socket(), &request))
            .await
            .unwrap();
        answer
            .unwrap()
            .map(|json| serde_json::from_str(json.get()).unwrap())
    }

    async fn connect(&self) -> BufReader<UnixStream> {
        BufReader::new(UnixStream::connect(self.socket()).await.unwrap())
    }

    async fn stop(self) {
        self.stop.cancel();
        timeout(LONG, self.task).await.unwrap().unwrap();
        assert!(!socket(self.directory.path()).unwrap().exists());
    }
}

async fn line(stream: &mut BufReader<UnixStream>) -> String {
    let mut line = String::new();
    timeout(LONG, stream.read_line(&mut line)).await.unwrap().unwrap();
    line
}

async fn send(stream: &mut BufReader<UnixStream>, text: &[u8]) -> String {
    stream.write_all(text).await.unwrap();
    line(stream).await
}

fn id(id: u128) -> Uuid {
    Uuid::from_u128(id)
}

#[tokio::test]
async fn a_bridge_lists_shows_drops_and_replays() {
    let bridge = Bridge::start(&[1, 2, 3]).await;
    let list = bridge.ask(Request::List { limit: 2 }).await.unwrap();
    let listed: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|letter| &letter["id"])
        .collect();
    assert_eq!(listed, [&json!(id(3)), &json!(id(2))], "{list}");

    let shown = bridge.ask(Request::Show { id: id(1) }).await.unwrap();
    assert_eq!(
        (&shown["bridge"], &shown["attempts"]),
        (&json!("site-1"), &json!(1))
    );

    let replayed = bridge.ask(Request::Replay { id: id(2) }).await;
    assert_eq!(replayed, Ok(json!({ "id": id(2), "ok": true })));

    let dropped = |number: usize| Ok(json!({ "dropped": number }));
    let ids = vec![id(1), id(9)];
    assert_eq!(bridge.ask(Request::Drop { ids }).await, dropped(1));
    let fault = bridge.ask(Request::Show { id: id(1) }).await.unwrap_err();
    assert_eq!(fault.kind, "not-found");
    assert!(fault.message.contains(&id(1).to_string()) && fault.remedy.contains("dead-letters list"));
    assert_eq!(bridge.ask(Request::DropAll {}).await, dropped(2));
    assert_eq!(
        bridge.ask(Request::List { limit: usize::MAX }).await,
        Ok(json!([]))
    );
    bridge.stop().await;
}

#[tokio::test]
async fn a_letter_whose_replay_waits_is_not_dropped() {
    let store = store(&[1, 2, 3]).await;
    let replay = topics().command(&CommandTopic::Replay);
    let command = |topic: &str, id: Uuid| Received::local(topic.to_owned(), json!({ "id": id }).to_string());
    let commands = vec![
        command(&replay, id(2)),
        command(&replay, id(2)),
        command(&replay, id(9)),
        command("lantime/m3000-a/refresh", id(3)),
    ];
    let numbers = store.receive(commands).await.unwrap();
    let bridge = Bridge::with(store.clone()).await;
    let ids = vec![id(1), id(2), id(9)];
    let kept = Ok(json!({ "dropped": 1, "waiting": [id(2)] }));
    assert_eq!(bridge.ask(Request::Drop { ids }).await, kept);
    assert_eq!(bridge.ask(Request::DropAll {}).await, kept);
    assert!(bridge.ask(Request::Show { id: id(2) }).await.is_ok());
    for number in numbers {
        store.finish(number, End::default()).await;
    }
    assert_eq!(bridge.ask(Request::DropAll {}).await, Ok(json!({ "dropped": 1 })));
    bridge.stop().await;
}

#[tokio::test]
async fn only_this_user_may_connect_and_what_a_killed_bridge_left_is_replaced() {
    let first = Bridge::start(&[]).await;
    let path = first.socket();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let server = Server::bind(&path).unwrap();
    drop(server);
    // It is there, and nobody listens.
    let asked = client::ask(&path, &Request::DropAll {}).await;
    assert!(matches!(asked, Err(ControlError::NobodyThere(_))), "{asked:?}");
    fs::remove_file(&path).unwrap();
    let asked = client::ask(&path, &Request::DropAll {}).await;
    assert!(matches!(asked, Err(ControlError::NobodyThere(_))), "{asked:?}");

    fs::write(&path, "not ours").unwrap();
    let error = Server::bind(&path).unwrap_err().to_string();
    assert!(
        error.contains("cannot listen") && error.contains("control.sock"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "not ours");
}

#[tokio::test]
async fn a_path_that_is_too_long_is_told_with_the_key_that_changes_it() {
    let directory = TempDir::new().unwrap();
    let mut path = directory.path().to_owned();
    while path.as_os_str().len() + 1 + FILE_NAME.len() < MAX_PATH - 1 {
        path.push("d");
    }
    fs::create_dir_all(&path).unwrap();
    let longest = socket(&path).unwrap();
    assert!(Server::bind(&longest).is_ok(), "{}", longest.display());
    let long = path.join("dd");
    for error in [
        socket(&long).unwrap_err(),
        Server::bind(&long.join(FILE_NAME)).unwrap_err(),
    ] {
        assert!(matches!(error, ControlError::PathTooLong { .. }), "{error}");
        assert!(error.to_string().contains("shorter state.directory"), "{error}");
    }
}

#[tokio::test]
async fn garbage_gets_an_error_and_the_next_line_an_answer() {
    let bridge = Bridge::start(&[]).await;
    let mut stream = bridge.connect().await;
    for garbage in [
        &b"\n"[..],
        b"hello\n",
        b"\xff\xfe\n",
        b"{\"operation\":\"format\"}\n",
        b"{\"operation\":\"list\"}\n",
        b"{\"operation\":\"drop-all\",\"id\":1}\n",
        b"{\"operation\":\"show\",\"id\":\"last\"}\n",
        b"[[[[\n",
    ] {
        let answer = send(&mut stream, garbage).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(
            (&answer["ok"], &answer["error"]["kind"]),
            (&json!(false), &json!("decode"))
        );
    }
    let answer = send(&mut stream, b"{\"operation\":\"list\",\"limit\":1}\n").await;
    assert_eq!(answer, "{\"ok\":true,\"result\":[]}\n");

    // A last line needs no end.
    stream.write_all(b"{\"operation\":\"drop-all\"}").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(
        line(&mut stream).await,
        "{\"ok\":true,\"result\":{\"dropped\":0}}\n"
    );
    bridge.stop().await;
}

#[tokio::test]
async fn an_endless_line_is_refused_and_its_connection_closed() {
    let bridge = Bridge::start(&[]).await;
    let mut stream = bridge.connect().await;
    stream.write_all(&vec![b'x'; MAX_REQUEST + 1]).await.unwrap();
    let answer = line(&mut stream).await;
    assert!(answer.contains("too-large"), "{answer}");
    assert_eq!(line(&mut stream).await, "");
    bridge.stop().await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_left() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let store = store(&[]).await;
    let replay = async |_: Uuid| Bytes::new();
    theirs.write_all(b"{\"operation\"").await.unwrap();
    let topics = topics();
    let served = server::serve(ours, &store, &topics, &replay, Duration::from_millis(20));
    timeout(LONG, served).await.unwrap();
    let mut rest = Vec::new();
    theirs.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn idle_clients_keep_nobody_out_for_good() {
    let bridge = Bridge::start(&[]).await;
    let mut idle = Vec::new();
    for _ in 0..16 {
        idle.push(bridge.connect().await);
    }
    let path = bridge.socket();
    let mut asked = std::pin::pin!(client::ask(&path, &Request::DropAll {}));
    let waits = timeout(Duration::from_millis(50), &mut asked).await;
    assert!(waits.is_err(), "a seventeenth client is served: {waits:?}");
    idle.pop();
    assert!(asked.await.is_ok());
    bridge.stop().await;
}

#[tokio::test]
async fn a_bridge_that_stops_ends_its_clients() {
    let bridge = Bridge::start(&[]).await;
    let path = bridge.socket();
    let waiting = tokio::spawn(async move { client::ask(&path, &Request::Replay { id: id(0) }).await });
    // Served after the one that waits was accepted.
    assert!(bridge.ask(Request::DropAll {}).await.is_ok());
    bridge.stop().await;
    let asked = timeout(LONG, waiting).await.unwrap().unwrap();
    assert!(
        matches!(asked, Err(ControlError::Ended(_) | ControlError::NobodyThere(_))),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_bridge_that_hangs_or_talks_nonsense_is_named() {
    let directory = TempDir::new().unwrap();
    let path = socket(directory.path()).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    let asked = client::ask_within(&path, &Request::DropAll {}, Duration::from_millis(20)).await;
    assert!(matches!(asked, Err(ControlError::Timeout(_))), "{asked:?}");

    let talk = tokio::spawn(async move {
        // The first is the one that was not answered.
        drop(listener.accept().await.unwrap());
        for nonsense in ["hello\n", "{\"ok\":true}\n", "{\"ok\":tr", ""] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut line = [0; 64];
            let _ = stream.read(&mut line).await.unwrap();
            stream.write_all(nonsense.as_bytes()).await.unwrap();
        }
    });
    for whole in [true, true, false, false] {
        let asked = client::ask(&path, &Request::DropAll {}).await.unwrap_err();
        assert_eq!(matches!(asked, ControlError::Answer(_)), whole, "{asked}");
        assert_eq!(matches!(asked, ControlError::Ended(_)), !whole, "{asked}");
        assert!(asked.to_string().contains("control.sock"), "{asked}");
    }
    talk.await.unwrap();
}
