//! Documents that other firmware may send, from a web server that is no simulated device.

use std::sync::{Arc, Mutex};

use crate::support::Seen;
use crate::support::scene::Setup;
use crate::support::site::Entry;
use crate::support::web_server::{WebServer, answer};

/// Of firmware 7.04, which has API 8, with a byte order mark, `nan`, a key twice, a control character, Latin-1 and NUL.
const MALFORMED: &[u8] = b"\xef\xbb\xbf{\"system-information\":{\"API Version\":\"LANTIME REST API V8.02.001\",
    \"version\":\"fw_7.04.008\",\"serial-number\":\"1\",\"hostname\":\"M\xfcnchen\x01\",\"model\":nan,\"model\":\"M500\"},
    \"data\":{\"system\":{\"uptime\":-inf},\"notification\":{\"events\":[
    {\"object-id\":\"ntp-not-sync\",\"type\":\"error\",\"triggered\":0,\"last-triggered\":\"2026-02-10 10:45:48+01:00[Europe/Berlin]\"},
    {\"object-id\":\"antenna-faulty\",\"type\":\"error\",\"triggered\":nan,\"last-triggered\":\"2026-02-10T09:45:48[Europe/Berlin]\"}]},
    \"chassis0\":{\"slots\":[{\"slot-id\":\"clk1\",\"module\":{\"info\":{\"model\":\"gps180\"},\"gns\":{\"antenna\":{\"connected\":true}},
    \"sync-status\":{\"est-time-quality\":nan(0x7ff8),\"clock-status\":{\"clock\":\"synchronized\"}}}},
    {\"slot-id\":\"io1\",\"module\":{\"info\":{\"model\":\"rel1000\"}}}]}}}\0\r\n\0";

/// Answers with what `body` holds.
async fn serve(body: &Arc<Mutex<Vec<u8>>>) -> WebServer {
    let body = Arc::clone(body);
    WebServer::start(move |request| match request.uri.path() {
        "/api/status" => answer(200, body.lock().expect("whole").clone()),
        _ => answer(404, "{}"),
    })
    .await
}

#[tokio::test]
async fn malformed_text_costs_its_field_and_not_the_device() {
    let server = serve(&Arc::new(Mutex::new(MALFORMED.to_vec()))).await;
    let mut scene = Setup::at(&[Entry::new("m500", &server.url())]).start().await;
    let seen = scene
        .until("the device", |seen| {
            seen.text("m500/state") == "online" && seen.json("m500/io1/relay/a").is_object()
        })
        .await;
    let info = seen.json("m500/info");
    assert_eq!(info["profile"], "api-10", "{info}");
    assert_eq!(
        (&info["hostname"], &info["model"]),
        (&"M\u{fffd}nchen".into(), &"M500".into())
    );
    assert_eq!(seen.json("m500/io1/relay/a")["position"], "NO");
    let detail = &seen.json("m500/io1/signal/clk1")["detail"];
    assert_eq!(detail["antenna"], "connected", "{detail}");
    assert_eq!(detail.get("time_quality"), None, "{detail}");
    let known = seen.json("m500/event/ntp-not-sync");
    assert_eq!(known["last_triggered"], "2026-02-10T09:45:48.000Z", "{known}");
    let event = seen.json("m500/event/antenna-faulty");
    assert_eq!(event["triggered"], "unknown", "{event}");
    assert_eq!(event.get("last_triggered"), None, "{event}");
}

#[tokio::test]
async fn an_exchanged_device_is_reported_once() {
    let with = |serial_number: &str| {
        let text = format!(
            r#"{{"system-information":{{"serial-number":{serial_number}}},"data":{{"chassis0":{{"slots":[]}}}}}}"#
        );
        text.into_bytes()
    };
    let body = Arc::new(Mutex::new(with("\"1   \"")));
    let server = serve(&body).await;
    let mut scene = Setup::at(&[Entry::new("m500", &server.url())]).start().await;
    // Nothing but blanks, and a device that does not say it for a while.
    for (sent, shown) in [
        ("\"1   \"", "1"),
        ("\"N/A\"", ""),
        ("\"1\"", "1"),
        ("null", ""),
        ("\"2\"", "2"),
        ("\"3\"", "3"),
    ] {
        *body.lock().unwrap() = with(sent);
        let is_shown = |seen: &Seen| {
            let info = seen.json("m500/info");
            info.is_object() && info["serial_number"].as_str().unwrap_or_default() == shown
        };
        scene.until(sent, is_shown).await;
    }
    let dead_letters = |seen: &Seen| -> Vec<serde_json::Value> {
        let dead_letters = seen
            .log
            .iter()
            .filter(|(topic, _)| topic == "lantime/dead-letter/m500");
        dead_letters
            .map(|(_, payload)| serde_json::from_str(payload).expect("it is JSON"))
            .collect()
    };
    let seen = scene
        .until("both dead letters", |seen| dead_letters(seen).len() >= 2)
        .await;
    let dead_letters = dead_letters(&seen);
    assert_eq!(dead_letters.len(), 2, "{dead_letters:?}");
    for (dead_letter, (before, now)) in dead_letters.iter().zip([("\"1\"", "\"2\""), ("\"2\"", "\"3\"")]) {
        assert_eq!(dead_letter["operation"], "identity", "{dead_letter}");
        assert_eq!(dead_letter["error"]["kind"], "conflict", "{dead_letter}");
        assert_eq!(dead_letter["error"]["url"], server.url(), "{dead_letter}");
        let message = dead_letter["error"]["message"].as_str().unwrap();
        assert!(message.contains(before) && message.contains(now), "{message}");
    }
    assert_eq!(seen.text("m500/error"), "", "the device is well");
}
