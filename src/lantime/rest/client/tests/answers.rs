//! Servers that answer oddly, or not at all, and what becomes of a request to them.

use super::script::{Script, Step};
use super::*;

fn ok() -> Step {
    Step::Answer(OK.to_owned())
}

fn answer(status: &str, headers: &str, body: &str) -> Step {
    let length = body.len();
    Step::Answer(format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    ))
}

async fn status(client: &mut RestClient) -> Result<Answer, RestError> {
    client.status(Paths::from(&profile(10))).await
}

#[tokio::test]
async fn a_poll_whose_kept_connection_is_just_being_closed_is_sent_again() {
    for end in [Step::Close, Step::Reset] {
        let server = Script::start_kept([ok(), end.clone(), ok(), end, ok()]).await;
        let mut client = server.client();
        status(&mut client).await.unwrap();
        status(&mut client).await.unwrap();
        client.relay_events(&profile(10)).await.unwrap();
        assert_eq!(server.connections(), [1, 1, 2, 2, 3]);
    }
}

#[tokio::test]
async fn connections_over_http_are_not_kept() {
    let server = Script::start([ok(), ok(), Step::Close]).await;
    let mut client = server.client();
    status(&mut client).await.unwrap();
    status(&mut client).await.unwrap();
    status(&mut client).await.unwrap_err();
    assert_eq!(server.connections(), [1, 2, 3]);
}

#[tokio::test]
async fn connections_to_a_proxy_are_kept() {
    let proxy = Script::start([ok(), ok()]).await;
    let mut client = client("http://192.0.2.1", &format!("proxy = \"{}\"", proxy.url));
    status(&mut client).await.unwrap();
    status(&mut client).await.unwrap();
    assert_eq!(proxy.connections(), [1, 1]);
}

#[tokio::test]
async fn a_poll_is_sent_again_once_and_never_on_its_first_connection() {
    let server = Script::start_kept([Step::Close, ok(), Step::Close, Step::Reset, Step::Close]).await;
    let mut client = server.client();
    let report = status(&mut client).await.unwrap_err().report;
    assert_eq!((report.kind, server.connections().len()), (ErrorKind::Connect, 1));
    status(&mut client).await.unwrap();
    let report = status(&mut client).await.unwrap_err().report;
    assert_eq!((report.kind, server.connections().len()), (ErrorKind::Connect, 4));
    status(&mut client).await.unwrap_err();
    assert_eq!(server.connections(), [1, 2, 2, 3, 4]);
}

#[tokio::test]
async fn an_answer_that_was_begun_is_not_asked_for_again() {
    let half = Step::Last("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_owned());
    let server = Script::start_kept([ok(), half]).await;
    let mut client = server.client();
    status(&mut client).await.unwrap();
    let report = status(&mut client).await.unwrap_err().report;
    assert_eq!((report.kind, server.connections().len()), (ErrorKind::Connect, 2));
    assert!(report.message.contains("within the answer"), "{report:?}");
    assert!(report.remedy.contains("Content-Length"), "{report:?}");
}

#[tokio::test]
async fn an_answer_shorter_than_announced_on_a_kept_connection_says_so() {
    let short = Step::Answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}".to_owned());
    let server = Script::start_kept([short]).await;
    let mut client = client(&server.url, "timeout = \"100ms\"\ntls.insecure = true");
    let report = status(&mut client).await.unwrap_err().report;
    assert_eq!(report.kind, ErrorKind::Timeout);
    assert!(report.remedy.contains("Content-Length"), "{report:?}");
}

#[tokio::test]
async fn odd_heads_are_taken() {
    let heads = [
        "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n",
        "HTTP/1.1 200 OK\r\nX-Long: one\r\n two\r\n\tthree\r\nContent-Length: 2\r\n",
        "HTTP/1.1 200 OK\r\ncOnTeNt-LeNgTh:2\r\n",
        "HTTP/1.1 200 OK\r\nno colon in this line\r\nContent-Length: 2\r\n",
        "HTTP/1.1 200 OK\r\nSet Cookie: blank=in-name\r\nContent-Length: 2\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: utf-8\r\nContent-Length: 2\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 2\r\n",
        "HTTP/1.1 200\r\nContent-Length: 2\r\n",
        "HTTP/1.0 200 OK\nContent-Length: 2\n",
    ];
    for head in heads {
        let server = Script::start([Step::Last(format!("{head}\r\n{{}}"))]).await;
        let answer = status(&mut server.client()).await;
        assert_eq!(answer.expect(head).body, "{}", "{head:?}");
    }
    // What comes behind an answer belongs to none.
    let more = Step::Answer(format!("{OK}\n"));
    let server = Script::start(vec![more; 3]).await;
    let mut client = server.client();
    for _ in 0..3 {
        assert_eq!(status(&mut client).await.unwrap().body, "{}");
    }
}

#[tokio::test]
async fn an_answer_that_is_refused_for_its_head_says_what_is_odd() {
    let many = "X-Filler: x\r\n".repeat(200);
    let cases = [
        ("RTSP/1.0 200 OK\r\n\r\n", "version", "scheme"),
        ("\u{15}\u{3}\u{1}\u{0}\u{2}\u{2}F", "version", "scheme"),
        ("HTTP/1.1 twenty OK\r\n\r\n", "status", "scheme"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
            "content-length",
            "curl -v",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: some\r\n\r\n{}",
            "content-length",
            "curl -v",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n{}",
            "chunk",
            "curl -v",
        ),
        (
            &format!("HTTP/1.1 200 OK\r\n{many}\r\n{{}}"),
            "too large",
            "proxy",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
            "gzip",
            "switch off compression",
        ),
    ];
    for (answer, message, remedy) in cases {
        let server = Script::start([Step::Last(answer.to_owned())]).await;
        let report = status(&mut server.client()).await.expect_err(answer).report;
        assert_eq!(report.kind, ErrorKind::Decode, "{report:?}");
        assert!(
            report.message.contains(message) && report.remedy.contains(remedy),
            "{report:?}"
        );
        assert_eq!(server.connections().len(), 1, "{answer:?}");
    }
}

#[tokio::test]
async fn a_change_that_is_answered_with_something_compressed_is_a_success() {
    let compressed = || answer("200 OK", "Content-Encoding: gzip\r\n", "\u{1f}");
    let server = Script::start([compressed(), compressed(), compressed()]).await;
    let (mut client, profile) = (server.client(), profile(10));
    client.write_relay_events(&profile, nothing()).await.unwrap();
    client.apply(&profile, LONG).await.unwrap();
    let error = client.relay_events(&profile).await.unwrap_err();
    assert_eq!(error.report.kind, ErrorKind::Decode);
}

#[tokio::test]
async fn requests_are_written_as_old_servers_expect_them() {
    let server = Script::start([ok()]).await;
    status(&mut server.client()).await.unwrap();
    let head = &server.heads()[0];
    for line in [
        "\r\nAccept-Encoding: identity\r\n",
        "\r\nAuthorization: Basic ",
        "\r\nHost: ",
    ] {
        assert!(head.contains(line), "{head}");
    }
}

#[tokio::test]
async fn a_cookie_goes_back_to_its_device_alone_and_a_session_that_has_ended_is_no_refusal() {
    let cookie = "Set-Cookie: sid=sentinel-0815; Path=/; HttpOnly\r\n";
    let repeated = answer("500 X", "", "your cookie is sid=sentinel-0815");
    let server = Script::start([
        answer("200 OK", cookie, "{}"),
        repeated,
        answer("401 X", "Set-Cookie: sid=of-a-refusal\r\n", ""),
        answer("200 OK", "Set-Cookie: sid=second\r\n", "{}"),
        ok(),
    ])
    .await;
    let other = Script::start([ok()]).await;
    let mut client = server.client();
    status(&mut client).await.unwrap();
    assert_eq!(client.cookie_names().collect::<Vec<_>>(), ["sid"]);
    let error = status(&mut client).await.unwrap_err();
    for shown in [format!("{error:?}"), format!("{client:?}")] {
        assert!(!shown.contains("sentinel"), "{shown}");
    }
    status(&mut client).await.unwrap();
    status(&mut client).await.unwrap();
    status(&mut other.client()).await.unwrap();
    let sent = |head: &String| {
        let line = head.lines().find_map(|line| line.strip_prefix("Cookie: "));
        line.map(str::to_owned)
    };
    let sent: Vec<_> = server.heads().iter().chain(&other.heads()).map(sent).collect();
    let (first, second) = (Some("sid=sentinel-0815"), Some("sid=second"));
    let expected = [None, first, first, None, second, None];
    assert_eq!(sent, expected.map(|cookie| cookie.map(str::to_owned)));
}

#[tokio::test]
async fn a_change_that_is_refused_with_its_session_is_not_sent_again() {
    let refused = answer("401 X", "", "");
    let server = Script::start([
        answer("200 OK", "Set-Cookie: sid=first\r\n", "{}"),
        refused,
        ok(),
        ok(),
    ])
    .await;
    let mut client = server.client();
    status(&mut client).await.unwrap();
    let error = client
        .write_relay_events(&profile(10), nothing())
        .await
        .unwrap_err();
    assert_eq!(error.report.kind, ErrorKind::Unauthorized);
    status(&mut client).await.unwrap();
    let sent = server.heads();
    let sent = sent
        .iter()
        .map(|head| (head.starts_with("PUT"), head.contains("\r\nCookie: ")));
    let expected = [(false, false), (true, true), (false, false)];
    assert_eq!(
        sent.collect::<Vec<_>>(),
        expected,
        "the next poll begins another session"
    );
}

#[tokio::test]
async fn a_page_that_repeats_a_secret_is_not_shown() {
    let cookie = |value: &str| format!("Set-Cookie: sid={value}; Path=/\r\n");
    // The login of the tests, as it is sent.
    let login = "YnJpZGdlOnNpbXVsYXRlZA==";
    for secret in [login, "sentinel-0815", "sentinel-0816"] {
        let page = format!("<html><title>{secret}</title>");
        let pages = [
            "<html><title>of a device</title>".to_owned(),
            page.clone(),
            format!("[\"{secret}\"]"),
        ];
        for page in pages {
            let server = Script::start([
                answer("200 OK", &cookie("sentinel-0815"), "{}"),
                answer("200 OK", &cookie("sentinel-0816"), &page),
            ])
            .await;
            let mut client = server.client();
            status(&mut client).await.unwrap();
            let answer = status(&mut client).await.unwrap();
            let reason =
                crate::lantime::rest::status::snapshot(&answer.body, &Profiles::built_in(), "").unwrap_err();
            let report = answer.not_understood("http://x", &reason).report;
            let is_secret = page.contains(secret);
            let shown = format!("{report:?}");
            assert_eq!(
                (shown.contains(secret), shown.contains("left out")),
                (false, is_secret),
                "{page}: {shown}"
            );
            assert_eq!(shown.contains("web page"), page.starts_with('<'), "{shown}");
            assert_eq!(shown.contains("of a device"), !is_secret, "{shown}");
        }
    }
}

#[tokio::test]
async fn a_device_that_asks_for_a_pause_has_it() {
    let busy = |status: &str| answer(status, "Retry-After: 60\r\n", "");
    let server = Script::start([busy("503 X"), ok(), busy("503 X"), ok(), busy("429 X"), ok()]).await;
    let mut client = server.client();
    let profile = profile(10);
    let pass = async |seconds| {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::time::resume();
    };
    // A poll: nothing is asked meanwhile, not even by a command.
    let report = status(&mut client).await.unwrap_err().report;
    assert!(report.message.contains("60 s"), "{report:?}");
    assert!(client.busy_until().is_some());
    pass(50).await;
    assert_eq!(status(&mut client).await.unwrap_err().report, report);
    assert_eq!(
        client.apply(&profile, LONG).await.unwrap_err().report.http_status,
        Some(503)
    );
    assert_eq!(server.heads().len(), 1);
    pass(11).await;
    status(&mut client).await.unwrap();
    // The configuration: it is left alone, and the device is watched all the same.
    let error = client.write_relay_events(&profile, nothing()).await.unwrap_err();
    assert_eq!(error.report.kind, ErrorKind::Busy);
    client.relay_events(&profile).await.unwrap_err();
    assert_eq!(client.busy_until(), None);
    status(&mut client).await.unwrap();
    // Too many requests: all of them are.
    pass(61).await;
    client.relay_events(&profile).await.unwrap_err();
    status(&mut client).await.unwrap_err();
    assert_eq!(server.heads().len(), 5);
}
