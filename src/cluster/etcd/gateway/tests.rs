//! Against a server that answers by a script: what etcd itself does not answer at will.

use std::sync::{Arc, Mutex};

use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::cluster::etcd::wire::{Header, Nothing};
use crate::cluster::etcd::{Client, Keys, LeaseId, Login, Operation};
use crate::config::Secret;

const PASSWORD: &str = "correct-horse";

/// Answers one request for each entry of its script, and keeps the requests.
struct Script {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Script {
    async fn start(answers: &[(u16, &str)]) -> Script {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&seen);
        let answers: Vec<_> = answers
            .iter()
            .map(|(status, body)| (*status, (*body).to_owned()))
            .collect();
        tokio::spawn(async move {
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read_request(&mut stream).await;
                requests.lock().unwrap().push(request);
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
                // The client may have seen enough.
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Script { url, seen }
    }

    fn settings(&self, has_login: bool) -> Settings {
        Settings {
            endpoints: vec![self.url.clone()],
            tls: ClientTls::default(),
            login: has_login.then(|| Login {
                username: "root".to_owned(),
                password: Secret::new(PASSWORD),
            }),
            timeout: Duration::from_secs(30),
            watch_idle: Duration::from_secs(30),
        }
    }

    fn client(&self, has_login: bool) -> Client {
        Client::new(&self.settings(has_login)).unwrap()
    }

    /// The path of each request, and its token.
    fn seen(&self) -> Vec<(String, Option<String>)> {
        let seen = self.seen.lock().unwrap();
        let parts = seen.iter().map(|request| {
            let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
            let token = request
                .lines()
                .find_map(|line| line.strip_prefix("authorization: "));
            (path, token.map(str::to_owned))
        });
        parts.collect()
    }
}

/// A request with its body.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = String::new();
    loop {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await.unwrap();
        text += &String::from_utf8_lossy(&buffer[..length]);
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.len());
        let announced = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let announced = announced.and_then(|length| length.parse::<usize>().ok());
        if length == 0 || body.is_some_and(|body| Some(body) >= announced) {
            return text;
        }
    }
}

async fn write(client: &Client) -> Result<(), Error> {
    let put = Operation::Put {
        key: b"a".to_vec(),
        value: Vec::new(),
        lease: None,
    };
    client.transact(&[], &[put], &[]).await.map(|_| ())
}

const DONE: &str = r#"{"header":{"revision":"7"}}"#;
const REFUSED: (u16, &str) = (401, r#"{"code":16,"message":"etcdserver: invalid auth token"}"#);

#[tokio::test]
async fn a_write_with_a_refused_token_is_sent_again_with_another() {
    let tokens = [r#"{"token":"t.1"}"#, r#"{"token":"t.2"}"#];
    let script = Script::start(&[(200, tokens[0]), REFUSED, (200, tokens[1]), (200, DONE)]).await;
    write(&script.client(true)).await.unwrap();
    let seen = script.seen();
    let seen: Vec<_> = seen
        .iter()
        .map(|(path, token)| (&**path, token.as_deref()))
        .collect();
    assert_eq!(
        seen,
        [
            ("/v3/auth/authenticate", None),
            ("/v3/kv/txn", Some("t.1")),
            ("/v3/auth/authenticate", None),
            ("/v3/kv/txn", Some("t.2")),
        ]
    );
}

#[tokio::test]
async fn a_token_is_renewed_once_for_a_request() {
    let token = (200, r#"{"token":"t"}"#);
    let script = Script::start(&[token, REFUSED, token, REFUSED]).await;
    let error = write(&script.client(true)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_outcome_unknown()),
        ("authentication", false)
    );
    assert_eq!(script.seen().len(), 4);
}

#[tokio::test]
async fn what_a_login_answers_is_not_shown() {
    for answer in [
        r#"{"token":["t0ken-7"]}"#,
        r#"t0ken-7"#,
        r#"{"token":"t0ken-7\n"}"#,
    ] {
        let script = Script::start(&[(200, answer)]).await;
        let client = script.client(true);
        let error = write(&client).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.is_outcome_unknown()),
            ("bad-answer", false),
            "{error}"
        );
        let text = format!("{error} {error:?} {client:?}");
        assert!(!text.contains("t0ken-7") && !text.contains(PASSWORD), "{text}");
    }
}

#[tokio::test]
async fn a_malformed_answer_leaves_a_write_open() {
    for answer in [
        "",
        "{",
        "[]",
        "<html>",
        r#"{"header":{"revision":"x"}}"#,
        r#"{"header":{"revision":"7"},"responses":[{"response_put":{}}]}"#,
        "{}",
    ] {
        let script = Script::start(&[(200, answer)]).await;
        let error = write(&script.client(false)).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.is_outcome_unknown()),
            ("bad-answer", true),
            "{error}"
        );
        assert_eq!(script.seen().len(), 1);
    }
}

/// A server that answers each request of TLS with a record that nobody can decrypt. Gives its URL, and counts the requests.
async fn start_broken_tls() -> (String, Arc<AtomicUsize>) {
    let made = rcgen::generate_simple_self_signed(["etcd".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = acceptor.accept(stream).await.unwrap();
            read_request(&mut stream).await;
            count.fetch_add(1, Ordering::Relaxed);
            let record = [&[23, 3, 3, 0, 32], &[0; 32][..]].concat();
            stream.get_mut().0.write_all(&record).await.unwrap();
        }
    });
    (url, requests)
}

#[tokio::test]
async fn a_write_is_not_sent_again_after_an_error_of_tls_that_follows_the_handshake() {
    let (url, requests) = start_broken_tls().await;
    let mut settings = Script::start(&[]).await.settings(false);
    settings.endpoints = vec![url.clone(), url.replace("127.0.0.1", "localhost")];
    settings.tls.trust = Trust::Insecure;
    let error = write(&Client::new(&settings).unwrap()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_outcome_unknown()),
        ("tls", true),
        "{error}"
    );
    assert_eq!(requests.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_read_is_tried_again() {
    let script = Script::start(&[(503, ""), (200, DONE)]).await;
    let range = script.client(false).range(&Keys::one("a"), None).await.unwrap();
    assert_eq!(range.revision, 7);
    let script = Script::start(&[(503, ""), (200, DONE)]).await;
    let read = [Operation::Range(Keys::one("a"))];
    let transacted = script.client(false).transact(&[], &read, &[]).await.unwrap();
    assert_eq!(transacted.revision, 7);
    let script = Script::start(&[(503, ""), (200, "{")]).await;
    let error = script
        .client(false)
        .range(&Keys::one("a"), None)
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.is_outcome_unknown()), ("bad-answer", false));
}

/// A stream says so within an answer of success.
#[tokio::test]
async fn a_renewal_that_a_node_cannot_serve_is_tried_at_the_next() {
    let refusal = r#"{"error":{"grpc_code":14,"message":"etcdserver: no leader"}}"#;
    let renewed = r#"{"result":{"ID":"1","TTL":"5"}}"#;
    let nodes = [
        Script::start(&[(200, refusal)]).await,
        Script::start(&[(200, renewed)]).await,
    ];
    let mut settings = nodes[0].settings(false);
    settings.endpoints.push(nodes[1].url.clone());
    let ttl = Client::new(&settings).unwrap().keep_alive(LeaseId(1)).await;
    assert_eq!(ttl.unwrap(), Some(Duration::from_secs(5)));
}

/// Not the one that is asked from now on, since another request has failed.
#[tokio::test]
async fn an_error_names_the_node_that_has_answered() {
    let script = Script::start(&[(200, r#"{"ID":"0"}"#)]).await;
    let mut settings = script.settings(false);
    settings.endpoints.push("http://127.0.0.1:9".to_owned());
    let gateway = Arc::new(Gateway::new(&settings).unwrap());
    let client = Client {
        session: Arc::clone(&gateway),
        ..Client::new(&settings).unwrap()
    };
    let leave = async { gateway.leave(Node(0)) };
    let (lease, ()) = tokio::join!(client.grant(Duration::from_secs(5)), leave);
    let error = lease.unwrap_err();
    assert_eq!((error.kind(), error.endpoint()), ("bad-answer", &*script.url));
}

#[tokio::test]
async fn an_answer_is_bounded() {
    let large = " ".repeat(MAX_ANSWER + 1);
    let script = Script::start(&[(200, &large)]).await;
    let gateway = Gateway::new(&script.settings(false)).unwrap();
    let call = Call {
        path: "/",
        name: "test",
        is_write: true,
        is_secret: false,
        is_stream: false,
    };
    let answer = gateway
        .call::<Header>(&call, &Nothing {}, Duration::from_secs(30))
        .await;
    let error = answer.unwrap_err().to_string();
    assert!(error.contains("larger than 16777216 bytes"), "{error}");
}
