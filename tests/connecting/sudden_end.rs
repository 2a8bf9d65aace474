//! Servers that end a connection without close_notify.

use std::sync::Arc;

use rcgen::generate_simple_self_signed;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::document;
use crate::support::Seen;
use crate::support::scene::Setup;
use crate::support::site::Entry;

/// A server that answers the first request of each connection with this head and body, and ends without close_notify, at once
/// or under the second request. Gives its URL.
async fn serve(head: &str, body: Vec<u8>, is_kept: bool) -> String {
    let answer = [head.as_bytes(), &body].concat();
    let made = generate_simple_self_signed(["device".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(mut tls) = acceptor.accept(tcp).await else {
                continue;
            };
            let _ = tls.read(&mut [0; 4096]).await;
            let _ = tls.write_all(&answer).await;
            let _ = tls.flush().await;
            if is_kept {
                let _ = tls.read(&mut [0; 4096]).await;
            }
            // The TCP connection ends in order, so that what was sent arrives; TLS hears nothing.
            let _ = tls.get_mut().0.shutdown().await;
        }
    });
    url
}

#[tokio::test]
async fn a_body_that_ends_with_the_connection_counts_if_the_document_is_whole() {
    let document = document().await;
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    let whole = serve(head, document.clone(), false).await;
    let cut = serve(head, document[..document.len() / 2].to_vec(), false).await;
    let of_known_length = serve(
        "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
        document,
        false,
    )
    .await;
    let devices = [
        ("whole", whole),
        ("cut", cut),
        ("of-known-length", of_known_length),
    ];
    let entries = devices.map(|(id, url)| Entry::new(id, &url).with("tls.insecure", true));
    let mut scene = Setup::at(&entries).start().await;
    scene
        .until("the whole one alone", |seen| {
            seen.is_online("whole")
                && seen.error("cut")["kind"] == "decode"
                && seen.error("of-known-length")["kind"] == "connect"
        })
        .await;
}

#[tokio::test]
async fn a_kept_connection_that_ends_under_a_request_is_no_failure() {
    let document = document().await;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", document.len());
    let url = serve(&head, document, true).await;
    let entry = Entry::new("short", &url).with("tls.insecure", true);
    let mut scene = Setup::at(&[entry]).start().await;
    let stats = |seen: &Seen| seen.json("short/http/stats");
    let seen = scene
        .until("the second statistics", |seen| {
            stats(seen)["polls"].as_u64() > Some(10)
        })
        .await;
    assert_eq!(stats(&seen)["failures"], 0);
    assert!(
        seen.log.iter().all(|(topic, _)| topic != "lantime/short/error"),
        "{:?}",
        seen.log
    );
}
