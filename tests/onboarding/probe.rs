//! `probe` of many devices: they do not wait for each other.

use std::io::ErrorKind;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::support::PATIENCE;
use crate::support::program::Program;

#[tokio::test]
async fn devices_are_asked_side_by_side() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it listens"));
    let silent = ["probe", "--timeout", "10", &url, &url, &url, &url];
    let probe = Program::start_with(&silent, &[("LANTIME2MQTT_PROBE_PASSWORD", "any")]);
    let mut asked = Vec::new();
    for _ in 0..4 {
        let accepted = timeout(PATIENCE, listener.accept()).await;
        let (mut stream, _) = accepted.expect("each is asked").expect("it listens");
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await.expect("a request") > 0);
        asked.push(stream);
    }
    for stream in asked {
        let waits = stream.try_read(&mut [0; 1]).map_err(|error| error.kind());
        assert_eq!(waits, Err(ErrorKind::WouldBlock), "none was given up so far");
    }
    drop(listener);
    let end = probe.end(PATIENCE).await;
    assert_eq!(end.code, Some(1), "{:?}", end.output);
    let summary = "4 of 4 devices could not be probed";
    assert!(end.output.stderr.contains(summary), "{:?}", end.output);
}
